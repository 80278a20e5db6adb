from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym.users import gan
from recgym_agents.agent import EnvironmentSpec, Transitions
from recgym_agents.algorithms.baselines import (
    BaselineConfig,
    Popularity,
    RandomAgent,
    UserGreedy,
    UserGreedyConfig,
    top_slates,
)
from tests.small_world import random_user_model

MODEL = random_user_model()
WORLD = EnvironmentSpec(
    n_items=30,
    slate_size=3,
    window=5,
    features=MODEL.features,
    user_model=MODEL,
    user_members=("train",),
)
OBSERVATION = np.array([[30, 30, 30, 30, 30], [30, 1, 2, 3, 4], [9, 8, 7, 6, 5]] * 40)


def rewards(member: str, observation: np.ndarray) -> np.ndarray:
    """The reward of every item, as the user model itself says (B, N)."""
    tables = gan.prepare(MODEL.config, MODEL.members[member], MODEL.features)
    state = gan.initial(MODEL.config, tables, observation)
    everything = np.tile(np.arange(30), (len(observation), 1))
    return gan.respond(MODEL.config, tables, state, everything)[1][:, :-1]


def test_top_slates_are_best_first_without_the_excluded_and_ties_go_by_id() -> None:
    scores = np.array([[1.0, 3.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0]])
    excluded = np.array([[1, 4], [4, 4]])
    assert top_slates(scores, excluded, 2).tolist() == [[3, 2], [0, 1]]


def test_popularity_is_the_smoothed_click_rate_of_what_was_shown() -> None:
    world = EnvironmentSpec(n_items=4, slate_size=2, window=1, features=None)
    agent = Popularity(BaselineConfig(), world, seed=0)
    nothing = np.full((2, 1), 4)
    agent.update(
        Transitions(
            observation=nothing,
            slate=np.array([[0, 1], [0, 1], [0, 2]]),
            item=np.array([0, 1, -1]),
            reward=np.zeros(3, np.float32),
            terminated=np.zeros(3, np.bool_),
            next_observation=nothing,
        )
    )
    # Rates: 1.5 / 4 = .375, 1.5 / 3 = .5, .5 / 2 = .25, and .5 / 1 = .5 for what was never shown.
    assert agent.act(nothing[:1]).tolist() == [[1, 3]]
    assert agent.act(np.array([[3]])).tolist() == [[1, 0]]


@pytest.mark.parametrize("bagged", [False, True])
def test_user_greedy_shows_the_highest_mean_rewards_that_are_not_spent(bagged: bool) -> None:
    agent = UserGreedy(UserGreedyConfig(bagged=bagged), WORLD, seed=0)
    members = MODEL.bags if bagged else ("train",)
    expected = np.mean([rewards(member, OBSERVATION) for member in members], axis=0)
    for row, clicked in enumerate(OBSERVATION):
        expected[row, clicked[clicked < 30]] = -np.inf
    slate = agent.act(OBSERVATION)
    np.testing.assert_array_equal(slate, np.argsort(-expected, axis=1)[:, :3])


def test_user_greedy_needs_a_user_model() -> None:
    agent = UserGreedy(UserGreedyConfig(), replace(WORLD, user_model=None), seed=0)
    with pytest.raises(RecGymError, match="no user model to plan with whose rewards"):
        agent.policy()


def test_user_greedy_pads_an_observation_shorter_than_the_models_window() -> None:
    agent = UserGreedy(UserGreedyConfig(), replace(WORLD, window=1), seed=0)
    longer = UserGreedy(UserGreedyConfig(), WORLD, seed=0)
    slate = longer.act(np.array([[30, 30, 30, 30, 8]]))
    np.testing.assert_array_equal(agent.act(np.array([[8]])), slate)


def test_random_slates_differ_from_call_to_call() -> None:
    agent = RandomAgent(BaselineConfig(), WORLD, seed=0)
    assert (agent.act(OBSERVATION) != agent.act(OBSERVATION)).any()
