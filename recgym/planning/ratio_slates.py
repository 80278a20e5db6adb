"""The slate that is worth most to users who take one of its items in proportion to weights."""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array

ROUNDS = 50
"""Of Dinkelbach's method at most; it needs three to five."""


def best_slates(
    weights: Array, worth: Array, slate_size: int, tolerance: float = 1e-9
) -> tuple[Array, Array]:
    """Finds the best slates, by Dinkelbach's method (Management Science, 1967).

    A slate is worth ``sum w v / sum w`` over its items and the outside option. For a trial ratio
    the best items are those of the highest ``w (v - ratio)``. Items of a lower worth than the slate
    are shown only where a slot is left, and then those that are hardly ever taken: this is how a
    slate steers what is clicked.

    Args:
        weights: of M items and the outside option, (B, M + 1), none below 0.
        worth: of taking each, (B, M + 1).
        slate_size: K, at most M.
        tolerance: gain, relative to the worth, at which it ends; at 0 and just above, it is exact.

    Returns:
        Columns of the items (B, K), the best first, and what the slates are worth (B,).
    """
    items, values = weights[:, :-1], worth[:, :-1]
    tiny = np.finfo(weights.dtype).tiny
    ratio = np.full(len(weights), -np.inf)
    scores = items * (values - values.min(axis=1, keepdims=True))
    for _ in range(ROUNDS):
        columns = highest(scores, slate_size)
        taken = np.take_along_axis(items, columns, axis=1)
        earned = (taken * np.take_along_axis(values, columns, axis=1)).sum(axis=1)
        earned += weights[:, -1] * worth[:, -1]
        better = earned / np.maximum(taken.sum(axis=1) + weights[:, -1], tiny)
        over = (better <= ratio + tolerance * np.abs(better)).all()
        ratio = np.maximum(ratio, better)
        scores = items * (values - ratio[:, None])
        if over:
            break
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1), ratio


def highest(scores: Array, count: int) -> Array:
    """Returns the columns of the highest scores (B, count), in any order."""
    if count >= scores.shape[1]:
        return np.tile(np.arange(scores.shape[1]), (len(scores), 1))
    columns: Array = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    return columns
