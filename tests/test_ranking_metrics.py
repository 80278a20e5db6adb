from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recgym.errors import RecGymError
from recgym.ranking_metrics import (
    hit_rate,
    imputed_at_1,
    js_divergence,
    kl_divergence,
    mean_gain,
    ndcg,
    rank_counts,
    reward_at_1,
)

SCIKIT_LEARN = {
    5: [0.0, 0.0, 0.0, 0.048357, 0.368557],
    10: [0.0, 0.0, 0.227871, 0.247744, 0.494183],
    20: [0.246418, 0.0, 0.306326, 0.316392, 0.494183],
}
"""``sklearn.metrics.ndcg_score`` of scikit-learn 1.9.1, which averages over ties too."""


@pytest.mark.parametrize("k", SCIKIT_LEARN)
def test_ndcg_is_that_of_a_ranking_library(k: int) -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, size=(5, 30)).astype(float)
    found = ndcg(*rank_counts(scores, rng.integers(30, size=5)), k)
    np.testing.assert_allclose(found, SCIKIT_LEARN[k], atol=1e-6)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=5), st.integers(0, 4), st.integers(1, 6))
def test_ties_are_counted_by_expectation(scores: list[int], target: int, k: int) -> None:
    """Against every order of the items that agrees with the scores."""
    target %= len(scores)
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    ranks = [order.index(target) + 1 for order in orders]
    counts = rank_counts(np.array([scores]), np.array([target]))
    hits = np.mean([rank <= k for rank in ranks])
    gain = np.mean([(rank <= k) / np.log2(rank + 1) for rank in ranks])
    assert hit_rate(*counts, k)[0] == pytest.approx(hits)
    assert ndcg(*counts, k)[0] == pytest.approx(gain)


@pytest.mark.parametrize("wrong", [0, 1])
def test_scores_that_are_no_numbers_have_no_rank(wrong: int) -> None:
    scores = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]])
    scores[1, wrong] = np.nan
    with pytest.raises(RecGymError, match="rank_counts: scores must be numbers; the agent ret"):
        rank_counts(scores, np.array([1, 1]))


def test_models_are_selected_by_the_gains_of_each_kind_of_event() -> None:
    gains, rewards = np.array([0.5, 0.1, 0.2, 0.0]), np.array([0.2, 0.2, 0.2, 1.0])
    events = np.array([0, 0, 0, 2])
    # clicks: .2 * (.5 + .1 + .2) / 3; purchases: 1 * 0
    assert mean_gain(gains, rewards, events) == pytest.approx(0.2 * 0.8 / 3)
    assert mean_gain(np.array([0.4, 0.6]), np.array([0.2, 1.0]), np.array([0, 2])) == (
        pytest.approx(0.08 + 0.6)
    )


def test_divergences_by_hand() -> None:
    log_p, log_q = np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]])
    kl = 0.5 * np.log(2.0) + 0.5 * np.log(0.5 / 0.75)
    np.testing.assert_allclose(kl_divergence(log_p, log_q), [kl])
    mean = [0.375, 0.625]
    js = 0.5 * sum(
        p * np.log(p / m) + q * np.log(q / m)
        for p, q, m in zip([0.5, 0.5], [0.25, 0.75], mean, strict=True)
    )
    np.testing.assert_allclose(js_divergence(log_p, log_q), [js])


def test_policies_that_share_no_item_are_log_2_apart() -> None:
    with np.errstate(divide="ignore"):
        log_p, log_q = np.log([[1.0, 0.0]]), np.log([[0.0, 1.0]])
    np.testing.assert_allclose(js_divergence(log_p, log_q), [np.log(2.0)])
    assert kl_divergence(log_p, log_q) == np.inf
    assert js_divergence(log_p, log_p) == 0.0


def test_the_best_item_earns_what_was_done_or_nothing() -> None:
    """Of four events: done and best, done and one of two best, not best, best without a reward."""
    scores = np.array([[0.9, 0.1, 0.2], [0.4, 0.4, 0.1], [0.1, 0.2, 0.9], [0.0, 0.0, 1.0]])
    counts = rank_counts(scores, np.array([0, 1, 1, 2]))
    found = reward_at_1(*counts, np.array([0.5, 1.0, 1.0, 0.0]))
    np.testing.assert_allclose(found, [0.5, 0.5, 0.0, 0.0])
    assert found.mean() == pytest.approx(0.25)


def test_the_imputed_reward_is_that_of_the_best_item() -> None:
    scores = np.array([[0.9, 0.1, 0.2], [0.4, 0.4, 0.1], [1.0, 1.0, 1.0]])
    imputed = np.array([[0.3, 1.0, 1.0], [0.2, 0.6, 1.0], [0.0, 0.3, 0.6]])
    np.testing.assert_allclose(imputed_at_1(scores, imputed), [0.3, 0.4, 0.3])
