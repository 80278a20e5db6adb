"""Slates for users whose state is uncertain: local search by exchanges of single items."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recgym.arrays import Array

BLOCK = 64
"""Beliefs searched at a time: their arrays stay in the processor's cache."""
TOLERANCE = 1e-12
"""Gain, relative to the value, below which an exchange is no better."""


class Terms(NamedTuple):
    """What makes a slate's worth: ``sum_i gains / sum_i odds + sum_i shown`` over its items.

    All are (M, N), by the user's state and the item.
    """

    odds: Array
    """An item is the click candidate in proportion to this, its reward r(s, i)."""
    gains: Array
    """``odds`` times what the candidate is worth."""
    shown: Array
    """What an item is worth by being shown, whether it is clicked or not."""


def best_ratio(odds: Array, worth: Array, slate_size: int) -> tuple[Array, Array]:
    """Finds the slates of the highest ``sum_i odds worth / sum_i odds``.

    By Dinkelbach's method (Management Science, 1967), exactly: the best items for a trial ratio are
    those of the highest ``odds (worth - ratio)``.

    Args:
        odds: (..., N), not negative.
        worth: (..., N).
        slate_size: K.

    Returns:
        Item ids (..., K), and the ratios (...).
    """
    ratio = np.zeros(np.broadcast_shapes(odds.shape, worth.shape)[:-1])
    odds = np.broadcast_to(odds, (*ratio.shape, odds.shape[-1]))
    while True:
        scores = odds * (worth - ratio[..., None])
        slates = np.argsort(-scores, axis=-1, kind="stable")[..., :slate_size]
        candidates = np.take_along_axis(odds, slates, axis=-1)
        shown = np.take_along_axis(worth, slates, axis=-1)
        better = (candidates * shown).sum(axis=-1) / candidates.sum(axis=-1)
        if (better <= ratio + TOLERANCE * np.abs(better)).all():
            return slates, better
        ratio = better


def expected(beliefs: Array, slates: Array, terms: Terms) -> Array:
    """Returns what slates (B, K) are worth (B,) to users of beliefs (B, M)."""
    odds, gains, shown = (table.T[slates].sum(axis=1) for table in terms)
    worth: Array = (beliefs * (gains / odds + shown)).sum(axis=1)
    return worth


def search(beliefs: Array, terms: Terms, slate_size: int) -> tuple[Array, Array]:
    """Finds slates by exchanges from two: the likeliest state's best, and the best single items.

    Args:
        beliefs: probabilities of the states (B, M).
        terms: what makes a slate's worth.
        slate_size: K.

    Returns:
        As ``exchange``.
    """
    by_state, _ = best_ratio(terms.odds, terms.gains / terms.odds, slate_size)
    alone = beliefs @ (terms.shown if terms.shown.any() else terms.gains)
    starts = (
        by_state[beliefs.argmax(axis=1)],
        np.argsort(-alone, axis=1, kind="stable")[:, :slate_size],
    )
    (one, one_worth), (other, other_worth) = (exchange(beliefs, s, terms) for s in starts)
    better = other_worth > one_worth
    return np.where(better[:, None], other, one), np.where(better, other_worth, one_worth)


def exchange(beliefs: Array, slates: Array, terms: Terms) -> tuple[Array, Array]:
    """Improves slates by the best item for one slot after the other, until none is better.

    No exchange of a single item improves what is found; it need not be the best slate.

    Args:
        beliefs: probabilities of the states (B, M).
        slates: distinct item ids to begin with (B, K).
        terms: what makes a slate's worth.

    Returns:
        Slates (B, K), and what they are worth, (B,).
    """
    found = slates.copy()
    for first in range(0, len(found), BLOCK):
        _exchange_block(beliefs[first : first + BLOCK], found[first : first + BLOCK], terms)
    return found, expected(beliefs, found, terms)


def _exchange_block(beliefs: Array, found: Array, terms: Terms) -> None:
    """Improves slates in place."""
    of_item = Terms(*(np.ascontiguousarray(table.T) for table in terms))
    shown_by_item = beliefs @ terms.shown
    going = np.arange(len(found))
    while len(going):
        slates, belief, shown = found[going], beliefs[going], shown_by_item[going]
        row = np.arange(len(going))
        odds, gains = of_item.odds[slates].sum(axis=1), of_item.gains[slates].sum(axis=1)
        improved = np.zeros(len(going), np.bool_)
        for slot in range(slates.shape[1]):
            old = slates[:, slot].copy()
            odds, gains = odds - of_item.odds[old], gains - of_item.gains[old]  # without it
            ratios = (gains[:, :, None] + terms.gains) / (odds[:, :, None] + terms.odds)
            worth = (belief[:, None, :] @ ratios)[:, 0] + shown  # (B, N), but for a constant
            now = worth[row, old]
            worth[row[:, None], slates] = -np.inf
            new = worth.argmax(axis=1)
            better = worth[row, new] > now + TOLERANCE * np.abs(now)
            slates[:, slot] = new = np.where(better, new, old)
            odds, gains = odds + of_item.odds[new], gains + of_item.gains[new]
            improved |= better
        found[going] = slates
        going = going[improved]
