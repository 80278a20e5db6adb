"""Nearest-neighbour models: what they count of a log, and how they rank, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym.users import neighbours
from recgym.users.neighbour_fitting import clicked_items, item_neighbours, with_popularity
from recgym.users.neighbours import TIE, NeighbourConfig
from recgym.users.page_arrays import Pages
from tests.fixtures.user_logs import event, sessions_of

N = 5
"""Items, and the id of no item."""
CLICKS = [np.array([0, 1]), np.array([0, 1, 2]), np.array([1, 3])]
RATES = np.array([0.1, 0.2, 0.3, 0.4, 0.5], np.float32)


def scores(config: NeighbourConfig, params: neighbours.Params, history: list[int]) -> np.ndarray:
    tables = neighbours.prepare(config, params, np.zeros((N, 1), np.float32))
    state = neighbours.initial(config, tables, np.array([history]))
    slate = np.arange(N)[None, :]
    found: np.ndarray = neighbours.respond(config, tables, state, slate)[1][0, :-1]
    return found - TIE * RATES


def test_items_clicked_together_by_hand() -> None:
    ids, similarities = item_neighbours(CLICKS, N, neighbours=2, damping=1.0)
    assert ids.tolist() == [[1, 2], [0, 2], [0, 1], [1, 5], [5, 5]]
    both, three = 2 / (np.sqrt(2 * 3) + 1), 1 / (np.sqrt(3) + 1)
    np.testing.assert_allclose(similarities[0], [both, 1 / (np.sqrt(2) + 1)], rtol=1e-6)
    np.testing.assert_allclose(similarities[1], [both, three], rtol=1e-6)
    assert similarities[4].tolist() == [0.0, 0.0]


def test_an_item_scores_the_sum_over_the_clicked_ones_each_once() -> None:
    config = NeighbourConfig(neighbours=2, damping=1.0, window=4)
    ids, similarities = item_neighbours(CLICKS, N, 2, 1.0)
    params = {"click_rate": RATES, "neighbours": ids, "similarities": similarities}
    found = scores(config, params, [3, 1, 3, N])
    by_hand = np.zeros(N)
    by_hand[1] = 1 / (np.sqrt(3) + 1)  # of item 3
    by_hand[[0, 2]] = [2 / (np.sqrt(6) + 1), 1 / (np.sqrt(3) + 1)]  # of item 1
    np.testing.assert_allclose(found, by_hand, atol=1e-6)
    assert np.allclose(scores(config, params, [N, N, N, N]), 0.0, atol=1e-7)


@pytest.mark.parametrize(("count", "third"), [(3, 1 / np.sqrt(2 * 2)), (2, 0.0)])
def test_sessions_by_their_cosine_and_the_nearest_alone(count: int, third: float) -> None:
    config = NeighbourConfig("sessions", neighbours=count, window=2)
    stored = np.array([[0, 1, N], [0, 1, 2], [1, 3, N]])
    params = {"click_rate": RATES, "sessions": stored}
    found = scores(config, params, [0, 1])
    two, three = 2 / np.sqrt(2 * 2), 2 / np.sqrt(2 * 3)
    by_hand = [two + three, two + three + third, three, third, 0.0]
    np.testing.assert_allclose(found, by_hand, atol=1e-6)


def test_equal_items_go_by_their_click_rate() -> None:
    config = NeighbourConfig("sessions", window=2)
    params = {"click_rate": RATES, "sessions": np.array([[0, 1]])}
    tables = neighbours.prepare(config, params, np.zeros((N, 1), np.float32))
    nothing = neighbours.initial(config, tables, np.array([[N, N]]))
    found, _ = neighbours.respond(config, tables, nothing, np.array([[1, 4, 3]]))
    assert np.argsort(-found[0, :3]).tolist() == [1, 2, 0]


def test_together_with_is_the_same_in_torch() -> None:
    ids, similarities = item_neighbours(CLICKS, N, 2, 1.0)
    tables = neighbours.together_tables(ids, similarities)
    history, slate = np.array([[3, 1], [N, 0]]), np.array([[0, 1, 2], [4, 3, N]])
    ours = neighbours.together_with(tables, history, slate)
    in_torch = {name: torch.from_numpy(np.asarray(array)) for name, array in tables.items()}
    theirs = neighbours.together_with(in_torch, torch.from_numpy(history), torch.from_numpy(slate))
    np.testing.assert_allclose(theirs.numpy(), ours, atol=1e-6)
    assert ours[0, 0] > 0.0 == ours[1, 2]


def test_clicked_items_are_the_last_distinct_ones_of_training_users() -> None:
    events = [
        event(0, [1, 2], 0, 1),
        event(0, [2, 3], 0, 2),
        event(0, [1, 4], 0, 1),
        event(1, [3, 4], 1, 4),
        event(2, [0, 1], -1, -1),
    ]
    pages = Pages.of(sessions_of(events), 2, N)
    found = clicked_items(pages, np.array([0, 1, 2, 4]))
    assert [clicked.tolist() for clicked in found] == [[2, 1]]
    with pytest.raises(RecGymError, match="nothing is clicked"):
        clicked_items(pages, np.array([4]))


def test_popularity_is_that_of_the_chosen_pages() -> None:
    pages = Pages.of(sessions_of([event(0, [1, 2], 0, 1), event(1, [1, 3], 1, 3)]), 2, N)
    side = np.full((N, 3), 9.0, np.float32)
    found = with_popularity(side, pages, np.array([0]))
    assert (found[:, 0] == 9.0).all()
    rate = np.array([0.5, 1.5 / 2, 0.5 / 2, 0.5, 0.5])  # (clicks + 1/2) / (shows + 1)
    np.testing.assert_allclose(found[:, 1], np.log(rate / (1 - rate)), atol=1e-6)
    np.testing.assert_allclose(found[:, 2], np.log1p([0, 1, 1, 0, 0]), atol=1e-6)
