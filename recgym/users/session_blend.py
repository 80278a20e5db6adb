"""A recurrent network and a session kNN combined (Jannach and Ludewig, RecSys 2017), in NumPy.

Both rank the items of the page, each on its own scale, brought to 0..1 within the page.

- weighted: by w times the network's score plus 1 - w times the neighbours'.
- cascade: the neighbours keep the better half of the page (and what is equal to its last); the
  network ranks it, and the other half below it.

The paper that compares user models with both says no more than "weighted combination" and
"cascading combination"; the half is our choice. It says no choice probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from recgym.arrays import Array, beside
from recgym.settings import check_ranges
from recgym.users import gru4rec, neighbours
from recgym.users.gan import Params, State
from recgym.users.gru4rec import GRU4RecConfig
from recgym.users.model_sizes import FEATURES, WIDTH, WINDOW, check_parameters
from recgym.users.neighbours import COUNT, NeighbourConfig


@dataclass(frozen=True)
class SessionBlendConfig:
    """The shape of a combination of a recurrent network and a session kNN."""

    combine: Literal["weighted", "cascade"] = "weighted"
    """How the two rankings become one."""
    objective: Literal["bpr", "top1"] = "bpr"
    """The pairwise ranking loss of the network."""
    units: int = 64
    """Units of the network's GRU."""
    neighbours: int = 100
    """Neighbours of a session that count."""
    stored: int = 5_000
    """Training sessions that are kept, the last in the log's order."""
    window: int = 20
    """Clicked items by which neighbours are sought; the network reads all."""
    features: int = 32
    """Length of an item's feature vector (D)."""
    no_click: bool = True
    """Whether a user may click nothing, which a ranking says nothing of."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range, or too large a model."""
        ranges = {"units": WIDTH, "neighbours": COUNT, "stored": COUNT}
        check_ranges(self, ranges | {"window": WINDOW, "features": FEATURES})
        check_parameters(gru4rec.shapes(self.network))

    @property
    def network(self) -> GRU4RecConfig:
        """The recurrent network."""
        return GRU4RecConfig(self.objective, self.units, self.features, self.window, self.no_click)

    @property
    def sessions(self) -> NeighbourConfig:
        """The session kNN."""
        return NeighbourConfig(
            "sessions",
            self.neighbours,
            stored=self.stored,
            window=self.window,
            features=self.features,
            no_click=self.no_click,
        )

    @property
    def summary(self) -> str:
        """The model in a few words."""
        return f"{self.network.summary}, and {self.sessions.summary}, {self.combine}"

    @property
    def outside(self) -> Literal["no_click"] | None:
        """What a user may do instead of clicking."""
        return self.network.outside

    @property
    def draws_rewards(self) -> bool:
        """Whether a click's reward in simulation is drawn: there is no simulation."""
        return False

    @property
    def reads_sequences(self) -> bool:
        """Whether the state depends on every click: the network's does."""
        return True


def shapes(config: SessionBlendConfig) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every array, by name; -1 depends on the log."""
    found: dict[str, tuple[int, ...]] = dict(gru4rec.shapes(config.network))
    found |= neighbours.shapes(config.sessions)
    return found | ({"weight": (1,)} if config.combine == "weighted" else {})


def prepare(config: SessionBlendConfig, params: Params, features: Array) -> Params:
    """Computes the tables of both, see ``gru4rec.prepare`` and ``neighbours.prepare``."""
    tables = gru4rec.prepare(config.network, params, features)
    tables |= neighbours.prepare(config.sessions, params, features)
    return tables | ({"weight": params["weight"]} if config.combine == "weighted" else {})


def initial(config: SessionBlendConfig, tables: Params, history: Array) -> State:
    """Returns the state of users who clicked ``history``, see ``gru4rec.initial``."""
    return gru4rec.initial(config.network, tables, history)


def advance(config: SessionBlendConfig, tables: Params, state: State, item: Array) -> State:
    """Returns the state after the users clicked ``item`` (B,); -1 leaves a row as it was."""
    return gru4rec.advance(config.network, tables, state, item)


def respond(
    config: SessionBlendConfig, tables: Params, state: State, slate: Array
) -> tuple[Array, Array]:
    """Scores the items of a slate, see ``neighbours.respond``."""
    by_network, by_sessions = both(config, tables, state, slate)
    if config.combine == "weighted":
        weight = tables["weight"]
        scores = weight * by_network + (1 - weight) * by_sessions
    else:
        there = slate < len(tables["click_rate"]) - 1
        half = (there.sum(axis=1) + 1) // 2
        ranked = np.sort(np.where(there, by_sessions, -1.0), axis=1)[:, ::-1]
        least = np.take_along_axis(ranked, np.maximum(half - 1, 0)[:, None], axis=1)
        scores = by_network + 2.0 * (by_sessions >= least)
    return beside(scores, 0.0 if config.no_click else -np.inf), beside(scores, 0.0)


def both(
    config: SessionBlendConfig, tables: Params, state: State, slate: Array
) -> tuple[Array, Array]:
    """Returns the scores of the network and of the neighbours (B, K), in 0..1 within a page."""
    there = slate < len(tables["click_rate"]) - 1
    network = gru4rec.respond(config.network, tables, state, slate)[0]
    sessions = neighbours.respond(config.sessions, tables, state, slate)[0]
    return _within(network[:, :-1], there), _within(sessions[:, :-1], there)


def _within(scores: Array, there: Array) -> Array:
    """Returns scores (B, K) brought to 0..1 over the items that are there; 0 elsewhere."""
    low = np.where(there, scores, np.inf).min(axis=1, keepdims=True)
    high = np.where(there, scores, -np.inf).max(axis=1, keepdims=True)
    spread = np.where(high > low, high - low, 1.0)
    return np.where(there, (scores - low) / spread, 0.0).astype(np.float32)
