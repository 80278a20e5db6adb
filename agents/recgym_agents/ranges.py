"""The ranges of settings, checked where a configuration is made: before anything is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from recgym.errors import RecGymError

AT_LEAST_0, AT_LEAST_1, SHARE = (0.0, math.inf), (1.0, math.inf), (0.0, 1.0)
POSITIVE = (float(np.finfo(np.float32).tiny), math.inf)
"""Ranges, ends included."""


def check_ranges(config: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Checks that the fields of a dataclass are finite numbers within their ranges.

    Raises:
        RecGymError: one is not; its name, its value and its range are in the message.
    """
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        if not (math.isfinite(value) and low <= value <= high):
            text = f"at least {low:g}" if high == math.inf else f"in {low:g}..{high:g}"
            raise RecGymError(f"{name}={value}: must be {text}")
