"""Random slates: what exploration shows."""

from __future__ import annotations

import numpy as np

from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec

CROWDED = 0.25
"""Share of the items that are shown or excluded from which random slates are drawn by sorting."""


def random_slates(
    rng: np.random.Generator, spec: EnvironmentSpec, n_rows: int, excluded: np.ndarray
) -> np.ndarray:
    """Draws slates (B, K) of distinct items uniformly, without the items ``excluded`` (B, X).

    Items that clash are drawn again, which is fast while few do; in a crowded world the items are
    sorted by uniform numbers instead, which ends however few candidates are left.

    Raises:
        RecGymError: fewer than K candidates are left in a row.
    """
    if spec.slate_size + excluded.shape[1] > CROWDED * spec.n_items:
        return _sorted_slates(rng, spec, n_rows, excluded)
    slate = rng.integers(spec.n_items, size=(n_rows, spec.slate_size))
    while True:
        bad = (slate[:, :, None] == excluded[:, None, :]).any(2)
        for j in range(1, spec.slate_size):
            bad[:, j] |= (slate[:, :j] == slate[:, j : j + 1]).any(1)
        if not bad.any():
            return slate
        slate[bad] = rng.integers(spec.n_items, size=int(bad.sum()))


def _sorted_slates(
    rng: np.random.Generator, spec: EnvironmentSpec, n_rows: int, excluded: np.ndarray
) -> np.ndarray:
    """As ``random_slates``: the K candidates of the lowest uniform numbers, lowest first."""
    keys = rng.random((n_rows, spec.n_items + 1))
    np.put_along_axis(keys, excluded, np.inf, axis=1)
    keys[:, spec.n_items] = np.inf
    slate = np.argsort(keys, axis=1)[:, : spec.slate_size]
    if np.isinf(np.take_along_axis(keys, slate, axis=1)).any():
        raise RecGymError(f"fewer than {spec.slate_size} items are left for a slate")
    return slate
