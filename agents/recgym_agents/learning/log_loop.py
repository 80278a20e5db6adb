"""The loop that learns from a log of episodes and meets no environment (offline)."""

from __future__ import annotations

from typing import Any

import numpy as np

from recgym_agents.agent import Arrays
from recgym_agents.learning.episode_memory import EpisodeStore
from recgym_agents.learning.episodes import EpisodeAgent, EpisodeLog
from recgym_agents.learning.loop import check_finite


class LogLoop:
    """Goes through the episodes of a log, in a new order each time.

    Args:
        agent: what learns.
        store: the episodes of the log.
        steps: logged steps that the whole training will learn from, each as often as it is read.
    """

    def __init__(self, agent: EpisodeAgent, store: EpisodeStore, steps: int) -> None:
        self.agent, self.store, self.steps = agent, store, steps
        self.steps_done, self.updates_done = 0, 0

    def iterate(self) -> dict[str, float]:
        """Learns from a batch; returns means over its steps, and what the update reports.

        Raises:
            RecGymError: a loss is no longer a finite number.
        """
        batch = self.store.draw()
        self.steps_done += int(batch.steps.sum())
        report = self.agent.update(batch)
        self.updates_done += 1
        check_finite(report, self.updates_done, self.steps_done)
        return report | {
            "reward": float(batch.reward[batch.steps].mean()),
            "click_rate": float((batch.item[batch.steps] >= 0).mean()),
        }

    def validate(self, held_out: EpisodeLog) -> float:
        """Returns the agent's mean score of episodes that it does not learn from."""
        size = self.store.config.batch_size
        parts = np.split(np.arange(len(held_out)), np.arange(size, len(held_out), size))
        batches = (self.store.with_propensity(held_out.batch(part)) for part in parts)
        return float(np.concatenate([self.agent.score(batch) for batch in batches]).mean())

    def state(self) -> tuple[Arrays, Any]:
        """Returns all of the loop but the agent; not the log, which is read again."""
        arrays, info = self.store.state()
        return arrays, {"steps": self.steps_done, "updates": self.updates_done, "store": info}

    def set_state(self, arrays: Arrays, info: Any) -> None:
        """Goes on from what ``state`` returned."""
        self.store.set_state(arrays, info["store"])
        self.steps_done, self.updates_done = info["steps"], info["updates"]
