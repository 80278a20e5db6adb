"""Items that a user clicked already and cannot click again."""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array, beside, contiguous, pick

UNROLLED = 64
"""Longest history that torch compares column by column, faster when compiled."""


def best_unspent(utilities: Array, slate: Array, spent: Array) -> Array:
    """Returns the best option of each row whose item is not spent, int64 (B,).

    Args:
        utilities: of K slots and the outside option (B, K + 1); those of spent items may be
            overwritten.
        slate: item ids (B, K).
        spent: item ids (B, W).
    """
    if isinstance(utilities, np.ndarray) and len(slate) == 1:  # sooner than comparing them all
        ids = spent[0].tolist()
        for _ in range(slate.shape[1]):
            option = utilities.argmax(axis=1)
            slot = option.item()
            if slot == slate.shape[1] or slate.item(slot) not in ids:
                return option
            utilities[0, slot] = -np.inf
        return utilities.argmax(axis=1)
    if not isinstance(utilities, np.ndarray):
        utilities[:, :-1][contains(spent, slate)] = -np.inf
        return utilities.argmax(axis=1)
    option, items = utilities.argmax(axis=1), beside(slate, -1)
    row = np.flatnonzero(spent == pick(items, option)[:, None]) // spent.shape[1]
    for _ in range(slate.shape[1]):
        if not len(row):
            break
        utilities[row, option[row]] = -np.inf  # of the rows whose best option is spent
        option[row] = utilities[row].argmax(axis=1)
        item = items[row, option[row]]
        row = row[(spent[row] == item[:, None]).any(axis=1)]
    return option


def contains(history: Array, slate: Array) -> Array:
    """Returns which items of slates (B, K) are in their rows' histories (B, W), bool (B, K)."""
    if isinstance(history, np.ndarray):
        by_time, by_slot = contiguous(history.T), contiguous(slate.T)
        return (by_slot[:, None] == by_time).any(axis=1).T
    if history.shape[1] > UNROLLED:
        return (slate[:, :, None] == history[:, None, :]).any(axis=2)
    found = slate == history[:, :1]
    for column in range(1, history.shape[1]):  # torch.compile makes one pass of it
        found = found | (slate == history[:, column : column + 1])
    return found
