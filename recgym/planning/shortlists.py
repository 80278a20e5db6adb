"""Which of many items are worth a thought."""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array
from recgym.planning.outlook import BLOCK, Outlook, blocks
from recgym.planning.ratio_slates import best_slates, highest
from recgym.simulators.base import State


def shortlist(
    outlook: Outlook, state: State, count: int, generator: np.random.Generator | None = None
) -> tuple[Array, int]:
    """Chooses the items to think of, for each user.

    Half of them are those that do most for a slate, half those that are worth most when taken, be
    it by a slate that leaves her nothing else. The items hardly ever taken fill such slates.

    Args:
        outlook: which says what items are worth.
        state: of B users.
        count: of items to think of.
        generator: if given, it draws half of the items from the pool.

    Returns:
        Ids of distinct items (B, M), and how many of the columns, the first, are to be thought of;
        the others fill. Where there are no more items than asked for, all of them.
    """
    n_items = outlook.world.n_items
    if n_items <= count + outlook.world.slots_read:
        return np.tile(np.arange(n_items), (len(state["step"]), 1)), n_items
    parts = [_of_block(outlook, part, count, generator) for part in blocks(state, BLOCK // n_items)]
    return np.concatenate(parts), count


def _of_block(
    outlook: Outlook, state: State, count: int, generator: np.random.Generator | None
) -> Array:
    in_slate, alone, weights = _scores(outlook, state)
    least, drawn = -weights, np.full_like(alone, -np.inf)
    half = count // 2
    parts = [(in_slate, half), (alone, count - half)]
    if generator is not None:
        drawn[:, outlook.pool] = generator.random((len(alone), len(outlook.pool)))
        parts = [(in_slate, half // 2), (alone, half - half // 2), (drawn, count - half)]
    chosen = np.empty((len(alone), 0), np.int64)
    for score, more in [*parts, (least, outlook.world.slots_read)]:
        np.put_along_axis(score, chosen, -np.inf, axis=1)
        chosen = np.concatenate([chosen, highest(score, more)], axis=1)
    return chosen


def choose_pool(outlook: Outlook, state: State, size: int) -> Array:
    """Chooses the items that continuations choose from, the same for all users.

    They are those that stand highest, on average over states, where ``shortlist`` looks, and as
    many as users read of those that are hardly ever taken.

    Args:
        outlook: which says what items are worth.
        state: of B users.
        size: of the pool.

    Returns:
        Ids (M,): all, where there are no more, or where they are new at every step.
    """
    n_items, fillers = outlook.world.n_items, outlook.world.slots_read
    if n_items <= size + fillers or outlook.world.item_features is None:
        return np.arange(n_items)
    use, taken = np.zeros(n_items), np.zeros(n_items)
    for part in blocks(state, BLOCK // n_items):
        in_slate, alone, weights = _scores(outlook, part)
        for score in (in_slate, alone):
            place = np.argsort(np.argsort(-score, axis=1), axis=1)
            use += (1.0 / (place + fillers)).sum(axis=0)
        taken += weights.sum(axis=0)
    best = np.argsort(-use, kind="stable")[:size]
    taken[best] = np.inf
    return np.concatenate([best, np.argsort(taken, kind="stable")[:fillers]])


def _scores(outlook: Outlook, state: State) -> tuple[Array, Array, Array]:
    """Returns what all items do for a slate, are worth when taken, and weigh, (B, N) each."""
    n_items = outlook.world.n_items
    options, worth = outlook.weigh(state, np.tile(np.arange(n_items), (len(state["step"]), 1)))
    _, ratio = best_slates(options.weights, worth, outlook.world.slots_read)
    weights, worth = options.weights[:, :-1], worth[:, :-1]
    can_be_taken = weights > 0.0
    in_slate = np.where(can_be_taken, weights * (worth - ratio[:, None]), -np.inf)
    return in_slate, np.where(can_be_taken, worth, -np.inf), weights
