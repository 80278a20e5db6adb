from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recgym.envs import SlateVectorEnv
from recgym.errors import RecGymError
from recgym.simulators.slate_mdp import SlateMDP
from recgym_agents.agent import EnvironmentSpec, Transitions
from recgym_agents.algorithms.cascading_dqn import QNetwork, SlateDQN, SlateDQNConfig
from recgym_agents.learning.replay_loop import LoopConfig, ReplayLoop
from recgym_agents.runs.evaluation import make_vector_env
from tests import small_world

WORLD = EnvironmentSpec(n_items=7, slate_size=3, window=2, features=None)
CONFIG = SlateDQNConfig(
    hidden=(8,), weights=2, embedding=4, discount=0.5, target_period=3, target_rate=0.5
)
HEADS = ["shared", "cascade", "additive"]


def batch(rows: int = 6) -> Transitions:
    rng = np.random.default_rng(0)
    return Transitions(
        observation=rng.integers(0, 8, (rows, 2)),
        slate=np.stack([rng.permutation(7)[:3] for _ in range(rows)]),
        item=np.array([3, -1] * (rows // 2)),
        reward=rng.normal(size=rows).astype(np.float32),
        terminated=np.arange(rows) == 0,
        next_observation=rng.integers(0, 8, (rows, 2)),
    )


def trained(config: SlateDQNConfig, updates: int) -> SlateDQN:
    """An agent after some updates, so that its network and its target network differ."""
    agent = SlateDQN(config, WORLD, seed=0)
    for _ in range(updates):
        agent.update(batch())
    return agent


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("reward", ["environment", "click"])
def test_an_update_fits_equation_11(head: str, double: bool, reward: str) -> None:
    config = replace(CONFIG, head=head, double=double, reward=reward)  # type: ignore[arg-type]
    agent = trained(config, updates=4)
    data = batch()
    observation, slate, after = (
        torch.as_tensor(ids) for ids in (data.observation, data.slate, data.next_observation)
    )
    with torch.no_grad():
        chooser = agent.network if double else agent.target
        value = agent.target(after, agent.greedy(chooser, after))[:, -1].numpy()
        q = agent.network(observation, slate).numpy()
    gained = data.reward if reward == "environment" else np.where(data.item >= 0, 1.0, -1.0)
    y = gained + np.where(data.terminated, 0.0, 0.5) * value
    loss = ((y[:, None] - q) ** 2).sum(axis=1).mean()
    assert agent.update(data)["loss"] == pytest.approx(float(loss), rel=1e-5)


def test_the_double_estimator_chooses_with_one_network_and_values_with_the_other() -> None:
    data = batch(60)
    config = replace(CONFIG, learning_rate=0.1)
    agents = [trained(replace(config, double=double), updates=0) for double in (False, True)]
    for agent in agents:
        agent.set_state(*trained(config, updates=5).state())
    after = torch.as_tensor(data.next_observation)
    own, targets = (agents[1].greedy(net, after) for net in (agents[1].network, agents[1].target))
    assert not torch.equal(own, targets)
    for agent, chosen in zip(agents, (targets, own), strict=True):
        observation, slate = torch.as_tensor(data.observation), torch.as_tensor(data.slate)
        with torch.no_grad():
            value = agent.target(after, chosen)[:, -1].numpy()
            q = agent.network(observation, slate).numpy()
        y = data.reward + np.where(data.terminated, 0.0, 0.5) * value
        loss = ((y[:, None] - q) ** 2).sum(axis=1).mean()
        assert agent.update(data)["loss"] == pytest.approx(float(loss), rel=1e-5)


@pytest.mark.parametrize(
    "setting",
    [
        {"hidden": (8, 0)},
        {"rank": 0},
        {"target_rate": 1.5},
        {"slowing": -1},
        {"window": 0},
        {"weights": 0},
        {"embedding": -1},
        {"target_period": 0},
        {"discount": 1.1},
        {"learning_rate": 0.0},
        {"learning_rate": float("inf")},
    ],
)
def test_settings_have_ranges(setting: dict[str, Any]) -> None:
    ((name, value),) = setting.items()
    value = value[-1] if isinstance(value, tuple) else value
    with pytest.raises(RecGymError, match=f"{name}={value}: must be"):
        replace(CONFIG, **setting)


@pytest.mark.parametrize(("head", "hidden"), [("cascade", (8, 8)), ("shared", ())])
def test_the_papers_heads_have_one_hidden_layer(head: str, hidden: tuple[int, ...]) -> None:
    with pytest.raises(RecGymError, match=r"hidden=.*: must be one or more sizes"):
        replace(CONFIG, head=head, hidden=hidden)  # type: ignore[arg-type]


def test_the_target_network_moves_towards_the_network_every_period() -> None:
    agent = SlateDQN(CONFIG, WORLD, seed=0)
    initial = agent.target.head.slot.clone()  # type: ignore[operator]
    for _ in range(2):
        agent.update(batch())
    assert torch.equal(agent.target.head.slot, initial)  # type: ignore[arg-type]
    agent.update(batch())
    half = (initial + agent.network.head.slot) / 2
    torch.testing.assert_close(agent.target.head.slot, half)


@pytest.mark.parametrize("acts_by", ["network", "target"])
def test_slates_are_chosen_by_one_of_the_two_networks(acts_by: str) -> None:
    config = replace(CONFIG, acts_by=acts_by, learning_rate=0.1)  # type: ignore[arg-type]
    agent = trained(config, updates=5)
    observation = batch(60).observation
    slates = {
        name: agent.greedy(network, torch.as_tensor(observation)).numpy()
        for name, network in (("network", agent.network), ("target", agent.target))
    }
    assert (slates["network"] != slates["target"]).any()
    np.testing.assert_array_equal(agent.act(observation), slates[acts_by])
    fresh = SlateDQN(config, WORLD, seed=1)
    fresh.load_policy(*agent.policy())
    np.testing.assert_array_equal(fresh.act(observation), slates[acts_by])


def test_the_step_size_slows_with_the_updates() -> None:
    agent = trained(replace(CONFIG, learning_rate=0.01, slowing=2), updates=4)
    assert agent.optimizer.param_groups[0]["lr"] == pytest.approx(0.01 / (1 + 3 / 2))
    constant = trained(replace(CONFIG, learning_rate=0.01, slowing=0), updates=4)
    assert constant.optimizer.param_groups[0]["lr"] == 0.01


def test_the_target_network_is_copied_every_period() -> None:
    agent = SlateDQN(replace(CONFIG, target_rate=1.0), WORLD, seed=0)
    same = []
    for _ in range(6):
        agent.update(batch())
        pairs = zip(agent.network.parameters(), agent.target.parameters(), strict=True)
        same.append(all(torch.equal(a, b) for a, b in pairs))
    assert same == [False, False, True, False, False, True]


def test_greedy_slates_follow_the_network_after_each_update() -> None:
    agent = SlateDQN(replace(CONFIG, learning_rate=0.1), WORLD, seed=0)
    observation = batch(60).observation
    agent.act(observation)
    agent.update(batch())
    fresh = SlateDQN(CONFIG, WORLD, seed=1)
    fresh.load_policy(*agent.policy())
    np.testing.assert_array_equal(agent.act(observation), fresh.act(observation))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("explore", [0.0, 0.3, 1.0])
def test_slates_hold_distinct_items_that_were_not_clicked(head: str, explore: float) -> None:
    agent = SlateDQN(replace(CONFIG, head=head), WORLD, seed=0)  # type: ignore[arg-type]
    observation = np.random.default_rng(0).integers(0, 8, (200, 2))
    slate = agent.act(observation, explore)
    assert slate.dtype == np.int64
    assert all(len(set(row)) == 3 for row in slate.tolist())
    assert not (slate[:, :, None] == observation[:, None, :]).any()
    assert slate.min() >= 0
    assert slate.max() < 7


def test_each_slot_explores_on_its_own() -> None:
    agent = SlateDQN(CONFIG, WORLD, seed=0)
    observation = np.full((4000, 2), 7)
    greedy = agent.act(observation[:1])[0]
    first_differs = (agent.act(observation, explore=0.5)[:, 0] != greedy[0]).mean()
    # Half of the first slots are random, and one in seven of those is the greedy item.
    assert first_differs == pytest.approx(0.5 * 6 / 7, abs=0.04)


def test_clicked_items_may_stay_candidates() -> None:
    agent = SlateDQN(replace(CONFIG, remove_clicked=False), WORLD, seed=0)
    observation = np.tile(np.arange(7), (2, 1)).T
    slate = agent.act(observation)
    assert (slate[:, :, None] == observation[:, None, :]).any()


def test_too_few_items_for_a_slate_without_the_clicked_ones() -> None:
    with pytest.raises(RecGymError, match="4 items are too few"):
        SlateDQN(CONFIG, replace(WORLD, n_items=4), seed=0)


def test_the_environments_features_stay_as_they_are() -> None:
    features = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    agent = SlateDQN(CONFIG, replace(WORLD, features=features), seed=0)
    agent.update(batch())
    np.testing.assert_array_equal(agent.network.items.table.detach().numpy(), features)


DISCOUNT = 0.9
OPTIMUM = small_world.policy_value(small_world.optimal_slates(DISCOUNT), DISCOUNT)


def test_the_exact_greedy_policy_is_far_from_the_optimum() -> None:
    myopic = small_world.policy_value(small_world.myopic_slates(), DISCOUNT)
    assert myopic <= 0.7 * OPTIMUM


@pytest.mark.parametrize("seed", range(2))
def test_cascading_dqn_comes_within_5_percent_of_the_optimum(seed: int) -> None:
    env = SlateVectorEnv("tests.small_world:SmallWorld", 64, autoreset_mode="disabled")
    config = SlateDQNConfig(discount=DISCOUNT, remove_clicked=False)
    agent = SlateDQN(config, EnvironmentSpec.of(env), seed)
    schedule = LoopConfig(num_envs=64, batch_size=128)
    loop = ReplayLoop(agent, env, schedule, 9600, np.random.default_rng(seed), seed)
    while loop.steps_done < loop.steps:
        loop.iterate()
    value = small_world.policy_value(agent.act(small_world.HISTORIES), DISCOUNT)
    assert value >= 0.95 * OPTIMUM


def test_an_observation_of_numbers_is_the_state_and_may_begin_with_the_candidates() -> None:
    world = EnvironmentSpec(2, 1, window=7, features=None, ids=False, candidate_features=2)
    network = QNetwork(CONFIG, world, torch.Generator())
    observation = torch.arange(7.0)[None]
    features = network.features(observation)
    assert features.tolist() == [[[0.0, 1.0], [2.0, 3.0], [0.0, 0.0]]]
    assert network.encode(observation, torch.empty(0)).tolist() == [[4.0, 5.0, 6.0]]
    slate = torch.tensor([[1]])
    expected = network.head(torch.tensor([[4.0, 5.0, 6.0]]), slate, features)
    assert network(observation, slate).tolist() == expected.tolist()


def test_with_the_state_seen_it_nears_the_slate_mdps_exact_optimum() -> None:
    world = {"n_states": 3, "n_items": 8, "slate_size": 2, "concentration": 0.1, "horizon": 20}
    env = make_vector_env("SlateMDP-v0", {**world, "observe": "state"}, 64, "disabled")
    agent = SlateDQN(SlateDQNConfig(discount=0.95), EnvironmentSpec.of(env), 0)
    schedule = LoopConfig(num_envs=64, batch_size=128)
    loop = ReplayLoop(agent, env, schedule, 19_200, np.random.default_rng(0), 0)
    while loop.steps_done < loop.steps:
        loop.iterate()
    simulator = env.simulator
    assert isinstance(simulator, SlateMDP)
    optimum = simulator.optimal_policy(gamma=1.0, horizon=20).values[0, 0]
    fixed = simulator.best_fixed_slate(gamma=1.0, horizon=20).values[0]
    slates = agent.act(np.eye(3, dtype=np.float32))
    assert fixed < 0.75 * optimum
    assert simulator.policy_value(slates, gamma=1.0, horizon=20)[0] > 0.95 * optimum
