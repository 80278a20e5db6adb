"""Arguments of simulators, checked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from recgym.errors import RecGymError


def whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Returns ``value`` if it is a whole number in low..high, or at least low.

    Raises:
        RecGymError: it is not.
    """
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if is_whole and low <= value and (high is None or value <= high):
        return int(value)
    wanted = f"at least {low}" if high is None else f"in {low}..{high}"
    raise RecGymError(f"{name}={value!r}: must be a whole number {wanted}")


def one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    """Returns ``value`` if it is one of ``known``.

    Raises:
        RecGymError: it is not.
    """
    if value in known:
        return value
    raise RecGymError(f"{name}={value!r}: must be one of {', '.join(known)}")


def number(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """Returns ``value`` if it is a finite number in low..high.

    Raises:
        RecGymError: it is not.
    """
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and low <= value <= high:
        return float(value)
    raise RecGymError(f"{name}={value!r}: must be {between(low, high)}")


def numbers(name: str, values: Any, shape: tuple[int, ...], low: float = -math.inf) -> np.ndarray:
    """Returns ``values`` as float64 of a shape if all of them are finite and at least ``low``.

    Args:
        name: of the argument.
        values: numbers, or lists of them.
        shape: -1 where any length will do, but 0.
        low: the least allowed.

    Raises:
        RecGymError: another shape, or something that is not such a number.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    fits = array.ndim == len(shape) and all(
        found == wanted or wanted < 0 < found
        for found, wanted in zip(array.shape, shape, strict=True)
    )
    if fits and np.isfinite(array).all() and (array >= low).all():
        return array
    wanted = " x ".join("any" if length < 0 else str(length) for length in shape)
    raise RecGymError(f"{name}={values!r}: must hold {wanted} numbers, each {between(low)}")


def between(low: float, high: float = math.inf) -> str:
    """Returns in words what a number must be."""
    if math.isfinite(low) and math.isfinite(high):
        return f"a number in {low:g}..{high:g}"
    if math.isfinite(low):
        return f"a number at least {low:g}"
    return "a number" if math.isinf(high) else f"a number at most {high:g}"
