"""How far two fits agree: rank correlations by hand, and what they do not depend on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recgym import RecGymError
from recgym.users import Agreement, agreement_of
from recgym.users.agreement import compare_rewards, item_rewards, kendall_tau, rank_correlation
from tests.fixtures.user_model import random_user_model


def test_rank_correlations_by_hand() -> None:
    # Ranks 0 1 2 3 and 1 0 3 2: 1 - 6 (1 + 1 + 1 + 1) / (4 * 15) = 0.6
    assert rank_correlation(np.array([1, 5, 6, 90]), np.array([2, 1, 9, 8])) == pytest.approx(0.6)
    assert rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])) == -1.0
    # Equal numbers share a rank: 0 1.5 1.5 and 0 1 2 are (-1, .5, .5) and (-1, 0, 1) from the mean
    tied = rank_correlation(np.array([1.0, 4.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    assert tied == pytest.approx(1.5 / np.sqrt(1.5 * 2))
    assert rank_correlation(np.zeros(3), np.arange(3.0)) == 0.0


def test_kendalls_tau_by_hand() -> None:
    # Of 6 pairs of 1 2 3 4 and 2 1 4 3, two are in the opposite order: (4 - 2) / 6
    assert kendall_tau(np.arange(4.0), np.array([2.0, 1.0, 4.0, 3.0])) == pytest.approx(1 / 3)
    # 0 1 1 and 0 1 2 have two pairs in one order; the first has two that are not tied
    tied = kendall_tau(np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0, 2.0]))
    assert tied == pytest.approx(2 / np.sqrt(2 * 3))
    assert kendall_tau(np.zeros(3), np.arange(3.0)) == 0.0
    rows = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    assert kendall_tau(rows, rows[:1]).tolist() == [1.0, -1.0]


@settings(deadline=None)
@given(arrays(np.int64, (2, 7), elements=st.integers(-3, 3)))
def test_kendalls_tau_is_that_of_another_library(both: Any) -> None:
    stats = pytest.importorskip("scipy.stats")
    expected = np.nan_to_num(stats.kendalltau(*both).statistic)  # where one does not vary
    assert kendall_tau(*both) == pytest.approx(expected)


def test_two_tables_of_rewards_by_hand() -> None:
    first = np.array([[0.0, 1.0, 5.0], [0.0, 3.0, 4.0]])
    second = np.array([[9.0, 8.0, 7.0], [1.0, 2.0, 6.0]])
    # Levels 2 and 7/3 against 8 and 3. Items: ranks reversed in the first state, equal in the
    # second. Without the items' means, the first state has 0 -1 .5 and 4 3 .5: ranks 1 0 2, 2 1 0,
    # correlation -.5; the second has the opposite signs of both, and the same.
    found = compare_rewards(first, second)
    assert found == Agreement(levels=-1.0, items=0.0, tastes=pytest.approx(-0.5))
    assert str(found) == "levels -1.00, items 0.00, tastes -0.50"


TABLES = arrays(np.int64, (4, 5), elements=st.integers(-50, 50))


@settings(deadline=None)
@given(TABLES, TABLES, arrays(np.int64, (4, 1), elements=st.integers(-50, 50)))
def test_a_function_of_the_state_changes_the_levels_alone(first: Any, second: Any, g: Any) -> None:
    before, after = compare_rewards(first, second), compare_rewards(first + 4 * g, second)
    assert after.items == before.items
    assert after.tastes == pytest.approx(before.tastes)


@settings(deadline=None)
@given(TABLES, TABLES, arrays(np.int64, (5,), elements=st.integers(-50, 50)))
def test_what_all_users_like_is_no_taste(first: Any, second: Any, h: Any) -> None:
    both = compare_rewards(first + 4 * h, second + 4 * h)
    assert both.tastes == pytest.approx(compare_rewards(first, second).tastes)


@pytest.mark.parametrize(
    "kind", [{}, {"history": "lstm"}, {"kind": "recurrent", "units": 8, "n_users": 1}]
)
def test_a_member_agrees_with_itself_and_hardly_with_another(kind: dict[str, Any]) -> None:
    model = random_user_model(**kind)
    same = agreement_of(model, "train", "train")
    assert (same.levels, same.items, same.tastes) == pytest.approx((1.0, 1.0, 1.0))
    other = agreement_of(model)
    assert max(abs(other.levels), abs(other.items), abs(other.tastes)) < 0.9
    assert agreement_of(model) == other


def test_states_can_be_given() -> None:
    model = random_user_model()
    histories = model.histories["train"][:3]
    rewards = [item_rewards(model, name, histories) for name in ("train", "bag0")]
    assert rewards[0].shape == (3, 30)
    assert agreement_of(model, "train", "bag0", histories) == compare_rewards(*rewards)


def test_a_missing_member_is_one_line() -> None:
    model = random_user_model()
    model = replace(model, members={"train": model.members["train"]})
    with pytest.raises(RecGymError, match="user model has no member 'test': there are train"):
        agreement_of(model)
