"""A small world whose truth is known: users of two clusters with opposite tastes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.arrays import Array
from recgym.data import Catalog, Dataset, Sessions
from recgym.data.dataset import split_users
from recgym.metrics import log_likelihood
from recgym.spaces import draw_slates

LIKES, BORED, SPREAD = 1.5, 1.0, 0.5
"""How much a user likes one half of the items and dislikes the other, how much less she likes the
topic that she clicked last, and the standard deviation of an item's quality."""
N_TOPICS = 3


@dataclass(frozen=True, eq=False)
class TwoTastes:
    """Items of two kinds, and users who like one kind and dislike the other.

    r(s, x) = `LIKES` * cluster * side_x + quality_x - `BORED` * [x is of the topic clicked last].
    A user clicks in proportion to exp(r), and nothing in proportion to 1. An item can be clicked
    again, and the topic clicked last is remembered from session to session.
    """

    n_items: int
    side: Array
    """(N,) 1 or -1"""
    topic: Array
    """(N,) int64"""
    quality: Array
    """(N,)"""

    @staticmethod
    def draw(n_items: int, rng: np.random.Generator) -> TwoTastes:
        """Draws the items."""
        ids = np.arange(n_items)
        quality = SPREAD * rng.standard_normal(n_items)
        return TwoTastes(n_items, 1.0 - 2.0 * (ids % 2), ids // 2 % N_TOPICS, quality)

    def rewards(self, cluster: Array, last: Array) -> Array:
        """Returns r of every item (B, N).

        Args:
            cluster: (B,) 1 or -1.
            last: (B,) the item that was clicked last, -1 for none.
        """
        liked = LIKES * np.asarray(cluster)[:, None] * self.side + self.quality
        bored = (last >= 0)[:, None] & (self.topic[last][:, None] == self.topic)
        return liked - BORED * bored

    def log(
        self, cluster: Array, sessions: int, pages: int, slate_size: int, rng: np.random.Generator
    ) -> tuple[Sessions, Array]:
        """Returns what users do on random slates, and how likely each of their choices was.

        Args:
            cluster: (U,) of the users.
            sessions: of each user.
            pages: of each session.
            slate_size: K.
            rng: draws slates and choices.

        Returns:
            The log, by user, session and step, and the mean log-likelihood (U,) of her choices.
        """
        users, parts = np.arange(len(cluster)), []
        truth = np.zeros(len(cluster))
        last = np.full(len(cluster), -1)
        for session in range(sessions):
            for step in range(pages):
                slate = draw_slates(self.n_items, len(cluster), slate_size, rng)
                shown = np.take_along_axis(self.rewards(cluster, last), slate, axis=1)
                logits = np.column_stack([shown, np.zeros(len(cluster))])
                choice = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
                truth += log_likelihood(logits, choice) / (sessions * pages)
                click = np.where(choice < slate_size, choice, -1)
                item = np.where(click >= 0, slate[users, click], -1)
                last = np.where(click >= 0, item, last)
                place = (np.full_like(users, session), np.full_like(users, step))
                parts.append((users, *place, slate, click, item))
        user, number, at, slates, click, item = map(np.concatenate, zip(*parts, strict=True))
        order = np.lexsort((at, number, user))
        n_pages = len(order)
        log = Sessions(
            user=user[order],
            session=number[order],
            step=at[order],
            slate_offsets=slate_size * np.arange(n_pages + 1),
            slate_items=slates[order].reshape(-1),
            click=click[order],
            item=item[order],
            reward=(click[order] >= 0).astype(np.float32),
        )
        return log, truth

    def dataset(self, log: Sessions, seed: int) -> Dataset:
        """Returns a log as prepared data whose items have no features, and users are divided."""
        catalog = Catalog(
            tuple(map(str, range(self.n_items))),
            None,
            np.zeros((self.n_items, 0), np.float32),
            (),
        )
        info = {"name": "two-tastes", "licence": "made up", "sha256": "", "no_click": True}
        split = split_users(int(log.user.max()) + 1, seed)
        return Dataset(log, catalog, split, info | {"repeat_clicks": True})


def told_apart(context: Array, likes: Array) -> float:
    """Returns how well contexts tell two clusters apart: the area under the ROC curve.

    The direction is the difference of the clusters' means among the users of even places; those of
    odd ones are told apart by it. Ties count half.

    Args:
        context: (U, C).
        likes: bool (U,), whether a user is of the first cluster.
    """
    known, asked = np.arange(len(likes)) % 2 == 0, np.arange(len(likes)) % 2 == 1
    means = [context[known & (likes == side)].mean(axis=0) for side in (True, False)]
    along = context @ (means[0] - means[1])
    ahead = along[asked & likes][:, None] - along[asked & ~likes]
    return float(((ahead > 0.0) + 0.5 * (ahead == 0.0)).mean())
