"""Settings in frozen dataclasses: their ranges, and values that a user gives by name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from recgym.errors import RecGymError, shortened

AT_LEAST_0, AT_LEAST_1, SHARE = (0.0, math.inf), (1.0, math.inf), (0.0, 1.0)
SIZE = (1.0, 65_536.0)
POSITIVE = (float(np.finfo(np.float32).tiny), math.inf)
"""Ranges, ends included."""


def check_ranges(config: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Checks that the fields of a dataclass, or all numbers in one, are within their ranges.

    Raises:
        RecGymError: one is not; its name, its value and its range are in the message.
    """
    for name, bounds in ranges.items():
        value = getattr(config, name)
        for number in value if isinstance(value, tuple) else (value,):
            check_number(name, number, bounds)


def check_number(name: str, value: float, bounds: tuple[float, float]) -> None:
    """Checks that a setting is a finite number from ``bounds[0]`` to ``bounds[1]``.

    Raises:
        RecGymError: it is not; its name, its value and its range are in the message.
    """
    low, high = bounds
    if not low <= value <= high or value in (math.inf, -math.inf):
        text = f"at least {low:g}" if high == math.inf else f"in {low:g}..{high:g}"
        raise RecGymError(f"{name}={shortened(str(value))}: must be {text}")


def changed(config: Any, values: Mapping[str, Any], where: str) -> Any:
    """Returns a frozen dataclass with some fields changed.

    Raises:
        RecGymError: an unknown field, or a value of another type than the field's.
    """
    types = get_type_hints(type(config))
    for name, value in values.items():
        if name not in types:
            raise RecGymError(f"{where}: no setting {name!r}; there are {', '.join(types)}")
        if not _fits(value, types[name]):
            raise RecGymError(
                f"{where}: {name}={shortened(repr(value))} does not fit {_text(types[name])}"
            )
    return dataclasses.replace(config, **values)


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(kind))
    if get_origin(kind) is UnionType or get_origin(kind) is Union:
        return any(_fits(value, choice) for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_fits(one, get_args(kind)[0]) for one in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _text(kind: Any) -> str:
    if get_origin(kind) in (Literal, Union, UnionType):
        return " | ".join(c if isinstance(c, str) else _text(c) for c in get_args(kind))
    return str(getattr(kind, "__name__", kind)) if get_origin(kind) is None else str(kind)
