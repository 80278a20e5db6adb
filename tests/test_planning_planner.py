"""The planner: near the exact optimum, right where being greedy is wrong, and the same again."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym.errors import RecGymError
from recgym.planning import Planner, PlannerConfig
from recgym.planning.foresight import Decisions, Foresight, learn
from recgym.planning.outlook import Outlook, continuations, drawn, outcome
from recgym.simulators.base import Noise, Options, State
from recgym.simulators.slate_mdp import SlateMDP

MYOPIC = PlannerConfig(rounds=0, continuations=0)
SMALL = PlannerConfig(rounds=3, episodes=32, continuations=8)


def trap(horizon: int = 8) -> SlateMDP:
    """Items 0 and 1 are clicked most but lead to state 1, where little is; 2 and 3 lead back."""
    world = SlateMDP(2, 4, 2, horizon=horizon, observe="state")
    world.click_rewards[:] = [[0.9, 0.9, 0.8, 0.8], [0.2, 0.2, 0.2, 0.2]]
    world.transition_probs[:] = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    world._reached[:] = world.transition_probs.reshape(-1, 2).cumsum(axis=1)
    return world


def states(world: SlateMDP) -> State:
    """Every hidden state at every step, (horizon * M) rows."""
    steps = np.repeat(np.arange(world.horizon), world.n_states)
    hidden = np.tile(np.arange(world.n_states), world.horizon)
    history = np.full((len(steps), world.window), world.n_items)
    return {"state": hidden, "history": history, "step": steps}


def earned(world: SlateMDP, config: PlannerConfig) -> float:
    """Exact clicks a session of the slates that a planner shows, as a share of the optimum."""
    slates = Planner(world, config).act(states(world))
    by_state = slates.reshape(world.horizon, world.n_states, world.slate_size)
    optimum = world.optimal_policy(1.0, world.horizon).values[0, 0]
    return float(world.policy_value(by_state, 1.0, world.horizon)[0] / optimum)


def test_it_is_near_the_optimum_where_the_greedy_slate_is_a_trap() -> None:
    assert earned(trap(), MYOPIC) < 0.6
    assert earned(trap(), SMALL) > 0.98


def test_it_is_near_the_optimum_of_a_drawn_world() -> None:
    world = SlateMDP(4, 8, 2, horizon=8, concentration=0.01, mdp_seed=1)
    assert earned(world, SMALL) > 0.98


def test_two_steps_by_hand() -> None:
    # now: .9 of a click, then .2; or .8, and then .9
    world = trap(horizon=2)
    start = world.reset(Noise(np.empty((1, 0)), np.empty((1, 0))))
    assert set(Planner(world, MYOPIC).act(start)[0]) == {0, 1}
    assert set(Planner(world, SMALL).act(start)[0]) == {2, 3}
    nothing = Outlook(world, Foresight.none(5, 2.0), np.arange(4))
    after = continuations(nothing, start, np.array([[0, 2]]), 5, 1, np.random.default_rng(0))
    np.testing.assert_allclose(after, [[0.2, 0.9]])


def test_the_same_seed_plans_the_same_and_all_options_meet_the_same_luck() -> None:
    world = gymnasium.make("InterestEvolution-v0", time_budget=20.0).unwrapped.simulator
    config = PlannerConfig(rounds=1, episodes=3, depth=3)
    state = world.reset(drawn(np.random.default_rng(1), 5, world.reset_noise))
    first, again = (Planner(world, config, seed=3).act(state) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    outlook = Outlook(world, Foresight.none(21, 20.0), np.arange(10))
    items = np.full((5, 3), 7)
    after = continuations(outlook, state, items, 4, 2, np.random.default_rng(0))
    np.testing.assert_array_equal(after, after[:, :1] + np.zeros((5, 3)))
    assert len(np.unique(after)) > 1


def test_an_outcome_by_hand() -> None:
    options = Options(
        weights=np.array([[1.0, 2.0, 5.0, 1.0]]),
        rewards=np.array([[4.0, 1.0, 9.0, 0.0]]),
        stays=np.array([[1.0, 0.5, 1.0, 0.0]]),
    )
    items, columns = np.array([[10, 11, 12]]), np.array([[1, 0]])
    for uniform, item in ((0.49, 11), (0.51, 10)):  # who stays took 11 or 10, equally often
        found = outcome(options, items, columns, np.array([[uniform]]))
        assert (found.reward[0], found.stays[0], found.item[0]) == (6.0 / 4.0, 2.0 / 4.0, item)


def test_effects_are_learned_from_differences() -> None:
    generator = np.random.default_rng(0)
    keys = generator.integers(3, size=(4_000, 2))
    remaining = np.full(4_000, 6.0)
    worth = generator.normal(size=(4_000, 1)) + np.array([1.0, 0.0, -1.0])[keys]
    found = learn(Foresight.none(3, 12.0), Decisions(remaining, keys, worth, np.full(4_000, 5.0)))
    np.testing.assert_allclose(found.value(np.array([6.0])), 5.0, atol=0.1)
    after = found.after(np.array([6.0]), np.array([[0, 1, 2]]))[0]
    np.testing.assert_allclose(np.diff(after), [-1.0, -1.0], atol=0.05)


@pytest.mark.parametrize(
    ("world", "arguments"),
    [
        ("RecGAN-v0", {"horizon": 3}),
        ("IRecGAN-v0", {"horizon": 3}),
        ("M3Rec-v0", {"horizon": 3}),
        ("InterestEvolution-v0", {}),
        ("InterestExploration-v0", {"horizon": 5}),
        ("LongTermSatisfaction-v0", {}),
        ("SlateMDP-v0", {}),
    ],
)
def test_what_follows_an_item_is_what_a_step_does(world: str, arguments: dict[str, Any]) -> None:
    simulator: Any = gymnasium.make(world, **arguments).unwrapped.simulator
    generator = np.random.default_rng(0)
    state = simulator.reset(drawn(generator, 300, simulator.reset_noise))
    slates = np.tile(np.arange(simulator.slate_size), (300, 1))
    noise = drawn(generator, 300, simulator.step_noise)
    after, response = simulator.step(state, slates, noise)
    followed = simulator.follow(state, response.item, noise)
    stayed = ~response.terminated
    for name in set(state) - {"response"}:
        np.testing.assert_array_equal(followed[name][stayed], after[name][stayed])
    options = simulator.options(state, slates[:, : simulator.slots_read])
    share = options.weights / options.weights.sum(axis=1, keepdims=True)
    expected = float((share * options.rewards).sum(axis=1).mean())
    error = float(response.reward.std()) / np.sqrt(300)
    assert abs(float(response.reward.mean()) - expected) < 4.0 * error + 1e-6
    assert simulator.remaining(state).shape == (300,)


def test_slates_are_of_distinct_items_also_where_one_slot_is_read() -> None:
    for name in ("LongTermSatisfaction-v0", "RecGAN-v0"):
        world: Any = gymnasium.make(name, horizon=2).unwrapped.simulator
        config = PlannerConfig(rounds=1, episodes=2, options=6, pool=8, depth=2)
        state = world.reset(drawn(np.random.default_rng(0), 6, world.reset_noise))
        slates = Planner(world, config).act(state)
        assert slates.shape == (6, world.slate_size)
        assert all(len(set(slate)) == world.slate_size for slate in slates.tolist())


def test_a_world_that_does_not_tell_is_refused_in_one_line() -> None:
    world = gymnasium.make("RecGAN-v0", ensemble=2).unwrapped.simulator
    with pytest.raises(RecGymError, match="Ensemble: cannot be planned in"):
        Planner(world, MYOPIC)
    with pytest.raises(RecGymError, match="depth=0: must be at least 1"):
        PlannerConfig(depth=0)
