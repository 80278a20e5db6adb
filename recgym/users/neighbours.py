"""Nearest-neighbour models that rank items: of items, or of sessions, as pure functions in NumPy.

- items: an item scores by how often it was clicked together with what the user clicked (item-kNN,
  as in Hidasi et al., ICLR 2016): clicks in common over the geometric mean of both items' clicks,
  damped, summed over the clicked items.
- sessions: it scores by the sessions most like the user's that hold it (contextual kNN, Jannach and
  Ludewig, RecSys 2017): the sum of their cosine similarities.

Items that no neighbour speaks for go by their click rate on the training pages. Scores are no
logits: the model says no choice probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from recgym.arrays import Array, beside, clip, namespace
from recgym.settings import AT_LEAST_0, check_ranges
from recgym.users.click_history import OfClicks
from recgym.users.click_history import advance as advance
from recgym.users.click_history import initial as initial
from recgym.users.gan import Params, State
from recgym.users.model_sizes import FEATURES, WINDOW

COUNT = (1, 100_000)
TIE = 1e-4
"""What a click rate weighs: it decides between items that are equal otherwise."""


@dataclass(frozen=True)
class NeighbourConfig(OfClicks):
    """The settings of a nearest-neighbour model."""

    of: Literal["items", "sessions"] = "items"
    """What has neighbours."""
    neighbours: int = 100
    """Neighbours of an item, or of a session, that count."""
    damping: float = 20.0
    """Added to the denominator of items' similarity, so that few clicks prove little."""
    stored: int = 5_000
    """Training sessions that are kept, the last in the log's order (sessions)."""
    window: int = 20
    """Clicked items that stand for the user."""
    features: int = 16
    """Length of an item's feature vector, which the model does not read."""
    no_click: bool = True
    """Whether a user may click nothing, which a ranking says nothing of."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        ranges = {"neighbours": COUNT, "stored": COUNT, "damping": AT_LEAST_0}
        check_ranges(self, ranges | {"window": WINDOW, "features": FEATURES})

    @property
    def summary(self) -> str:
        """The model in a few words."""
        return f"{self.neighbours} nearest {self.of}"


def shapes(config: NeighbourConfig) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every array, by name; -1 depends on the log.

    "click_rate" is each item's. "neighbours" are item ids, N for none; "sessions" hold the distinct
    clicked items of each, right-padded with N.
    """
    if config.of == "sessions":
        return {"click_rate": (-1,), "sessions": (-1, -1)}
    pairs = (-1, config.neighbours)
    return {"click_rate": (-1,), "neighbours": pairs, "similarities": pairs}


def prepare(config: NeighbourConfig, params: Params, features: Array) -> Params:
    """Computes the tables that ``respond`` reads.

    Args:
        config: the settings.
        params: arrays as named and shaped by ``shapes(config)``.
        features: (N, D) item feature vectors.
    """
    n_items = len(params["click_rate"])
    tables = {"click_rate": np.append(params["click_rate"], np.float32(0.0))}
    if config.of == "items":
        return tables | together_tables(params["neighbours"], params["similarities"])
    sessions = params["sessions"]
    there = sessions < n_items
    items, column = np.unique(sessions[there], return_inverse=True)
    row = np.full(n_items + 1, len(items))
    row[items] = np.arange(len(items))
    holds = np.zeros((len(items) + 1, len(sessions)), np.float32)  # the last row: in no session
    holds[column, np.nonzero(there)[0]] = 1.0
    lengths = there.sum(axis=1).astype(np.float32)
    return tables | {"row": row, "holds": holds, "root_length": np.sqrt(np.maximum(lengths, 1.0))}


def respond(
    config: NeighbourConfig, tables: Params, state: State, slate: Array
) -> tuple[Array, Array]:
    """Scores the items of a slate.

    Args:
        config: the settings.
        tables: from ``prepare``.
        state: B users.
        slate: (B, K) item ids; N fills a slot without an item, which the caller must mask.

    Returns:
        Scores by which items rank, with 0 for the outside option (minus infinity where there is
        none), and with 0 in any case, both (B, K + 1).
    """
    history = _distinct(state["history"][:, -config.window :], len(tables["click_rate"]) - 1)
    if config.of == "items":
        scores = together_with(tables, history, slate)
    else:
        scores = _by_sessions(config, tables, history, slate)
    scores = scores + TIE * tables["click_rate"][slate]
    return beside(scores, 0.0 if config.no_click else -np.inf), beside(scores, 0.0)


def _distinct(history: Array, n_items: int) -> Array:
    """Returns histories (B, W) in which the last click alone of each item is left, the others N."""
    later = np.triu(np.ones((history.shape[1],) * 2, bool), 1)
    again = ((history[:, :, None] == history[:, None, :]) & later).any(axis=2)
    return np.where(again, n_items, history)


def together_tables(neighbours: Array, similarities: Array) -> Params:
    """Returns what ``together_with`` reads, in NumPy.

    Args:
        neighbours: (N, k) item ids, N for none.
        similarities: (N, k), how often the items were clicked together.
    """
    n_items = len(neighbours)
    pairs = (np.arange(n_items)[:, None] * (n_items + 1) + neighbours).reshape(-1)
    order = np.argsort(pairs, kind="stable")
    return {
        "pairs": pairs[order],
        "similarities": similarities.reshape(-1)[order],
        "rows": np.array(n_items + 1),
    }


def together_with(tables: Params, history: Array, slate: Array) -> Array:
    """Returns how often items were clicked together with clicked ones, in sum.

    Args:
        tables: from ``together_tables``.
        history: (B, W) clicked items, N for none.
        slate: (B, K) item ids.

    Returns:
        (B, K) sums of similarities.
    """
    xp, pairs, similarities = namespace(slate), tables["pairs"], tables["similarities"]
    wanted = history[:, :, None] * tables["rows"] + slate[:, None, :]
    at = clip(xp.searchsorted(pairs, wanted), 0, len(pairs) - 1)
    found = xp.where(pairs[at] == wanted, similarities[at], xp.zeros_like(similarities[at]))
    return found.sum(axis=1)


def _by_sessions(config: NeighbourConfig, tables: Params, history: Array, slate: Array) -> Array:
    row, holds = tables["row"], tables["holds"]
    n_items = len(row) - 1
    overlap = np.zeros((len(history), holds.shape[1]), np.float32)
    for clicked in history.T:
        overlap += holds[row[clicked]]
    clicks = np.maximum((history < n_items).sum(axis=1, keepdims=True), 1).astype(np.float32)
    cosine = overlap / (tables["root_length"] * np.sqrt(clicks))
    if cosine.shape[1] > config.neighbours:
        least = np.partition(cosine, -config.neighbours, axis=1)[:, -config.neighbours, None]
        cosine = np.where(cosine >= least, cosine, np.float32(0.0))
    columns = [(holds[row[shown]] * cosine).sum(axis=1) for shown in slate.T]
    return np.stack(columns, axis=1)
