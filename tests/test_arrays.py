"""What the functions of arrays have of their own."""

from __future__ import annotations

import numpy as np
import pytest

from recgym.arrays import remember


@pytest.mark.parametrize("clicked", [5, -1])
def test_one_history_is_moved_as_the_same_among_others(clicked: int) -> None:
    history = np.array([[7, 8, 9], [1, 2, 3]])
    moved = remember(history, np.array([clicked, 4]))
    assert moved.tolist() == [[7, 8, 9] if clicked < 0 else [8, 9, 5], [2, 3, 4]]
    alone = remember(history[:1], np.array([clicked]))
    assert alone.tolist() == moved[:1].tolist()
    alone[:] = 0
    assert history.tolist() == [[7, 8, 9], [1, 2, 3]]  # nothing shares its memory
