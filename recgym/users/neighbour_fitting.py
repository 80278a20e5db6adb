"""What a nearest-neighbour model counts of a log (needs torch, as what it returns is tensors)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.metrics import item_ctr
from recgym.users.likelihood import FitConfig, Task
from recgym.users.neighbours import NeighbourConfig
from recgym.users.page_arrays import Pages

LONGEST = 200
"""Distinct items of a user or session that count, the last of them: pairs grow with the square."""


def fit_member(
    config: NeighbourConfig,
    fit: FitConfig,
    task: Task,
    items: Tensor,
    on_epoch: Callable[[int, float], None],
) -> tuple[dict[str, Tensor], Tensor]:
    """Counts what ``neighbours`` reads, on the training pages' users.

    Args:
        config: the settings.
        fit: not read: counts have no steps.
        task: the pages.
        items: (N, D) item features, which are returned as they are.
        on_epoch: not called.

    Returns:
        The arrays of ``neighbours.shapes``, and the item features.
    """
    pages = task.pages
    params: dict[str, Array] = {"click_rate": click_rates(pages, task.training)}
    clicks = clicked_items(pages, task.training)
    if config.of == "items":
        found = item_neighbours(clicks, pages.n_items, config.neighbours, config.damping)
        params["neighbours"], params["similarities"] = found
    else:
        params["sessions"] = _padded(clicks[-config.stored :], pages.n_items)
    return {name: torch.from_numpy(array) for name, array in params.items()}, items


def click_rates(pages: Pages, chosen: Array) -> Array:
    """Returns the click rate (N,) of every item on some of the pages, (c + 1/2) / (s + 1)."""
    slates, target = pages.slates[chosen], pages.target[chosen]
    clicked = np.flatnonzero(target < slates.shape[1])
    shown = slates[slates < pages.n_items]
    rates = item_ctr(shown, slates[clicked, target[clicked]], pages.n_items)
    return rates.astype(np.float32)


def with_popularity(side: Array, pages: Pages, chosen: Array) -> Array:
    """Returns item features (N, D) whose last two are those of some pages.

    They are the log-odds of each item's click rate, and the logarithm of how often it was shown.

    Args:
        side: (N, D); the last two are replaced.
        pages: the log.
        chosen: numbers of the pages.
    """
    rates = click_rates(pages, chosen).astype(np.float64)
    shown = np.bincount(pages.slates[chosen].reshape(-1), minlength=pages.n_items + 1)[:-1]
    popularity = np.stack([np.log(rates) - np.log1p(-rates), np.log1p(shown)], axis=1)
    return np.concatenate([side[:, :-2], popularity], axis=1).astype(np.float32)


def clicked_items(pages: Pages, chosen: Array) -> list[Array]:
    """Returns the distinct items, in order of their last click, of each user of some of the pages.

    Raises:
        RecGymError: nobody clicked anything.
    """
    found = []
    for sequence in pages.sequences[np.unique(pages.user[chosen])]:
        clicked = sequence[sequence < pages.n_items][::-1]
        _, first = np.unique(clicked, return_index=True)
        found.append(clicked[np.sort(first)][:LONGEST][::-1])
    found = [clicked for clicked in found if len(clicked)]
    if not found:
        raise RecGymError("nothing is clicked on the training pages: there are no neighbours")
    return found


def item_neighbours(
    clicks: list[Array], n_items: int, neighbours: int, damping: float
) -> tuple[Array, Array]:
    """Returns the items most often clicked by the same users.

    Args:
        clicks: the distinct clicked items of each user.
        n_items: N.
        neighbours: how many of each item (k).
        damping: added to the denominator.

    Returns:
        Ids (N, k) int64, N for none, and similarities (N, k) float32: users in common, over the
        geometric mean of both items' users plus ``damping``.
    """
    users = np.bincount(np.concatenate(clicks), minlength=n_items)
    keys = np.concatenate([np.add.outer(one * n_items, one).reshape(-1) for one in clicks])
    pairs, together = np.unique(keys, return_counts=True)
    item, other = np.divmod(pairs, n_items)
    apart = item != other
    item, other, together = item[apart], other[apart], together[apart]
    similarity = together / (np.sqrt(users[item] * users[other]) + damping)
    order = np.lexsort((other, -similarity, item))
    item, other, similarity = item[order], other[order], similarity[order]
    rank = np.arange(len(item)) - np.searchsorted(item, item)
    kept = rank < neighbours
    ids = np.full((n_items, neighbours), n_items)
    similarities = np.zeros((n_items, neighbours), np.float32)
    ids[item[kept], rank[kept]] = other[kept]
    similarities[item[kept], rank[kept]] = similarity[kept]
    return ids, similarities


def _padded(clicks: list[Array], n_items: int) -> Array:
    """Returns sessions as one array (S, L) of item ids, right-padded with N."""
    padded = np.full((len(clicks), max(map(len, clicks))), n_items)
    for row, clicked in enumerate(clicks):
        padded[row, : len(clicked)] = clicked
    return padded
