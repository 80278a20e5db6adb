"""The best slate for users who choose by weights, against trying all slates."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recgym.planning.ratio_slates import best_slates


def worth_of(weights: np.ndarray, worth: np.ndarray, columns: tuple[int, ...]) -> float:
    """Mean worth of items and the outside option, by weight."""
    shown = [*columns, -1]
    return float((weights[shown] * worth[shown]).sum() / weights[shown].sum())


def test_a_slate_steers_by_items_that_are_hardly_ever_taken() -> None:
    # item 0 is worth 4; beside item 1 she takes it half the time, beside item 2 nearly always
    weights, worth = np.array([[1.0, 1.0, 0.01, 0.5]]), np.array([[4.0, 2.0, 0.0, 0.0]])
    columns, value = best_slates(weights, worth, 2)
    assert columns.tolist() == [[0, 2]]
    np.testing.assert_allclose(value, 4.0 / 1.51)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_no_slate_is_better(seed: int, size: int) -> None:
    generator = np.random.default_rng(seed)
    weights, worth = generator.exponential(size=(3, 7)), generator.normal(size=(3, 7))
    columns, value = best_slates(weights, worth, size)
    for row in range(3):
        every = itertools.combinations(range(6), size)
        best = max(worth_of(weights[row], worth[row], slate) for slate in every)
        found = worth_of(weights[row], worth[row], tuple(columns[row]))
        np.testing.assert_allclose([found, value[row]], best)
