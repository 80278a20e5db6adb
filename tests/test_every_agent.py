"""What holds for every row of the table of agents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym_agents import AGENTS, evaluate, load_agent
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.irecgan import IRecGANConfig
from recgym_agents.learning.episode_loop import EpisodeLoopConfig
from recgym_agents.learning.replay_loop import LoopConfig
from recgym_agents.learning.sequence_loop import SequenceLoopConfig
from recgym_agents.learning.user_loop import UserLoopConfig
from recgym_agents.protocols import Agent
from recgym_agents.runs.assembly import loop_of
from recgym_agents.runs.evaluation import make_vector_env, run_episodes
from recgym_agents.runs.saved_agents import PARAMS, save_agent
from recgym_agents.zoo import Entry, entry_of
from tests.small_world import random_user_model

NAMES = sorted(name for name in AGENTS if not AGENTS.find(name).library)
QUICK = {"pretraining": 2, "discriminator_pretraining": 1, "horizon": 5}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    random_user_model().save(folder)
    return str(folder)


def entry_for(name: str) -> Entry:
    """The row of an agent, set for the world of these tests."""
    own = isinstance(AGENTS.find(name).config, IRecGANConfig)
    return entry_of(name, QUICK if own else {}, {})


def trained(name: str, model: str, seed: int = 0) -> Agent:
    """An agent after a few steps of the environment, and after as few updates."""
    entry = entry_for(name)
    env = make_vector_env(
        "RecGAN-v0", {"user_model": model, "slate_size": 3, "window": 3}, 4, "disabled"
    )
    agent = entry.builder(entry.config, EnvironmentSpec.of(env), seed)
    small = {
        LoopConfig: {"num_envs": 4, "warm_up": 4, "updates": 1},
        EpisodeLoopConfig: {"num_envs": 4, "sessions": 4},
        SequenceLoopConfig: {"schedule": "online", "num_envs": 4, "sessions": 4},
        UserLoopConfig: {"num_envs": 4, "slates": 3, "support_slates": 3, "updates": 1},
    }
    if entry.loop is not None:
        schedule = replace(entry.loop, **small[type(entry.loop)])
        loop = loop_of(agent, env, schedule, 100, (seed, seed))
        for _ in range(5):
            loop.iterate()
    return agent


def observations(rows: int = 50) -> np.ndarray:
    rng = np.random.default_rng(0)
    history = np.stack([rng.permutation(30)[:3] for _ in range(rows)])
    history[0] = 30
    return history


class Trained(NamedTuple):
    """An agent that several tests ask, and what it answered first."""

    agent: Agent
    slates: np.ndarray


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Of each agent; the tests of one stand together, and share it."""
    return str(request.param)


@pytest.fixture(scope="module")
def first(name: str, model: str) -> Trained:
    agent = trained(name, model)
    return Trained(agent, agent.act(observations(), 0.5))


@pytest.mark.parametrize("explore", [0.0, 0.5])
def test_slates_are_distinct_items_that_were_not_clicked(first: Trained, explore: float) -> None:
    history = observations()
    slate = first.agent.act(history, explore)
    assert slate.shape == (50, 3)
    assert slate.dtype == np.int64
    assert all(len(set(row)) == 3 for row in slate.tolist())
    assert not (slate[:, :, None] == history[:, None, :]).any()


def test_a_loaded_agent_recommends_what_the_saved_one_did(
    name: str, first: Trained, tmp_path: Path
) -> None:
    agent = first.agent
    save_agent(tmp_path, agent, name, entry_for(name), {"seed": 0})
    loaded, about = load_agent(tmp_path)
    assert about == {"seed": 0}
    if name != "random":
        np.testing.assert_array_equal(loaded.act(observations()), agent.act(observations()))
    slate = loaded.recommend([4, 9])
    assert len(set(slate) - {4, 9}) == 3


def test_loaded_random_agents_differ_by_their_seed(model: str, tmp_path: Path) -> None:
    slates = []
    for seed in (0, 1):
        entry = entry_of("random", {}, {})
        save_agent(tmp_path, trained("random", model), "random", entry, {"seed": seed})
        slates.append(load_agent(tmp_path)[0].act(observations()))
    assert (slates[0] != slates[1]).any()


def test_agents_refuse_slates_that_they_could_not_fill(name: str, model: str) -> None:
    arguments = {"user_model": model, "slate_size": 28, "window": 3}
    world = EnvironmentSpec.of(make_vector_env("RecGAN-v0", arguments, 2, "disabled"))
    entry = entry_of(name, {}, {})
    with pytest.raises(RecGymError, match="30 items are too few for slates of 28"):
        entry.builder(entry.config, world, 0)
    if name != "user-greedy-ensemble":
        entry = entry_of(name, {"remove_clicked": False}, {})
        agent = entry.builder(entry.config, world, 0)
        for explore in (0.0, 1.0):
            assert all(len(set(row)) == 28 for row in agent.act(observations(), explore).tolist())


def test_an_agent_goes_on_from_its_state(name: str, first: Trained, model: str) -> None:
    second = trained(name, model, seed=1)
    second.set_state(*first.agent.state())
    for explore in (0.0, 0.5):
        ours, theirs = (agent.act(observations(), explore) for agent in (first.agent, second))
        np.testing.assert_array_equal(ours, theirs)
    (ours_arrays, ours_info), (theirs_arrays, theirs_info) = first.agent.state(), second.state()
    assert ours_info == theirs_info
    for key, array in ours_arrays.items():
        np.testing.assert_array_equal(array, theirs_arrays[key])


def test_the_same_seed_is_the_same_agent(name: str, first: Trained, model: str) -> None:
    slates = trained(name, model).act(observations(), 0.5)
    np.testing.assert_array_equal(slates, first.slates)


def test_agents_meet_the_same_users_with_the_same_luck(model: str) -> None:
    agent = trained("user-greedy", model)
    arguments = {"user_model": model, "slate_size": 3, "window": 3, "horizon": 4}
    first, again = (evaluate(agent, "RecGAN-v0", arguments, 30, seed=5) for _ in range(2))
    other = evaluate(agent, "RecGAN-v0", arguments, 30, seed=6)
    assert first.user.tolist() == [*range(20), *range(10)]
    np.testing.assert_array_equal(first.reward, again.reward)
    assert (first.reward != other.reward).any()
    users, reward, _, _ = first.by_user()
    assert users.tolist() == list(range(20))
    assert reward[0] == pytest.approx((first.reward[0] + first.reward[20]) / 2)


def test_reward_and_clicks_are_averaged_over_the_steps_of_an_episode(model: str) -> None:
    agent = trained("popularity", model)
    arguments = {"user_model": model, "slate_size": 3, "window": 3, "horizon": 4}
    env = make_vector_env("RecGAN-v0", arguments, 5, "next-step")
    evaluation = run_episodes(agent, env, 5, seed=0)
    (seed,) = np.random.SeedSequence(0).generate_state(1)
    observation, _ = env.reset(seed=int(seed), options={"user": np.arange(5)})
    rewards, clicks = [], []
    for _ in range(4):
        observation, reward, _, _, info = env.step(agent.act(observation))
        rewards.append(reward)
        clicks.append(info["click"] >= 0)
    np.testing.assert_allclose(evaluation.reward, np.mean(rewards, axis=0), rtol=1e-6)
    np.testing.assert_allclose(evaluation.click_rate, np.mean(clicks, axis=0))


def test_an_agent_refuses_another_catalog(model: str, tmp_path: Path) -> None:
    agent = trained("cascading-dqn", model)
    random_user_model(seed=1).save(tmp_path / "other")
    random_user_model(n_items=31).save(tmp_path / "longer")
    for folder, message in (("other", "catalog differs"), ("longer", "n_items=31")):
        arguments = {"user_model": str(tmp_path / folder), "slate_size": 3, "window": 3}
        with pytest.raises(RecGymError, match=message):
            evaluate(agent, "RecGAN-v0", arguments, 1, seed=0)
    for changed, message in (({"slate_size": 2}, "slate_size=2"), ({"window": 4}, "window=4")):
        arguments = {"user_model": model, "slate_size": 3, "window": 3} | changed
        with pytest.raises(RecGymError, match=message):
            evaluate(agent, "RecGAN-v0", arguments, 1, seed=0)


@pytest.mark.parametrize("damage", ["truncated", "altered", "missing"])
def test_a_damaged_agent_is_refused(damage: str, model: str, tmp_path: Path) -> None:
    save_agent(tmp_path, trained("popularity", model), "popularity", AGENTS.find("popularity"), {})
    path = tmp_path / PARAMS
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[-1] ^= 1
        path.write_bytes(data)
    message = "no trained agent here" if damage == "missing" else PARAMS
    with pytest.raises(RecGymError, match=message):
        load_agent(tmp_path)


@pytest.mark.parametrize(
    ("agent", "agent_args", "message"),
    [
        ("dqn", {}, "agent 'dqn': unknown; there are cascading-dqn, .*, random, sb3-ppo"),
        ("cascading-dqn", {"gamma": 0.9}, "no setting 'gamma'; there are head"),
        ("cascading-dqn", {"hidden": "64"}, "hidden='64' does not fit a list of int"),
        ("cascading-dqn", {"hidden": True}, "hidden=True does not fit a list of int"),
        ("cascading-dqn", {"head": "sum"}, "head='sum' does not fit shared | cascade | additive"),
    ],
)
def test_wrong_settings_are_named(agent: str, agent_args: dict[str, object], message: str) -> None:
    with pytest.raises(RecGymError, match=message.replace("|", r"\|")):
        entry_of(agent, agent_args, {})
