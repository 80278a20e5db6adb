"""What a comparison of agents is asked for, and what came out: settings and scores."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, AT_LEAST_1, check_ranges
from recgym_agents.runs.evaluation import Evaluation
from recgym_agents.runs.planned_levels import Levels
from recgym_agents.runs.run_commands import written
from recgym_agents.runs.run_folder import TrainConfig
from recgym_agents.runs.standings import Standing, Unit, rewards_by_user, standings, unit_of
from recgym_agents.runs.trained_agent import in_world


@dataclass(frozen=True)
class ComparisonConfig:
    """What is compared, where, and how."""

    agents: tuple[str, ...]
    """Names in ``AGENTS``, or ``module:name``."""
    env: str
    """Environment id, or ``module:id``."""
    steps: int
    """Slates shown in each training."""
    seeds: tuple[int, ...]
    """A training of each agent for each."""
    out: Path
    """Folder of all runs, ``AGENT/SEED``, and of the report."""
    env_args: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the environment."""
    agent_args: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By agent, settings that are not its defaults."""
    loop_args: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By agent, settings of its loop."""
    split: Literal["train", "test"] | None = None
    """Whose user model agents are scored in; that of training if None."""
    episodes: int = 1_000
    """That each trained agent is scored on."""
    evaluation_seed: int = 0
    """Of the random numbers in them."""
    baselines: bool = True
    """Whether ``BASELINES`` are added."""
    reports: int = TrainConfig.reports
    """Lines of metrics, validations and checkpoints in each training."""
    validation_episodes: int = TrainConfig.validation_episodes
    """Episodes a validation; 0 keeps the last policy instead of the best."""

    def __post_init__(self) -> None:
        """Raises RecGymError for agents or seeds that are none, or that are named twice."""
        names = tuple(agent.rpartition(":")[2] for agent in self.agents)
        for what, named in (("agents", names), ("seeds", self.seeds)):
            if not named:
                raise RecGymError(f"{what}: none is named; name one or more")
            for one in named:
                if named.count(one) > 1:
                    raise RecGymError(f"{what}: {one} is named twice; name it once")
        check_ranges(self, {"episodes": AT_LEAST_1, "evaluation_seed": AT_LEAST_0})
        for option, values in (("agent_args", self.agent_args), ("loop_args", self.loop_args)):
            for name in values:
                if name not in self.agents:
                    raise RecGymError(
                        f"{option}: {name!r} is none of the agents ({', '.join(self.agents)})"
                    )

    @property
    def scored_in(self) -> dict[str, Any]:
        """Arguments of the environment that agents are scored in."""
        return in_world(self.env_args, {} if self.split is None else {"split": self.split})

    @property
    def place(self) -> str:
        """Where agents are scored, in words."""
        return self.env if self.split is None else f"{self.env}, {self.split} users"

    @property
    def runs(self) -> list[TrainConfig]:
        """The trainings: every agent with every seed."""
        return [
            TrainConfig(
                env=self.env,
                agent=agent,
                steps=self.steps,
                seed=seed,
                out=str(self.folder(agent, seed)),
                env_args=dict(self.env_args),
                agent_args=dict(self.agent_args.get(agent, {})),
                loop_args=dict(self.loop_args.get(agent, {})),
                reports=self.reports,
                validation_episodes=self.validation_episodes,
            )
            for agent in self.agents
            for seed in self.seeds
        ]

    def folder(self, agent: str, seed: int) -> Path:
        """Returns where a training goes."""
        return self.out / agent.rpartition(":")[2] / str(seed)

    @property
    def command(self) -> str:
        """The command line that compares the same."""
        words = ["recgym", "compare", "--agents", *self.agents, "--env", self.env]
        words += ["--steps", str(self.steps), "--seeds", ",".join(map(str, self.seeds))]
        words += written(self.env_args, "--env-args")
        for option, by_agent in (("agent", self.agent_args), ("loop", self.loop_args)):
            pairs = [written(values, "", f"{agent}.") for agent, values in by_agent.items()]
            given = [word for words_ in pairs for word in words_[1:]]
            words += [f"--{option}-args", *given] if given else []
        words += [] if self.split is None else ["--split", self.split]
        for name in ("episodes", "evaluation_seed", "reports", "validation_episodes"):
            value = getattr(self, name)
            if value != getattr(ComparisonConfig, name):
                words += [f"--{name.replace('_', '-')}", str(value)]
        words += [] if self.baselines else ["--no-baselines"]
        return shlex.join([*words, "--out", str(self.out)])


@dataclass(frozen=True)
class Scores:
    """What agents earned, and how they learned."""

    config: ComparisonConfig
    """With the baselines among its agents."""
    found: dict[str, list[Evaluation]]
    """By agent, an evaluation a seed."""
    metrics: dict[str, list[list[dict[str, float]]]]
    """By agent and seed, the lines of ``metrics.jsonl``."""
    levels: Levels | None
    """What is computed of the world they were scored in, if it can be."""

    @property
    def unit(self) -> Unit:
        """What rewards are counted by."""
        everything = [one for found in self.found.values() for one in found]
        return unit_of(everything) if self.levels is None else "session"

    @property
    def rewards(self) -> dict[str, Array]:
        """By agent, its reward by seed and user (S, U)."""
        return {name: rewards_by_user(one, self.unit) for name, one in self.found.items()}

    @property
    def click_rates(self) -> dict[str, float]:
        """By agent, its mean over seeds and users."""
        return {
            name: float(np.mean([evaluation.by_user()[2] for evaluation in one]))
            for name, one in self.found.items()
        }

    @property
    def standings(self) -> list[Standing]:
        """The agents, the best first, each tested against it."""
        return standings(self.rewards)
