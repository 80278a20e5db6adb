"""Intervals by hand, clusters, and the warnings that go with an estimate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recgym import ope
from recgym.errors import RecGymError


def terms(values: list[float] | np.ndarray, **more: object) -> ope.Terms:
    return ope.Terms("ips", np.asarray(values, np.float64), **more)  # type: ignore[arg-type]


def test_normal_interval_by_hand() -> None:
    found = ope.estimate(terms([1.0, 2.0, 3.0, 6.0]))
    error = math.sqrt((4 + 1 + 0 + 9) / 3 / 4)
    assert found.estimate == 3.0
    assert found.standard_error == pytest.approx(error)
    assert found.high - 3.0 == pytest.approx(1.959964 * error)
    assert 3.0 - found.low == pytest.approx(1.959964 * error)
    assert (found.n, found.level, found.method) == (4, 0.95, "ips")


def test_bernstein_by_hand() -> None:
    values = [0.0, 1.0, 1.0, 2.0]
    found = ope.estimate(terms(values), "bernstein", level=0.9, bounds=(0.0, 2.0))
    log, variance = math.log(4 / 0.1), 2 / 3
    reach = math.sqrt(2 * variance * log / 4) + 7 * 2.0 * log / (3 * 3)
    assert found.high == pytest.approx(1.0 + reach)
    assert found.low == pytest.approx(1.0 - reach)


def test_bootstrap_is_near_the_normal_interval_and_the_same_by_seed() -> None:
    values = np.random.default_rng(0).exponential(size=2_000)
    normal = ope.estimate(terms(values))
    drawn = ope.estimate(terms(values), "bootstrap", seed=3, resamples=4_000)
    assert drawn.low == pytest.approx(normal.low, abs=0.2 * normal.standard_error)
    assert drawn.high == pytest.approx(normal.high, abs=0.2 * normal.standard_error)
    assert drawn == ope.estimate(terms(values), "bootstrap", seed=3, resamples=4_000)


def test_rows_of_one_user_are_one_observation() -> None:
    values = np.array([1.0, 3.0, 5.0])
    repeated = ope.estimate(terms(np.repeat(values, 7)), cluster=np.repeat([5, 2, 9], 7))
    alone = ope.estimate(terms(values))
    assert repeated.standard_error == pytest.approx(alone.standard_error)
    drawn = ope.estimate(terms(np.repeat(values, 7)), "bootstrap", cluster=np.repeat([0, 1, 2], 7))
    assert {drawn.low, drawn.high} == {1.0, 5.0}  # a user may be drawn three times


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1_000), st.permutations(range(12)))
def test_the_order_of_rows_does_not_matter(seed: int, order: list[int]) -> None:
    values = np.random.default_rng(seed).normal(size=12)
    cluster = np.arange(12) // 3
    found = ope.estimate(terms(values), cluster=cluster)
    other = ope.estimate(terms(values[order]), cluster=cluster[order])
    assert (found.low, found.high) == pytest.approx((other.low, other.high))


def test_one_row_has_no_interval() -> None:
    assert math.isnan(ope.estimate(terms([2.0])).low)


def test_few_effective_rows_are_warned_of() -> None:
    weights = np.ones(1_000)
    assert ope.estimate(terms(np.arange(1_000), weights=weights)).warnings == ()
    weights = np.where(np.arange(1_000) < 20, 50.0, 0.0)
    found = ope.estimate(terms(weights, weights=weights))
    assert found.effective_sample_size == pytest.approx(20.0)
    (caution,) = found.warnings
    assert caution.kind == "effective sample size"
    assert "1,000 rows weigh as much as 20.0" in caution.text


def test_the_slot_of_the_fewest_counts() -> None:
    weights = np.ones((100, 2))
    weights[:, 1] = np.where(np.arange(100) < 25, 4.0, 0.0)
    assert ope.effective_sample_size(weights) == pytest.approx(25.0)


def test_weights_that_do_not_average_one_are_warned_of() -> None:
    weights = np.full(400, 0.5)
    (caution,) = ope.estimate(terms(np.arange(400), weights=weights)).warnings
    assert caution.kind == "mean weight"
    assert "weights average 0.5, not 1" in caution.text


def test_rows_that_all_say_the_same_are_warned_of() -> None:
    (caution,) = ope.estimate(ope.ips(np.zeros(90), np.ones(90), np.ones(90))).warnings
    assert caution.kind == "no spread"
    (unweighted,) = ope.estimate(ope.direct_method(np.full(90, 0.5))).warnings
    assert unweighted.kind == "no spread"


def test_weights_that_were_cut_are_warned_of() -> None:
    mu = np.where(np.arange(200) < 20, 0.1, 1.0)
    pi = np.where(np.arange(200) < 20, 0.55, 0.5)
    cut = ope.clipped_ips(np.ones(200), mu, pi, cap=2.0)
    (caution,) = ope.estimate(cut).warnings
    assert (caution.kind, caution.text[:18]) == ("weights left out", "10% of the weights")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"level": 1.0}, "level=1.0: must be between 0 and 1"),
        ({"interval": "exact"}, "interval='exact': must be normal, bootstrap or bernstein"),
        ({"interval": "bernstein"}, "needs bounds"),
        ({"interval": "bernstein", "bounds": (0.0, 1.0)}, "do not hold the terms, 1 .. 2"),
        ({"interval": "bernstein", "bounds": (0, 9), "cluster": [0, 0]}, "one row"),
        ({"interval": "bootstrap", "resamples": 0}, "resamples=0"),
        ({"cluster": [1, 2, 3]}, r"cluster has shape \(3,\), there are 2 rows"),
    ],
)
def test_bad_input_is_one_line(arguments: dict[str, object], line: str) -> None:
    with pytest.raises(RecGymError, match=line):
        ope.estimate(terms([1.0, 2.0]), **arguments)  # type: ignore[arg-type]


def test_self_normalised_terms_have_no_bernstein_bound() -> None:
    found = ope.snips(np.ones(3), np.ones(3), np.ones(3))
    with pytest.raises(RecGymError, match="take ips or clipped_ips"):
        ope.estimate(found, "bernstein", bounds=(0.0, 1.0))
