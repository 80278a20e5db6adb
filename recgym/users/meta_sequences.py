"""The log of each user cut into sequences, and which of them tell of her: the support of a page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.arrays import Array
from recgym.users.page_arrays import Pages

KNOWN = 1
"""Sequences before a page's own by which its user is known, where nothing else is said."""
SIZES = (0, 1, 2, 5)
"""Sequences of support that a fit draws from, and that held-out pages are scored with."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """G sequences of T successive pages of one user each; those of a user follow one another."""

    page: Array
    """(G, T) int64 numbers of pages, -1 where a sequence is over"""
    of_page: Array
    """(P,) int64 the sequence of each page"""
    first: Array
    """(G,) int64 the first sequence of its user"""
    count: Array
    """(G,) int64 how many its user has"""
    support: Array
    """(G + 1, T, K + 1) int64 what was shown and clicked, as ``meta_context.infer`` reads it; the
    last is empty"""
    reward: Array
    """(G + 1, T) float32, 0 without a click"""

    @staticmethod
    def of(pages: Pages, steps: int, ends: bool) -> Sequences:
        """Cuts the pages of every user.

        Args:
            pages: a log, in the order of users and their time.
            steps: T.
            ends: whether a page without a click ends a session, and with it a sequence.
        """
        numbers = np.arange(pages.n_pages)
        begins = np.append(True, pages.user[1:] != pages.user[:-1])
        if ends:
            begins[1:] |= ~pages.clicked[:-1]
        place = numbers - np.maximum.accumulate(np.where(begins, numbers, 0))
        of_page = np.cumsum(place % steps == 0) - 1
        page = np.full((of_page[-1] + 1, steps), -1)
        page[of_page, place % steps] = numbers
        user = pages.user[page[:, 0]]
        _, first, row, count = np.unique(
            user, return_index=True, return_inverse=True, return_counts=True
        )
        size = pages.slates.shape[1]
        slots = np.where(pages.absent, -1, pages.slates)
        click = np.where(pages.clicked, pages.target, -1)
        told = np.append(np.column_stack([slots, click]), np.full((1, size + 1), -1), axis=0)
        none = np.full((1, steps), -1)
        return Sequences(
            page=page,
            of_page=of_page,
            first=first[row],
            count=count[row],
            support=told[np.append(page, none, axis=0)],
            reward=np.append(pages.reward, np.float32(0.0))[np.append(page, none, axis=0)],
        )

    def before(self, chosen: Array, size: int) -> Array:
        """Returns the sequences of the same user before each of the chosen, the latest first.

        Args:
            chosen: (C,) numbers of sequences.
            size: how many at most.

        Returns:
            (C, size) numbers, -1 where there are no more.
        """
        found = chosen[:, None] - 1 - np.arange(size)
        return np.where(found >= self.first[chosen][:, None], found, -1)

    def others(self, chosen: Array, rng: np.random.Generator) -> Array:
        """Draws other sequences of the same users: how many is drawn from ``SIZES``.

        Returns:
            (C, largest of ``SIZES``) numbers, -1 where there are no more.
        """
        found = np.full((len(chosen), max(SIZES)), -1)
        sizes = rng.choice(SIZES, len(chosen))
        for row, (sequence, size) in enumerate(zip(chosen, sizes, strict=True)):
            drawn = rng.permutation(self.count[sequence])[: size + 1] + self.first[sequence]
            drawn = drawn[drawn != sequence][:size]
            found[row, : len(drawn)] = drawn
        return found
