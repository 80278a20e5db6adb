"""Estimators of single decisions, by hand and by what must hold for every log."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recgym import ope
from recgym.errors import RecGymError

REWARD = np.array([1.0, 0.0, 2.0, 1.0])
MU = np.array([0.5, 0.5, 0.25, 0.2])
PI = np.array([0.25, 1.0, 0.5, 0.8])  # weights .5, 2, 2, 4
PREDICTED = np.array([0.5, 0.5, 1.0, 1.0])
EXPECTED = np.array([0.6, 0.4, 1.2, 1.0])
MODEL = (REWARD, MU, PI, PREDICTED, EXPECTED)


@pytest.mark.parametrize(
    ("terms", "values"),
    [
        (ope.ips(REWARD, MU, PI), [0.5, 0.0, 4.0, 4.0]),
        (ope.clipped_ips(REWARD, MU, PI, cap=3.0), [0.5, 0.0, 4.0, 3.0]),
        (ope.direct_method(EXPECTED), [0.6, 0.4, 1.2, 1.0]),
        # .5 * .5, 2 * -.5, 2 * 1, 4 * 0 beside the model's means
        (ope.doubly_robust(*MODEL), [0.85, -0.6, 3.2, 1.0]),
        (ope.switch_dr(*MODEL, threshold=1.0), [0.85, 0.4, 1.2, 1.0]),
    ],
)
def test_terms_by_hand(terms: ope.Terms, values: list[float]) -> None:
    np.testing.assert_allclose(terms.values, values)


def test_self_normalised_by_hand() -> None:
    terms = ope.snips(REWARD, MU, PI)
    assert ope.estimate(terms).estimate == pytest.approx(8.5 / 8.5)
    # the mean weight is 8.5 / 4
    np.testing.assert_allclose(terms.values, 1.0 + np.array([0.0, -2.0, 2.0, 0.0]) / 2.125)


rows = st.integers(2, 20)


@st.composite
def logs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rewards, propensities and target probabilities of one log."""
    n = draw(rows)
    unit = st.floats(0.05, 1.0)
    reward = draw(arrays(np.float64, n, elements=st.floats(-2.0, 2.0)))
    return (
        reward,
        draw(arrays(np.float64, n, elements=unit)),
        draw(arrays(np.float64, n, elements=unit)),
    )


@settings(max_examples=50, deadline=None)
@given(logs())
def test_of_the_logging_policy_itself_it_is_the_mean(
    log: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    reward, mu, _ = log
    for terms in (ope.ips(reward, mu, mu), ope.snips(reward, mu, mu)):
        found = ope.estimate(terms)
        assert found.estimate == pytest.approx(reward.mean())
        assert found.effective_sample_size == pytest.approx(len(reward))


@settings(max_examples=50, deadline=None)
@given(logs(), st.floats(-3.0, 3.0))
def test_a_right_model_needs_no_correction_and_none_at_all_is_ips(
    log: tuple[np.ndarray, np.ndarray, np.ndarray], shift: float
) -> None:
    reward, mu, pi = log
    expected = reward + shift
    exact = ope.doubly_robust(reward, mu, pi, reward, expected)
    np.testing.assert_allclose(exact.values, ope.direct_method(expected).values)
    nothing = np.zeros_like(reward)
    none = ope.doubly_robust(reward, mu, pi, nothing, nothing)
    np.testing.assert_allclose(none.values, ope.ips(reward, mu, pi).values)
    # a level that is added to all rewards is added to the self-normalised estimate
    moved = ope.snips(reward + shift, mu, pi).values.mean()
    assert moved == pytest.approx(ope.snips(reward, mu, pi).values.mean() + shift)


@settings(max_examples=50, deadline=None)
@given(logs())
def test_thresholds_lead_from_the_model_to_full_weights(
    log: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    reward, mu, pi = log
    model = (reward, mu, pi, 0.5 * reward, 0.3 * reward)
    above, below = (pi / mu).max(), 0.5 * (pi / mu).min()
    robust = ope.doubly_robust(*model).values
    np.testing.assert_allclose(ope.switch_dr(*model, threshold=above).values, robust)
    np.testing.assert_allclose(ope.switch_dr(*model, threshold=below).values, 0.3 * reward)
    np.testing.assert_allclose(
        ope.clipped_ips(reward, mu, pi, above).values, ope.ips(reward, mu, pi).values
    )


def test_unbiased_over_all_that_can_be_logged() -> None:
    # one row an item, weighed by the logging policy: the mean over logs, without any luck
    mu, pi, reward = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.2, 0.7]), np.array([1.0, 2.0, 5.0])
    model = np.array([0.0, 3.0, 4.0])
    for terms in (
        ope.ips(reward, mu, pi),
        ope.doubly_robust(reward, mu, pi, model, np.full(3, pi @ model)),
    ):
        assert mu @ terms.values == pytest.approx(pi @ reward)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: ope.ips(REWARD, None, PI), "needs propensity, and there is none"),
        (lambda: ope.ips(REWARD, MU * [1, 0, 1, 1], PI), "propensity is 0 in row 1"),
        (lambda: ope.snips(REWARD, MU, np.zeros(4)), "all weights are 0"),
        (lambda: ope.ips(REWARD, MU, PI[:3]), r"target has shape \(3,\), reward has \(4,\)"),
        (lambda: ope.clipped_ips(REWARD, MU, PI, 0.0), "cap=0.0 must be positive"),
        (lambda: ope.switch_dr(*MODEL, threshold=-1.0), "threshold=-1.0 must be positive"),
        (lambda: ope.expected_reward([[0.5, 0.2]], [[1.0, 1.0]]), "sum to 0.7 in row 0"),
    ],
)
def test_bad_input_is_one_line(call: Callable[[], object], line: str) -> None:
    with pytest.raises(RecGymError, match=line) as error:
        call()
    assert "\n" not in str(error.value)
