"""Ranking what users did next: which events count, and what is said of them, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recgym.data import Sessions
from recgym.errors import RecGymError
from recgym.rating_imputation import ImputedRatings
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.runs.next_items import divergence, rank_events

N_ITEMS = 25


class LastFirst:
    """The last click scores 2, item 0 scores 1, and everything else ``rest``."""

    spec = EnvironmentSpec(N_ITEMS, 2, 3, None)

    def __init__(self, rest: float = 0.0) -> None:
        self.rest = rest

    def item_scores(self, observation: np.ndarray) -> np.ndarray:
        scores = np.full((len(observation), N_ITEMS + 1), self.rest)
        scores[:, 0] = 1.0
        scores[np.arange(len(observation)), observation[:, -1]] = 2.0
        return scores[:, :-1]


def log(event: list[int] | None = None) -> Sessions:
    """User 0 does 3, 3, 0, 5; user 1 does 7; user 2 opens an unknown page, and does 4, 4."""
    user = np.array([0, 0, 0, 0, 1, 2, 2, 2])
    pages = len(user)
    return Sessions(
        user=user,
        session=user,
        step=np.arange(pages),
        slate_offsets=np.zeros(pages + 1, np.int64),
        slate_items=np.zeros(0, np.int64),
        click=np.full(pages, -1),
        item=np.array([3, 3, 0, 5, 7, -1, 4, 4]),
        reward=np.ones(pages, np.float32),
        event=None if event is None else np.array(event, np.int8),
    )


def test_events_are_ranked_once_something_is_known_of_the_user() -> None:
    ranked = rank_events(LastFirst(), log([0, 0, 0, 2, 0, 0, 0, 2]))
    assert ranked.user.tolist() == [0, 0, 0, 2]
    assert ranked.event.tolist() == [0, 0, 2, 2]
    assert ranked.before.tolist() == [1, 2, 3, 1]
    # the last one again; then item 0; after it, item 5 is one of 24; and the last one again
    assert ranked.better.tolist() == [0, 1, 1, 0]
    assert ranked.tied.tolist() == [1, 1, 24, 1]
    assert ranked.hit_rate(1).tolist() == [1.0, 0.0, 0.0, 1.0]
    assert ranked.hit_rate(7)[2] == pytest.approx(6 / 24)
    assert ranked.ndcg(20)[1] == pytest.approx(1 / np.log2(3))
    assert ranked.of("purchase").tolist() == [False, False, True, True]
    assert ranked.of("click").tolist() == [True, True, False, False]


def test_what_the_best_item_earns_is_read_from_the_log_and_imputed() -> None:
    """Users 0 and 2 rate item i at i and 10 i, by one factor."""
    sessions = replace(log(), reward=np.arange(8, dtype=np.float32))
    factors = np.array([[1.0], [0.0], [10.0]]), np.arange(N_ITEMS, dtype=float)[:, None]
    ranked = rank_events(LastFirst(), sessions, ImputedRatings(0.5, *factors))
    assert ranked.reward.tolist() == [1.0, 2.0, 3.0, 7.0]
    assert ranked.reward_at_1().tolist() == [1.0, 0.0, 0.0, 7.0]
    # the best items are 3, 3, 0 and 4
    assert ranked.imputed.tolist() == [3.5, 3.5, 0.5, 40.5]
    assert np.isnan(rank_events(LastFirst(), sessions).imputed).all()


def test_the_variety_of_lists_is_counted() -> None:
    scores = np.eye(N_ITEMS)[[0, 1]] + np.where(np.arange(N_ITEMS) < 20, 0.5, 0.0)

    class Two(LastFirst):
        def item_scores(self, observation: np.ndarray) -> np.ndarray:
            return np.resize(scores, (len(observation), N_ITEMS))

    assert rank_events(Two(), log()).distinct == 20


def test_what_a_log_lacks_is_one_line() -> None:
    ranked = rank_events(LastFirst(), log())
    with pytest.raises(RecGymError, match=r"purchase: no event of this kind .*\(there are: click"):
        ranked.of("purchase")
    with pytest.raises(RecGymError, match="no event to rank: every sequence has a single item"):
        rank_events(LastFirst(), log().select(np.array([4])))


def test_divergence_is_of_the_softmax_of_scores() -> None:
    history = log().histories(3, N_ITEMS)
    same = divergence(LastFirst(), LastFirst(), history)
    assert (same.js, same.kl) == (0.0, 0.0)
    apart = divergence(LastFirst(), LastFirst(rest=0.5), history[:1])
    ours, theirs = np.zeros(N_ITEMS), np.full(N_ITEMS, 0.5)
    ours[0] = theirs[0] = 1.0
    p, q = (np.exp(x) / np.exp(x).sum() for x in (ours, theirs))
    assert apart.kl == pytest.approx((p * np.log(p / q)).sum())
    m = (p + q) / 2
    js = 0.5 * (p * np.log(p / m)).sum() + 0.5 * (q * np.log(q / m)).sum()
    assert apart.js == pytest.approx(js)
    nearer = divergence(LastFirst(rest=0.4), LastFirst(rest=0.5), history[:1])
    assert 0.0 < nearer.js < apart.js < np.log(2.0)
