"""Support as agents read it: off infos, checked, and as the steps of a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.learning.user_steps import steps_of_support, support_of_steps
from recgym_agents.user_support import Support

IDS = EnvironmentSpec(n_items=9, slate_size=2, window=3, features=None)
NEW = EnvironmentSpec(
    n_items=3, slate_size=2, window=7, features=None, ids=False, candidate_features=2
)
"""Observations are 3 candidates of 2 numbers, and one number of the user."""
PAGE = np.array([[[4, 5, 1], [6, 7, -1], [8, 2, 0], [-1, -1, -1]]])
"""One sequence: items 5 and 8 were clicked, and one step is not there."""
REWARD = np.array([[1.0, 0.0, 2.0, 0.0]], np.float32)
INFO = {"support": PAGE, "support_reward": REWARD}


def test_there_may_be_none() -> None:
    assert Support.of({"click": -1}) is None


def test_it_is_read_off_one_environment_and_off_many() -> None:
    one = Support.of(INFO)
    many = Support.of({name: np.stack([values, values]) for name, values in INFO.items()})
    assert one is not None
    assert many is not None
    assert one.slate.shape == (1, 1, 4, 2)
    assert many.slate.shape == (2, 1, 4, 2)
    assert one.click[0, 0].tolist() == [1, -1, 0, -1]
    assert one.there[0, 0].tolist() == [True, True, True, False]
    np.testing.assert_array_equal(many.of_users(np.array([1])).slate, one.slate)


def test_what_was_observed_is_what_was_clicked_before() -> None:
    support = Support.of(INFO)
    assert support is not None
    steps = steps_of_support(support, IDS)
    assert steps.observation[0, 0].tolist() == [[9, 9, 9], [9, 9, 5], [9, 9, 5], [9, 5, 8]]
    assert steps.next_observation[0, 0, :3].tolist() == [[9, 9, 5], [9, 9, 5], [9, 5, 8]]
    assert steps.slot[0, 0].tolist() == [1, 2, 0, 2]
    assert steps.goes_on[0, 0].tolist() == [True, True, False, False]
    back = support_of_steps(steps, IDS.n_items)
    for ours, theirs in zip(back[:3], support[:3], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_slots_may_show_nothing() -> None:
    page = np.where(np.arange(3) == 1, -1, PAGE)
    page[..., 2] = np.minimum(PAGE[..., 2], 0)
    support = Support.of({"support": page, "support_reward": REWARD})
    assert support is not None
    support.check(9, 2, 0)
    steps = steps_of_support(support, IDS)
    assert steps.slate[0, 0].tolist() == [[4, 9], [6, 9], [8, 9], [0, 0]]
    np.testing.assert_array_equal(support_of_steps(steps, 9).slate, support.slate)


def test_candidates_are_those_that_were_shown() -> None:
    features = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 2, 2)
    steps = steps_of_support(
        Support(PAGE[None, :, :, :2], PAGE[None, :, :, 2], REWARD[None], features), NEW
    )
    assert steps.observation[0, 0, 1].tolist() == [4, 5, 6, 7, 0, 0, 0]
    assert steps.next_observation[0, 0, 1].tolist() == [8, 9, 10, 11, 0, 0, 0]
    assert steps.slate[0, 0, :3].tolist() == [[0, 1]] * 3


def test_nothing_is_one_step_that_is_not_there() -> None:
    nothing = Support.none(3, 2, 4)
    nothing.check(9, 2, 4)
    assert not nothing.there.any()
    assert nothing.features is not None
    assert nothing.features.shape == (3, 1, 1, 2, 4)


def test_it_can_be_kept_from_some_users() -> None:
    click, reward = np.zeros((2, 1, 2), np.int64), np.ones((2, 1, 2), np.float32)
    support = Support(np.array([[[[1], [2]]], [[[3], [4]]]]), click, reward)
    kept = support.kept_from(np.array([True, False]))
    assert kept.slate.tolist() == [[[[-1], [-1]]], [[[3], [4]]]]
    assert kept.there.tolist() == [[[False, False]], [[True, True]]]
    assert support.there.all()


def test_what_was_shown_since_joins_as_one_more_sequence() -> None:
    before = Support.of(INFO)
    assert before is not None
    since = Support(np.array([[[[3, 1]]]]), np.array([[[1]]]), np.array([[[0.5]]], np.float32))
    for one, two in ((before, since), (since, before)):
        both = one.joined(two)
        both.check(9, 2, 0)
        assert both.there.sum() == 4
        place = 1 if one is before else 0
        assert both.slate[0, place].tolist() == [[3, 1], [-1, -1], [-1, -1], [-1, -1]]
        assert both.click[0, place].tolist() == [1, -1, -1, -1]
        assert both.reward[0, place].tolist() == [0.5, 0.0, 0.0, 0.0]
        np.testing.assert_array_equal(both.slate[0, 1 - place], before.slate[0, 0])
    features = Support.none(1, 2, 4).joined(Support.none(1, 2, 4)).features
    assert features is not None
    assert features.shape == (1, 2, 1, 2, 4)


@pytest.mark.parametrize("other", [(2, 2, 0), (1, 3, 0), (1, 2, 4)])
def test_supports_of_different_worlds_do_not_join(other: tuple[int, int, int]) -> None:
    with pytest.raises(RecGymError, match=r"cannot join \(1, 2\); give that of the same users"):
        Support.none(1, 2).joined(Support.none(*other))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slate": PAGE[None, :, :, :1]}, "slates of shape .*; this agent reads .*, 2\\)"),
        ({"click": np.zeros((1, 4), np.int64)}, "clicks of shape"),
        ({"slate": PAGE[None, :, :, :2] + 3}, "item 11 is not in 0..8: it is of another catalog"),
        ({"click": PAGE[None, :, :, 2] + 1}, r"clicked slots must be in -1\.\.1"),
        ({"slate": PAGE[None, :, :, :2] * [1, 0] - [0, 1]}, "a slot is clicked that shows nothing"),
        ({"reward": REWARD[None] * np.nan}, "rewards must be finite"),
        ({"features": np.zeros((1, 1, 4, 2, 5), np.float32)}, "has 5 features .* item ids alone"),
    ],
)
def test_bad_support_is_one_line(changes: dict[str, Any], message: str) -> None:
    support = Support(PAGE[None, :, :, :2], PAGE[None, :, :, 2], REWARD[None])
    support.check(9, 2, 0)
    with pytest.raises(RecGymError, match=f"support: .*{message}") as error:
        support._replace(**changes).check(9, 2, 0)
    assert "\n" not in str(error.value)
