"""The policies of the panel show what they say, and know training users alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recgym.users import FittedUserModel
from recgym.users.agreement import item_rewards
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.runs.policy_panel import PANEL, PanelPolicy
from recgym_agents.runs.training_users import TrainingUsers
from tests.fixtures.user_model import random_user_model

CLICKS = np.roll(np.arange(30), 7)
"""Item 6 was clicked most often, item 7 never."""
HISTORY = np.array([[30, 30, 30, 30, 30, 30, 6, 11, 4, 5], [30] * 10, list(range(10, 20))])


@pytest.fixture(scope="module")
def model() -> FittedUserModel:
    return random_user_model()


def shown(model: FittedUserModel, name: str, history: np.ndarray = HISTORY) -> np.ndarray:
    spec = EnvironmentSpec(model.n_items, 3, history.shape[1], model.features)
    return PanelPolicy(spec, TrainingUsers.of(model, CLICKS), name, 0).act(history)


@pytest.mark.parametrize("name", PANEL)
def test_slates_are_of_items_that_are_new_to_the_user(name: str, model: FittedUserModel) -> None:
    slates = shown(model, name)
    assert slates.shape == (3, 3)
    for slate, history in zip(slates.tolist(), HISTORY.tolist(), strict=True):
        assert len(set(slate)) == 3
        assert not set(slate) & set(history)


@pytest.mark.parametrize("name", PANEL)
def test_nothing_is_known_of_test_users(name: str, model: FittedUserModel) -> None:
    other = random_user_model(seed=5)
    changed = replace(
        model,
        members=model.members | {"test": other.members["test"]},
        histories=model.histories | {"test": other.histories["test"]},
    )
    np.testing.assert_array_equal(shown(changed, name), shown(model, name))


def test_no_two_policies_are_the_same(model: FittedUserModel) -> None:
    assert len({shown(model, name).tobytes() for name in PANEL}) == len(PANEL)


def test_clicks_of_the_log_are_counted(model: FittedUserModel) -> None:
    assert shown(model, "popular").tolist() == [[3, 2, 1], [6, 5, 4], [6, 5, 4]]
    assert shown(model, "rare").tolist()[1] == [7, 8, 9]


def test_likeness_is_that_of_features() -> None:
    model = random_user_model(5, window=4)
    angles = np.radians([0.0, 10.0, 100.0, 50.0, 185.0])
    features = np.zeros_like(model.features)
    features[:, 0], features[:, 1] = 2.0 * np.cos(angles), 2.0 * np.sin(angles)
    model = replace(model, features=features)
    spec = EnvironmentSpec(5, 2, 4, features)
    known = TrainingUsers.of(model, np.zeros(5))
    clicked_first = np.array([[5, 5, 5, 0]])
    assert PanelPolicy(spec, known, "alike", 0).act(clicked_first).tolist() == [[1, 3]]
    assert PanelPolicy(spec, known, "unlike", 0).act(clicked_first).tolist() == [[4, 2]]


def test_rewards_are_those_of_the_member_of_training_users(model: FittedUserModel) -> None:
    now = item_rewards(model, "train", HISTORY)
    np.put_along_axis(now, np.minimum(HISTORY, 29), -np.inf, axis=1)
    now[0, 29] = now[1, 29] = item_rewards(model, "train", HISTORY)[0, 29]
    greedy = shown(model, "greedy")
    assert greedy[2].tolist() == np.argsort(-now[2])[:3].tolist()
    mean = item_rewards(model, "train", model.histories["train"]).mean(axis=0)
    assert shown(model, "fixed")[1].tolist() == np.argsort(-mean)[:3].tolist()
    mixed = shown(model, "one among the worst")
    assert mixed[:, 0].tolist() == greedy[:, 0].tolist()
    worst = [item for item in np.argsort(mean).tolist() if item != mixed[1, 0]]
    assert mixed[1, 1:].tolist() == worst[:2]
