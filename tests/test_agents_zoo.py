"""The zoo as the one place where an agent is entered, and which worlds its agents can act in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym import ENVIRONMENTS
from recgym.errors import RecGymError
from recgym_agents import AGENTS, load_agent, register
from recgym_agents.agent import Arrays, BaseAgent, EnvironmentSpec, Transitions
from recgym_agents.learning.loop import Schedule
from recgym_agents.learning.replay_loop import LoopConfig
from recgym_agents.runs.compatibility import why_not
from recgym_agents.runs.training import TrainConfig, train
from recgym_agents.zoo import FLOORS, OFFLINE

MEETS_NO_CLICKS = ["InterestEvolution-v0", "InterestExploration-v0", "LongTermSatisfaction-v0"]
NEEDS_CLICKS = {
    *("irecgan", "pgu", "acu", "user-lstm", "user-lstm-d", "slateq-belief"),
    *OFFLINE,
    *FLOORS,
}
NEEDS_A_MODEL = {"user-greedy", "user-greedy-ensemble", "slateq-user"}
QUICK: dict[str, dict[str, Any]] = {
    "LoopConfig": {"num_envs": 4, "warm_up": 4, "updates": 1, "batch_size": 8},
    "EpisodeLoopConfig": {"num_envs": 4, "sessions": 4},
    "SequenceLoopConfig": {"schedule": "online", "num_envs": 4, "sessions": 4},
}


@dataclass(frozen=True)
class FirstItemsConfig:
    """Which items come first."""

    first: int = 0


class FirstItems(BaseAgent):
    """Shows the K items that follow one, and counts what it saw."""

    kept = ("seen",)

    def __init__(self, config: FirstItemsConfig, spec: EnvironmentSpec, seed: int) -> None:
        self.config, self.spec, self.seen = config, spec, np.zeros(1)

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        slate = (self.config.first + np.arange(self.spec.slate_size)) % self.spec.n_items
        return np.tile(slate, (len(observation), 1))

    def update(self, batch: Transitions) -> dict[str, float]:
        self.seen += len(batch.reward)
        return {"seen": float(self.seen[0])}

    def policy(self) -> tuple[Arrays, Any]:
        return {"seen": self.seen}, {}

    def load_policy(self, arrays: Arrays, info: Any) -> None:
        self.seen = arrays["seen"]


def test_an_agent_of_ones_own_is_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AGENTS, "entries", dict(AGENTS.entries))
    register("first-items", FirstItems, FirstItemsConfig(), LoopConfig(warm_up=0), "a test")
    world = {"n_items": 20, "slate_size": 3, "horizon": 4}
    train(
        TrainConfig(
            env="SlateMDP-v0",
            agent="first-items",
            steps=16,
            seed=0,
            out=str(tmp_path),
            env_args=world,
            agent_args={"first": 18},
            loop_args={"num_envs": 8, "updates": 1, "batch_size": 8},
            validation_episodes=2,
        )
    )
    agent, _ = load_agent(tmp_path)
    assert agent.recommend([4]) == [18, 19, 0]
    with pytest.raises(RecGymError, match="'first-items': is registered already"):
        register("first-items", FirstItems, FirstItemsConfig(), None)


def test_an_agent_can_have_arguments_of_its_environment_that_are_not_given(tmp_path: Path) -> None:
    def trained_in(**given: Any) -> dict[str, Any]:
        folder = tmp_path / "-".join(["run", *given])
        settings = {"steps": 8, "seed": 0, "out": str(folder), "reports": 1}
        loop = QUICK["LoopConfig"]
        given |= {"horizon": 3}
        train(
            TrainConfig(
                "RecGAN-v0",
                "mopo",
                env_args=given,
                loop_args=loop,
                validation_episodes=2,
                **settings,
            )
        )
        found: dict[str, Any] = load_agent(folder)[1]["env_args"]
        return found

    assert trained_in() == {"ensemble": 5, "pessimism": 1.0, "horizon": 3}
    assert trained_in(ensemble=2) == {"ensemble": 2, "pessimism": 1.0, "horizon": 3}
    dorl = {"ensemble": 5, "pessimism": 1.0, "horizon": 3, "entropy_bonus": 0.1}
    assert trained_in(entropy_bonus=0.1) == dorl
    refused = "mopo: learns in an environment with the arguments ensemble, pessimism, and SlateMDP"
    with pytest.raises(RecGymError, match=refused):
        train(TrainConfig("SlateMDP-v0", "mopo", 8, 0, str(tmp_path / "refused")))


def test_every_loop_says_what_a_trainer_asks_of_it() -> None:
    asked = {name for name in vars(Schedule) if name[0] != "_"}
    assert {"patience", "log_use", "needs_propensities", "needs_slates", "acts"} <= asked
    for name in AGENTS:
        schedule = AGENTS.find(name).schedule
        assert not [one for one in asked if not hasattr(schedule, one)], name


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_which_agents_can_act_in_a_world(env: str) -> None:
    lacking = {name for name in AGENTS if why_not(name, env)}
    expected = set()
    if env in MEETS_NO_CLICKS:
        expected |= NEEDS_CLICKS
    if env != "RecGAN-v0":
        expected |= {"user-greedy-ensemble", "mopo"}
    if env not in ("RecGAN-v0", "RecGAN-LSTM-v0"):
        expected |= {"user-greedy", "slateq-user"}
    assert lacking == expected


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_agents_learn_with_their_defaults_where_they_can_act(env: str, tmp_path: Path) -> None:
    """One of each family; nothing is set but how much is learned."""
    families = ("cascading-dqn", "slateq", "reinforce", "actor-critic", "irecgan", "acu")
    families += ("lpi-rl", "cql", "v-sknn")
    for name in families:
        if why_not(name, env):
            continue
        loop = AGENTS.find(name).loop
        train(
            TrainConfig(
                env=env,
                agent=name,
                steps=16,
                seed=0,
                out=str(tmp_path / name),
                env_args={"horizon": 3},
                loop_args=QUICK[type(loop).__name__],
                reports=1,
                validation_episodes=2,
            )
        )
        load_agent(tmp_path / name)
