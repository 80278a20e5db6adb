"""Settings in frozen dataclasses: their ranges, and values that a user gives by name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from recgym.errors import RecGymError, shortened

AT_LEAST_0, AT_LEAST_1, SHARE = (0.0, math.inf), (1.0, math.inf), (0.0, 1.0)
POSITIVE = (float(np.finfo(np.float32).tiny), math.inf)
"""Ranges, ends included."""
UNIONS = (Union, UnionType)
"""What ``Literal["a"] | None`` and ``int | None`` are."""


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


def check_types(config: Any) -> None:
    """Checks that every field of a dataclass has a value of its type.

    Raises:
        RecGymError: one has not; its name, its value and its type are in the message.
    """
    hints = get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not _fits(value, hints[field.name]):
            given = f"{field.name}={shortened(repr(value))}"
            raise RecGymError(f"{given} does not fit {_text(hints[field.name])}")


def changed(config: Any, values: Mapping[str, Any], where: str) -> Any:
    """Returns a frozen dataclass with some fields changed.

    Raises:
        RecGymError: an unknown field, or a value of another type than the field's.
    """
    hints = get_type_hints(type(config))
    types = {field.name: hints[field.name] for field in dataclasses.fields(config)}
    fitting = {}
    for name, value in values.items():
        if name not in types:
            known = ", ".join(types) or "none"
            raise RecGymError(f"{where}: no setting {name!r}; there are {known}")
        fitting[name] = tuple(value) if isinstance(value, list) else value
        if not _fits(fitting[name], types[name]):
            given = f"{name}={shortened(repr(value))}"
            raise RecGymError(f"{where}: {given} does not fit {_text(types[name])}")
    return dataclasses.replace(config, **fitting)


def _fits(value: Any, kind: Any) -> bool:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return any(value == part and type(value) is type(part) for part in parts)
    if origin in UNIONS:
        return any(_fits(value, part) for part in parts)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(part, parts[0]) for part in value)
    if origin is dict:
        return isinstance(value, dict)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _text(kind: Any) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " | ".join(map(str, parts))
    if origin in UNIONS:
        return " | ".join(map(_text, parts))
    if origin is tuple:
        return f"a list of {_text(parts[0])}"
    if kind is NoneType:
        return "None"
    return "named values" if origin is dict else str(kind.__name__)
