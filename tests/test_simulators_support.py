"""Support: what users of RecSim's worlds were shown before, and populations whom it tells apart."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import recgym  # noqa: F401
from recgym.errors import RecGymError
from recgym.simulators import Noise, Simulator, build
from recgym.simulators.populations import POPULATIONS

WORLDS = ("interest-evolution", "interest-exploration")
IDS = dict(zip(WORLDS, ("InterestEvolution-v0", "InterestExploration-v0"), strict=True))
SMALL = {"num_candidates": 5, "slate_size": 2, "support": 2, "support_steps": 6}
each_world = pytest.mark.parametrize("world", WORLDS)


def noise_for(simulator: Simulator, rows: int, seed: int = 0) -> Noise:
    rng = np.random.default_rng(seed)
    uniforms, normals = simulator.reset_noise
    return Noise(rng.random((rows, uniforms)), rng.standard_normal((rows, normals)))


def test_a_sequence_by_hand() -> None:
    """Every slate is clicked, as no click weighs 0; of 10 minutes 4, 4 and 2 are watched."""
    simulator = build(
        "interest-evolution",
        SMALL
        | {
            "user_interests": 1.0,
            "no_click_mass": -1.0,
            "time_budget": 10.0,
            "user_update_alpha": 0.0,
        },
    )
    state = simulator.reset(noise_for(simulator, 3))
    page, reward = state["support"], state["support_reward"]
    assert page.shape == (3, 2, 6, 3)
    assert (reward == [4.0, 4.0, 2.0, 0.0, 0.0, 0.0]).all()
    assert (page[:, :, 3:] == -1).all()
    assert (state["support_features"][:, :, 3:] == 0.0).all()
    assert ((page[:, :, :3, 2] >= 0) & (page[:, :, :3, 2] < 2)).all()
    assert (state["time_budget"] == 10.0).all()
    assert (state["step"] == 0).all()


@each_world
def test_places_are_distinct_and_every_candidate_is_shown(world: str) -> None:
    simulator = build(world, SMALL | {"population": "train"})
    page = simulator.reset(noise_for(simulator, 200))["support"]
    there = page[..., 0] >= 0
    assert (page[..., 0] != page[..., 1])[there].all()
    counts = np.bincount(page[there][:, :2].ravel(), minlength=5) / there.sum()
    np.testing.assert_allclose(counts, 2 / 5, atol=0.05)
    assert page[..., 2].max() < 2


@each_world
def test_features_are_those_of_what_was_shown(world: str) -> None:
    """Where the candidates stay the same, places tell which they are."""
    simulator = build(world, SMALL | {"resample_documents": False})
    state = simulator.reset(noise_for(simulator, 4))
    candidates = simulator.candidates(simulator.observe(state))[0]  # type: ignore[attr-defined]
    page, features = state["support"], state["support_features"]
    there = page[..., 0] >= 0
    np.testing.assert_array_equal(features[there], candidates[page[..., :2][there]])


@each_world
def test_a_user_is_the_same_with_and_without_support(world: str) -> None:
    """And her support tells what she is like: she clicks what she likes."""
    arguments = {"population": "train", "support_steps": 200}
    plain, told = build(world, arguments), build(world, arguments | {"support": 1})
    noise = noise_for(told, 100)
    uniforms, normals = plain.reset_noise
    first = plain.reset(Noise(noise.uniform[:, :uniforms], noise.normal[:, :normals]))
    state = told.reset(noise)
    for name, values in first.items():
        np.testing.assert_array_equal(state[name], values)
    page, shown = state["support"][:, 0], state["support_features"][:, 0]
    topic = shown[..., -plain.n_topics :].argmax(axis=3)  # type: ignore[attr-defined]
    likes = state["user_interests" if world == WORLDS[0] else "affinity"]
    liked = np.take_along_axis(likes, topic.reshape(100, -1), axis=1).reshape(topic.shape)
    clicked = (page[:, :, -1:] == np.arange(3)) & (page[:, :, :1] >= 0)
    missed = ~clicked & (page[:, :, :1] >= 0)
    assert liked[clicked].mean() > liked[missed].mean() + 0.2


@each_world
def test_numpy_and_torch_hand_over_the_same(world: str) -> None:
    simulator = build(world, SMALL | {"population": "test"})
    noise = noise_for(simulator, 8)
    ours = simulator.reset(noise)
    theirs = simulator.to("torch", "cpu").reset(Noise(*map(torch.tensor, noise)))
    for name in simulator.info_names:
        np.testing.assert_allclose(theirs[name].numpy(), ours[name], atol=1e-5)
        assert ours[name].dtype == (np.int64 if name == "support" else np.float32)


@each_world
def test_environments_hand_it_over_at_every_step(world: str) -> None:
    """A fresh copy each time, that of the episode."""
    env = gymnasium.make(IDS[world], **SMALL, horizon=3)
    _, info = env.reset(seed=0)
    first = {name: info[name].copy() for name in ("support", "support_reward", "support_features")}
    assert first["support"].shape == (2, 6, 3)
    info["support"][:] = 7
    *_, info = env.step(np.array([0, 1]))
    for name, values in first.items():
        np.testing.assert_array_equal(info[name], values)
    assert (env.reset()[1]["support"] != first["support"]).any()
    vector = gymnasium.make_vec(IDS[world], 4, **SMALL)
    assert vector.reset(seed=0)[1]["support_features"].shape[:4] == (4, 2, 6, 2)


def test_clicks_hide_the_interests() -> None:
    seen, hidden = (build("interest-evolution", {"observe": o}) for o in ("interests", "clicks"))
    noise = noise_for(seen, 2)
    state = seen.reset(noise)
    assert seen.reset_noise == hidden.reset_noise
    whole, rest = seen.observe(state), hidden.observe(state)
    np.testing.assert_array_equal(np.delete(whole, np.s_[200:220], axis=1), rest)
    assert hidden.observation_space.contains(rest[0])


def test_the_affinity_can_be_shown() -> None:
    hidden, seen = (build("interest-exploration", {"observe": o}) for o in ("clicks", "affinity"))
    state = hidden.reset(noise_for(hidden, 2))
    whole, rest = seen.observe(state), hidden.observe(state)
    np.testing.assert_allclose(whole[:, 30:32], state["affinity"], rtol=1e-6)
    np.testing.assert_array_equal(np.delete(whole, np.s_[30:32], axis=1), rest)
    assert seen.observation_space.contains(whole[0])


@each_world
def test_test_users_are_of_another_distribution(world: str) -> None:
    name = "user_interests" if world == WORLDS[0] else "affinity"
    drawn = {}
    for population in ("train", "test"):
        simulator = build(world, {"population": population})
        drawn[population] = simulator.reset(noise_for(simulator, 4_000))[name]
    assert drawn["train"].shape == drawn["test"].shape
    train, test = (np.sort(values.ravel()) for values in drawn.values())
    assert abs(np.searchsorted(test, train) / len(test) - np.linspace(0, 1, len(train))).max() > 0.1
    assert set(POPULATIONS[world]) == {"train", "test"}


@pytest.mark.parametrize(
    ("world", "arguments", "message"),
    [
        (WORLDS[0], {"support": -1}, "support=-1: must be a whole number at least 0"),
        (WORLDS[0], {"support_steps": 0}, "support_steps=0: must be a whole number at least 1"),
        (WORLDS[0], {"observe": "items"}, "observe='items': must be one of interests, clicks"),
        (WORLDS[1], {"observe": "interests"}, "must be one of clicks, affinity"),
        (WORLDS[1], {"population": "all"}, "population='all': must be one of recsim, train, test"),
        (
            WORLDS[0],
            {"population": "test", "time_budget": 90.0},
            "population='test' sets time_budget, and time_budget=90.0 is given",
        ),
    ],
)
def test_bad_arguments(world: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecGymError, match=message) as error:
        build(world, arguments)
    assert "\n" not in str(error.value)
