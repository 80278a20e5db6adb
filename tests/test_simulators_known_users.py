"""Users whose truth is known: rewards by hand, and slates against all there are."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recgym  # noqa: F401
from recgym.errors import RecGymError
from recgym.simulators import Noise
from recgym.simulators.known_users import KnownUsers
from recgym.simulators.known_users_planning import (
    best_slates,
    farsighted_slates,
    myopic_slates,
)
from tests.fixtures.user_model import random_user_model


def begun(world: KnownUsers, rows: int = 1) -> dict[str, Any]:
    noise = Noise(np.zeros((rows, 1)), np.empty((rows, 0)))
    return world.reset(noise, np.arange(rows) % world.n_users)


def clicked(world: KnownUsers, state: dict[str, Any], *items: int) -> dict[str, Any]:
    """Returns the state of users who all clicked some items, one after the other."""
    for item in items:
        state = state | world.advance(state, np.full(len(state["step"]), item))
    return state


def test_rewards_by_hand() -> None:
    """One topic, no tastes and no quality: m is 0, 1/4, 7/16, .. and c goes as clickbait does."""
    world = KnownUsers(
        n_items=4, slate_size=2, n_topics=1, quality=0.0, interest=3.0, satiation=4.0, memory=0.75
    )
    bait = world.clickbait
    state = begun(world)
    np.testing.assert_allclose(world.rewards(state)[0], 0.25 + bait, rtol=1e-6)
    state = clicked(world, state, 2)  # 3 / 4 - 4 / 16 = 1 / 2 is liked
    level = 0.25 - 2.0 * 0.25 * bait[2]
    np.testing.assert_allclose(world.level(state), [level], rtol=1e-6)
    np.testing.assert_allclose(world.rewards(state)[0], level + 0.5 + bait, rtol=1e-6)
    state = clicked(world, state, 0)  # 3 * 7 / 16 - 4 * 49 / 256 = 35 / 64
    level = 0.25 - 2.0 * (0.75 * 0.25 * bait[2] + 0.25 * bait[0])
    np.testing.assert_allclose(world.rewards(state)[0], level + 35 / 64 + bait, rtol=1e-6)
    assert clicked(world, state, -1)["memory"].tolist() == state["memory"].tolist()
    assert state["history"][0].tolist() == [4] * 8 + [2, 0]


def test_a_users_taste_and_an_items_topics_make_its_appeal() -> None:
    world = KnownUsers(n_items=30, n_users=3, dynamics=0.0, eta=2.0)
    state = clicked(world, begun(world, 3), 5, 6, 7)
    for user, item in itertools.product(range(3), range(30)):
        liked = sum(
            float(world.tastes[user, topic] * world.topics[item, topic]) for topic in range(8)
        )
        expected = 0.25 + liked + float(world.quality[item] + world.clickbait[item])
        assert world.rewards(state)[user, item] == pytest.approx(expected, abs=1e-5)
    slate = np.tile([3, 9], (3, 1))
    logits, rewards = world.respond(state, slate)
    np.testing.assert_allclose(rewards[:, :2], world.rewards(state)[:, [3, 9]], atol=1e-6)
    np.testing.assert_array_equal(rewards[:, 2], 0.0)
    np.testing.assert_allclose(logits, 2.0 * rewards, atol=1e-6)


@pytest.mark.parametrize("no_click", [True, False])
def test_users_choose_in_proportion_to_exponentials(no_click: bool) -> None:
    world = KnownUsers(slate_size=3, n_users=1, eta=1.5, no_click=no_click)
    rows = 20_000
    state = {name: np.repeat(values, rows, axis=0) for name, values in begun(world).items()}
    slate = np.tile([4, 8, 15], (rows, 1))
    uniform = np.random.default_rng(0).random((rows, 1))
    after, response = world.step(state, slate, Noise(uniform, np.empty((rows, 0))))
    odds = np.append(np.exp(1.5 * world.rewards(state)[0, [4, 8, 15]]), float(no_click))
    shares = [(response.click == option).mean() for option in (0, 1, 2, -1)]
    np.testing.assert_allclose(shares, odds / odds.sum(), atol=4 * 0.5 / np.sqrt(rows))
    own = np.append(world.rewards(state)[0], 0.0)
    np.testing.assert_allclose(response.reward, own[response.item], atol=1e-6)
    np.testing.assert_array_equal(after["history"][response.click < 0], 200)
    assert not response.terminated.any()


def test_a_user_is_the_same_whatever_users_there_are() -> None:
    few, many = KnownUsers(n_users=3), KnownUsers(n_users=30)
    np.testing.assert_array_equal(few.tastes, many.tastes[:3])
    np.testing.assert_array_equal(few.item_features, many.item_features)
    other = KnownUsers(n_users=3, population_seed=1)
    assert (few.tastes != other.tastes).all()
    assert (few.item_features != other.item_features).any(axis=1).all()
    state = few.reset(Noise(np.array([[0.34]]), np.empty((1, 0))))
    assert state["user"].tolist() == [1]


def test_users_with_a_past_have_clicked() -> None:
    world = KnownUsers(n_users=200, past=6)
    state = begun(world, 200)
    clicks = (state["history"] < world.n_items).sum(axis=1)
    assert 4.0 < clicks.mean() <= 6.0
    row = int(clicks.argmax())
    memory = np.zeros(9)
    for item in state["history"][row, -int(clicks[row]) :]:
        memory = 0.6 * memory + 0.4 * np.append(world.topics[item], world.clickbait[item])
    np.testing.assert_allclose(state["memory"][row], memory, atol=1e-6)
    assert state["step"].tolist() == [0] * 200


def test_what_is_seen() -> None:
    world = KnownUsers(n_items=20, window=2)
    state = clicked(world, begun(world), 7)
    features = world.observe(state)[0].reshape(2, 10)
    assert features[0].tolist() == [0.0] * 10
    np.testing.assert_allclose(features[1, :8], world.topics[7], rtol=1e-6)
    np.testing.assert_allclose(features[1, 8:], [world.quality[7], world.clickbait[7]], rtol=1e-6)
    assert KnownUsers(n_items=20, window=2, observe="items").observe(state).tolist() == [[20, 7]]


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(1, 4),
    outside=st.sampled_from([0.0, 1.0]),
    shift=st.floats(-2.0, 2.0),
)
def test_no_slate_is_worth_more_than_the_best(
    seed: int, size: int, outside: float, shift: float
) -> None:
    rng = np.random.default_rng(seed)
    odds, worth = np.exp(rng.normal(size=(3, 7))), rng.normal(size=(3, 7)) + shift
    slates, value = best_slates(odds, worth, size, outside)
    for row in range(3):
        every = [
            (odds[row, list(one)] @ worth[row, list(one)]) / (outside + odds[row, list(one)].sum())
            for one in itertools.combinations(range(7), size)
        ]
        assert value[row] == pytest.approx(max(every), rel=1e-4, abs=1e-5)
        own = odds[row, slates[row]]
        assert own @ worth[row, slates[row]] / (outside + own.sum()) == pytest.approx(value[row])
        assert len(set(slates[row].tolist())) == size


def test_without_dynamics_the_best_slate_of_the_moment_is_the_best_plan() -> None:
    world = KnownUsers(n_users=20, dynamics=0.0)
    before = begun(world, 20)
    after = clicked(world, before, 3, 4)
    np.testing.assert_allclose(world.rewards(after), world.rewards(before), atol=1e-6)
    best = myopic_slates(world, before)
    np.testing.assert_array_equal(np.sort(myopic_slates(world, after)), np.sort(best))
    np.testing.assert_array_equal(np.sort(farsighted_slates(world, after)), np.sort(best))


def played(world: KnownUsers, slates: Any, rows: int = 60) -> float:
    """Returns the reward per slate of a policy that sees the state."""
    rng, state, total = np.random.default_rng(3), begun(world, rows), 0.0
    for _ in range(world.horizon):
        noise = Noise(rng.random((rows, 1)), np.empty((rows, 0)))
        state, response = world.step(state, slates(world, state), noise)
        total += float(response.reward.mean())
    return total / world.horizon


def test_with_dynamics_looking_ahead_pays() -> None:
    world = KnownUsers(n_users=60, n_items=60, past=10)
    assert played(world, farsighted_slates) > 1.15 * played(world, myopic_slates)


def test_the_last_slate_has_no_consequences() -> None:
    world = KnownUsers(n_users=20, past=10)
    last = begun(world, 20) | {"step": np.full(20, world.horizon - 1)}
    np.testing.assert_array_equal(
        np.sort(farsighted_slates(world, last)), np.sort(myopic_slates(world, last))
    )


def test_agents_of_a_fitted_model_find_its_item_table(tmp_path: Path) -> None:
    model = random_user_model(30, repeat_clicks=True)
    model.save(tmp_path / "model")
    folder = str(tmp_path / "model")
    env: Any = gymnasium.make("KnownUsers-v0", n_items=30, item_table=folder)
    np.testing.assert_array_equal(env.unwrapped.simulator.item_features, model.features)
    assert env.reset(seed=0)[0].shape == (10 * model.config.features,)
    with pytest.raises(RecGymError, match=r"item_table=.*has 30 items, not 200"):
        gymnasium.make("KnownUsers-v0", item_table=folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dynamics": -1.0}, "dynamics=-1.0: must be a number at least 0"),
        ({"memory": 1.5}, "memory=1.5: must be a number in 0..1"),
        ({"past": -1}, "past=-1: must be a whole number at least 0"),
        ({"no_click": "no"}, "no_click='no': must be True or False"),
        ({"item_table": 3}, "item_table=3: must be a folder"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecGymError, match=message) as error:
        gymnasium.make("KnownUsers-v0", **arguments)
    assert "\n" not in str(error.value)
