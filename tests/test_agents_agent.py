"""What ``recommend`` takes for a history."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.baselines import BaselineConfig, Popularity


@pytest.fixture
def agent() -> Popularity:
    return Popularity(BaselineConfig(), EnvironmentSpec(9, 3, 4, None), 0)


@pytest.mark.parametrize(
    "history",
    [[1, 0], (1, 0), np.array([1, 0]), np.array([1, 0], np.uint64), deque([1, 0]), iter([1, 0])],
)
def test_any_sequence_of_ids_is_a_history(history: Any, agent: Popularity) -> None:
    assert agent.recommend(history) == [2, 3, 4]


def test_there_need_not_be_any_click(agent: Popularity) -> None:
    assert agent.recommend([]) == [0, 1, 2]
    assert agent.recommend([0, 1, 2, 3, 4, 5]) == [0, 1, 6]


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([2**63], "history: item 9223372036854775808 is not in 0..8"),
        ([-(2**63) - 1], "history: item -9223372036854775809 is not in 0..8"),
        ([10**5_000], "history: item of more than 64 bits is not in 0..8"),
        ([1, 9], "history: item 9 is not in 0..8"),
        (np.array([2**64 - 1], np.uint64), "item 18446744073709551615 is not in 0..8"),
        (None, "history: a NoneType; give a list of item ids, oldest click first"),
        (3, "history: a int; give a list"),
        ({1, 0}, "history: a set; give a list"),
        (frozenset({1}), "history: a frozenset; give a list"),
        ({1: 0}, "history: a dict; give a list"),
        ("12", "history: a str; give a list"),
        (b"12", "history: a bytes; give a list"),
        (np.array(3), "history: a ndarray; give a list"),
        ([True], "history: True is no item id"),
        ([np.True_], "history: .*True.* is no item id"),
        ([1.0], "history: 1.0 is no item id"),
        ([None], "history: None is no item id"),
        (np.zeros((2, 2), np.int64), r"history: array\(\[0, 0\]\) is no item id"),
        (["x" * 5_000], r"history: 'x+\.\.\.x+' is no item id"),
    ],
)
def test_what_is_no_history_is_one_line(history: Any, message: str, agent: Popularity) -> None:
    with pytest.raises(RecGymError, match=message) as caught:
        agent.recommend(history)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 120
