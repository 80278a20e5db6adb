"""The memory of whole episodes, which are learned from again and again."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal

import numpy as np

from recgym_agents.checkpointing import Arrays, Checkpointed, within
from recgym_agents.learning.episodes import EpisodeLog, Episodes

LoggingPolicy = Literal["frequency", "propensity"]
"""How likely a stored item was to be shown: its share of all slots stored, with one added to every
item's count; or what the log itself says of its slot."""


class EpisodeMemory(Checkpointed):
    """Episodes that are learned from again and again, in a new order each time.

    Args:
        given: those of a log, or None to begin with none.
        n_items: N.
        batch_size: episodes a batch.
        logging_policy: what stored items' probabilities are taken for.
        rng: draws the orders.
    """

    def __init__(
        self,
        given: EpisodeLog | None,
        n_items: int,
        batch_size: int,
        logging_policy: LoggingPolicy,
        rng: np.random.Generator,
    ) -> None:
        self.given, self.n_items, self.rng = given, n_items, rng
        self.batch_size, self.logging_policy = batch_size, logging_policy
        self.log = given
        self.played: EpisodeLog | None = None
        self.order, self.position = np.zeros(0, np.int64), 0
        self._count()

    @property
    def batches(self) -> int:
        """Batches of one pass over all episodes."""
        return 0 if self.log is None else -(-len(self.log) // self.batch_size)

    def add(self, episodes: EpisodeLog) -> None:
        """Stores what an agent played; the next pass begins anew."""
        self.played = episodes if self.played is None else self.played.joined(episodes)
        self.log = self.played if self.given is None else self.given.joined(self.played)
        self.order, self.position = np.zeros(0, np.int64), 0
        self._count()

    def draw(self) -> Episodes:
        """Returns the next batch of a pass over all episodes."""
        assert self.log is not None
        if self.position >= len(self.order):
            self.order, self.position = self.rng.permutation(len(self.log)), 0
        chosen = self.order[self.position : self.position + self.batch_size]
        self.position += self.batch_size
        return self.with_propensity(self.log.batch(chosen))

    def with_propensity(self, batch: Episodes) -> Episodes:
        """Returns a batch with the logging policy's probabilities of its clicked items."""
        if self.logging_policy == "propensity":
            return batch
        return batch._replace(propensity=self.share[batch.item])

    def state(self) -> tuple[Arrays, Any]:
        """Returns what was played, the order, and the random numbers; not what was given."""
        arrays = {"order": self.order}
        if self.played is not None:
            parts = ((field.name, getattr(self.played, field.name)) for field in fields(EpisodeLog))
            arrays |= {f"played.{name}": values for name, values in parts if values is not None}
        return arrays, {"position": self.position, "rng": self.rng.bit_generator.state}

    def set_state(self, arrays: Arrays, info: Any) -> None:
        """Goes on from what ``state`` returned."""
        played = within(arrays, "played.")
        if played:
            self.add(EpisodeLog(**played))
        self.order, self.position = arrays["order"], info["position"]
        self.rng.bit_generator.state = info["rng"]

    def _count(self) -> None:
        """Counts how often each item was shown."""
        shown = np.zeros(0, np.int64) if self.log is None else self.log.slate[self.log.slate >= 0]
        counts = np.bincount(shown, minlength=self.n_items) + 1.0
        self.share = (counts / counts.sum()).astype(np.float32)
