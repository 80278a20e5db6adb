"""The slate MDP: one step by hand, and planning against solvers that know nothing of ours."""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recgym  # noqa: F401
from recgym.errors import RecGymError
from recgym.simulators import Noise, slate_mdp_planning
from recgym.simulators.slate_mdp import SlateMDP
from tests.fixtures.small_slate_mdp import small


@pytest.mark.parametrize(
    ("uniform", "click", "item", "state"),
    [
        ([0.39, 0.29, 0.4], -1, -1, 0),  # of rewards .2 and .3, the first up to .4; .29 > .2: no
        ([0.39, 0.19, 0.4], 0, 0, 0),
        ([0.41, 0.29, 0.4], 1, 1, 0),  # item 1 stays in state 0 with probability 1/2
        ([0.41, 0.29, 0.6], 1, 1, 1),
        ([0.41, 0.30, 0.6], -1, -1, 0),
    ],
)
def test_a_step_by_hand(uniform: list[float], click: int, item: int, state: int) -> None:
    world = small(window=2)
    nothing = Noise(np.empty((1, 0)), np.empty((1, 0)))
    before = world.reset(nothing)
    assert world.observe(before).tolist() == [[0.0] * 6]
    after, response = world.step(before, np.array([[0, 1]]), Noise(np.array([uniform]), nothing[1]))
    assert (response.click[0], response.item[0], after["state"][0]) == (click, item, state)
    assert response.reward.tolist() == [float(click >= 0)]
    assert response.terminated.tolist() == [click < 0]
    assert after["history"].tolist() == [[3, item] if click >= 0 else [3, 3]]


def test_what_each_view_shows() -> None:
    state = {
        "state": np.array([1]),
        "history": np.array([[3, 2]]),
        "step": np.array([1]),
    }
    assert small(window=2).observe(state).tolist() == [[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]
    assert small(window=2, observe="items").observe(state).tolist() == [[3, 2]]
    assert small(window=2, observe="state").observe(state).tolist() == [[0.0, 1.0]]


def test_values_by_hand() -> None:
    # always items 0 and 1: in state 0 a click has (.04 + .09) / .5 = .26, in state 1 .26 / .6
    world, slates = small(), np.array([[0, 1], [0, 1]])
    np.testing.assert_allclose(world.policy_value(slates, 0.9, horizon=1), [0.26, 0.26 / 0.6])
    # one more step: .08 and .18 lead to states (1, 0) and (1/2, 1/2); .25 / .6, .01 / .6 likewise
    second = [
        0.26 + 0.9 * (0.08 * 0.26 + 0.18 * (0.26 + 0.26 / 0.6) / 2),
        0.26 / 0.6 + 0.9 * (0.25 / 0.6 * (0.25 * 0.26 + 0.75 * 0.26 / 0.6) + 0.01 / 0.6 * 0.26),
    ]
    np.testing.assert_allclose(world.policy_value([0, 1], 0.9, horizon=2), second)


def by_trying_all(world: SlateMDP, gamma: float, steps: int) -> np.ndarray:
    """Value iteration in which every slate is tried in every state; nothing is planned."""
    values = np.zeros(world.n_states)
    for _ in range(steps):
        best = np.zeros(world.n_states)
        for state, slate in itertools.product(
            range(world.n_states),
            itertools.combinations(range(world.n_items), world.slate_size),
        ):
            rewards = world.click_rewards[state, list(slate)]
            worth = 0.0
            for item, reward in zip(slate, rewards, strict=True):
                follows = world.transition_probs[state, item] @ values
                worth += reward / rewards.sum() * reward * (1.0 + gamma * follows)
            best[state] = max(best[state], worth)
        values = best
    return values


@pytest.mark.parametrize("concentration", [None, 0.05])
@pytest.mark.parametrize("seed", [11, 12])
def test_the_optimum_is_that_of_trying_every_slate(seed: int, concentration: float | None) -> None:
    world = SlateMDP(3, 6, 2, mdp_seed=seed, concentration=concentration)
    plan = world.optimal_policy(0.8)
    np.testing.assert_allclose(plan.values, by_trying_all(world, 0.8, 150), atol=1e-9)
    np.testing.assert_allclose(world.policy_value(plan.slates, 0.8), plan.values, atol=1e-12)
    finite = world.optimal_policy(1.0, horizon=4)
    np.testing.assert_allclose(finite.values[0], by_trying_all(world, 1.0, 4), atol=1e-12)
    np.testing.assert_allclose(finite.values[3], by_trying_all(world, 1.0, 1), atol=1e-12)
    value = world.policy_value(finite.slates, 1.0, horizon=4)
    np.testing.assert_allclose(value, finite.values[0], atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([None, 0.1]), st.floats(0.0, 0.99))
def test_no_slate_is_worth_more_than_the_optimum(
    seed: int, concentration: float | None, gamma: float
) -> None:
    world = SlateMDP(4, 12, 3, mdp_seed=seed, concentration=concentration)
    best = world.optimal_policy(gamma).values
    generator = np.random.default_rng(seed)
    for _ in range(5):
        slates = np.stack([generator.permutation(12)[:3] for _ in range(4)])
        assert (world.policy_value(slates, gamma) <= best + 1e-9).all()
    fixed = world.best_fixed_slate(gamma)
    assert fixed.values[0] <= best[0] + 1e-9


def test_the_best_fixed_slate_is_found_by_exchanges(monkeypatch: pytest.MonkeyPatch) -> None:
    world = SlateMDP(3, 9, 3, mdp_seed=5, concentration=0.1)
    exhaustive = world.best_fixed_slate(0.9)
    by_hand = max(
        world.policy_value(slate, 0.9)[0] for slate in itertools.combinations(range(9), 3)
    )
    assert exhaustive.values[0] == pytest.approx(by_hand)
    monkeypatch.setattr(slate_mdp_planning, "EXHAUSTIVE", 0)
    exchanged = world.best_fixed_slate(0.9)
    assert exchanged.values[0] == pytest.approx(exhaustive.values[0])
    assert sorted(exchanged.slates) == sorted(exhaustive.slates)


@pytest.mark.parametrize("horizon", [1, 5, None])
def test_the_best_start_and_fixed_slate_are_those_of_trying_all(
    horizon: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = SlateMDP(3, 7, 2, mdp_seed=5, concentration=0.1)
    every = list(itertools.combinations(range(7), 2))
    best = np.full(3, -np.inf)
    for fixed in every:
        left = None if horizon is None else horizon - 1
        later = np.zeros(3) if left == 0 else world.policy_value(fixed, 0.9, left)
        for first in every:
            rewards = world.click_rewards[:, list(first)]
            worth = rewards * (1.0 + 0.9 * world.transition_probs[:, list(first)] @ later)
            values = (rewards * worth).sum(axis=1) / rewards.sum(axis=1)
            best = max(best, values, key=lambda of: of[0])
    plan = world.best_start_and_fixed_slate(0.9, horizon)
    np.testing.assert_allclose(plan.values, best)
    if horizon == 5:
        shown = np.stack([np.tile(slate, (3, 1)) for slate in plan.slates[[0, 1, 1, 1, 1]]])
        np.testing.assert_allclose(world.policy_value(shown, 0.9, 5), best)
    monkeypatch.setattr(slate_mdp_planning, "EXHAUSTIVE", 0)
    exchanged = world.best_start_and_fixed_slate(0.9, horizon)
    assert exchanged.values[0] == pytest.approx(best[0])


def test_episodes_earn_what_they_are_worth() -> None:
    """Discounted clicks of 20,000 episodes under the optimal policy, within 3 standard errors."""
    env: Any = gymnasium.make_vec(
        "SlateMDP-v0", 20_000, n_states=3, n_items=8, slate_size=3, concentration=0.1, horizon=12,
        observe="state", autoreset_mode="disabled",
    )  # fmt: skip
    plan = env.simulator.optimal_policy(0.9, horizon=12)
    observation, _ = env.reset(seed=0)
    earned, alive = np.zeros(20_000), np.ones(20_000, bool)
    for step in range(12):
        slate = plan.slates[step][observation.argmax(axis=1)]
        observation, reward, terminated, _, _ = env.step(slate)
        earned += alive * 0.9**step * reward
        alive &= ~terminated
        if terminated.any() and step < 11:  # what these rows go on with does not count
            observation, _ = env.reset(options={"reset_mask": terminated})
    error = earned.std() / np.sqrt(len(earned))
    assert abs(earned.mean() - plan.values[0, 0]) < 3 * error


def test_the_seed_fixes_the_world() -> None:
    one, same, other = SlateMDP(mdp_seed=3), SlateMDP(mdp_seed=3), SlateMDP(mdp_seed=4)
    np.testing.assert_array_equal(one.click_rewards, same.click_rewards)
    np.testing.assert_array_equal(one.transition_probs, same.transition_probs)
    assert (one.click_rewards != other.click_rewards).all()
    assert one.transition_probs.shape == (10, 50, 10)
    np.testing.assert_allclose(one.transition_probs.sum(axis=2), 1.0)
    # softmaxes of uniforms: no next state is more than e times as likely as another
    assert (one.transition_probs.max(axis=2) / one.transition_probs.min(axis=2)).max() < np.e
    moved = SlateMDP(concentration=0.05).transition_probs.max(axis=2)
    assert moved.mean() > 0.7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_states": 0}, "n_states=0"),
        ({"slate_size": 51}, r"slate_size=51: must be a whole number in 1\.\.50"),
        ({"concentration": 0.0}, "must be None or a positive number"),
        ({"observe": "users"}, "must be one of features, items, state"),
        ({"mdp_seed": -1}, "mdp_seed=-1"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecGymError, match=message):
        SlateMDP(**arguments)


def test_bad_plans() -> None:
    world = small()
    with pytest.raises(RecGymError, match="gamma=1.1"):
        world.optimal_policy(1.1)
    with pytest.raises(RecGymError, match="horizon=0"):
        world.policy_value([0, 1], 0.9, horizon=0)
    with pytest.raises(RecGymError, match="horizon=0"):
        world.best_start_and_fixed_slate(0.9, horizon=0)
    with pytest.raises(RecGymError, match=r"slates of shape \(3, 2\): must be \(2, 2\)"):
        world.policy_value(np.zeros((3, 2), int), 0.9)
