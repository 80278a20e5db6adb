"""Settings: what fits a field, and what is in its range."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import pytest

from recgym.errors import RecGymError, shortened
from recgym.settings import AT_LEAST_1, SHARE, changed, check_number, check_ranges


@dataclass(frozen=True)
class Config:
    hidden: tuple[int, ...] = (64,)
    kind: Literal["a", "b"] | None = "a"
    rate: float = 0.5
    size: int | None = None


@pytest.mark.parametrize(
    "values", [{"hidden": ()}, {"hidden": (1, 2)}, {"kind": None}, {"rate": 1}, {"size": 3}]
)
def test_what_fits_is_taken(values: dict[str, object]) -> None:
    config = changed(Config(), values, "--set")
    assert {name: getattr(config, name) for name in values} == values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden": (1, 2.5)}, r"hidden=\(1, 2.5\) does not fit a list of int"),
        ({"hidden": 1}, "hidden=1 does not fit a list of int"),
        ({"kind": "c"}, r"kind='c' does not fit a \| b \| None"),
        ({"kind": True}, "does not fit a"),
        ({"rate": "0.5"}, "rate='0.5' does not fit float"),
        ({"size": True}, r"size=True does not fit int \| None"),
        ({"sise": 3}, "no setting 'sise'; there are hidden, kind, rate, size"),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(RecGymError, match=message):
        changed(Config(), values, "--set")


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, -math.inf, -(10**400)])
def test_a_number_out_of_its_range_is_refused(value: float) -> None:
    with pytest.raises(RecGymError, match="size=.*: must be at least 1") as caught:
        check_number("size", value, AT_LEAST_1)
    assert len(str(caught.value)) < 150
    check_number("size", 10**400, AT_LEAST_1)


def test_every_number_of_a_field_has_its_range() -> None:
    check_ranges(Config(hidden=(1, 2)), {"hidden": AT_LEAST_1, "rate": SHARE})
    with pytest.raises(RecGymError, match="hidden=0: must be at least 1"):
        check_ranges(Config(hidden=(1, 0)), {"hidden": AT_LEAST_1})
    with pytest.raises(RecGymError, match=r"rate=2: must be in 0\.\.1"):
        check_ranges(Config(rate=2), {"rate": SHARE})


def test_text_is_shortened_to_one_line() -> None:
    assert shortened("a\n  b") == "a b"
    assert shortened("x" * 80) == "x" * 80
    assert shortened("x" * 2_000) == "x" * 80 + "... (2,000 characters)"
