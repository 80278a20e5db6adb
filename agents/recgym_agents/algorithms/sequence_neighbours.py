"""What needs no learning but memory: the floors that every table of sequence agents has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from recgym.ranking_metrics import ndcg, rank_counts
from recgym.settings import AT_LEAST_0, AT_LEAST_1, check_ranges
from recgym_agents.agent import BaseAgent, EnvironmentSpec
from recgym_agents.algorithms.baselines import top_slates
from recgym_agents.checkpointing import Arrays
from recgym_agents.learning.episodes import Episodes, click_sequences, observed

CUTOFF = 20
"""Of the nDCG that agents are validated by."""


@dataclass(frozen=True)
class NeighboursConfig:
    """Configuration of ``click-count``, ``last-item``, ``item-knn`` and ``v-sknn``."""

    rank: Literal["count", "last", "items", "sessions"] = "count"
    """What ranks items: how often they were clicked; how lately this user clicked them; how often
    they were clicked in a session with the last click; or in sessions like this one."""
    neighbours: int = 100
    """Sessions like this one that are counted, in "sessions"."""
    sample: int = 1000
    """The latest sessions, with an item of this one, that they are chosen from."""
    shrinkage: float = 20.0
    """Added to the product of two items' counts, in "items", so that rare pairs rank lower."""
    remove_clicked: bool = True
    """Items in the observed history are no candidates for slates."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        counts = dict.fromkeys(("neighbours", "sample"), AT_LEAST_1)
        check_ranges(self, counts | {"shrinkage": AT_LEAST_0})


class Neighbours(BaseAgent):
    """Keeps the sessions that it meets, and ranks items by counting in them.

    Of a user without clicks it knows how often items were clicked; so it does where two items are
    ranked alike. Sessions are to be met once: a second pass over a log counts them twice. Exploring
    at all, it shows slates of items drawn uniformly.

    References:
        - Ludewig and Jannach: Evaluation of session-based recommendation algorithms. User Modeling
          and User-Adapted Interaction, 2018, section 3: item-based and session-based neighbours,
          the latter weighted by how late the clicks of a session are (V-SKNN).
        - Hidasi et al.: Session-based recommendations with recurrent neural networks. ICLR 2016,
          section 4: the similarity of items and its shrinkage.
    """

    kept: ClassVar[tuple[str, ...]] = ("rng", "items", "offsets")

    def __init__(self, config: NeighboursConfig, spec: EnvironmentSpec, seed: int) -> None:
        spec.check_ids("an agent that learns from sequences")
        spec.check_candidates(config.remove_clicked)
        self.config, self.spec = config, spec
        self.rng = np.random.default_rng(seed)
        self.items = np.zeros(0, np.int64)
        self.offsets = np.zeros(1, np.int64)
        self._index: _Index | None = None

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns the items that rank highest, or, while exploring at all, random ones (B, K)."""
        scores = self.item_scores(observation)
        if explore > 0.0:
            scores = self.rng.random(scores.shape)
        excluded = self.spec.excluded(observation, self.config.remove_clicked)
        return top_slates(scores, excluded, self.spec.slate_size)

    def update(self, batch: Episodes) -> dict[str, float]:
        """Keeps the clicks of each episode."""
        clicked = (batch.item >= 0) & batch.steps
        self.items = np.concatenate([self.items, batch.item[clicked]])
        ends = self.offsets[-1] + np.cumsum(clicked.sum(axis=1))
        self.offsets = np.concatenate([self.offsets, ends])
        self._index = None
        return {"sessions": float(len(self.offsets) - 1)}

    def set_state(self, arrays: Arrays, info: Any) -> None:
        """Goes on from what ``state`` returned."""
        super().set_state(arrays, info)
        self._index = None

    def policy(self) -> tuple[Arrays, Any]:
        """Returns the sessions."""
        return {"items": self.items.copy(), "offsets": self.offsets.copy()}, {}

    def load_policy(self, arrays: Arrays, info: Any) -> None:
        """Takes the sessions of ``policy``."""
        self.items, self.offsets = arrays["items"].copy(), arrays["offsets"].copy()
        self._index = None

    def item_scores(self, observation: np.ndarray) -> np.ndarray:
        """Returns what all items are ranked by (B, N), clicked ones too, for clicks (B, W)."""
        if self._index is None:
            self._index = _Index(self.items, self.offsets, self.spec.n_items)
        index, n_items = self._index, self.spec.n_items
        scores: np.ndarray = np.tile(
            index.counts / (2.0 * max(index.counts.max(), 1)), (len(observation), 1)
        )
        scores *= 1e-6  # it decides only between equals
        for row, clicks in zip(scores, observation, strict=True):
            own = clicks[clicks < n_items]
            if len(own) == 0 or self.config.rank == "count":
                continue
            if self.config.rank == "last":
                np.maximum.at(row, own, np.arange(1, len(own) + 1, dtype=np.float64))
            elif self.config.rank == "items":
                row += index.similar_items(own[-1], self.config.shrinkage)
            else:
                row += index.similar_sessions(own, self.config.sample, self.config.neighbours)
        return scores

    def check_rewards(self, reward: np.ndarray) -> None:
        """Takes all rewards, since it reads none."""

    def gains(self, batch: Episodes) -> np.ndarray:
        """Returns nDCG@20 of the item of each step among all items (B, T), NaN where is none."""
        clicks, counts = click_sequences(batch.history, batch.item, self.spec.n_items)
        before = observed(clicks, counts[:, :-1], self.spec.window, self.spec.n_items)
        done = batch.steps & (batch.item >= 0)
        gains = np.full(done.shape, np.nan)
        if done.any():
            found = rank_counts(self.item_scores(before[done]), batch.item[done])
            gains[done] = ndcg(*found, CUTOFF)
        return gains

    def score(self, batch: Episodes) -> np.ndarray:
        """Returns the mean nDCG@20 of the items of each episode (B,)."""
        gains = self.gains(batch)
        scored = ~np.isnan(gains)
        mean: np.ndarray = np.nansum(gains, axis=1) / np.maximum(scored.sum(axis=1), 1)
        return mean


class _Index:
    """Sessions by item, and items by session."""

    def __init__(self, items: np.ndarray, offsets: np.ndarray, n_items: int) -> None:
        self.n_items = n_items
        session = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        self.counts = np.bincount(items, minlength=n_items)
        pairs = np.unique(session * n_items + items)  # an item counts once in a session
        self.of_pair, self.pair_item = pairs // n_items, pairs % n_items
        self.begins = np.searchsorted(self.of_pair, np.arange(len(offsets)))
        order = np.argsort(self.pair_item, kind="stable")
        self.sessions = self.of_pair[order]
        self.item_begins = np.searchsorted(self.pair_item[order], np.arange(n_items + 1))

    def with_item(self, item: int) -> np.ndarray:
        """Returns the sessions that have an item, in the order in which they were met."""
        return self.sessions[self.item_begins[item] : self.item_begins[item + 1]]

    def items_of(self, sessions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the items of some sessions, end to end, and how many each has."""
        first, size = self.begins[sessions], self.begins[sessions + 1] - self.begins[sessions]
        within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        return self.pair_item[np.repeat(first, size) + within], size

    def similar_items(self, item: int, shrinkage: float) -> np.ndarray:
        """Returns ``n_ij / sqrt(n_i n_j + shrinkage)`` (N,): sessions with both items, and each."""
        sessions = self.with_item(item)
        both = np.bincount(self.items_of(sessions)[0], minlength=self.n_items)
        of_each = np.diff(self.item_begins)
        with np.errstate(invalid="ignore"):
            found = both / np.sqrt(len(sessions) * of_each + shrinkage)
        found[item] = 0.0
        return np.nan_to_num(found)

    def similar_sessions(self, clicks: np.ndarray, sample: int, neighbours: int) -> np.ndarray:
        """Returns what sessions like this one say of items (N,).

        The n-th of a user's L clicks weighs n / L. A session is as like as the weights of its
        common items, over the roots of both lengths; what it says of its items weighs, besides,
        by the latest common click.
        """
        weight = np.zeros(self.n_items)
        weight[clicks] = np.arange(1, len(clicks) + 1) / len(clicks)
        near = np.unique(np.concatenate([self.with_item(item) for item in np.unique(clicks)]))
        near = near[-sample:]
        found = np.zeros(self.n_items)
        if len(near) == 0:
            return found
        items, size = self.items_of(near)
        begins = np.cumsum(size) - size
        alike = np.add.reduceat(weight[items], begins) / np.sqrt(size * len(clicks))
        latest = np.maximum.reduceat(weight[items], begins)
        kept = np.argsort(-alike, kind="stable")[:neighbours]
        says = np.zeros(len(near))
        says[kept] = (alike * latest)[kept]
        np.add.at(found, items, np.repeat(says, size))
        return found
