"""An agent as it is loaded: observations of any form, and the environment that it reads."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym.simulators.slate_mdp import SlateMDP
from recgym_agents import load_agent
from recgym_agents.runs.run_folder import TrainConfig
from recgym_agents.runs.trained_agent import TrainedAgent
from recgym_agents.runs.training import train
from tests.small_world import random_user_model

WORLD = {"slate_size": 3, "window": 4, "horizon": 5}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    random_user_model().save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def agents(model: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrainedAgent]:
    """One that reads ids, one that reads another kind of observation, and one of a library."""
    folder = tmp_path_factory.mktemp("runs")
    quick: dict[str, Any] = {"steps": 64, "seed": 0, "reports": 1, "validation_episodes": 0}
    made = {
        "ids": ("RecGAN-v0", "cascading-dqn", WORLD | {"user_model": model}),
        "state": ("SlateMDP-v0", "cascading-dqn", {"slate_size": 3, "observe": "state"}),
        "library": ("SlateMDP-v0", "sb3-a2c", {"slate_size": 3, "window": 2}),
    }
    for name, (env, agent, env_args) in made.items():
        train(TrainConfig(env, agent, out=str(folder / name), env_args=env_args, **quick))
    return {name: load_agent(folder / name, trust=True)[0] for name in made}


@pytest.mark.parametrize("name", ["ids", "state", "library"])
def test_it_acts_in_the_environment_that_it_makes(
    name: str, agents: dict[str, TrainedAgent]
) -> None:
    agent = agents[name]
    env = agent.make_env()
    observation, _ = env.reset(seed=0)
    for _ in range(3):
        slate = agent.act(observation)
        assert slate.shape == (3,)
        assert env.action_space.contains(slate)
        many = agent.act(np.stack([observation, observation]))
        np.testing.assert_array_equal(many, [slate, slate])
        observation, _, terminated, _, _ = env.step(slate)
        if terminated:
            observation, _ = env.reset()


def test_the_environment_is_that_of_training_but_for_what_is_changed(
    agents: dict[str, TrainedAgent], model: str
) -> None:
    env = agents["ids"].make_env(split="test", render_mode="ansi")
    assert env.spec is not None
    expected = WORLD | {"user_model": model, "split": "test", "observe": "items"}
    assert {name: env.spec.kwargs[name] for name in expected} == expected
    assert env.render_mode == "ansi"
    with pytest.raises(RecGymError, match="unexpected keyword argument 'slates'"):
        agents["ids"].make_env(slates=3)
    with pytest.raises(RecGymError, match="environment argument 'view': set by training"):
        agents["ids"].make_env(view="scores")


def test_an_ensemble_is_left_where_the_test_users_are(
    agents: dict[str, TrainedAgent], model: str
) -> None:
    agent = agents["ids"]
    env_args = {"ensemble": 2, "pessimism": 1.0, "entropy_bonus": 0.1, "user_model": model}
    drawn = TrainedAgent(agent.inner, agent.about | {"env_args": env_args})
    assert drawn.make_env(split="test").unwrapped.simulator.n_users == 20
    with pytest.raises(RecGymError, match="log alone"):
        TrainedAgent(agent.inner, {"env": None, "env_args": {}}).make_env()


def test_every_form_of_the_same_ids_gives_the_same_slate(agents: dict[str, TrainedAgent]) -> None:
    agent = agents["ids"]
    ids = [30, 30, 4, 9]
    expected = agent.act(np.array(ids))
    for form in (
        ids,
        np.array(ids, np.int32),
        np.array(ids, np.uint8),
        torch.tensor(ids),
        tuple(ids),
    ):
        np.testing.assert_array_equal(agent.act(form), expected)
    np.testing.assert_array_equal(agent.act([ids]), [expected])
    assert agent.recommend([4, 9]) == expected.tolist()
    assert agent.act(np.empty((0, 4), np.int64)).shape == (0, 3)


def test_numbers_may_be_of_any_width(agents: dict[str, TrainedAgent]) -> None:
    agent = agents["state"]
    observation = agent.make_env().reset(seed=3)[0]
    expected = agent.act(observation)
    np.testing.assert_array_equal(agent.act(observation.astype(np.float64)), expected)
    np.testing.assert_array_equal(agent.act(observation.tolist()), expected)


READS = r"this agent reads 4 item ids, 30 where there is none \(observe='items'\); agent.make_env"


@pytest.mark.parametrize(
    ("observation", "found"),
    [
        (np.zeros(16, np.float32), r"of shape \(16,\)"),  # features of four items
        (np.zeros((2, 5), np.int64), r"of shape \(2, 5\)"),
        (np.zeros((1, 1, 4), np.int64), r"of shape \(1, 1, 4\)"),
        (np.zeros(4, np.float32), "of type float32"),
        (np.zeros(4, np.bool_), "of type bool"),
        ([1, 2, 3, 31], "with the id 31"),
        ([1, 2, 3, -1], "with the id -1"),
        ({"obs": 1}, r"of shape \(\)"),
        (None, r"of shape \(\)"),
        ("ids", r"of shape \(\)"),
        ([[1, 2], [3]], r"of shape \(0,\)"),
        (([1, 2, 3, 4], {}), r"of shape \(0,\)"),  # what reset returns
    ],
)
def test_another_observation_is_refused_in_one_line(
    observation: Any, found: str, agents: dict[str, TrainedAgent]
) -> None:
    with pytest.raises(RecGymError, match=f"observation {found}: {READS}"):
        agents["ids"].act(observation)


def test_ids_are_refused_by_one_that_reads_numbers(agents: dict[str, TrainedAgent]) -> None:
    env = gymnasium.make("SlateMDP-v0", slate_size=3, observe="items", window=7)
    assert isinstance(env.unwrapped.simulator, SlateMDP)
    with pytest.raises(RecGymError, match=r"of shape \(7,\): this agent reads \d+ numbers"):
        agents["state"].act(env.reset(seed=0)[0])
