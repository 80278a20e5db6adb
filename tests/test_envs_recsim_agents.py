"""Agents of RecSim in our environments; without RecSim, Gymnasium's spaces stand in for Gym's."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym import ENVIRONMENTS, RecGymError
from recgym.envs.recsim_agents import RecSimStyleEnv, play_recsim_agent
from tests.fixtures.every_env import ROWS

WORLDS = {
    "InterestEvolution-v0": "interest_evolution",
    "InterestExploration-v0": "interest_exploration",
    "LongTermSatisfaction-v0": "long_term_satisfaction",
}


@pytest.fixture(autouse=True)
def _gym(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        importlib.import_module("gym.spaces")
    except ModuleNotFoundError:
        monkeypatch.setitem(sys.modules, "gym", gymnasium)
        monkeypatch.setitem(sys.modules, "gym.spaces", gymnasium.spaces)


class Recorder:
    """An agent that shows the first documents, and keeps what it is told."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.told: list[tuple[str, Any, Any]] = []

    def begin_episode(self, observation: Any) -> list[int]:
        self.told.append(("begin", None, observation))
        return list(range(self.size))

    def step(self, reward: float, observation: Any) -> list[int]:
        self.told.append(("step", reward, observation))
        return list(range(self.size))

    def end_episode(self, reward: float, observation: Any) -> None:
        self.told.append(("end", reward, observation))


def style(name: str, seed: int = 0, **arguments: Any) -> RecSimStyleEnv:
    return RecSimStyleEnv(gymnasium.make(name, **arguments), seed=seed)


@pytest.mark.parametrize("name", list(ENVIRONMENTS))
def test_an_agent_is_told_what_happens(name: str) -> None:
    """The same slates in the environment itself, with the same seed."""
    arguments = ROWS[name].variants[0]
    env, twin = style(name, **arguments), gymnasium.make(name, **arguments)
    size = twin.action_space.shape[0]  # type: ignore[index]
    agent = Recorder(size)
    found = play_recsim_agent(agent, env, 3)
    told = iter(agent.told)
    for episode in range(3):
        twin.reset(seed=0 if episode == 0 else None)
        kind, reward, observation = next(told)
        assert (kind, observation["response"]) == ("begin", None)
        total, steps, over = 0.0, 0, False
        while not over:
            assert observation in env.observation_space or observation["response"] is None
            _, paid, terminated, truncated, info = twin.step(np.arange(size))
            over = terminated or truncated
            kind, reward, observation = next(told)
            assert (kind, reward) == ("end" if over else "step", paid)
            clicks = [slot for slot, one in enumerate(observation["response"]) if one["click"]]
            assert clicks == ([info["click"]] if info["click"] >= 0 else [])
            total, steps = total + float(paid), steps + 1
        assert found.returns[episode] == pytest.approx(total)
        assert found.lengths[episode] == steps
    assert next(told, None) is None


def test_what_recsims_worlds_show_of_documents_users_and_slots() -> None:
    env = style("InterestExploration-v0", num_candidates=4, slate_size=2)
    observation = env.reset()
    assert observation["user"].shape == (0,)
    flat = np.array([list(document.values()) for document in observation["doc"].values()])
    candidates = env.env.unwrapped._state  # type: ignore[attr-defined]
    np.testing.assert_allclose(flat[:, 0], candidates["quality"][0], rtol=1e-6)
    assert flat[:, 1].tolist() == candidates["topic"][0].tolist()
    shown = [observation["doc"][position] for position in ("2", "0")]
    response = env.step([2, 0])[0]["response"]
    for document, slot in zip(shown, response, strict=True):
        assert set(slot) == {"click", "quality", "cluster_id"}
        assert slot["quality"] == document["quality"]
        assert slot["cluster_id"] == document["cluster_id"]

    env = style("LongTermSatisfaction-v0", num_candidates=4, slate_size=2)
    assert [len(document) for document in env.reset()["doc"].values()] == [1] * 4
    observation, reward, _, _ = env.step([3, 1])
    assert observation["response"][0]["engagement"] == pytest.approx(min(reward, 100.0))
    assert observation["response"][1] == {"click": 0, "engagement": 0.0}

    env = style("InterestEvolution-v0", num_candidates=4, slate_size=2)
    observation = env.reset()
    interests = env.env.unwrapped._state["user_interests"][0]  # type: ignore[attr-defined]
    np.testing.assert_allclose(observation["user"], interests, rtol=1e-6)
    assert all(sum(document) == 1 for document in observation["doc"].values())


def test_a_catalogue_is_shown_as_documents_that_stay() -> None:
    env = style("SlateMDP-v0", n_items=6, slate_size=2)
    observation = env.reset()
    assert list(observation["doc"]) == ["0", "1", "2", "3", "4", "5"]
    assert np.array(list(observation["doc"].values())).tolist() == np.eye(6).tolist()
    assert observation["user"].tolist() == [0.0] * 30
    after = env.step([4, 1])[0]
    assert np.array(list(after["doc"].values())).tolist() == np.eye(6).tolist()


def test_bad_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecGymError, match="without a view"):
        style("SlateMDP-v0", view="scores")
    with pytest.raises(RecGymError, match="an environment of RecGym"):
        RecSimStyleEnv(gymnasium.make("CartPole-v1"))
    with pytest.raises(RecGymError, match="episodes=0 must be at least 1"):
        play_recsim_agent(Recorder(2), style("SlateMDP-v0"), 0)
    monkeypatch.setitem(sys.modules, "gym.spaces", None)
    with pytest.raises(RecGymError, match=r'needs RecSim \(.*\): pip install "recgym\[recsim\]"'):
        style("SlateMDP-v0")


@pytest.mark.parametrize("name", list(WORLDS))
def test_spaces_are_those_of_recsim(name: str) -> None:
    pytest.importorskip("recsim", reason="needs pip install .[recsim]")
    module = importlib.import_module(f"recsim.environments.{WORLDS[name]}")
    sizes = {"num_candidates": 5, "slate_size": 2, "resample_documents": True, "seed": 0}
    theirs, ours = module.create_environment(sizes), style(name, num_candidates=5, slate_size=2)
    assert (ours.action_space.nvec == theirs.action_space.nvec).all()
    assert ours.observation_space["user"].shape == theirs.observation_space["user"].shape

    def kinds(space: Any) -> Any:
        if type(space).__name__ == "Dict":
            return {key: kinds(part) for key, part in space.spaces.items()}
        return type(space).__name__, space.shape

    for part in ("doc", "response"):
        one, other = (env.observation_space[part] for env in (ours, theirs))
        first, second = (
            list(getattr(s.spaces, "values", lambda s=s: s.spaces)()) for s in (one, other)
        )
        assert [kinds(space) for space in first] == [kinds(space) for space in second]


@pytest.mark.parametrize("name", list(ENVIRONMENTS))
def test_recsims_random_agent_acts_everywhere(name: str) -> None:
    pytest.importorskip("recsim", reason="needs pip install .[recsim]")
    from recsim.agents.random_agent import RandomAgent

    env = style(name, **ROWS[name].variants[0])
    found = play_recsim_agent(RandomAgent(env.action_space), env, 5)
    assert (found.lengths > 0).all()


@pytest.mark.filterwarnings("error")
def test_what_is_shown_is_in_the_spaces_without_a_warning() -> None:
    for name in WORLDS:
        env = style(name, num_candidates=4, slate_size=2)
        env.reset()
        observation = env.step([1, 2])[0]
        assert observation["response"][0] in env.observation_space["response"][0]
        assert observation in env.observation_space


def test_recsims_bandit_learns_in_interest_exploration(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("recsim", reason="needs pip install .[recsim]")
    monkeypatch.setattr(np, "Inf", np.inf, raising=False)  # RecSim is written for NumPy 1
    from recsim.agents.cluster_bandit_agent import ClusterBanditAgent
    from recsim.agents.layers.cluster_click_statistics import ClusterClickStatsLayer
    from recsim.agents.random_agent import RandomAgent

    def env() -> RecSimStyleEnv:
        return style("InterestExploration-v0", num_candidates=20, slate_size=2, horizon=200)

    bandit = ClusterClickStatsLayer(ClusterBanditAgent, env().observation_space, env().action_space)
    learned = play_recsim_agent(bandit, env(), 10).returns.mean()
    random = play_recsim_agent(RandomAgent(env().action_space), env(), 10).returns.mean()
    assert learned > 1.1 * random
