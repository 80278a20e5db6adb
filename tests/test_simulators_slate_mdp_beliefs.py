"""Policies of slates and clicks alone, against trying every slate after every history."""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym.errors import RecGymError
from recgym.simulators.slate_mdp import SlateMDP
from recgym.simulators.slate_mdp_beliefs import BeliefPolicy, after_click
from tests.fixtures.small_slate_mdp import small

KINDS = ("myopic", "qmdp", "delayed")


def answers(
    world: SlateMDP, belief: np.ndarray, slate: tuple[int, ...]
) -> list[tuple[int, float, np.ndarray]]:
    """What a user of a belief may click, with which probability, and the belief after it."""
    found = []
    for item in slate:
        share = belief * world.click_rewards[:, item] ** 2
        share /= world.click_rewards[:, list(slate)].sum(axis=1)
        moved = share @ world.transition_probs[:, item]
        found.append((item, share.sum(), moved / moved.sum()))
    return found


def best_of_clicks(world: SlateMDP, belief: np.ndarray, steps: int) -> float:
    """The most clicks of a policy that sees clicks alone, by trying every slate."""
    if not steps:
        return 0.0
    every = itertools.combinations(range(world.n_items), world.slate_size)
    return max(
        sum(
            chance * (1.0 + best_of_clicks(world, after, steps - 1))
            for _, chance, after in answers(world, belief, slate)
        )
        for slate in every
    )


def worth_of(policy: BeliefPolicy, world: SlateMDP, steps: int) -> float:
    """The clicks of a policy, after every history that can be."""

    def of(clicks: tuple[int, ...], belief: np.ndarray) -> float:
        if len(clicks) == steps:
            return 0.0
        seen = np.array([[world.n_items] * (world.window - len(clicks)) + list(clicks)])
        np.testing.assert_allclose(policy.beliefs(seen)[0], belief, atol=1e-12)
        slate = tuple(policy.act(seen)[0].tolist())
        return sum(
            chance * (1.0 + of((*clicks, item), after))
            for item, chance, after in answers(world, belief, slate)
        )

    return of((), np.eye(world.n_states)[0])


def test_a_belief_by_hand() -> None:
    # item 1 leaves state 0 with probability 1/2. Of items 1 and 2 then, a click on 1 is of weight
    # .09 / 1.3 in state 0 and .01 / .7 in state 1, which it leads to 0; a click on 2 leads to 1
    planner = small()._planner()
    one = after_click(np.eye(1, 2), np.array([[0, 1]]), np.array([1]), planner)
    np.testing.assert_allclose(one, [[0.5, 0.5]])
    two = after_click(np.repeat(one, 2, 0), np.array([[1, 2]] * 2), np.array([1, 2]), planner)
    stays, returns = 0.09 / 1.3, 0.01 / 0.7
    np.testing.assert_allclose(two[0, 1], stays / 2 / (stays + returns))
    np.testing.assert_allclose(two[1], [0.0, 1.0])


def test_slates_by_hand() -> None:
    """Items 1 and 2 bring (.49 + .64) / 1.5 = .75 clicks now, 0 and 1 .5 / .8; 2 ends the rest.

    A click on item 2 leads to state 1, where hardly anything is clicked; on 0 or 1 to state 0,
    where items 0 and 1 bring .625 / (1 - .625) = 1.67 clicks in all.
    """
    world = small(observe="items", window=40)
    world.click_rewards[:] = [[0.1, 0.7, 0.8], [0.01, 0.01, 0.01]]
    world.transition_probs[:] = np.eye(2)[[[0, 0, 1], [1, 1, 1]]]
    nothing = np.full((2, 40), 3)
    nothing[1, -2:] = [1, 0]
    for kind, first in (("myopic", [1, 2]), ("qmdp", [0, 1]), ("delayed", [0, 1])):
        for horizon in (40, None):
            assert sorted(world.belief_policy(kind, 1.0, horizon).act(nothing[:1])[0]) == first
    np.testing.assert_array_equal(
        np.sort(world.belief_policy("delayed").act(nothing)), [[0, 1], [0, 1]]
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_policies_against_trying_every_slate(kind: str, seed: int) -> None:
    """In 2 states and 3 items, and in 5 items; no better than the best of clicks alone."""
    for n_items, steps in ((3, 4), (5, 3)):
        world = SlateMDP(
            2, n_items, 2, horizon=steps, mdp_seed=seed, concentration=0.3, observe="items"
        )
        found = worth_of(world.belief_policy(kind, 1.0, steps), world, steps)
        best = best_of_clicks(world, np.eye(2)[0], steps)
        assert 0.9 * best < found <= best + 1e-9
        assert best <= world.click_bound(1.0, steps) + 1e-9
        if kind == "delayed":
            assert found > 0.98 * best


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_slate_is_the_best_there_is(kind: str) -> None:
    world = SlateMDP(3, 6, 2, horizon=1, mdp_seed=4, observe="items")
    found = worth_of(world.belief_policy(kind, 1.0, 1), world, 1)
    assert found == pytest.approx(world.optimal_policy(0.0).values[0])


@pytest.mark.parametrize("kind", ["qmdp", "delayed"])
def test_where_clicks_tell_the_state_planning_is_the_optimum(kind: str) -> None:
    world = SlateMDP(3, 6, 2, horizon=4, mdp_seed=2, observe="items")
    world.transition_probs[:] = np.eye(3)[np.random.default_rng(0).integers(3, size=(3, 6))]
    found = worth_of(world.belief_policy(kind, 1.0, 4), world, 4)
    assert found == pytest.approx(world.optimal_policy(1.0, 4).values[0, 0])


def test_episodes_earn_what_every_history_says() -> None:
    """Next-step autoreset, with one-hot observations: clicks within 3 standard errors."""
    arguments: dict[str, Any] = {
        "n_states": 3, "n_items": 6, "slate_size": 2, "concentration": 0.1, "horizon": 5,
    }  # fmt: skip
    world = SlateMDP(**arguments, observe="items")
    policy = world.belief_policy("delayed", 1.0, 5)
    expected = worth_of(policy, world, 5)
    env = gymnasium.make_vec("SlateMDP-v0", 4_000, **arguments)
    observation, _ = env.reset(seed=0)
    clicks, alive = np.zeros(4_000), np.ones(4_000, bool)
    for _ in range(5):
        observation, reward, terminated, _, info = env.step(policy.act(observation))
        assert not info["repaired"].any()
        clicks += alive * reward
        alive &= ~terminated
    assert abs(clicks.mean() - expected) < 3 * clicks.std() / np.sqrt(4_000)
    policy.act(observation)  # of episodes that are over, too
    drawn = policy.expected_clicks(4_000)
    assert abs(drawn.mean() - expected) < 3 * drawn.std() / np.sqrt(4_000)
    assert drawn.std() < clicks.std() / 3


def test_coverage_policies_cover_most() -> None:
    """Coverage of whole episodes, above that of the policy of clicks and not above the bound."""
    arguments: dict[str, Any] = {
        "n_states": 4, "n_items": 12, "slate_size": 3, "horizon": 8, "window": 8,
    }  # fmt: skip
    env: Any = gymnasium.make_vec(
        "SlateMDP-v0", 4_000, autoreset_mode="disabled", observe="items", **arguments
    )
    world = env.simulator
    top = np.argsort(-world.click_rewards, axis=1)[:, :3]

    def covered_by(policy: BeliefPolicy) -> float:
        observation, info = env.reset(seed=1)
        covered, shown, alive = 0.0, 0, np.ones(4_000, bool)
        while alive.any():
            slates = policy.act(observation)
            held = (top[info["state"]][:, :, None] == slates[:, None]).any(2).mean(1)
            covered, shown = covered + held[alive].sum(), shown + int(alive.sum())
            observation, _, terminated, truncated, info = env.step(slates)
            alive &= ~(terminated | truncated)
            if (terminated | truncated).any():
                observation, info = env.reset(options={"reset_mask": terminated | truncated})
        return covered / shown

    most, bound = covered_by(world.coverage_policy(3, 8)), world.coverage_bound(3, 8)
    assert covered_by(world.belief_policy("delayed", 1.0, 8)) < most - 0.03
    assert bound - 0.03 < most < bound + 0.01


def test_what_a_belief_policy_cannot_read() -> None:
    world = small(window=2, horizon=2)
    policy = world.belief_policy("myopic")
    with pytest.raises(RecGymError, match="window=1: .* make the world with window=2"):
        policy.act(np.array([[3]]))
    with pytest.raises(RecGymError, match='make the world with observe="items"'):
        policy.act(np.eye(2, dtype=np.float32))
    left_out = int(np.setdiff1d(np.arange(3), policy.act(np.array([[3, 3]]))[0])[0])
    with pytest.raises(RecGymError, match=rf"item {left_out} was clicked after \[\]"):
        policy.act(np.array([[3, left_out]]))
    with pytest.raises(RecGymError, match="kind='best': must be one of myopic, qmdp, delayed"):
        world.belief_policy("best")
