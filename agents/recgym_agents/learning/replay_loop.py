"""The loop that steps an environment, remembers, and trains from memory (off-policy)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.envs import SlateVectorEnv
from recgym.settings import AT_LEAST_0, AT_LEAST_1, SHARE, check_ranges
from recgym_agents.agent import Agent, Arrays, Transitions, within
from recgym_agents.learning.loop import check_finite, means
from recgym_agents.learning.replay_memory import Replay


@dataclass(frozen=True)
class LoopConfig:
    """How an agent meets its environment. Equal configs give equal numbers of updates."""

    num_envs: int = 64
    """Rows of the vector environment, which are stepped at once."""
    updates: int = 4
    """Updates after each step of all rows."""
    fresh: bool = False
    """Update once, on what was just seen, instead of from memory (for agents that count)."""
    batch_size: int = 128
    """Transitions an update."""
    capacity: int = 100_000
    """Transitions that the replay memory holds."""
    warm_up: int = 1_280
    """Environment steps with random slates before the first update."""
    explore_start: float = 1.0
    """Probability of a random item in a slot, after the warm-up."""
    explore_end: float = 0.05
    """The same once ``explore_share`` of the steps are done; it falls linearly between."""
    explore_share: float = 0.5
    """Share of the steps over which exploration falls."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        counts = ("num_envs", "updates", "batch_size", "capacity")
        shares = ("explore_start", "explore_end", "explore_share")
        ranges = dict.fromkeys(counts, AT_LEAST_1) | dict.fromkeys(shares, SHARE)
        check_ranges(self, ranges | {"warm_up": AT_LEAST_0})


class ReplayLoop:
    """Steps a vector environment, remembers, and trains from memory (Chen et al., section 5.2).

    Args:
        agent: what acts and learns.
        env: made with ``autoreset_mode="disabled"``, so that what a step returns is always what
            followed the slate: the loop resets finished rows itself.
        config: the schedule.
        steps: environment steps (rows) that the whole training will take.
        rng: draws the samples from memory.
        seed: of the environment.
    """

    def __init__(
        self,
        agent: Agent[Transitions],
        env: SlateVectorEnv,
        config: LoopConfig,
        steps: int,
        rng: np.random.Generator,
        seed: int,
    ) -> None:
        self.agent, self.env, self.config, self.steps, self.rng = agent, env, config, steps, rng
        self.replay = Replay(config.capacity, agent.spec)
        self.steps_done, self.updates_done = 0, 0
        self.observation, _ = env.reset(seed=seed)

    def explore(self) -> float:
        """Returns the probability of a random item in a slot, now."""
        config = self.config
        if self.steps_done < config.warm_up:
            return 1.0
        span = max(config.explore_share * self.steps - config.warm_up, 1.0)
        fallen = min((self.steps_done - config.warm_up) / span, 1.0)
        return config.explore_start + fallen * (config.explore_end - config.explore_start)

    def iterate(self) -> dict[str, float]:
        """Steps all rows once, then updates; returns means over rows and over updates.

        Raises:
            RecGymError: a loss is no longer a finite number.
        """
        explore = self.explore()
        slate = self.agent.act(self.observation, explore)
        after, reward, terminated, truncated, info = self.env.step(slate)
        seen = Transitions(self.observation, slate, info["item"], reward, terminated, after)
        self.replay.add(seen)
        done = terminated | truncated
        if done.any():
            after, _ = self.env.reset(options={"reset_mask": done})
        self.observation = after
        self.steps_done += len(reward)
        metrics = {
            "explore": explore,
            "reward": float(np.mean(reward)),
            "click_rate": float(np.mean(info["item"] >= 0)),
        }
        if self.config.fresh:
            return metrics | self._update(seen)
        if self.steps_done < self.config.warm_up:
            return metrics
        reports = [
            self._update(self.replay.sample(self.rng, self.config.batch_size))
            for _ in range(self.config.updates)
        ]
        return metrics | means(reports)

    def _update(self, batch: Transitions) -> dict[str, float]:
        """Updates the agent once, and stops a training that diverges."""
        report = self.agent.update(batch)
        self.updates_done += 1
        check_finite(report, self.updates_done, self.steps_done)
        return report

    def state(self) -> tuple[Arrays, Any]:
        """Returns all of the loop but the agent: memory, environment, random numbers, counts."""
        filled = len(self.replay)
        arrays = {
            f"replay.{name}": values[:filled]
            for name, values in self.replay.memory._asdict().items()
        }
        env_arrays, env_info = self.env.get_state()
        arrays |= {f"env.{name}": values for name, values in env_arrays.items()}
        return arrays, {
            "steps": self.steps_done,
            "updates": self.updates_done,
            "written": self.replay.written,
            "rng": self.rng.bit_generator.state,
            "env": env_info,
        }

    def set_state(self, arrays: Arrays, info: Any) -> None:
        """Goes on from what ``state`` returned."""
        for name, values in self.replay.memory._asdict().items():
            stored = arrays[f"replay.{name}"]
            values[: len(stored)] = stored
        self.observation = self.env.set_state(within(arrays, "env."), info["env"])
        self.steps_done, self.updates_done = info["steps"], info["updates"]
        self.replay.written = info["written"]
        self.rng.bit_generator.state = info["rng"]
