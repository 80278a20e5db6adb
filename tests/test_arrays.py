"""What the functions of arrays have of their own."""

from __future__ import annotations

import numpy as np
import pytest

from recgym.arrays import pick, remember


@pytest.mark.parametrize("clicked", [5, -1])
def test_one_history_is_moved_as_the_same_among_others(clicked: int) -> None:
    history = np.array([[7, 8, 9], [1, 2, 3]])
    moved = remember(history, np.array([clicked, 4]))
    assert moved.tolist() == [[7, 8, 9] if clicked < 0 else [8, 9, 5], [2, 3, 4]]
    alone = remember(history[:1], np.array([clicked]))
    assert alone.tolist() == moved[:1].tolist()
    alone[:] = 0
    assert history.tolist() == [[7, 8, 9], [1, 2, 3]]  # nothing shares its memory


def test_one_row_is_picked_from_as_rows_of_a_batch_are() -> None:
    values = np.array([[5, 6, 7], [8, 9, 10]])
    np.testing.assert_array_equal(pick(values, np.array([2, -1])), [7, 10])
    np.testing.assert_array_equal(pick(values, np.array([[0, 2], [1, 1]])), [[5, 7], [9, 9]])
    alone = pick(values[1:], np.array([1]))
    np.testing.assert_array_equal(alone, [9])
    np.testing.assert_array_equal(pick(values[1:], np.array([[0, -1]])), [[8, 10]])
    alone[0] = 0  # a new array
    assert values[1, 1] == 9
