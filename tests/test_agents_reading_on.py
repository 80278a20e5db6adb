"""Policies that adapt by reading on: the clicks of support come before those observed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recgym_agents.agent import EnvironmentSpec
from recgym_agents.learning.episodes import last_clicks
from recgym_agents.user_support import Support
from recgym_agents.zoo import entry_of

N_ITEMS, WINDOW = 6, 4
SPEC = EnvironmentSpec(N_ITEMS, 2, WINDOW, None)
SMALL = {"hidden": 8, "embedding": 4}
NONE = N_ITEMS


def agent_of(name: str, **settings: Any) -> Any:
    """An agent of random weights, large enough that what is read matters."""
    entry = entry_of(name, SMALL | settings, {})
    agent = entry.builder(entry.config, SPEC, 0)
    for parameter in (
        *agent.network.parameters(),
        *getattr(agent, "user", agent.network).parameters(),
    ):
        parameter.data.mul_(3.0)
    return agent


def support(*users: list[list[tuple[int, int, int]]]) -> Support:
    """Of each user sequences of steps: two items, and the clicked slot."""
    pages = np.array(users)
    return Support(pages[..., :-1], pages[..., -1], (pages[..., -1] >= 0).astype(np.float32))


def logits(agent: Any, observation: np.ndarray, earlier: np.ndarray | None = None) -> np.ndarray:
    found: np.ndarray = agent.logits(observation, earlier).detach().numpy()
    return found


TWO_USERS = support(
    [[(0, 1, 1), (2, 3, -1)], [(4, 5, 0), (-1, -1, -1)]],
    [[(3, 2, 0), (1, 0, 0)], [(5, 4, 1), (2, 0, 0)]],
)


def test_the_clicks_of_support() -> None:
    assert TWO_USERS.clicks(N_ITEMS).tolist() == [[1, NONE, 4, NONE], [3, 1, 4, 2]]


def test_the_last_of_many_clicks() -> None:
    clicks = np.array([[9, 1, 9, 2, 9], [1, 2, 3, 9, 4], [9, 9, 9, 9, 9]])
    assert last_clicks(clicks, 3, 9).tolist() == [[9, 1, 2], [2, 3, 4], [9, 9, 9]]


@pytest.mark.parametrize(
    ("name", "settings"),
    [("gan-pg", {}), ("irecgan", {}), ("irecgan", {"cell": "lstm"}), ("user-lstm-d", {})],
)
def test_it_acts_as_if_the_clicks_of_support_had_been_observed(
    name: str, settings: dict[str, Any]
) -> None:
    agent = agent_of(name, remove_clicked=False, **settings)
    adapted = agent.adapt(TWO_USERS)
    nothing = np.full((2, WINDOW), NONE)
    read = np.array([[NONE, NONE, 1, 4], [3, 1, 4, 2]])
    np.testing.assert_array_equal(adapted.act(nothing), agent.act(read))
    np.testing.assert_allclose(logits(agent, nothing, TWO_USERS.clicks(NONE)), logits(agent, read))
    assert not np.allclose(logits(agent, read)[:, :-1], logits(agent, nothing)[:, :-1])
    observed = np.array([[NONE, NONE, 0, 5], [NONE, NONE, 0, 5]])
    read = np.array([[1, 4, 0, 5], [4, 2, 0, 5]])
    np.testing.assert_allclose(logits(agent, observed, TWO_USERS.clicks(NONE)), logits(agent, read))
    np.testing.assert_array_equal(adapted.act(observed), agent.act(read))


def test_what_was_clicked_in_support_stays_a_candidate() -> None:
    agent = agent_of("irecgan")
    observed = np.array([[NONE, NONE, NONE, 0], [NONE, NONE, NONE, 0]])
    found = logits(agent, observed, TWO_USERS.clicks(NONE))
    assert np.isinf(found[:, 0]).all()
    assert np.isfinite(found[:, 1:-1]).all()


def test_support_that_tells_nothing_changes_nothing() -> None:
    agent = agent_of("irecgan")
    observed = np.array([[NONE, 3, 2, 1], [NONE, NONE, NONE, NONE]])
    adapted = agent.adapt(Support.none(2, 2))
    np.testing.assert_array_equal(adapted.act(observed), agent.act(observed))


def test_it_recommends_to_one_user() -> None:
    agent = agent_of("irecgan", remove_clicked=False)
    of_one = TWO_USERS.of_users(np.array([1]))
    assert agent.recommend([0, 5], of_one) == agent.recommend([4, 2, 0, 5])


def test_pages_are_ranked_by_the_logits_after_the_clicks_of_support() -> None:
    agent = agent_of("gan-pg")
    nothing, pages = np.full((2, WINDOW), NONE), np.array([[1, 5], [4, NONE]])
    scores = agent.adapt(TWO_USERS).scores(nothing, pages)
    read = np.array([[NONE, NONE, 1, 4], [3, 1, 4, 2]])
    every = agent.ranking(read, nothing[:, :0]).detach().numpy()
    np.testing.assert_allclose(scores[0], every[0, [1, 5]])
    np.testing.assert_allclose(scores[1], [every[1, 4], -np.inf])
