"""How agents that learn from sequences of items are fed: from a log of events, or by playing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np

from recgym.envs import SlateVectorEnv
from recgym.errors import RecGymError
from recgym.ranking_metrics import mean_gain
from recgym.settings import SHARE, check_ranges
from recgym_agents.learning.episode_loop import EpisodeLoopConfig
from recgym_agents.learning.episodes import (
    EpisodeAgent,
    EpisodeLog,
    Episodes,
    click_sequences,
)
from recgym_agents.learning.log_loop import LogLoop
from recgym_agents.learning.loop import Loop


class SequenceAgent(EpisodeAgent, Protocol):
    """An agent that learns from what was done with items, with or without slates."""

    def check_rewards(self, reward: np.ndarray) -> None:
        """Raises RecGymError for rewards of a log (P,) that the agent cannot learn from."""

    def gains(self, batch: Episodes) -> np.ndarray:
        """Returns nDCG@20 of the item of each step among all items (B, T), NaN where is none."""


@dataclass(frozen=True)
class SequenceLoopConfig(EpisodeLoopConfig):
    """Sequences of items are read from a log, or played, and learned from at once.

    A log needs no slates: what was done with items is learned from, and what was shown beside them
    where that is known. The last round or batch is finished, so that a training can end a little
    beyond its steps. The policy kept is the one of the highest sum, over kinds of events (clicks,
    carts, purchases), of their mean reward times their mean nDCG@20 (Liang and Vlassis, 2022,
    section 4.2). The first item of a user, before which nothing is known of her, does not count.
    """

    schedule: Literal["online", "offline", "online-offline", "offline-online"] = "offline"  # type: ignore[assignment]
    """Play episodes and learn from each once; learn from a log; play, and learn from all; or learn
    from a log first, and then from each episode played."""
    log_share: float = 0.5
    """Share of the steps that are read from the log, if offline-online."""
    batch_size: int = 256
    """Logged episodes an update."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range, or two that do not agree."""
        super().__post_init__()
        check_ranges(self, {"log_share": SHARE})

    @property
    def log_use(self) -> Literal["not now", "may", "must"]:
        """Whether it learns from a log, by its ``schedule``."""
        return "may" if self.schedule == "offline-online" else super().log_use

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
    ) -> Loop:
        """Returns the loop; see ``Schedule.loop``."""
        if self.schedule == "offline-online":
            if log is None:
                raise RecGymError("schedule=offline-online: needs a log, beside an environment")
            read = round(self.log_share * steps)
            first = replace(self, schedule="offline").loop(agent, None, read, seeds, log)
            then = replace(self, schedule="online").loop(agent, env, steps - read, seeds, None)
            return LogThenPlay(agent, first, then, steps)
        if log is not None:
            agent.check_rewards(log.reward)
        found = super().loop(agent, env, steps, seeds, log)
        if isinstance(found, LogLoop):
            return SequenceLoop(agent, found.memory, steps)
        return found


class SequenceLoop(LogLoop):
    """Goes through the sequences of a log, in a new order each time."""

    agent: SequenceAgent

    def score(self, held_out: EpisodeLog) -> float:
        """Returns ``mean_gain`` of the items of a log that is not learned from.

        Items before which their user had clicked nothing do not count, as in a test.
        """
        n_items = self.agent.spec.n_items
        size = self.memory.batch_size
        parts = np.split(np.arange(len(held_out)), np.arange(size, len(held_out), size))
        gains, rewards, events = [], [], []
        for part in parts:
            batch = held_out.batch(part)
            found = self.agent.gains(batch)
            _, before = click_sequences(batch.history, batch.item, n_items)
            scored = ~np.isnan(found) & (before[:, :-1] > 0)
            gains.append(found[scored])
            rewards.append(batch.reward[scored])
            event = np.zeros(scored.shape, np.int8) if batch.event is None else batch.event
            events.append(event[scored])
        return mean_gain(*map(np.concatenate, (gains, rewards, events)))


class LogThenPlay(Loop):
    """Learns from a log first, and goes on in an environment, where its policies are validated.

    Args:
        agent: what acts and learns.
        first: reads the log.
        then: plays.
        steps: of both together.
    """

    kept = (*Loop.kept, "first", "then")

    def __init__(self, agent: SequenceAgent, first: Loop, then: Loop, steps: int) -> None:
        super().__init__(agent, steps)
        self.first, self.then = first, then

    def iterate(self) -> dict[str, float]:
        """Learns from a batch of the log, or, once that is read, from a round of episodes.

        Raises:
            RecGymError: a loss is no longer a finite number.
        """
        current = self.first if self.first.steps_done < self.first.steps else self.then
        report = current.iterate()
        self.steps_done = self.first.steps_done + self.then.steps_done
        self.updates_done = self.first.updates_done + self.then.updates_done
        return report
