"""The floors of sequence agents, on sessions that are counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.sequence_neighbours import Neighbours, NeighboursConfig
from recgym_agents.learning.episodes import Episodes

SESSIONS = ([0, 1, 2], [0, 1], [3, 2], [1, 1, 3])
N_ITEMS = 6
SPEC = EnvironmentSpec(N_ITEMS, 2, 3, None)


def batch(sessions: tuple[list[int], ...] = SESSIONS) -> Episodes:
    length = max(map(len, sessions))
    item = np.array([session + [-1] * (length - len(session)) for session in sessions])
    return Episodes(
        history=np.full((len(item), 3), N_ITEMS),
        slate=np.zeros((*item.shape, 0), np.int64),
        item=item,
        reward=np.ones(item.shape, np.float32),
        steps=item >= 0,
        terminated=np.ones(len(item), np.bool_),
        propensity=None,
    )


def agent(**settings: Any) -> Neighbours:
    made = Neighbours(NeighboursConfig(**settings), SPEC, 0)
    made.update(batch())
    return made


def history(*clicks: int) -> np.ndarray:
    return np.array([([N_ITEMS] * 3 + list(clicks))[-3:]])


def test_clicks_are_counted() -> None:
    # items 0 to 3 were clicked 2, 4, 2 and 2 times
    order = np.argsort(-agent(rank="count").item_scores(history(2))[0], kind="stable")
    assert order.tolist() == [1, 0, 2, 3, 4, 5]


def test_the_last_item_comes_first_then_the_one_before_then_popularity() -> None:
    order = np.argsort(-agent(rank="last").item_scores(history(5, 2))[0], kind="stable")
    assert order.tolist() == [2, 5, 1, 0, 3, 4]


def test_similar_items_by_hand() -> None:
    scores = agent(rank="items", shrinkage=0.0).item_scores(history(3, 2))[0]
    # item 2 is in two sessions, with items 0, 1 and 3 once each, which are in 2, 3 and 2
    expected = [1 / np.sqrt(2 * 2), 1 / np.sqrt(2 * 3), 0.0, 1 / np.sqrt(2 * 2), 0.0, 0.0]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_similar_sessions_by_hand() -> None:
    scores = agent(rank="sessions").item_scores(history(3, 1))[0]
    # 3 weighs 1/2 and 1 weighs 1. The sessions' likenesses are 1/sqrt(3 * 2), 1/sqrt(2 * 2),
    # .5/sqrt(2 * 2) and 1.5/sqrt(2 * 2), their latest common clicks 1, 1, .5 and 1.
    says = np.array([1 / np.sqrt(6), 1 / 2, 0.125, 0.75])
    expected = [says[0] + says[1], says[0] + says[1] + says[3], says[0] + says[2]]
    expected += [says[2] + says[3], 0.0, 0.0]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_only_the_nearest_and_latest_sessions_count() -> None:
    nearest = agent(rank="sessions", neighbours=1).item_scores(history(3, 1))[0]
    np.testing.assert_allclose(nearest, [0.0, 0.75, 0.0, 0.75, 0.0, 0.0], atol=1e-5)
    latest = agent(rank="sessions", sample=2).item_scores(history(3, 1))[0]
    np.testing.assert_allclose(latest, [0.0, 0.75, 0.125, 0.875, 0.0, 0.0], atol=1e-5)


@pytest.mark.parametrize("rank", ["count", "last", "items", "sessions"])
def test_users_without_clicks_or_with_unknown_ones_see_what_is_popular(rank: Any) -> None:
    made = agent(rank=rank, remove_clicked=False)
    assert made.act(history())[0].tolist() == [1, 0]
    assert made.act(history(4))[0, 0] == (4 if rank == "last" else 1)
    assert Neighbours(NeighboursConfig(rank=rank), SPEC, 0).act(history()).tolist() == [[0, 1]]


def test_gains_are_of_what_was_clicked_next() -> None:
    gains = agent(rank="last").gains(batch(([1, 1, 3],)))
    # the most popular item first; then it again, the last one; then item 3, as popular as 0 and 2
    assert gains[0, :2].tolist() == [1.0, 1.0]
    expected = np.mean(1.0 / np.log2([3, 4, 5]))
    assert gains[0, 2] == pytest.approx(expected)
    assert np.isnan(agent().gains(batch(([1], [2, 0])))[0, 1])
