"""The clicks of one held-out user over time, beside those that models predict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from recgym.data import Catalog, Dataset
from recgym.errors import RecGymError
from recgym.metrics import item_ctr
from recgym.users.folder import FittedUserModel
from recgym.users.page_arrays import pages_of
from recgym.users.scoring import choice_logits
from recgym_agents.runs.curve_style import COLOURS, LETTERS
from recgym_agents.runs.html_report import Section, image

MOST_WORDS = 40
"""Words, such as genres, that a trajectory is drawn by at most."""

TRAJECTORY_LENGTH = 60
"""Clicks of the user whose trajectory is drawn, as nearly as there is one."""


def trajectory_section(dataset: Dataset, model: FittedUserModel) -> Section:
    """One held-out user's clicks over time by genre, beside what models predict (Figure 3).

    Raises:
        RecGymError: the user model was fitted to other items.
    """
    heading = "Trajectory of a user"
    if dataset.catalog.n_items != model.n_items:
        raise RecGymError(
            f"dataset {dataset.info['name']!r} has {dataset.catalog.n_items} items, the user model"
            f" {model.n_items}: it was fitted to other data"
        )
    kind, groups = _groups(dataset.catalog)
    if not groups:
        return Section(heading, "The items have no features of words, such as genres.")
    member = np.stack(list(groups.values()), axis=1)  # (N, G)
    if not (dataset.pages("test").click >= 0).any():
        return Section(heading, "No test user clicks anything on a page.")
    pages = pages_of(model.config, dataset.pages("test"), model.n_items)
    clicks_of = np.bincount(pages.user[pages.clicked])
    user = int(np.argmin(np.abs(clicks_of - TRAJECTORY_LENGTH)))
    logits = choice_logits(model, pages)[:, :-1]
    popularity = np.where(pages.absent, -np.inf, _click_rates(dataset)[pages.slates])
    chosen = {"user model": logits.argmax(axis=1), "item-CTR": popularity.argmax(axis=1)}
    rows = np.arange(pages.n_pages)[pages.clicked]
    true = pages.slates[rows, pages.target[rows]]
    predicted = {name: pages.slates[rows, slot[rows]] for name, slot in chosen.items()}
    agrees = {name: (member[true] & member[items]).any(axis=1) for name, items in predicted.items()}
    own = pages.user[rows] == user
    figure = trajectory(
        list(groups),
        member[true[own]],
        {name: member[items[own]] for name, items in predicted.items()},
    )
    shares = "; ".join(
        f"{name}: {100 * agree[own].mean():.0f}% for this user, {100 * agree.mean():.0f}% for all"
        for name, agree in agrees.items()
    )
    text = (
        f"The {own.sum()} clicks of one test user, each by its {kind}, and the item that each model"
        " expects on the same page, given the clicks before (the paper's Figure 3). Share of"
        f" predictions with a {kind} of the clicked item: {shares}."
    )
    meaning = (
        f"Filled: the {kind}s of what was clicked. Rings: those of what the model expected. A ring"
        " round a filled dot is a prediction that has the kind right."
    )
    return Section(heading, text, (image(figure, f"{kind} over time", meaning),))


def _groups(catalog: Catalog) -> tuple[str, dict[str, np.ndarray]]:
    """Returns what sets items apart in words, such as "genre", and which items (N,) are of each.

    A catalogue with several kinds of words is told apart by its genres, or else by the first kind;
    one without has no groups.
    """
    kinds = dict.fromkeys(name.split(":")[0] for name in catalog.feature_names if ":" in name)
    for kind in sorted(kinds, key=lambda kind: kind != "genre"):
        groups = catalog.groups(f"{kind}:")
        columns = [name.startswith(f"{kind}:") for name in catalog.feature_names]
        if np.isin(catalog.features[:, columns], (0, 1)).all() and len(groups) <= MOST_WORDS:
            return kind, groups
    return "", {}


def _click_rates(dataset: Dataset) -> np.ndarray:
    """(N + 1,) smoothed click rate of every item on training pages, and 0 for no item."""
    train = dataset.pages("train")
    clicked = train.item[train.click >= 0]
    rates: np.ndarray = item_ctr(train.slate_items, clicked, dataset.catalog.n_items)
    return np.append(rates, 0.0)


def trajectory(
    group_names: Sequence[str],
    true: np.ndarray,
    predictions: dict[str, np.ndarray],
) -> Figure:
    """Draws a user's clicked genres over time beside those that models predict (Figure 3).

    Args:
        group_names: G names.
        true: (T, G) bool, the genres of the item clicked at each time.
        predictions: by model, (T, G) bool, the genres of the item it predicted on the same page.
    """
    figure = Figure(figsize=(4.8, 0.6 + 3.2 * len(predictions)))
    panels = figure.subplots(len(predictions), 1, squeeze=False, sharex=True)[:, 0]
    used = np.any([true.any(axis=0), *(p.any(axis=0) for p in predictions.values())], axis=0)
    names = [name for name, use in zip(group_names, used, strict=True) if use]
    for axes, (model, predicted) in zip(panels, predictions.items(), strict=True):
        axes.scatter(
            *np.nonzero(true[:, used]), s=26, color=COLOURS[0], alpha=0.55, label="clicked"
        )
        times, groups = np.nonzero(predicted[:, used])
        axes.scatter(times, groups, s=34, facecolors="none", edgecolors=COLOURS[1], label=model)
        axes.set_yticks(range(len(names)), names, fontsize=LETTERS)
        axes.grid(alpha=0.2)
        axes.tick_params(axis="x", labelsize=LETTERS)
        place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": 2}
        axes.legend(frameon=False, fontsize=LETTERS, **place)
    panels[-1].set_xlabel("page", fontsize=LETTERS)
    return figure
