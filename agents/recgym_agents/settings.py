"""Settings given by name, such as those of a command line, put into configurations."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from recgym.errors import RecGymError


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
            raise RecGymError(f"{where}: {name}={value!r} does not fit {_text(types[name])}")
    return dataclasses.replace(config, **values)


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _text(kind: Any) -> str:
    return (
        " | ".join(map(str, get_args(kind))) if get_origin(kind) is Literal else str(kind.__name__)
    )
