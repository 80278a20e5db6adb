"""Growing a user model of boosted trees with XGBoost, an optional package (needs torch, too)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recgym.arrays import Array
from recgym.extras import extra
from recgym.users import trees
from recgym.users.likelihood import FitConfig, Task
from recgym.users.neighbour_fitting import clicked_items, item_neighbours, with_popularity
from recgym.users.neighbours import together_tables
from recgym.users.trees import TreeUserConfig

MOST_ROWS = 400_000
"""Items on pages that trees are grown on, or stopped by; of more pages some are drawn."""
FOLDS = 5
"""Parts of the training users. What is counted of the others' clicks stands for a part's, as a
click must not be among the counts that predict it."""
DAMPING = 20.0
"""Of similarities of items, see ``neighbours``."""


def fit_member(
    config: TreeUserConfig,
    fit: FitConfig,
    task: Task,
    items: Tensor,
    on_epoch: Callable[[int, float], None],
) -> tuple[dict[str, Tensor], Tensor]:
    """Grows trees on the training pages, until the validation pages gain nothing.

    Args:
        config: the model's shape.
        fit: trees at most (``epochs``), trees without a gain (``patience``), and the step size.
        task: the pages.
        items: (N, D) item features; the last two are replaced by those of the training pages.
        on_epoch: called with the number of each tree and the validation pages' mean log-likelihood
            of an item's click.

    Returns:
        The arrays of ``trees.shapes``, and the item features.

    Raises:
        RecGymError: XGBoost is not installed.
    """
    with extra("xgboost", "--model xgboost"):
        import xgboost
    side, rng = items.numpy(), task.stream("trees")
    counted = _counted(config, task, side, task.training)
    grown = _grown_on(config, task, side, rng)
    stopping = _rows(config, task, counted, _drawn(task, task.validation, rng))
    share = float(np.clip(grown[1].mean(), 1e-6, 1 - 1e-6))
    training, held_out = (xgboost.DMatrix(x, label=y) for x, y in (grown, stopping))
    settings: dict[str, Any] = {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "max_depth": config.depth,
        "eta": fit.learning_rate,
        "base_score": share,
        "seed": task.seed,
        "nthread": 1,
    }
    history: dict[str, dict[str, list[float]]] = {}
    booster = xgboost.train(
        settings,
        training,
        fit.epochs,
        evals=[(held_out, "validation")],
        early_stopping_rounds=fit.patience,
        evals_result=history,
        verbose_eval=False,
    )
    for number, loss in enumerate(history["validation"]["logloss"]):
        on_epoch(number, -loss)
    dumped = booster[: booster.best_iteration + 1].get_dump(dump_format="json")
    params = _arrays(dumped, config.depth)
    params["bias"] = np.array([np.log(share) - np.log1p(-share)], np.float32)
    params |= {name: counted[name] for name in ("neighbours", "similarities")}
    found = {name: torch.from_numpy(array) for name, array in params.items()}
    return found, torch.from_numpy(counted["features"])


def _counted(config: TreeUserConfig, task: Task, side: Array, chosen: Array) -> dict[str, Array]:
    """Returns what is counted of the clicks on some of the pages, and the features with it.

    What trees grow on is counted on fewer pages than what they read later, so counts are taken as
    shares: how often an item was shown, of the pages; and what is added to counts, by as much.
    """
    pages = task.pages
    clicks, share = clicked_items(pages, chosen), len(chosen) / len(task.training)
    found = item_neighbours(clicks, pages.n_items, config.neighbours, share * DAMPING)
    names = ("neighbours", "similarities")
    features = with_popularity(side, pages, chosen)
    shown = np.expm1(features[:, -1])
    features[:, -1] = np.log(share + shown) - np.log(np.float32(len(chosen)))
    return dict(zip(names, found, strict=True)) | {"features": features}


def _grown_on(
    config: TreeUserConfig, task: Task, side: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Returns inputs (R, X) and clicks (R,) of training pages, counted on other users each."""
    fold = rng.integers(FOLDS, size=task.pages.user.max() + 1)[task.pages.user]
    chosen = _drawn(task, task.training, rng)
    parts = []
    for part in range(FOLDS):
        shown = chosen[fold[chosen] == part]
        others = task.training[fold[task.training] != part]
        if len(shown) and (task.pages.clicked[others]).any():
            parts.append(_rows(config, task, _counted(config, task, side, others), shown))
    if not parts:  # a single user
        return _rows(config, task, _counted(config, task, side, task.training), chosen)
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def _drawn(task: Task, chosen: Array, rng: np.random.Generator) -> Array:
    """Returns the pages, or as many of them, drawn at random, as have ``MOST_ROWS`` slots."""
    most = max(1, MOST_ROWS // task.pages.slates.shape[1])
    return chosen if len(chosen) <= most else rng.permutation(chosen)[:most]


def _rows(
    config: TreeUserConfig, task: Task, counted: Mapping[str, Array], chosen: Array
) -> tuple[Array, Array]:
    """Returns inputs (R, X) of the items on some of the pages, and whether each was clicked."""
    pages = task.pages
    counts = together_tables(counted["neighbours"], counted["similarities"])
    features = counted["features"]
    tables = counts | {"features": np.concatenate([features, np.zeros_like(features[:1])])}
    slates = pages.slates[chosen]
    read = trees.inputs(config, tables, pages.histories[chosen], slates)
    clicked = pages.target[chosen][:, None] == np.arange(slates.shape[1])
    there = (slates < pages.n_items).reshape(-1)
    return read[there], clicked.reshape(-1)[there].astype(np.float32)


def _arrays(dumped: list[str], depth: int) -> dict[str, Array]:
    """Returns XGBoost's trees as arrays, each filled up to its full depth."""
    nodes, leaves = 2**depth - 1, 2**depth
    arrays = {
        "split": np.zeros((len(dumped), nodes), np.int64),
        "threshold": np.zeros((len(dumped), nodes), np.float32),
        "leaf": np.zeros((len(dumped), leaves), np.float32),
    }

    def fill(tree: int, place: int, node: Mapping[str, Any]) -> None:
        if place >= nodes:
            arrays["leaf"][tree, place - nodes] = node["leaf"]
            return
        below = {child["nodeid"]: child for child in node.get("children", ())}
        if below:
            arrays["split"][tree, place] = int(node["split"].removeprefix("f"))
            arrays["threshold"][tree, place] = node["split_condition"]
        for side, branch in enumerate(("yes", "no")):  # a leaf above the last level goes both ways
            fill(tree, 2 * place + 1 + side, below[node[branch]] if below else node)

    for tree, text in enumerate(dumped):
        fill(tree, 0, json.loads(text))
    return arrays
