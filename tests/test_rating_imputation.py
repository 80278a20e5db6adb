"""Imputed ratings against direct solutions: least squares of whole matrices, and their SVD."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recgym.errors import RecGymError
from recgym.rating_imputation import ImputationConfig, ImputedRatings, impute_ratings


def some_ratings(seed: int, users: int = 6, items: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """A matrix of ratings from 1 to 5, and which of them were given; no row or column is empty."""
    rng = np.random.default_rng(seed)
    given_ = rng.random((users, items)) < 0.5
    given_[np.arange(users), np.arange(users) % items] = True
    return rng.integers(1, 6, (users, items)).astype(float), given_


def fitted(ratings: np.ndarray, given_: np.ndarray, config: ImputationConfig) -> ImputedRatings:
    user, item = np.nonzero(given_)
    return impute_ratings(user, item, ratings[user, item], *ratings.shape, config)


@given(st.integers(0, 50), st.sampled_from([0.0, 0.1, 1.0]))
def test_items_are_the_least_squares_solution_given_the_users(seed: int, weight: float) -> None:
    """Against rows of the whole matrix, weighed by their root, with the ridge as rows more."""
    ratings, given_ = some_ratings(seed)
    config = ImputationConfig(base=2.0, weight=weight, ridge=0.1, size=2, sweeps=3)
    found = fitted(ratings, given_, config)
    target = np.where(given_, ratings, 2.0) - 2.0
    weights = np.where(given_, 1.0, weight)
    for item in range(ratings.shape[1]):
        root = np.sqrt(weights[:, item])
        ridge = np.sqrt(0.1 * weights[:, item].sum()) * np.eye(2)
        rows = np.vstack([root[:, None] * found.user, ridge])
        best = np.linalg.lstsq(rows, np.append(root * target[:, item], [0.0, 0.0]))[0]
        np.testing.assert_allclose(found.item[item], best, atol=1e-9)


def test_with_equal_weights_it_is_the_best_matrix_of_that_rank() -> None:
    """Eckart and Young: the singular values beyond the rank are left out."""
    ratings, given_ = some_ratings(3)
    config = ImputationConfig(base=2.0, weight=1.0, ridge=1e-9, size=2, sweeps=500)
    found = fitted(ratings, given_, config)
    left, values, right = np.linalg.svd(np.where(given_, ratings, 2.0) - 2.0)
    best = 2.0 + (left[:, :2] * values[:2]) @ right[:2]
    np.testing.assert_allclose(found.of(np.arange(6)), best, atol=1e-4)
    np.testing.assert_allclose(found.of(np.array([4, 1])), best[[4, 1]], atol=1e-4)


def test_a_missing_rating_is_near_those_of_like_users_if_it_weighs_little() -> None:
    ratings = np.array([[5.0, 5.0, 1.0], [5.0, 5.0, 1.0], [5.0, 5.0, 1.0]])
    given_ = np.ones((3, 3), bool)
    given_[0, 1] = False
    light, heavy = (
        fitted(ratings, given_, ImputationConfig(weight=w, ridge=1e-4, size=1)).of(np.array([0]))
        for w in (0.001, 1.0)
    )
    assert light[0, 1] == pytest.approx(5.0, abs=0.05)
    assert heavy[0, 1] < 3.5


def test_who_rated_nothing_has_the_base_everywhere() -> None:
    config = ImputationConfig(base=0.5, size=2)
    found = impute_ratings(np.array([0]), np.array([1]), np.array([1.0]), 2, 3, config)
    np.testing.assert_array_equal(found.of(np.array([1])), [[0.5, 0.5, 0.5]])


@pytest.mark.parametrize(
    ("item", "rating", "message"),
    [
        ([], [], "no rating"),
        ([1, 2], [1.0, np.nan], "rating 1 is nan; it must be a number"),
        ([2, 2], [1.0, 2.0], "user 0 rated item 2 more than once; keep one"),
        ([2, -1], [1.0, 2.0], r"item must hold an id in 0\.\.2 for each of the 2 ratings"),
        ([2, 3], [1.0, 2.0], r"item must hold an id in 0\.\.2"),
        ([2], [1.0, 2.0], r"user must hold an id in 0\.\.0 for each of the 2 ratings"),
    ],
)
def test_ratings_that_say_nothing_are_refused(
    item: list[int], rating: list[float], message: str
) -> None:
    user = np.zeros(len(item), np.int64)
    items, ratings = np.array(item, np.int64), np.array(rating)
    with pytest.raises(RecGymError, match=message):
        impute_ratings(user, items, ratings, 1, 3, ImputationConfig())


@pytest.mark.parametrize(
    "setting", [{"weight": 1.5}, {"ridge": 0.0}, {"size": 0}, {"sweeps": 0}, {"base": np.nan}]
)
def test_settings_out_of_range_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(RecGymError, match=next(iter(setting))):
        ImputationConfig(**setting)
