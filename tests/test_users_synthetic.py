"""Synthetic users, and the random slates they are shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recgym.arrays import Array
from recgym.spaces import draw_slates
from recgym.users import gan
from recgym.users.synthetic import SyntheticUsers, draw_histories, random_click_rate
from tests.fixtures.user_logs import (
    CONFIG,
    N_ITEMS,
)


def test_slates_are_distinct_and_uniform() -> None:
    rng = np.random.default_rng(0)
    slates = draw_slates(6, 3_000, 4, rng)
    assert all(len(set(slate)) == 4 for slate in slates)
    np.testing.assert_allclose(np.bincount(slates[:, 0], minlength=6) / 3_000, 1 / 6, atol=0.03)
    assert sorted(draw_slates(5, 1, 5, rng)[0]) == [0, 1, 2, 3, 4]


def users_who(click: float, repeat_clicks: bool, count: int = 200) -> SyntheticUsers:
    """Users for whom every item has the same utility."""
    config = replace(CONFIG, hidden=(1,))
    params: dict[str, Array] = {
        name: np.zeros(shape, np.float32) for name, shape in gan.shapes(config).items()
    }
    params["reward.bias0"] = np.ones(1, np.float32)
    params["reward.output"] = np.full(1, click, np.float32)
    features = np.zeros((N_ITEMS, 4), np.float32)
    return SyntheticUsers(config, params, features, repeat_clicks, count, np.random.default_rng(0))


def test_the_random_click_rate_is_that_of_the_choice_model() -> None:
    users = users_who(click=0.0, repeat_clicks=True)
    assert random_click_rate(users, slate_size=5, horizon=20) == pytest.approx(
        5 / 6, abs=0.02
    )  # six equal options


def test_synthetic_histories_are_clicks_and_spent_items_do_not_come_back() -> None:
    users = users_who(click=0.0, repeat_clicks=False)
    histories = draw_histories(users, slate_size=6)
    assert histories.shape == (200, CONFIG.window)
    assert histories.min() >= 0
    assert histories.max() < N_ITEMS
    assert all(len(set(history)) == CONFIG.window for history in histories)
    assert users.spent.sum() == 200 * CONFIG.window


def test_users_who_hardly_click_keep_short_histories() -> None:
    users = users_who(click=-30.0, repeat_clicks=False, count=5)
    histories = draw_histories(users, slate_size=6, patience=1)
    np.testing.assert_array_equal(histories, N_ITEMS)


def test_slates_of_most_items_are_drawn_at_once() -> None:
    slates = draw_slates(4, 200, 4, np.random.default_rng(0))
    assert {tuple(sorted(slate)) for slate in slates.tolist()} == {(0, 1, 2, 3)}
    assert len({tuple(slate) for slate in slates.tolist()}) > 20  # of 24 orders
