"""How agents that learn from whole episodes are fed: by playing, from a log, or from both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recgym.envs import SlateVectorEnv
from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, AT_LEAST_1, check_ranges
from recgym_agents.learning.episode_memory import EpisodeMemory, LoggingPolicy
from recgym_agents.learning.episodes import EpisodeAgent, EpisodeLog
from recgym_agents.learning.log_loop import LogLoop
from recgym_agents.learning.loop import LOG_USE, Loop
from recgym_agents.learning.rollout_loop import RolloutLoop


@dataclass(frozen=True)
class EpisodeLoopConfig:
    """Whole episodes are played, or read from a log, and learned from at once.

    The last round or batch is finished, so that a training can end a little beyond its steps.
    """

    schedule: Literal["online", "offline", "online-offline"] = "online"
    """Play episodes and learn from each once; learn from a log; or play, and learn from all."""
    num_envs: int = 64
    """Rows of the vector environment, which are stepped at once."""
    sessions: int = 64
    """Episodes that are played in a round; all of them make one update."""
    epochs: int = 1
    """Passes over all stored episodes after each round, if online-offline."""
    batch_size: int = 64
    """Stored episodes an update."""
    logging_policy: LoggingPolicy = "frequency"
    """What stored items' probabilities are taken for: their shares of all slots, or the log's."""
    patience: int = 5
    """Reports in a row without a better validation that end the training; 0 never ends it."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range, or two that do not agree."""
        counts = ("num_envs", "sessions", "epochs", "batch_size")
        check_ranges(self, dict.fromkeys(counts, AT_LEAST_1) | {"patience": AT_LEAST_0})
        if self.logging_policy == "propensity" and self.schedule != "offline":
            raise RecGymError(
                "logging_policy=propensity: only a log knows them; set schedule=offline, or"
                " logging_policy=frequency"
            )

    @property
    def log_use(self) -> Literal["not now", "may", "must"]:
        """Whether it learns from a log, by its ``schedule``."""
        return LOG_USE[self.schedule]

    @property
    def needs_propensities(self) -> bool:
        """Whether the log must say how likely it was to show what it showed."""
        return self.logging_policy == "propensity"

    @property
    def needs_slates(self) -> bool:
        """It learns from what was shown."""
        return True

    def acts(self, steps: int) -> float:
        """Returns the slates shown."""
        return float(steps)

    def loop(
        self,
        agent: EpisodeAgent,
        env: SlateVectorEnv | None,
        steps: int,
        seeds: Sequence[int],
        log: EpisodeLog | None,
    ) -> Loop:
        """Returns the loop; see ``Schedule.loop``."""
        rng = np.random.default_rng(seeds[0])
        memory = None
        if self.schedule != "online":
            memory = EpisodeMemory(
                log, agent.spec.n_items, self.batch_size, self.logging_policy, rng
            )
            if self.schedule == "offline":
                return LogLoop(agent, memory, steps)
        assert env is not None
        return RolloutLoop(agent, env, self.sessions, self.epochs, steps, seeds[1], memory)
