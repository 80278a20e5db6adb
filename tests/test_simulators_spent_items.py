from __future__ import annotations

import numpy as np
import torch

from recgym.simulators.spent_items import best_unspent

SLATE = np.array([[0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2]])
SPENT = np.array([[9, 9], [1, 9], [1, 2], [0, 1]])
UTILITIES = np.array([[1.0, 3.0, 2.0, 0.0]] * 4, np.float32)


def test_the_best_option_is_one_that_is_not_spent() -> None:
    """Item 1 is best, then 2, then 0, then none (3)."""
    expected = [1, 2, 0, 2]
    assert best_unspent(UTILITIES.copy(), SLATE, SPENT).tolist() == expected
    arrays = (torch.as_tensor(array) for array in (UTILITIES.copy(), SLATE, SPENT))
    assert best_unspent(*arrays).tolist() == expected
    for row in range(4):
        one = slice(row, row + 1)
        found = best_unspent(UTILITIES[one].copy(), SLATE[one], SPENT[one])
        assert found.tolist() == [expected[row]]


def test_where_all_are_spent_none_is_taken() -> None:
    spent = np.array([[2, 1, 0], [9, 9, 9]])
    assert best_unspent(UTILITIES[:2].copy(), SLATE[:2], spent).tolist() == [3, 1]


def test_it_ends_where_nothing_can_be_taken() -> None:
    nothing = np.array([[1.0, 2.0, -np.inf], [1.0, 2.0, 0.0]], np.float32)
    found = best_unspent(nothing, np.array([[0, 1]] * 2), np.array([[0, 1]] * 2))
    assert found[1] == 2
