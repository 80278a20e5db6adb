"""The space of slates: a MultiDiscrete whose samples show no item twice."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from recgym.arrays import Array
from recgym.errors import RecGymError


class SlateSpace(spaces.MultiDiscrete):
    """``MultiDiscrete([N] * K)``, of which ``sample`` draws K distinct items.

    Slates that repeat an item are in the space too; environments repair them.

    Args:
        n_items: N.
        slate_size: K.
        seed: of its samples.
    """

    def __init__(self, n_items: int, slate_size: int, seed: Any = None) -> None:
        super().__init__([n_items] * slate_size, seed=seed)
        self.n_items, self.slate_size = n_items, slate_size

    def sample(self, mask: Any = None, probability: Any = None) -> Array:
        """Draws a slate (K,); with Gymnasium's masks, slot by slot as in a ``MultiDiscrete``."""
        if mask is not None:
            return super().sample(mask)
        if probability is not None:
            return super().sample(probability=probability)
        return draw_slates(self.n_items, 1, self.slate_size, self.np_random)[0]


class SlateBatchSpace(spaces.Box):
    """B slates (B, K): what Gymnasium makes of ``MultiDiscrete`` in a vector environment.

    Args:
        single: the space of one slate, whose generator is copied.
        n_rows: B.
    """

    def __init__(self, single: SlateSpace, n_rows: int) -> None:
        shape = (n_rows, single.slate_size)
        rng = deepcopy(single.np_random)
        super().__init__(0, single.n_items - 1, shape, np.int64, seed=rng)
        self.n_items = single.n_items

    def sample(self, mask: None = None, probability: None = None) -> Array:
        """Draws B slates (B, K), each of distinct items."""
        return draw_slates(self.n_items, self.shape[0], self.shape[1], self.np_random)


@batch_space.register(SlateSpace)
def _batch_slates(space: SlateSpace, n: int = 1) -> SlateBatchSpace:
    return SlateBatchSpace(space, n)


def draw_slates(n_items: int, rows: int, size: int, rng: np.random.Generator) -> Array:
    """Returns (rows, size) item ids, every ordered set of distinct items equally likely."""
    if 2 * size > n_items:  # drawing again until no item repeats would take too long
        return rng.random((rows, n_items)).argsort(axis=1)[:, :size]
    slates = rng.integers(n_items, size=(rows, size))
    while True:
        ordered = np.sort(slates, axis=1)
        repeats = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
        if len(repeats) == 0:
            return slates
        slates[repeats] = rng.integers(n_items, size=(len(repeats), size))


CROWDED = 0.25
"""Share of the items that are shown or excluded from which random slates are drawn by sorting."""


def random_slates(
    rng: np.random.Generator, n_items: int, slate_size: int, n_rows: int, excluded: np.ndarray
) -> np.ndarray:
    """Draws slates (B, K) of distinct items uniformly, without the items ``excluded`` (B, X).

    Items that clash are drawn again, which is fast while few do; in a crowded world the items are
    sorted by uniform numbers instead, which ends however few candidates are left.

    Raises:
        RecGymError: fewer than K candidates are left in a row.
    """
    if slate_size + excluded.shape[1] > CROWDED * n_items:
        return _sorted_slates(rng, n_items, slate_size, n_rows, excluded)
    slate = rng.integers(n_items, size=(n_rows, slate_size))
    while True:
        bad = (slate[:, :, None] == excluded[:, None, :]).any(2)
        for j in range(1, slate_size):
            bad[:, j] |= (slate[:, :j] == slate[:, j : j + 1]).any(1)
        if not bad.any():
            return slate
        slate[bad] = rng.integers(n_items, size=int(bad.sum()))


def _sorted_slates(
    rng: np.random.Generator, n_items: int, slate_size: int, n_rows: int, excluded: np.ndarray
) -> np.ndarray:
    """As ``random_slates``: the K candidates of the lowest uniform numbers, lowest first."""
    keys = rng.random((n_rows, n_items + 1))
    np.put_along_axis(keys, excluded, np.inf, axis=1)
    keys[:, n_items] = np.inf
    slate = np.argsort(keys, axis=1)[:, :slate_size]
    if np.isinf(np.take_along_axis(keys, slate, axis=1)).any():
        raise RecGymError(f"fewer than {slate_size} items are left for a slate")
    return slate
