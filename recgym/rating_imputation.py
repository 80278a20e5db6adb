"""What users would say of items that they have not rated: weighted matrix factorisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_1, POSITIVE, SHARE, check_ranges

BASE = 1e6
"""The largest base, and minus the smallest."""


@dataclass(frozen=True)
class ImputationConfig:
    """Configuration of ``impute_ratings``."""

    base: float = 0.0
    """What a missing rating counts as. People rate what they like, so that it is a low one."""
    weight: float = 0.005
    """How much a missing rating counts, where one that was given counts 1."""
    ridge: float = 0.04
    """Weight of the squared factors."""
    size: int = 20
    """Factors of a user or item."""
    sweeps: int = 15
    """How often all users and all items are solved for."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        counts = dict.fromkeys(("size", "sweeps"), AT_LEAST_1)
        check_ranges(self, counts | {"weight": SHARE, "ridge": POSITIVE, "base": (-BASE, BASE)})


@dataclass(frozen=True, eq=False)
class ImputedRatings:
    """A rating of every item by every user."""

    base: float
    """Rating of what has no factors."""
    user: Array
    """Factors (U, F)."""
    item: Array
    """(N, F)"""

    def of(self, users: Array) -> Array:
        """Returns the ratings of all items (B, N) by some users (B,)."""
        found: Array = self.base + self.user[users] @ self.item.T
        return found


def impute_ratings(
    user: Array,
    item: Array,
    rating: Array,
    n_users: int,
    n_items: int,
    config: ImputationConfig,
    seed: int = 0,
) -> ImputedRatings:
    """Fits the ratings that were given and, with a small weight, a base rating to all others.

    ``sum_ui w_ui ((r_ui - base - p_u q_i)^2 + ridge (|p_u|^2 + |q_i|^2))`` is minimised by turns in
    users' factors p and items' q (Steck, Training and testing of recommender systems on data
    missing not at random, KDD 2010); r_ui is the base, and w_ui ``weight``, where u did not rate i.

    Args:
        user: who gave each rating (R,).
        item: what was rated (R,).
        rating: (R,)
        n_users: U.
        n_items: N.
        config: the settings.
        seed: of the items' factors to begin with.

    Raises:
        RecGymError: there is no rating, one is no number or has no user or item, or a user rated an
            item twice.
    """
    if not len(rating):
        raise RecGymError("impute_ratings: no rating; nothing can be imputed from")
    for name, ids, count in (("user", user, n_users), ("item", item, n_items)):
        if len(ids) != len(rating) or ids.min() < 0 or ids.max() >= count:
            raise RecGymError(
                f"impute_ratings: {name} must hold an id in 0..{count - 1} for each of the"
                f" {len(rating)} ratings"
            )
    if not np.isfinite(rating).all():
        place = int(np.argmin(np.isfinite(rating)))
        raise RecGymError(f"impute_ratings: rating {place} is {rating[place]}; it must be a number")
    pair, times = np.unique(user.astype(np.int64) * n_items + item, return_counts=True)
    if (times > 1).any():
        who, what = divmod(int(pair[times > 1][0]), n_items)
        raise RecGymError(
            f"impute_ratings: user {who} rated item {what} more than once; keep one of the ratings"
        )
    target = np.asarray(rating, np.float64) - config.base
    of_items = np.random.default_rng(seed).normal(0.0, 0.1, (n_items, config.size))
    for _ in range(config.sweeps):
        of_users = _solved(of_items, user, item, target, n_users, config)
        of_items = _solved(of_users, item, user, target, n_items, config)
    return ImputedRatings(config.base, of_users, of_items)


def _solved(
    fixed: Array, row: Array, column: Array, target: Array, n_rows: int, config: ImputationConfig
) -> Array:
    """Returns the factors of rows (n_rows, F) that fit best to those of columns (M, F).

    Those of a row without a rating are 0.
    """
    order = np.argsort(row, kind="stable")
    ends = np.append(0, np.cumsum(np.bincount(row, minlength=n_rows)))
    missing = config.weight * fixed.T @ fixed
    found = np.zeros((n_rows, fixed.shape[1]))
    for one in np.flatnonzero(np.diff(ends)):
        own = order[ends[one] : ends[one + 1]]
        rated = fixed[column[own]]
        weights = len(own) + config.weight * (len(fixed) - len(own))
        square = missing + (1.0 - config.weight) * rated.T @ rated
        square += config.ridge * weights * np.eye(fixed.shape[1])
        found[one] = np.linalg.solve(square, rated.T @ target[own])
    return found
