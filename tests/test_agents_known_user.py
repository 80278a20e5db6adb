"""A user model as agents read it says what the environment made of it does."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym.users import FittedUserModel
from recgym_agents.agent import EnvironmentSpec, Transitions
from recgym_agents.algorithms.slateq import SlateQ, SlateQConfig
from recgym_agents.networks.known_user import KnownUser, known_user_of
from recgym_agents.runs.evaluation import make_vector_env
from recgym_agents.runs.planned_sessions import simulator_state
from tests.small_world import random_user_model

N, K = 30, 3
CONFIG = SlateQConfig(choice="user-model", hidden=(8,), rank=4, window=3, discount=0.5)


def world_of(model: FittedUserModel, **arguments: Any) -> Any:
    """Users who have clicked up to five items, or none."""
    given = {"user_model": model, "slate_size": K} | arguments
    env = make_vector_env("RecGAN-v0", given, 40, "disabled")
    env.reset(seed=0)
    for _ in range(5):
        observation, *_ = env.step(np.tile(np.arange(K), (40, 1)))
    return env.simulator, simulator_state(env), observation, EnvironmentSpec.of(env)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"history": "lstm", "units": 6},
        {"hidden": (8, 4), "activation": "elu"},
        {"regularizer": "l2"},
        {"no_click": False, "eta": 0.5},
        {"similarity": True},
        {"similarity": True, "history": "lstm", "eta": 0.5, "no_click": False},
    ],
)
def test_it_answers_as_the_environment_does(shape: dict[str, Any], split: str) -> None:
    model = random_user_model(**shape)
    world, state, observation, _ = world_of(model, split=split)
    logits, rewards = world.score(state, np.tile(np.arange(N), (40, 1)))
    user, history = KnownUser.of(model, split), torch.as_tensor(observation)
    answers = user(history)
    np.testing.assert_allclose(answers.logits[:, :N], logits[:, :-1], atol=1e-5)
    np.testing.assert_allclose(answers.rewards[:, :N], rewards[:, :-1], atol=1e-5)
    assert user.none == logits[0, -1]
    paid = user.reward_of(history, torch.as_tensor([-1, 7] * 20))
    np.testing.assert_allclose(paid, np.where(np.arange(40) % 2, rewards[:, 7], 0.0), atol=1e-5)


def test_with_nothing_to_come_slates_are_those_that_pay_most_now() -> None:
    model = random_user_model(n_items=12)
    given = {"user_model": model, "slate_size": 2, "window": 3}
    env = make_vector_env("RecGAN-v0", given, 20, "disabled")
    observation, _ = env.reset(seed=1)
    world, state = env.simulator, simulator_state(env)
    agent = SlateQ(replace(CONFIG, discount=0.0), EnvironmentSpec.of(env), seed=0)
    for part in agent.averaged.value.parameters():
        part.data.zero_()  # what it would have learned: nothing follows
    pairs = np.array(list(combinations(range(12), 2)))
    worth = []
    for pair in pairs:
        logits, rewards = world.score(state, np.tile(pair, (20, 1)))
        chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        spent = (state["history"][:, None, :] == pair[:, None]).any((1, 2))
        worth.append(np.where(spent, -np.inf, (chance * rewards).sum(axis=1)))
    best = pairs[np.argmax(worth, axis=0)]
    np.testing.assert_array_equal(np.sort(agent.act(observation), axis=1), best)


@pytest.mark.parametrize("reward", ["identified", "raw"])
def test_it_learns_what_a_click_adds_to_its_reward(reward: str) -> None:
    """Where the environment pays what the model says, nothing but what comes later is left."""
    model = random_user_model()
    world, state, observation, spec = world_of(model, reward=reward)
    agent = SlateQ(replace(CONFIG, discount=0.0), spec, seed=0)
    _, rewards = world.score(state, np.tile(np.arange(N), (40, 1)))
    item = np.full(40, 20)
    batch = Transitions(
        observation=observation,
        slate=np.tile([20, 21, 22], (40, 1)),
        item=item,
        reward=rewards[:, 20].astype(np.float32),
        terminated=np.zeros(40, np.bool_),
        next_observation=observation,
    )
    losses = [agent.update(batch)["loss"] for _ in range(400)]
    q, _ = agent.network(*(torch.as_tensor(x) for x in (observation, batch.slate, item)))
    gap = (
        rewards[:, 20]
        - agent.network.known.reward_of(torch.as_tensor(observation), torch.as_tensor(item)).numpy()
    )
    assert losses[-1] < 0.05 * losses[0]
    if reward == "identified":
        np.testing.assert_allclose(gap, 0.0, atol=1e-5)
    else:
        assert np.corrcoef(q.detach().numpy(), gap)[0, 1] > 0.9


def test_a_stored_policy_knows_the_user_without_the_environment() -> None:
    model = random_user_model()
    *_, observation, spec = world_of(model)
    agent = SlateQ(CONFIG, spec, seed=0)
    alone = SlateQ(CONFIG, replace(spec, user_model=None, user_members=()), seed=1)
    with pytest.raises(RecGymError, match="no user model of the GAN kind to know"):
        alone.policy()
    alone.load_policy(*agent.policy())
    np.testing.assert_array_equal(alone.act(observation), agent.act(observation))


@pytest.mark.parametrize("pessimism", [None, 0.5])
def test_users_of_an_ensemble_are_those_that_its_members_agree_on(pessimism: float | None) -> None:
    model = random_user_model(bags=3)
    world, state, observation, spec = world_of(model, ensemble=3, pessimism=pessimism)
    slates = np.tile(np.arange(N), (40, 1))
    members, own = world.members, [state] * 3
    if pessimism is not None:
        own = world._states(state)
    scores = [one.score(inner, slates) for one, inner in zip(members, own, strict=True)]
    logits, rewards = (np.stack(parts)[..., :-1] for parts in zip(*scores, strict=True))
    expected = rewards.mean(0) - (pessimism or 0.0) * rewards.std(0)
    user, history = known_user_of(spec), torch.as_tensor(observation)
    assert user is not None
    answers = user(history)
    np.testing.assert_allclose(answers.logits[:, :N], logits.mean(0), atol=1e-5)
    np.testing.assert_allclose(answers.rewards[:, :N], expected, atol=1e-5)
    paid = user.reward_of(history, torch.as_tensor([-1, 7] * 20))
    np.testing.assert_allclose(paid, np.where(np.arange(40) % 2, expected[:, 7], 0.0), atol=1e-5)


def test_pessimism_is_stored_with_a_policy() -> None:
    """Where members differ about an item, it is shown by those who take the mean for true."""
    model = random_user_model(bags=3)
    slates = []
    for pessimism in (0.0, 3.0):
        *_, observation, spec = world_of(model, ensemble=3, pessimism=pessimism)
        agent = SlateQ(CONFIG, spec, seed=0)
        alone = SlateQ(CONFIG, replace(spec, user_model=None, user_members=()), seed=1)
        alone.load_policy(*agent.policy())
        slates.append(alone.act(observation))
        np.testing.assert_array_equal(slates[-1], agent.act(observation))
    assert (slates[0] != slates[1]).any()
