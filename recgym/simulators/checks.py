"""Arguments of simulators, checked."""

from __future__ import annotations

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
