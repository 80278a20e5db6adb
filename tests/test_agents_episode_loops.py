"""The rollout loop and the log loop: what they play, and what is learned from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recgym.collection import collect, uniform_policy
from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.policy_gradient import PolicyGradient, PolicyGradientConfig
from recgym_agents.learning.episodes import Episodes
from recgym_agents.learning.rollout_loop import roll_out
from recgym_agents.runs.assembly import loop_of
from recgym_agents.runs.evaluation import make_vector_env
from recgym_agents.zoo import entry_of
from tests.fixtures.slate_mdp_runs import (
    WORLD,
    random_log,
    slate_mdp,
)


@pytest.mark.parametrize("rows", [3, 8, 20])
def test_rollouts_are_whole_episodes_and_none_is_favoured(rows: int) -> None:
    env = slate_mdp(rows)
    agent = PolicyGradient(PolicyGradientConfig(remove_clicked=False), EnvironmentSpec.of(env), 0)
    with torch.no_grad():  # a policy that is uniform, whose worth is known
        agent.network.head.weight.zero_()
    env.reset(seed=1)
    worth = []
    for _ in range(100):
        played = roll_out(agent, env, 10)
        ends = np.zeros(len(played.item), np.bool_)
        ends[played.offsets[1:] - 1] = True
        assert len(played) == 10
        assert ((played.item < 0) <= ends).all()
        assert (played.terminated == (played.item[ends] < 0)).all()
        assert (np.diff(played.offsets)[~played.terminated] == WORLD["horizon"]).all()
        assert (played.history == WORLD["n_items"]).all()
        worth += np.add.reduceat(played.reward, played.offsets[:-1]).tolist()
    log = collect(env, uniform_policy(12, 3), 2_000)
    expected = np.bincount(log.session, log.reward)
    error = np.hypot(np.std(worth) / len(worth) ** 0.5, expected.std() / len(expected) ** 0.5)
    assert abs(np.mean(worth) - expected.mean()) < 4 * error


class Recorder:
    """An agent that shows two items in turn, and remembers what it was given to learn from."""

    def __init__(self, world: EnvironmentSpec) -> None:
        self.spec = world
        self.batches: list[Episodes] = []

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        assert explore == 1.0
        return np.tile([0, 1], (len(observation), 1))

    def update(self, batch: Episodes) -> dict[str, float]:
        self.batches.append(batch)
        return {"loss": float("nan") if len(self.batches) == 9 else 1.0}

    def score(self, batch: Episodes) -> np.ndarray:
        return batch.reward.sum(axis=1)


def recorded(**changes: Any) -> tuple[Recorder, Any]:
    env = make_vector_env("SlateMDP-v0", WORLD | {"slate_size": 2}, 4, "disabled")
    agent = Recorder(EnvironmentSpec.of(env))
    schedule = replace(entry_of("reinforce", {}, changes).loop, num_envs=4, sessions=6)
    log = random_log(40) if schedule.schedule == "offline" else None
    return agent, loop_of(agent, env, schedule, 1_000, (0, 1), log)


def test_a_round_online_is_learned_from_once() -> None:
    agent, loop = recorded(schedule="online")
    steps = 0
    for _ in range(3):
        metrics = loop.iterate()
        batch = agent.batches[-1]
        steps += batch.steps.sum()
        assert metrics["reward"] == pytest.approx(batch.reward[batch.steps].mean())
        assert batch.propensity is None
    assert loop.steps_done == steps
    assert loop.updates_done == len(agent.batches) == 3


def test_online_and_offline_goes_through_all_that_was_played() -> None:
    agent, loop = recorded(schedule="online-offline", batch_size=4, epochs=1)
    for rounds in (1, 2):
        agent.batches.clear()
        before = loop.steps_done
        loop.iterate()
        fresh, *stored = agent.batches
        assert fresh.steps.sum() == loop.steps_done - before
        assert sum(len(batch.steps) for batch in stored) == 6 * rounds
        assert sum(batch.steps.sum() for batch in stored) == loop.steps_done
        assert all(batch.propensity is not None for batch in stored)


def test_a_log_is_gone_through_and_no_environment_is_met() -> None:
    agent, loop = recorded(schedule="offline", batch_size=16)
    for _ in range(3):
        loop.iterate()
    assert [len(batch.steps) for batch in agent.batches] == [16, 16, 4]
    assert loop.steps_done == sum(batch.steps.sum() for batch in agent.batches)
    held_out = loop.memory.log
    rewards = np.add.reduceat(held_out.reward, held_out.offsets[:-1])
    assert loop.score(held_out) == pytest.approx(rewards.mean())


@pytest.mark.parametrize("schedule", ["online", "offline", "online-offline"])
def test_a_loss_that_is_not_finite_stops_the_training(schedule: str) -> None:
    agent, loop = recorded(schedule=schedule)

    def run() -> None:
        while True:
            loop.iterate()

    with pytest.raises(RecGymError, match="loss is nan at update 9, step") as stopped:
        run()
    assert f"step {loop.steps_done};" in str(stopped.value)
