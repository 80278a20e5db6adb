"""How agents that learn from sequences of items are fed: from a log of events, or by playing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from recgym.envs import SlateVectorEnv
from recgym.ranking_metrics import mean_gain
from recgym_agents.learning.episode_loop import EpisodeLoopConfig
from recgym_agents.learning.episodes import EpisodeAgent, EpisodeLog, Episodes
from recgym_agents.learning.log_loop import LogLoop
from recgym_agents.learning.rollout_loop import RolloutLoop


class SequenceAgent(EpisodeAgent, Protocol):
    """An agent that learns from what was done with items, with or without slates."""

    def gains(self, batch: Episodes) -> np.ndarray:
        """Returns nDCG@20 of the item of each step among all items (B, T), NaN where is none."""


@dataclass(frozen=True)
class SequenceLoopConfig(EpisodeLoopConfig):
    """Sequences of items are read from a log, or played, and learned from at once.

    A log needs no slates: what was done with items is learned from, and what was shown beside them
    where that is known. The last round or batch is finished, so that a training can end a little
    beyond its steps. The policy kept is the one of the highest sum, over kinds of events (clicks,
    carts, purchases), of their mean reward times their mean nDCG@20 (Liang and Vlassis, 2022,
    section 4.2).
    """

    schedule: Literal["online", "offline", "online-offline"] = "offline"
    """Play episodes and learn from each once; learn from a log; or play, and learn from all."""
    batch_size: int = 256
    """Logged episodes an update."""

    @property
    def needs_slates(self) -> bool:
        """It learns from what was done."""
        return False

    def loop(
        self,
        agent: Any,
        env: SlateVectorEnv | None,
        steps: int,
        seeds: Sequence[int],
        log: EpisodeLog | None,
    ) -> LogLoop | RolloutLoop:
        """Returns the loop; see ``Schedule.loop``."""
        found = super().loop(agent, env, steps, seeds, log)
        if isinstance(found, LogLoop):
            return SequenceLoop(agent, found.memory, steps)
        return found


class SequenceLoop(LogLoop):
    """Goes through the sequences of a log, in a new order each time."""

    agent: SequenceAgent

    def score(self, held_out: EpisodeLog) -> float:
        """Returns ``mean_gain`` of the items of a log that is not learned from."""
        size = self.memory.batch_size
        parts = np.split(np.arange(len(held_out)), np.arange(size, len(held_out), size))
        gains, rewards, events = [], [], []
        for part in parts:
            batch = held_out.batch(part)
            found = self.agent.gains(batch)
            scored = ~np.isnan(found)
            gains.append(found[scored])
            rewards.append(batch.reward[scored])
            event = np.zeros(scored.shape, np.int8) if batch.event is None else batch.event
            events.append(event[scored])
        return mean_gain(*map(np.concatenate, (gains, rewards, events)))
