"""Scores and statistics, by hand and by their properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recgym import metrics

SCORES = np.array([[3.0, 1.0, 2.0, -np.inf], [1.0, 1.0, 1.0, 0.0]])


def test_precision_counts_the_target_among_the_first_k() -> None:
    np.testing.assert_allclose(metrics.precision(SCORES, np.array([2, 0]), 1), [0.0, 1 / 3])
    np.testing.assert_allclose(metrics.precision(SCORES, np.array([2, 0]), 2), [1.0, 2 / 3])


def test_precision_with_ties_is_the_expectation_of_random_orders() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 3, size=6).astype(float)
    for target in range(6):
        for k in (1, 2, 4):
            found = 0
            for _ in range(4_000):
                order = np.lexsort((rng.random(6), -scores))
                found += target in order[:k]
            expected = metrics.precision(scores[None], np.array([target]), k)[0]
            assert found / 4_000 == pytest.approx(expected, abs=0.04)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=8), st.integers(1, 8))
def test_precision_at_k_over_all_targets_sums_to_k(scores: list[int], k: int) -> None:
    table = np.tile(np.array(scores, float), (len(scores), 1))
    total = metrics.precision(table, np.arange(len(scores)), k).sum()
    assert total == pytest.approx(min(k, len(scores)))


def test_log_likelihood_of_equal_options() -> None:
    logits = np.array([[0.0, 0.0, -np.inf], [1000.0, 0.0, 0.0]])
    found = metrics.log_likelihood(logits, np.array([1, 0]))
    np.testing.assert_allclose(found, [-math.log(2.0), 0.0], atol=1e-12)


def test_item_ctr_is_smoothed_by_half_a_click_in_a_show() -> None:
    rates = metrics.item_ctr(np.array([0, 0, 0, 2]), np.array([0, 2]), 4)
    np.testing.assert_allclose(rates, [1.5 / 4, 0.5, 1.5 / 2, 0.5])


def test_mean_and_error_of_five_seeds() -> None:
    estimate = metrics.mean_and_error([1.0, 2.0, 3.0, 4.0, 5.0])
    assert estimate.mean == 3.0
    assert estimate.standard_error == pytest.approx(math.sqrt(2.5 / 5))
    assert estimate.high - 3.0 == pytest.approx(2.776445 * math.sqrt(0.5), rel=1e-5)
    assert str(estimate) == "3.000 +- 0.707"
    assert math.isnan(metrics.mean_and_error([1.0]).standard_error)


@pytest.mark.parametrize(
    ("t", "degrees", "p"),
    [(12.706205, 1, 0.05), (4.302653, 2, 0.05), (3.182446, 3, 0.05), (2.042272, 30, 0.05)],
)
def test_students_t_against_its_tables(t: float, degrees: int, p: float) -> None:
    assert metrics.student_p_value(t, degrees) == pytest.approx(p, abs=1e-7)
    assert metrics.student_quantile(degrees) == pytest.approx(t, abs=1e-5)


def test_paired_t_by_hand() -> None:
    # differences 1 0 1 1 2: mean 1, standard error sqrt(0.5 / 5), t = sqrt(10) with 4 degrees
    p = metrics.paired_t([1, 2, 3, 4, 5], [0, 2, 2, 3, 3])
    assert p == pytest.approx(metrics.student_p_value(math.sqrt(10.0), 4))
    assert metrics.paired_t([1, 1], [1, 1]) == 1.0
    assert metrics.paired_t([2, 2], [1, 1]) == 0.0


def test_bootstrap_of_a_mean_is_near_the_normal_interval() -> None:
    values = np.random.default_rng(0).standard_normal(400)
    estimate = metrics.bootstrap(values)
    error = values.std() / 20
    assert estimate.standard_error == pytest.approx(error, rel=0.05)
    assert estimate.low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert estimate.high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_paired_bootstrap_sees_the_pairing() -> None:
    rng = np.random.default_rng(0)
    pages = rng.standard_normal(300) * 10
    better = pages + 0.2 + 0.5 * rng.standard_normal(300)
    assert metrics.paired_bootstrap(better, pages) < 0.001
    assert metrics.paired_bootstrap(pages, better) > 0.999
    assert metrics.paired_bootstrap(pages, pages) == 1.0


def test_holm_by_hand() -> None:
    # in order .01 * 4, .02 * 3, .03 * 2 (not below the one before: .06), .6 * 1
    np.testing.assert_allclose(metrics.holm([0.03, 0.6, 0.01, 0.02]), [0.06, 0.6, 0.04, 0.06])
    np.testing.assert_allclose(metrics.holm([0.7, 0.6]), [1.0, 1.0])
    np.testing.assert_allclose(metrics.holm([0.04]), [0.04])


def test_the_detectable_difference_is_found_four_times_in_five() -> None:
    # The sample sizes' tables of power .8: of 5 pairs at .05 an effect of 1.682 deviations.
    assert metrics.detectable_difference(1.0 / math.sqrt(5), 4) == pytest.approx(1.682, abs=1e-3)
    # With many degrees, the quantiles of the normal distribution at .975 and .8: 1.960 + .842.
    assert metrics.detectable_difference(2.0, 10**6) == pytest.approx(2 * 2.8016, rel=2e-3)
    assert metrics.detectable_difference(1.0, 0) == math.inf
    rng = np.random.default_rng(0)
    true = metrics.detectable_difference(1.0 / math.sqrt(5), 4, level=0.005)
    samples = true + rng.standard_normal((20_000, 5))
    t = samples.mean(axis=1) / (samples.std(axis=1, ddof=1) / math.sqrt(5))
    found = t > metrics.student_quantile(4, 1.0 - 0.005)
    assert found.mean() == pytest.approx(0.8, abs=0.01)


def test_the_detectable_ratio_of_deviations_by_hand() -> None:
    # Pairs that do not correlate: log k = (1.960 + .842) / sqrt(n - 3), of 5 pairs 1.981.
    ours, theirs = [-2.0, -1.0, 0.0, 1.0, 2.0], [2.0, -1.0, -2.0, -1.0, 2.0]
    assert metrics.detectable_ratio(ours, theirs) == pytest.approx(math.exp(1.981), rel=5e-3)
    # Where they correlate by .8, sinh(log k) is .6 times as large: asinh(.6 * 3.556) = 1.502.
    theirs = [-2.0, 0.0, -1.0, 2.0, 1.0]
    assert metrics.detectable_ratio(ours, theirs) == pytest.approx(math.exp(1.502), rel=5e-3)
    assert metrics.detectable_ratio([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]) == math.inf


def test_the_share_of_the_headroom_by_hand() -> None:
    floors = {"random": np.zeros(3), "popularity": np.ones(3)}
    found = metrics.share_of_headroom(np.array([2.0, 3.0, 4.0]), floors, np.full(3, 5.0))
    # Gains 1 2 3 of 4; their standard error is 1 / sqrt(3), t of 2 degrees 4.303.
    assert (found.floor, found.share, found.headroom.mean) == ("popularity", 0.5, 4.0)
    reach = 4.3027 / math.sqrt(3) / 4
    assert (found.low, found.high) == pytest.approx((0.5 - reach, 0.5 + reach), abs=1e-4)


def test_a_share_that_every_seed_agrees_on_is_certain_however_worlds_differ() -> None:
    floors = {"random": np.array([1.0, 0.0, 2.0])}
    headroom = np.array([10.0, 12.0, 14.0])
    agent, oracle = (floors["random"] + part * headroom for part in (0.25, 1.0))
    found = metrics.share_of_headroom(agent, floors, oracle)
    assert (found.share, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


@pytest.mark.parametrize("room", [[1.0, -1.0, 0.5], [0.0, 0.0, 0.0], [-1.0, -1.1, -1.2], [5.0]])
def test_a_share_of_what_may_be_nothing_is_undefined(room: list[float]) -> None:
    floor = np.ones(len(room))
    found = metrics.share_of_headroom(floor + 1.0, {"random": floor}, floor + room)
    assert math.isnan(found.share)
    assert math.isnan(found.low)


@given(st.lists(st.floats(0.1, 2.0), min_size=3, max_size=6), st.floats(-3, 3), st.floats(0.5, 4))
def test_shares_do_not_depend_on_the_unit(gains: list[float], shift: float, scale: float) -> None:
    agent, floor = np.array(gains), np.zeros(len(gains))
    oracle = 5.0 + agent / 10
    plain = metrics.share_of_headroom(agent, {"floor": floor}, oracle)
    other = metrics.share_of_headroom(
        shift + scale * agent, {"floor": shift + scale * floor}, shift + scale * oracle
    )
    assert plain.low - 1e-9 <= plain.share <= plain.high + 1e-9
    numbers = (plain.share, plain.low, plain.high)
    assert (other.share, other.low, other.high) == pytest.approx(numbers, abs=1e-6)
