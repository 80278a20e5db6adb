"""Logs from environments: whole sessions, honest propensities, and back to a user model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym.collection import (
    as_dataset,
    collect,
    greedy_policy,
    known_users_policy,
    slate_mdp_policy,
    uniform_policy,
)
from recgym.data import Sessions
from recgym.errors import RecGymError
from recgym.users import GANUserConfig
from recgym.users.fitting import fit_user_model
from recgym.users.likelihood import FitConfig
from recgym.users.page_arrays import outside_option
from tests.fixtures.user_model import random_user_model


def slate_mdp(rows: int = 50, **arguments: Any) -> Any:
    return gymnasium.make_vec("SlateMDP-v0", rows, autoreset_mode="disabled", **arguments)


@pytest.mark.parametrize("name", ["random", "max", "mix"])
def test_sessions_are_whole_and_none_is_favoured(name: Any) -> None:
    """Clicks per session are what the policy is worth; they end at a page without one."""
    env = slate_mdp(n_states=3, n_items=20, slate_size=4, horizon=6, concentration=0.2)
    world = env.simulator
    log = collect(env, slate_mdp_policy(world, name), sessions=4_000, seed=1)
    log.validate(world.n_items)
    assert np.unique(log.session).tolist() == list(range(4_000))
    np.testing.assert_array_equal(log.user, log.session)
    ends = np.append(log.session[1:] != log.session[:-1], True)
    assert ((log.click < 0) <= ends).all()
    assert (log.step[ends & (log.click >= 0)] == 5).all()
    clicks = np.bincount(log.session, log.click >= 0)
    if name == "max":
        best = np.argsort(-world.click_rewards, axis=1)[:, :4]
        worth = world.policy_value(best, 1.0, horizon=6)[0]
        assert abs(clicks.mean() - worth) < 3 * clicks.std() / np.sqrt(len(clicks))
    again = collect(env, slate_mdp_policy(world, name), sessions=4_000, seed=1)
    np.testing.assert_array_equal(log.slate_items, again.slate_items)


@pytest.mark.parametrize("name", ["random", "mix"])
def test_propensities_are_the_frequencies(name: Any) -> None:
    env = slate_mdp(500, n_states=1, n_items=10, slate_size=2, horizon=1)
    log = collect(env, slate_mdp_policy(env.simulator, name), sessions=40_000)
    slates = log.padded_slates()
    assert log.slot_propensities is not None
    assert log.slate_propensities is not None
    number = slates @ [10, 1]
    for one in np.unique(number):
        shown = number == one
        (share,) = np.unique(log.slate_propensities[shown])
        assert abs(shown.mean() - share) < 5 * math.sqrt(share / len(shown))
    slots = log.slot_propensities.reshape(slates.shape)
    for slot in range(2):
        for item in range(10):
            shown = slates[:, slot] == item
            shares = np.unique(slots[shown, slot])
            assert len(shares) <= 1
            if len(shares):
                assert abs(shown.mean() - shares[0]) < 5 * math.sqrt(shares[0] / len(shown))
    orders = {"random": 90, "mix": 1 + 6}[name]  # ranks 2, 3 and 4 of ten are the middle
    assert len(np.unique(number)) == orders


def test_a_greedy_agent_is_sure_of_its_slates() -> None:
    class Agent:
        def act(self, observation: np.ndarray) -> np.ndarray:
            return np.tile(np.arange(4), (len(observation), 1))

    log = collect(slate_mdp(n_items=20, slate_size=4), greedy_policy(Agent()), sessions=20)
    assert (log.slate_items.reshape(-1, 4) == np.arange(4)).all()
    assert log.slate_propensities is not None
    assert (log.slate_propensities == 1).all()


def test_users_are_those_that_were_met() -> None:
    env: Any = gymnasium.make_vec("RecGAN-v0", 8, autoreset_mode="disabled", horizon=3)
    log = collect(env, uniform_policy(1682, 5), sessions=30)
    log.validate(1682)
    assert log.n_pages == 90
    assert len(np.unique(log.session)) == 30
    assert log.user.max() < env.simulator.n_users


def test_from_a_log_to_a_world_and_back(tmp_path: Path) -> None:
    env = slate_mdp(n_items=30, slate_size=5, n_states=3)
    dataset = as_dataset(
        env, collect(env, uniform_policy(30, 5), sessions=400, seed=2), "slate-mdp"
    )
    dataset.save(tmp_path / "data")
    dataset.validate()
    config = GANUserConfig(window=4, weights=2, features=6, hidden=(16,))
    model = fit_user_model(dataset, config, FitConfig(epochs=20, learning_rate=2e-2))
    floors = model.scores["floors"]
    assert model.scores["log_likelihood"] > floors["random"]["log_likelihood"]
    model.save(tmp_path / "user")
    learned: Any = gymnasium.make_vec(
        "RecGAN-v0", 8, user_model=str(tmp_path / "user"), autoreset_mode="disabled", horizon=4
    )
    log = collect(learned, uniform_policy(30, 5), sessions=20)
    log.validate(30)
    log.save(tmp_path / "log.parquet")
    again = Sessions.load(tmp_path / "log.parquet")
    np.testing.assert_array_equal(again.slot_propensities, log.slot_propensities)


def known_users(rows: int, **arguments: Any) -> Any:
    return gymnasium.make_vec("KnownUsers-v0", rows, autoreset_mode="disabled", **arguments)


def test_each_user_has_a_session() -> None:
    env = known_users(4, n_users=7, horizon=3)
    log = collect(env, uniform_policy(200, 5), sessions=7, each_user=True)
    assert log.user.tolist() == log.session.tolist() == sorted(list(range(7)) * 3)
    again = collect(env, uniform_policy(200, 5), sessions=9, each_user=True)
    assert np.unique(again.user[again.session >= 7]).tolist() == [0, 1]


@pytest.mark.parametrize("name", ["popular", "best"])
def test_logs_of_known_users_show_what_is_liked(name: Any) -> None:
    env = known_users(500, n_items=10, slate_size=2, horizon=20, n_users=3, dynamics=0.0)
    world = env.simulator
    liked = np.array([world.tastes[u] @ world.topics.T for u in range(3)])
    liked += world.quality + world.clickbait
    log = collect(env, known_users_policy(world, name), sessions=2_000)
    slates, every = log.padded_slates(), [1, 10] @ log.padded_slates().T
    assert log.slate_propensities is not None
    assert log.slot_propensities is not None
    if name == "best":
        for user in range(3):
            assert (slates[log.user == user] == np.argsort(-liked[user])[:2]).all()
        return
    popular = np.argsort(-liked.mean(axis=0))[:2]
    inside = np.isin(slates, popular).all(axis=1)
    assert inside.mean() == pytest.approx(0.5 + 0.5 * 2 / 90, abs=0.01)
    for one in np.unique(every):
        (share,) = np.unique(log.slate_propensities[every == one])
        assert abs((every == one).mean() - share) < 5 * math.sqrt(share / len(every))
    slots = log.slot_propensities.reshape(slates.shape)
    assert np.unique(slots[np.isin(slates, popular)]) == pytest.approx([0.3])
    assert np.unique(slots[~np.isin(slates, popular)]) == pytest.approx([0.05])


def test_generated_sessions_end_and_are_users_of_their_own() -> None:
    model = random_user_model(kind="recurrent", units=8, n_users=1, repeat_clicks=True)
    env: Any = gymnasium.make_vec(
        "IRecGAN-v0", 64, user_model=model, slate_size=4, horizon=6, autoreset_mode="disabled"
    )
    log = collect(env, uniform_policy(30, 4), sessions=64)
    assert outside_option(log) == "end"
    np.testing.assert_array_equal(log.user, log.session)
    assert set(log.reward[log.click >= 0]) == {0.0, 1.0}
    dataset = as_dataset(env, log, "generated")
    fitted = fit_user_model(dataset, model.config, FitConfig(epochs=1, batch_users=8))
    assert fitted.config == model.config


def test_bad_requests() -> None:
    with pytest.raises(RecGymError, match="with autoreset_mode='disabled'"):
        collect(gymnasium.make_vec("SlateMDP-v0", 2), uniform_policy(50, 10), 1)  # type: ignore[arg-type]
    with pytest.raises(RecGymError, match="without a view"):
        collect(slate_mdp(view="scores"), uniform_policy(50, 10), 1)
    single: Any = gymnasium.make("SlateMDP-v0")
    with pytest.raises(RecGymError, match=r"by gymnasium\.make_vec with autoreset_mode"):
        collect(single, uniform_policy(50, 10), 1)
    with pytest.raises(RecGymError, match="sessions=0"):
        collect(slate_mdp(), uniform_policy(50, 10), 0)
    with pytest.raises(RecGymError, match="seed=-1 must be at least 0"):
        collect(slate_mdp(), uniform_policy(50, 10), 1, seed=-1)
    world = slate_mdp(n_items=20, slate_size=7).simulator
    with pytest.raises(RecGymError, match="must be one of random, max, mix"):
        slate_mdp_policy(world, "best")  # type: ignore[arg-type]
    with pytest.raises(RecGymError, match="6 items of middle rank, 7 slots"):
        slate_mdp_policy(world, "mix")
    world = known_users(1, n_items=20).simulator
    with pytest.raises(RecGymError, match="must be one of random, popular, best"):
        known_users_policy(world, "max")  # type: ignore[arg-type]
    with pytest.raises(RecGymError, match="a fifth is 4 items, 5 slots"):
        known_users_policy(world, "popular")
