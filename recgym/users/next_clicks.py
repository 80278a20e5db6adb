"""How various the clicks are that follow an item in a log."""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array


def next_click_entropy(sequences: Array, n_items: int) -> Array:
    """Returns how evenly next clicks spread over the items that follow, by the item clicked before.

    It is the Shannon entropy of the items that were clicked next after an item, divided by the
    logarithm of how many different ones there are: near 0 where nearly always the same item
    follows, 1 where all that follow do so equally often. An item that nothing or one item follows
    has 1, as in the authors' code: the log does not show that it leads to few. So what is clicked
    often is not worth more for that.

    Args:
        sequences: (U, T) int64 the items that each user clicked, oldest first, padded with N on
            the right.
        n_items: N.

    Returns:
        (N + 1,) float32 in 0..1: of each item; the last of first clicks.

    Reference:
        Gao, Huang, Chen, Zhang, Li, Jiang, Wang, Zhang and He: Alleviating Matthew effect of
        offline reinforcement learning in interactive recommendation. SIGIR 2023; here of the last
        click alone, where they add up those of the last one, two, .. clicks.
    """
    before = np.pad(sequences, ((0, 0), (1, 0)), constant_values=n_items)[:, :-1]
    clicked = sequences < n_items
    pairs = before[clicked] * n_items + sequences[clicked]
    pair, count = np.unique(pairs, return_counts=True)
    last = pair // n_items
    different = np.bincount(last, minlength=n_items + 1)
    total = np.bincount(last, count, minlength=n_items + 1)
    weighted = np.bincount(last, count * np.log(count), minlength=n_items + 1)
    several = different > 1
    entropy = np.log(total[several]) - weighted[several] / total[several]
    share = np.ones(n_items + 1)
    share[several] = entropy / np.log(different[several])
    return np.clip(share, 0.0, 1.0).astype(np.float32)  # but for rounding, it is in 0..1
