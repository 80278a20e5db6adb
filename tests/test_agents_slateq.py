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
from recgym_agents.algorithms.slateq import SlateQ, SlateQConfig
from recgym_agents.learning.replay_loop import LoopConfig, ReplayLoop
from recgym_agents.networks.choice_slates import Appraisal
from recgym_agents.runs.evaluation import evaluate, make_vector_env
from tests import small_world

SEEN = EnvironmentSpec(n_items=3, slate_size=2, window=2, features=None, ids=False)
CONFIG = SlateQConfig(hidden=(8,), rank=4, embedding=4, discount=0.5)
HERE, THERE = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)
VALUE = {"here": [70.0, 80.0, 90.0], "there": [10.0, 20.0, 40.0]}
NONE_VALUE = {"here": 60.0, "there": 4.0}


class Known(torch.nn.Module):
    """Stands in for the averaged network: values that depend on the state alone."""

    def __init__(self, stands_for: torch.nn.Module) -> None:
        super().__init__()
        self.stands_for = stands_for

    def appraise(self, observation: torch.Tensor) -> Appraisal:
        names = ["here" if row[0] else "there" for row in observation.tolist()]
        weight = torch.tensor([[1.0, 2.0, 1.0, 0.0]] * len(names))
        click = torch.tensor([[1.0, 0.5, 1.0, 0.0]] * len(names))
        value = torch.tensor([[*VALUE[name], 0.0] for name in names])
        none = torch.tensor([NONE_VALUE[name] for name in names])
        return Appraisal(weight, click, value, torch.ones(len(names)), none)


def agent_that_knows(**changes: Any) -> SlateQ:
    agent = SlateQ(replace(CONFIG, **changes), SEEN, seed=0)
    agent.averaged = Known(agent.averaged)  # type: ignore[assignment]
    return agent


def steps(next_slate: list[list[int]] | None, terminated: bool = False) -> Transitions:
    """A click on item 1 for 3 minutes, and a slate without a click."""
    return Transitions(
        observation=np.stack([HERE, HERE]),
        slate=np.array([[0, 1], [0, 1]]),
        item=np.array([1, -1]),
        reward=np.array([3.0, 0.0], np.float32),
        terminated=np.array([False, terminated]),
        next_observation=np.stack([THERE, THERE]),
        next_slate=np.array(next_slate or [], np.int64),
    )


def worth(*items: int) -> float:
    """What a slate is worth in the state "there", by hand."""
    weight, click = [1.0, 2.0, 1.0], [1.0, 0.5, 1.0]
    total = below = 0.0
    for i in items:
        total += weight[i] * (click[i] * VALUE["there"][i] + (1 - click[i]) * NONE_VALUE["there"])
        below += weight[i]
    return (total + NONE_VALUE["there"]) / (below + 1.0)


def test_values_by_hand() -> None:
    assert worth(0, 1) == pytest.approx((10 + 2 * 12 + 4) / 4)
    assert worth(0, 2) == pytest.approx((10 + 40 + 4) / 3)
    assert worth(1, 2) == pytest.approx((24 + 40 + 4) / 4)


def test_what_follows_is_the_best_slate_of_the_next_state() -> None:
    """With the current state in its place, it would be worth at least 60."""
    found = agent_that_knows().next_value(steps([[0, 1], [0, 1]]))
    assert found.tolist() == pytest.approx([worth(0, 2)] * 2)


def test_what_follows_for_sarsa_is_the_slate_that_was_shown() -> None:
    agent = agent_that_knows(target="sarsa")
    found = agent.next_value(steps([[0, 1], [-1, -1]]))
    assert found.tolist() == pytest.approx([worth(0, 1), worth(0, 2)])
    with pytest.raises(RecGymError, match="the slates that followed are not known"):
        agent.next_value(steps(None))


@pytest.mark.parametrize("target", ["q", "sarsa"])
@pytest.mark.parametrize("leaves", [False, True])
def test_only_what_was_chosen_is_updated_with_what_followed(target: str, leaves: bool) -> None:
    agent = agent_that_knows(target=target, target_rate=0.0)
    batch = steps([[0, 1], [1, 2]], terminated=leaves)
    with torch.no_grad():
        observation = torch.as_tensor(batch.observation)
        items = agent.network.features(observation)
        state = agent.network.encode(observation, items)
        values, none = agent.network.value(state, items)
    following = [worth(0, 2)] * 2 if target == "q" else [worth(0, 1), worth(1, 2)]
    y = [3.0 + 0.5 * following[0], 0.0 if leaves else 0.5 * following[1]]
    loss = ((y[0] - values[0, 1].item()) ** 2 + (y[1] - none[1].item()) ** 2) / 2
    assert agent.update(batch)["loss"] == pytest.approx(loss, rel=1e-5)


def clicks(weight: list[float], click: list[float], count: int = 4_000) -> Transitions:
    """What users do who are drawn to an item by its weight, none being last, and may not click."""
    rng = np.random.default_rng(0)
    slate = np.stack([rng.permutation(3)[:2] for _ in range(count)])
    options = np.concatenate([slate, np.full((count, 1), 3)], axis=1)
    shares = np.array(weight)[options].cumsum(axis=1)
    drawn = (shares < shares[:, -1:] * rng.random((count, 1))).sum(axis=1)
    option = options[np.arange(count), drawn]
    item = np.where(rng.random(count) < np.array(click)[option], option, -1)
    state, nothing = np.tile(HERE, (count, 1)), np.zeros(count, np.float32)
    return Transitions(state, slate, item, nothing, np.ones(count, np.bool_), state)


@pytest.mark.parametrize(
    ("choice", "weight", "click"),
    [
        ("logit", [1.0, 2.0, 4.0, 1.0], [1.0, 1.0, 1.0, 0.0]),
        ("hesitation", [0.2, 0.9, 0.5, 0.0], [0.2, 0.9, 0.5, 0.0]),
        ("hesitation", [1.0, 2.0, 4.0, 0.0], [0.6, 0.6, 0.6, 0.0]),
    ],
)
def test_the_choice_is_learned_from_the_slates_shown(
    choice: Any, weight: list[float], click: list[float]
) -> None:
    config = replace(CONFIG, choice=choice, learning_rate=0.02, target_rate=0.05)
    agent, batch = SlateQ(config, SEEN, seed=0), clicks(weight, click)
    for _ in range(250):
        agent.update(batch)
    found = agent.averaged.appraise(torch.as_tensor(HERE[None]))
    for shown in ([0, 1], [0, 2], [1, 2]):
        total = found.weight[0, shown].sum() + found.none_weight
        chance = (found.weight * found.click)[0, shown] / total
        exact = np.array(weight)[shown] * np.array(click)[shown]
        exact /= np.array(weight)[[*shown, 3]].sum()
        np.testing.assert_allclose(chance.numpy(), exact, atol=0.04)


def test_with_a_logit_an_attracted_user_always_clicks() -> None:
    agent = SlateQ(replace(CONFIG, choice="logit"), SEEN, seed=0)
    found = agent.averaged.appraise(torch.as_tensor(HERE[None]))
    assert (found.click == 1.0).all()
    assert found.none_weight.item() > 0.0


def test_what_follows_no_click_may_have_no_value() -> None:
    agent = SlateQ(replace(CONFIG, no_click="worthless"), SEEN, seed=0)
    assert agent.averaged.appraise(torch.as_tensor(HERE[None])).none_value.tolist() == [0.0]
    batch = steps(None)._replace(item=np.array([-1, -1]), reward=np.zeros(2, np.float32))
    agent.update(batch)
    assert agent.network.value.context[-1].weight.grad.abs().max() == 0.0  # type: ignore[union-attr]


def test_the_averaged_network_moves_towards_the_network() -> None:
    agent = SlateQ(replace(CONFIG, target_rate=0.25), SEEN, seed=0)
    before = [p.clone() for p in agent.averaged.parameters()]
    agent.update(steps(None, terminated=True))
    moved = False
    for old, new, current in zip(
        before, agent.averaged.parameters(), agent.network.parameters(), strict=True
    ):
        torch.testing.assert_close(new, old + 0.25 * (current - old))
        moved |= not torch.equal(old, new)
    assert moved


def test_each_slot_explores_on_its_own() -> None:
    world = EnvironmentSpec(n_items=7, slate_size=3, window=2, features=None)
    agent = SlateQ(CONFIG, world, seed=0)
    observation = np.full((4_000, 2), 7)
    best = agent.act(observation[:1])[0]
    slate = agent.act(observation, explore=0.5)
    assert all(len(set(row)) == 3 for row in slate[:100].tolist())
    # A random item is one of the best three in 3 of 7 cases, and then the slot stays as it is.
    assert (slate[:, 0] != best[0]).mean() == pytest.approx(0.5 * 4 / 7, abs=0.05)


@pytest.mark.parametrize(
    "setting",
    [{"rank": 0}, {"discount": 1.1}, {"target_rate": -0.1}, {"learning_rate": 0.0}],
)
def test_settings_have_ranges(setting: dict[str, Any]) -> None:
    ((name, value),) = setting.items()
    with pytest.raises(RecGymError, match=f"{name}={value}: must be"):
        replace(CONFIG, **setting)
    with pytest.raises(RecGymError, match=r"hidden=\(\): must be one or more sizes"):
        replace(CONFIG, hidden=())


def test_it_nears_the_optimum_of_a_world_in_which_the_best_click_now_is_a_mistake() -> None:
    discount = 0.9
    env = SlateVectorEnv("tests.small_world:SmallWorld", 64, autoreset_mode="disabled")
    config = SlateQConfig(discount=discount, remove_clicked=False)
    agent = SlateQ(config, EnvironmentSpec.of(env), seed=0)
    loop = ReplayLoop(agent, env, LoopConfig(), 9_600, np.random.default_rng(0), 0)
    while loop.steps_done < loop.steps:
        loop.iterate()
    optimum = small_world.policy_value(small_world.optimal_slates(discount), discount)
    assert small_world.policy_value(agent.act(small_world.HISTORIES), discount) >= 0.95 * optimum


@pytest.mark.parametrize("target", ["q", "sarsa"])
def test_with_the_state_seen_it_nears_the_slate_mdps_exact_optimum(target: str) -> None:
    world = {"n_states": 3, "n_items": 8, "slate_size": 2, "concentration": 0.1, "horizon": 20}
    env = make_vector_env("SlateMDP-v0", {**world, "observe": "state"}, 64, "disabled")
    config = SlateQConfig(target=target)  # type: ignore[arg-type]
    agent = SlateQ(config, EnvironmentSpec.of(env), seed=0)
    schedule = LoopConfig(batch_size=128)
    loop = ReplayLoop(agent, env, schedule, 12_800, np.random.default_rng(0), 0)
    while loop.steps_done < loop.steps:
        loop.iterate()
    simulator = env.simulator
    assert isinstance(simulator, SlateMDP)
    optimum = simulator.optimal_policy(gamma=1.0, horizon=20).values[0, 0]
    fixed = simulator.best_fixed_slate(gamma=1.0, horizon=20).values[0]
    slates = agent.act(np.eye(3, dtype=np.float32))
    assert fixed < 0.75 * optimum
    assert simulator.policy_value(slates, gamma=1.0, horizon=20)[0] > 0.95 * optimum


@pytest.mark.parametrize(("beliefs", "reaches"), [(0, False), (8, True)])
def test_where_the_state_is_hidden_a_belief_tells_what_the_last_clicks_do_not(
    beliefs: int, reaches: bool
) -> None:
    world = {"n_states": 3, "n_items": 8, "slate_size": 2, "concentration": 0.01, "horizon": 20}
    world |= {"window": 20}
    env = make_vector_env("SlateMDP-v0", world, 64, "disabled")
    config = SlateQConfig(beliefs=beliefs, window=20, remove_clicked=False)
    agent = SlateQ(config, EnvironmentSpec.of(env), seed=0)
    schedule = LoopConfig(batch_size=128)
    loop = ReplayLoop(agent, env, schedule, 12_800, np.random.default_rng(0), 0)
    while loop.steps_done < loop.steps:
        loop.iterate()
    simulator = env.simulator
    assert isinstance(simulator, SlateMDP)
    belief = simulator.belief_policy(horizon=20).expected_clicks(300).mean()
    earned = evaluate(agent, "SlateMDP-v0", world, 1_000, seed=1).session_reward.mean()
    assert (earned > 0.95 * belief) == reaches
