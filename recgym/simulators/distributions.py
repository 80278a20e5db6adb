"""Named distributions: how the users of a world may differ, as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from recgym.arrays import Array, namespace
from recgym.errors import RecGymError
from recgym.simulators.arguments import between, number
from recgym.simulators.base import Noise

Given = float | Sequence[Any]
"""A number, which every user has, or a list: the name of a distribution and its numbers.

``["constant", value]``, ``["uniform", low, high]``, ``["normal", mean, sd]``, ``["lognormal", mean,
sd]`` (of the logarithm), or ``["choice", value, ...]``, whose values are equally likely.
"""
NAMES = ("constant", "uniform", "normal", "lognormal", "choice")


class Columns:
    """Hands out the columns of a noise, first come, first served."""

    def __init__(self, noise: Noise) -> None:
        self._noise = noise
        self._taken = [0, 0]

    def uniform(self, count: int) -> Array:
        """Returns the next uniforms (B, count)."""
        return self._take(0, count)

    def normal(self, count: int) -> Array:
        """Returns the next standard normals (B, count)."""
        return self._take(1, count)

    def full(self, count: int, value: float) -> Array:
        """Returns a number (B, count), and takes no columns."""
        like = self._noise.uniform
        xp = namespace(like)
        return xp.full((len(like), count), value, dtype=like.dtype, device=like.device)

    def _take(self, kind: int, count: int) -> Array:
        start = self._taken[kind]
        self._taken[kind] += count
        return self._noise[kind][:, start : start + count]


class Distribution:
    """The distribution that an argument names.

    Args:
        name: of the argument.
        given: what was given for it.
        low: least value that it may give.
        high: greatest value that it may give.

    Raises:
        RecGymError: no such distribution, numbers that do not suit it, or values out of range.
    """

    def __init__(
        self, name: str, given: Given, low: float = -math.inf, high: float = math.inf
    ) -> None:
        listed = list(given) if isinstance(given, list | tuple) else ["constant", given]
        if not listed or listed[0] not in NAMES:
            raise RecGymError(f"{name}={given!r}: must be a number, or begin with {_or(NAMES)}")
        self.name: str = listed[0]
        self.numbers = [number(name, value) for value in listed[1:]]
        count = {"constant": 1, "choice": max(len(self.numbers), 1)}.get(self.name, 2)
        if len(self.numbers) != count:
            raise RecGymError(f"{name}={given!r}: {self.name!r} has {count} number(s) beside it")
        if count == 2 and self.name != "choice" and self._is_reversed():
            what = "low, high" if self.name == "uniform" else "mean, and a sd of 0 or more"
            raise RecGymError(f"{name}={given!r}: the numbers of {self.name!r} are {what}")
        least, greatest = self._support()
        if least < low or greatest > high:
            raise RecGymError(f"{name}={given!r}: every value must be {between(low, high)}")
        self.noise = int(self.name in ("uniform", "choice")), int("normal" in self.name)
        """How many uniforms and how many standard normals one value takes."""

    def draw(self, columns: Columns, size: int = 1) -> Array:
        """Draws values (B, size), from as many of the next columns as they take."""
        first, last = self.numbers[0], self.numbers[-1]
        if self.name == "constant":
            return columns.full(size, first)
        if self.name == "uniform":
            return first + (last - first) * columns.uniform(size)
        if self.name == "choice":
            uniform = columns.uniform(size)
            xp = namespace(uniform)
            option = xp.asarray(uniform * len(self.numbers), dtype=xp.int64)
            return xp.asarray(self.numbers, dtype=uniform.dtype, device=uniform.device)[option]
        drawn = first + last * columns.normal(size)
        return drawn if self.name == "normal" else namespace(drawn).exp(drawn)

    def _is_reversed(self) -> bool:
        first, last = self.numbers
        return last < (first if self.name == "uniform" else 0.0)

    def _support(self) -> tuple[float, float]:
        """Returns the bounds of the values."""
        if self.name == "normal":
            return -math.inf, math.inf
        if self.name == "lognormal":
            return 0.0, math.inf
        return min(self.numbers), max(self.numbers)


def noise_of(*parts: tuple[int, int]) -> tuple[int, int]:
    """Returns the sum of what several things consume, uniforms and normals apart."""
    return sum(part[0] for part in parts), sum(part[1] for part in parts)


def _or(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:-1])) + f" or {names[-1]!r}"
