"""What rules that know no user score on held-out pages: a user model has to beat them."""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array
from recgym.data.dataset import Dataset
from recgym.data.sessions import Sessions
from recgym.metrics import item_ctr, precision

YEAR = "year"
"""The catalog's feature that orders items by their age."""


def floors(dataset: Dataset) -> dict[str, dict[str, float]]:
    """Scores trivial rules on the clicked pages of the test users.

    The rules: ``random``; ``item_ctr``, the click rate of an item on the training users' pages;
    ``first_slot`` and ``last_slot``; and, where the catalog has years, ``oldest`` and
    ``newest``. Ties are broken at random (in expectation).

    Returns:
        rule -> ``precision_at_1``, ``precision_at_2``. Empty if no test page has a click.
    """
    test = dataset.pages("test")
    test = test.select(test.click >= 0)
    if test.n_pages == 0:
        return {}
    slates = test.padded_slates()
    names = dataset.catalog.feature_names
    by_item = {
        "random": np.zeros(dataset.catalog.n_items),
        "item_ctr": _click_rates(dataset.pages("train"), dataset.catalog.n_items),
    }
    if YEAR in names:
        year = dataset.catalog.features[:, names.index(YEAR)]
        by_item |= {"oldest": -year, "newest": year}
    scores = {rule: values[slates] for rule, values in by_item.items()}
    slot = np.broadcast_to(np.arange(slates.shape[1]), slates.shape)
    scores |= {"first_slot": -slot, "last_slot": slot}
    return {rule: _precisions(score, slates, test.click) for rule, score in scores.items()}


def _click_rates(sessions: Sessions, n_items: int) -> Array:
    return item_ctr(sessions.slate_items, sessions.item[sessions.click >= 0], n_items)


def _precisions(scores: Array, slates: Array, click: Array) -> dict[str, float]:
    shown = np.where(slates >= 0, scores, -np.inf)
    return {f"precision_at_{k}": float(precision(shown, click, k).mean()) for k in (1, 2)}
