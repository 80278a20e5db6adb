"""Episodes that are kept and learned from again and again, and how the loops of them are set."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, AT_LEAST_1, check_ranges
from recgym_agents.agent import Arrays, within
from recgym_agents.learning.episodes import EpisodeLog, Episodes

LoggingPolicy = Literal["frequency", "propensity"]
"""How likely a stored item was to be shown: its share of all slots stored, with one added to every
item's count; or what the log itself says of its slot."""


@dataclass(frozen=True)
class EpisodeLoopConfig:
    """How an agent that learns from whole episodes meets them."""

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


class EpisodeStore:
    """Episodes that are learned from again and again, in a new order each time.

    Args:
        given: those of a log, or None to begin with none.
        n_items: N.
        config: batch size, and what the logging policy is taken for.
        rng: draws the orders.
    """

    def __init__(
        self,
        given: EpisodeLog | None,
        n_items: int,
        config: EpisodeLoopConfig,
        rng: np.random.Generator,
    ) -> None:
        self.given, self.n_items, self.config, self.rng = given, n_items, config, rng
        self.log = given
        self.played: EpisodeLog | None = None
        self.order, self.position = np.zeros(0, np.int64), 0
        self._count()

    @property
    def batches(self) -> int:
        """Batches of one pass over all episodes."""
        return 0 if self.log is None else -(-len(self.log) // self.config.batch_size)

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
        chosen = self.order[self.position : self.position + self.config.batch_size]
        self.position += self.config.batch_size
        return self.with_propensity(self.log.batch(chosen))

    def with_propensity(self, batch: Episodes) -> Episodes:
        """Returns a batch with the logging policy's probabilities of its clicked items."""
        if self.config.logging_policy == "propensity":
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
