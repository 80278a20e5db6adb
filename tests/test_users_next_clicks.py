"""How various the clicks are that follow an item."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recgym.users.next_clicks import next_click_entropy


def test_three_users_by_hand() -> None:
    """Of 4 items: after 0 follow 1, 1 and 2; after 1 only 2; after 2 and 3 nothing.

    First clicks are 0, 0, 1 and 0.
    """
    sequences = np.array([[0, 1, 2, 4], [0, 1, 4, 4], [1, 4, 4, 4], [0, 2, 4, 4]])
    found = next_click_entropy(sequences, 4)
    after_0 = (2 / 3 * np.log(3 / 2) + 1 / 3 * np.log(3)) / np.log(2)
    first = (3 / 4 * np.log(4 / 3) + 1 / 4 * np.log(4)) / np.log(2)
    np.testing.assert_allclose(found, [after_0, 1.0, 1.0, 1.0, first], rtol=1e-6)
    assert found.dtype == np.float32


def test_more_clicks_of_the_same_kind_change_nothing() -> None:
    """So an item is not worth more because it is popular."""
    sequences = np.array([[0, 1], [0, 2], [0, 2], [3, 1]])
    found = next_click_entropy(sequences, 4)
    np.testing.assert_allclose(next_click_entropy(sequences.repeat(9, axis=0), 4), found)
    assert found[0] < found[3] == 1.0


@settings(deadline=None, max_examples=50)
@given(
    hnp.arrays(
        np.int64, st.tuples(st.integers(1, 5), st.integers(1, 8)), elements=st.integers(0, 3)
    )
)
def test_it_is_a_share_and_does_not_depend_on_the_order_of_users(sequences: np.ndarray) -> None:
    found = next_click_entropy(sequences, 4)
    assert found.shape == (5,)
    assert ((found >= 0.0) & (found <= 1.0)).all()
    np.testing.assert_array_equal(next_click_entropy(sequences[::-1], 4), found)


def test_a_catalog_of_one_item() -> None:
    np.testing.assert_array_equal(next_click_entropy(np.array([[0, 0, 1]]), 1), [1.0, 1.0])
