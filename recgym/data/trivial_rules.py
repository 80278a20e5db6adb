"""What rules that know no user score on held-out pages: a user model has to beat them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recgym.arrays import Array
from recgym.metrics import item_ctr, precision

if TYPE_CHECKING:
    from recgym.data.dataset import Dataset, Split

YEAR = "year"
"""The catalog's feature that orders items by their age."""


def item_rates(dataset: Dataset) -> Array:
    """Returns the click rate (N,) of every item on the training users' pages."""
    training = dataset.pages("train")
    clicked = training.item[training.click >= 0]
    return item_ctr(training.slate_items, clicked, dataset.catalog.n_items)


def rule_scores(dataset: Dataset, slates: Array) -> dict[str, Array]:
    """Scores the items of pages by trivial rules; the higher, the sooner shown.

    Args:
        dataset: whose training users' pages the rules may read.
        slates: (P, K) item ids; what empty slots hold does not matter.

    Returns:
        rule -> scores (P, K): ``random``, a constant; ``item_ctr``, the logarithm of
        ``item_rates``; ``first_slot``; ``last_slot``; and, where the catalog says when items are
        from, ``oldest`` and ``newest``.
    """
    names = dataset.catalog.feature_names
    n_items = dataset.catalog.n_items
    by_item = {"random": np.zeros(n_items), "item_ctr": np.log(item_rates(dataset))}
    if YEAR in names:
        year = dataset.catalog.features[:, names.index(YEAR)].astype(np.float64)
        by_item |= {"oldest": -year, "newest": year}
    slot = np.broadcast_to(np.arange(slates.shape[1], dtype=np.float64), slates.shape)
    item = np.clip(slates, 0, n_items - 1)
    scores = {rule: values[item] for rule, values in by_item.items()}
    return scores | {"first_slot": -slot, "last_slot": slot}


def floors(dataset: Dataset, split: Split = "test") -> dict[str, dict[str, float]]:
    """Scores ``rule_scores`` on the clicked pages of one split, ties broken at random.

    Returns:
        rule -> ``precision_at_1``, ``precision_at_2``, expected. Empty if no page has a click.
    """
    pages = dataset.pages(split)
    pages = pages.select(pages.click >= 0)
    if pages.n_pages == 0:
        return {}
    slates = pages.padded_slates()
    return {
        rule: _precisions(np.where(slates >= 0, scores, -np.inf), pages.click)
        for rule, scores in rule_scores(dataset, slates).items()
    }


def _precisions(scores: Array, click: Array) -> dict[str, float]:
    return {f"precision_at_{k}": float(precision(scores, click, k).mean()) for k in (1, 2)}
