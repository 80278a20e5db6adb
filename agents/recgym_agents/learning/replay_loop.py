"""The loop that steps an environment, remembers, and trains from memory (off-policy)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recgym.envs import SlateVectorEnv
from recgym.settings import AT_LEAST_0, AT_LEAST_1, SHARE, check_ranges
from recgym_agents.agent import Transitions
from recgym_agents.learning.episodes import EpisodeLog
from recgym_agents.learning.loop import Loop, PlaysOnly, means
from recgym_agents.learning.replay_memory import Replay
from recgym_agents.protocols import Agent


@dataclass(frozen=True)
class LoopConfig(PlaysOnly):
    """All rows of a vector environment are stepped at once; then come the updates from memory.

    Equal settings and equal steps are equal numbers of updates.
    """

    num_envs: int = 64
    """Rows of the vector environment, which are stepped at once."""
    updates: int = 4
    """Updates after each step of all rows."""
    fresh: bool = False
    """Update once, on what was just seen, instead of from memory (for agents that count)."""
    batch_size: int = 512
    """Transitions an update."""
    capacity: int = 300_000
    """Transitions that the replay memory holds."""
    warm_up: int = 1_280
    """Environment steps with random slates before the first update."""
    explore_start: float = 1.0
    """Probability of a random item in a slot, after the warm-up."""
    explore_end: float = 0.2
    """The same once ``explore_share`` of the steps are done; it falls linearly between."""
    explore_share: float = 0.2
    """Share of the steps over which exploration falls."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        counts = ("num_envs", "updates", "batch_size", "capacity")
        shares = ("explore_start", "explore_end", "explore_share")
        ranges = dict.fromkeys(counts, AT_LEAST_1) | dict.fromkeys(shares, SHARE)
        check_ranges(self, ranges | {"warm_up": AT_LEAST_0})

    def acts(self, steps: int) -> float:
        """Returns the slates shown, and those found for the next states of the updates."""
        return steps * (1 + self.updates * self.batch_size / self.num_envs)

    def loop(
        self,
        agent: Agent[Transitions],
        env: SlateVectorEnv | None,
        steps: int,
        seeds: Sequence[int],
        log: EpisodeLog | None,
    ) -> ReplayLoop:
        """Returns the loop; see ``Schedule.loop``."""
        assert env is not None
        return ReplayLoop(agent, env, self, steps, np.random.default_rng(seeds[0]), seeds[1])


class ReplayLoop(Loop):
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

    kept = (*Loop.kept, "rng", "replay", "observation", "ended", "env")

    def __init__(
        self,
        agent: Agent[Transitions],
        env: SlateVectorEnv,
        config: LoopConfig,
        steps: int,
        rng: np.random.Generator,
        seed: int,
    ) -> None:
        super().__init__(agent, steps)
        self.env, self.config, self.rng = env, config, rng
        self.replay = Replay(config.capacity, agent.spec)
        self.observation, _ = env.reset(seed=seed)
        self.ended: np.ndarray = np.ones(len(self.observation), np.bool_)

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
        self.replay.follow(np.where(self.ended[:, None], -1, slate))
        after, reward, terminated, truncated, info = self.env.step(slate)
        seen = Transitions(self.observation, slate, info["item"], reward, terminated, after)
        self.replay.add(seen)
        self.ended = terminated | truncated
        if self.ended.any():
            after, _ = self.env.reset(options={"reset_mask": self.ended})
        self.observation = after
        self.steps_done += len(reward)
        metrics = {
            "explore": explore,
            "reward": float(np.mean(reward)),
            "click_rate": float(np.mean(info["item"] >= 0)),
        }
        if self.config.fresh:
            return metrics | self.update(seen)
        if self.steps_done < self.config.warm_up:
            return metrics
        reports = [
            self.update(self.replay.sample(self.rng, self.config.batch_size))
            for _ in range(self.config.updates)
        ]
        return metrics | means(reports)
