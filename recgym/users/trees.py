"""Boosted trees that say how probably an item is clicked (XGBoost), as pure functions.

A click of each item is predicted by itself, from the item's features, the mean features of what the
user clicked, and crosses of both: their product, how often the item was clicked together with them,
and whether it was clicked before. Given that at most one item of a page is clicked, clicks of odds
exp(u) are choices with probabilities in proportion to exp(u), and to 1 for nothing.

XGBoost is needed to grow trees (see ``tree_fitting``), not to use them: they are arrays here, each
tree filled up to its full depth, so that a row goes down all trees level by level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.arrays import Array, beside, namespace, rows
from recgym.settings import check_ranges
from recgym.users.click_history import OfClicks
from recgym.users.click_history import advance as advance
from recgym.users.click_history import initial as initial
from recgym.users.gan import Params, State
from recgym.users.model_sizes import FEATURES, WINDOW
from recgym.users.neighbours import COUNT, together_tables, together_with
from recgym.users.wide_deep import clicked_before, mean_features

DEPTH = (1, 12)
IN_CACHE = 1 << 15
"""Nodes that NumPy looks at together: what fits into the cache is much faster."""
CROSSES = 4
"""Numbers beside the features of the item and of the user: see ``_inputs``."""


@dataclass(frozen=True)
class TreeUserConfig(OfClicks):
    """The shape of a user model of boosted trees."""

    depth: int = 5
    """Levels of a tree."""
    neighbours: int = 50
    """Items often clicked together with an item that are known."""
    window: int = 20
    """Clicked items that stand for the user."""
    features: int = 2
    """Length of an item's feature vector (D), the catalog's and two more; set by the log."""
    no_click: bool = True
    """Whether a user may click nothing (utility 0)."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        ranges = {"depth": DEPTH, "neighbours": COUNT, "window": WINDOW, "features": FEATURES}
        check_ranges(self, ranges)

    @property
    def summary(self) -> str:
        """The model in a few words."""
        return f"boosted trees of {self.depth} levels"


def shapes(config: TreeUserConfig) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every array, by name; -1, the number of trees, depends on the log.

    Nodes are numbered level by level; node n is followed by 2 n + 1 where the input "split" is
    below "threshold", else by 2 n + 2.
    """
    nodes, leaves = 2**config.depth - 1, 2**config.depth
    return {
        "bias": (1,),
        "split": (-1, nodes),
        "threshold": (-1, nodes),
        "leaf": (-1, leaves),
        "neighbours": (-1, config.neighbours),
        "similarities": (-1, config.neighbours),
    }


def prepare(config: TreeUserConfig, params: Params, features: Array) -> Params:
    """Computes the tables that ``respond`` reads, in NumPy.

    Args:
        config: the model's shape.
        params: arrays as named and shaped by ``shapes(config)``.
        features: (N, D) item feature vectors.
    """
    xp = namespace(features)
    tables = together_tables(params["neighbours"], params["similarities"])
    tables["features"] = xp.concat([features, xp.zeros_like(features[:1])], axis=0)
    for name in ("split", "threshold", "leaf"):  # of all trees, one after the other
        tables[name] = params[name].reshape(-1)
    tables["root"] = xp.arange(len(params["leaf"]))
    return tables | {"bias": params["bias"]}


def respond(
    config: TreeUserConfig, tables: Params, state: State, slate: Array
) -> tuple[Array, Array]:
    """Scores what a user may do with a slate.

    Args:
        config: the model's shape.
        tables: from ``prepare``.
        state: B users.
        slate: (B, K) item ids; N fills a slot without an item, which the caller must mask.

    Returns:
        The logits of the user's choice, and what each is worth to her, both (B, K + 1): the
        log-odds of a click, 0 of the outside option, whose logit is minus infinity where the model
        has none.
    """
    utility = margins(config, tables, inputs(config, tables, state["history"], slate))
    utility = utility.reshape(slate.shape)
    rewards = beside(utility, 0.0)
    return (rewards if config.no_click else beside(utility, -float("inf"))), rewards


def inputs(config: TreeUserConfig, tables: Params, history: Array, slate: Array) -> Array:
    """Returns what trees read of each slot, (B * K, 2 D + 4).

    Features of the item, and of the user; their product; how often the item was clicked together
    with her clicks; whether she clicked it before; and how much she clicked.
    """
    xp = namespace(slate)
    history = history[:, -config.window :]
    item = rows(tables["features"], slate)  # (B, K, D)
    user = mean_features(tables["features"], history)
    product = (item @ user[:, :, None])[:, :, 0]
    together = together_with(tables, history, slate)
    clicked = clicked_before(slate, history, product)
    clicks = xp.asarray((history < len(tables["features"]) - 1).sum(axis=1), dtype=item.dtype)
    crosses = [product, together, clicked, clicks[:, None] + xp.zeros_like(product)]
    parts = [item, user[:, None, :] + xp.zeros_like(item), xp.stack(crosses, axis=2)]
    return xp.concat(parts, axis=2).reshape(-1, 2 * config.features + CROSSES)


def margins(config: TreeUserConfig, tables: Params, read: Array) -> Array:
    """Returns the log-odds of a click (R,) for inputs (R, X): the sum of a leaf of each tree."""
    if not isinstance(read, np.ndarray):
        return _margins(config, tables, read)
    block = max(1, IN_CACHE // len(tables["root"]))
    parts = range(0, len(read), block)
    return np.concatenate([_margins(config, tables, read[i : i + block]) for i in parts])


def _margins(config: TreeUserConfig, tables: Params, read: Array) -> Array:
    xp = namespace(read)
    n_nodes, n_leaves = 2**config.depth - 1, 2**config.depth
    row = xp.arange(len(read), device=read.device)[:, None]
    tree = tables["root"][None, :]
    node = xp.zeros_like(row + tree)
    for _ in range(config.depth):
        at = node + n_nodes * tree
        right = read[row, tables["split"][at]] >= tables["threshold"][at]
        node = 2 * node + 1 + xp.asarray(right, dtype=node.dtype)
    leaf = tables["leaf"][node - n_nodes + n_leaves * tree]
    return leaf.sum(axis=1) + tables["bias"]
