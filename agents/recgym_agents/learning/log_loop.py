"""The loop that learns from a log of episodes and meets no environment (offline)."""

from __future__ import annotations

import numpy as np

from recgym_agents.learning.episode_memory import EpisodeMemory
from recgym_agents.learning.episodes import EpisodeAgent, EpisodeLog
from recgym_agents.learning.loop import Loop


class LogLoop(Loop):
    """Goes through the episodes of a log, in a new order each time.

    Args:
        agent: what learns.
        memory: the episodes of the log.
        steps: logged steps that the whole training will learn from, each as often as it is read.
    """

    agent: EpisodeAgent
    kept = (*Loop.kept, "memory")

    def __init__(self, agent: EpisodeAgent, memory: EpisodeMemory, steps: int) -> None:
        super().__init__(agent, steps)
        self.memory = memory

    def iterate(self) -> dict[str, float]:
        """Learns from a batch; returns means over its steps, and what the update reports.

        Raises:
            RecGymError: a loss is no longer a finite number.
        """
        batch = self.memory.draw()
        self.steps_done += int(batch.steps.sum())
        return self.update(batch) | {
            "reward": float(batch.reward[batch.steps].mean()),
            "click_rate": float((batch.item[batch.steps] >= 0).mean()),
        }

    def score(self, held_out: EpisodeLog) -> float:
        """Returns the agent's mean score of episodes that it does not learn from."""
        size = self.memory.batch_size
        parts = np.split(np.arange(len(held_out)), np.arange(size, len(held_out), size))
        batches = (self.memory.with_propensity(held_out.batch(part)) for part in parts)
        return float(np.concatenate([self.agent.score(batch) for batch in batches]).mean())
