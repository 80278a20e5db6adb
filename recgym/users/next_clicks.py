"""How various the clicks are that follow an item in a log."""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array


def next_click_entropy(sequences: Array, n_items: int) -> Array:
    """Returns how evenly the next clicks spread over items, by the item that was clicked before.

    It is the Shannon entropy of the items that were clicked next after an item, divided by its
    maximum log N: 0 where always the same item follows, 1 where all N items follow equally often.
    An item after which few clicks were logged has a low one for that reason alone: n clicks are at
    most n items, of entropy log n.

    Args:
        sequences: (U, T) int64 the items that each user clicked, oldest first, padded with N on
            the right.
        n_items: N.

    Returns:
        (N + 1,) float32: of each item, 0 where none follows it; the last of first clicks.

    Reference:
        Gao, Huang, Chen, Zhang, Li, Jiang, Wang, Zhang and He: Alleviating Matthew effect of
        offline reinforcement learning in interactive recommendation. SIGIR 2023; here of the last
        click alone, where they also take the last two and three.
    """
    before = np.pad(sequences, ((0, 0), (1, 0)), constant_values=n_items)[:, :-1]
    clicked = sequences < n_items
    pairs = before[clicked] * n_items + sequences[clicked]
    pair, count = np.unique(pairs, return_counts=True)
    last = pair // n_items
    total = np.bincount(last, count, minlength=n_items + 1)
    weighted = np.bincount(last, count * np.log(count), minlength=n_items + 1)
    followed = np.maximum(total, 1.0)
    share = (np.log(followed) - weighted / followed) / np.log(max(n_items, 2))
    return np.clip(share, 0.0, 1.0).astype(np.float32)  # but for rounding, it is in 0..1
