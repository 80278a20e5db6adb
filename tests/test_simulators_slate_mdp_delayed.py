"""Bounds of policies that see clicks alone, against trying every slate and every history."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym.simulators.slate_mdp import SlateMDP
from recgym.simulators.slate_mdp_delayed import coverage
from tests.fixtures.small_slate_mdp import small


def delayed_by_trying_all(
    world: SlateMDP, steps: int, click: float, shown: np.ndarray, gamma: float = 1.0
) -> float:
    """The best of a policy that is told the last state, paid by click and by what it shows."""
    slates = list(itertools.combinations(range(world.n_items), world.slate_size))

    @cache
    def value(known: tuple[int, int] | None, left: int) -> float:
        if not left:
            return 0.0
        belief = np.eye(world.n_states)[0] if known is None else world.transition_probs[known]
        best = -np.inf
        for slate in slates:
            worth = 0.0
            for state, share in enumerate(belief):
                rewards = world.click_rewards[state, list(slate)]
                worth += share * shown[state, list(slate)].sum()
                for item, reward in zip(slate, rewards, strict=True):
                    later = click + gamma * value((state, item), left - 1)
                    worth += share * reward**2 / rewards.sum() * later
            best = max(best, worth)
        return best

    return value(None, steps)


def test_the_bound_by_hand() -> None:
    # clicks of one slate: in state 0 .04 / .5 + .09 / .5 = .26 of items 0 and 1, 1.04 / 1.2 of 0
    # and 2, 1.09 / 1.3 of 1 and 2; in state 1 .26 / .6, .61 / 1.1 and .37 / .7
    world = small()
    of = [{"01": 0.26, "02": 1.04 / 1.2, "12": 1.09 / 1.3}]
    of += [{"01": 0.26 / 0.6, "02": 0.61 / 1.1, "12": 0.37 / 0.7}]
    assert world.click_bound(0.9, 1) == pytest.approx(of[0]["02"])
    evenly = max((of[0][slate] + of[1][slate]) / 2 for slate in of[0])
    after = {0: of[0]["02"], 1: evenly, 2: of[1]["02"]}  # by the item clicked in state 0
    two = max(
        0.04 / 0.5 * (1 + 0.9 * after[0]) + 0.09 / 0.5 * (1 + 0.9 * after[1]),
        0.04 / 1.2 * (1 + 0.9 * after[0]) + 1.0 / 1.2 * (1 + 0.9 * after[2]),
        0.09 / 1.3 * (1 + 0.9 * after[1]) + 1.0 / 1.3 * (1 + 0.9 * after[2]),
    )
    assert world.click_bound(0.9, 2) == pytest.approx(two)


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_is_that_of_trying_every_slate(seed: int) -> None:
    world = SlateMDP(2, 5, 2, mdp_seed=seed, concentration=0.3)
    nothing = np.zeros((2, 5))
    by_hand = delayed_by_trying_all(world, 4, 1.0, nothing, 0.9)
    assert world.click_bound(0.9, 4) == pytest.approx(by_hand, rel=1e-9)
    assert world.click_bound(0.9) == pytest.approx(world.click_bound(0.9, 200), rel=1e-8)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_coverage_bound_is_that_of_trying_every_slate(seed: int, rank: int) -> None:
    """At the highest ratio of coverage to slates, the best of their difference is worth nothing."""
    world = SlateMDP(2, 5, 2, mdp_seed=seed)
    bound, shares = world.coverage_bound(rank, 4), coverage(world._planner(), rank)
    assert 0.5 < bound <= 1.0
    difference = delayed_by_trying_all(world, 4, 0.0, shares - bound / 2)
    assert difference == pytest.approx(0.0, abs=1e-8)
    assert world.coverage_bound(rank) == pytest.approx(world.coverage_bound(rank, 60), rel=1e-6)


def test_what_is_covered() -> None:
    expected = [[0.0, 0.5, 0.5], [0.5, 0.0, 0.5]]  # of rewards .2, .3, 1 and .5, .1, .6
    np.testing.assert_array_equal(coverage(small()._planner(), 2), expected)


def test_where_a_click_tells_the_state_the_bound_is_the_optimum() -> None:
    world = SlateMDP(3, 8, 3, mdp_seed=2)
    following = np.random.default_rng(0).integers(3, size=(3, 8))
    world.transition_probs[:] = np.eye(3)[following]
    assert world.click_bound(1.0, 6) == pytest.approx(world.optimal_policy(1.0, 6).values[0, 0])
    assert world.click_bound(0.8) == pytest.approx(world.optimal_policy(0.8).values[0])


@pytest.mark.parametrize("concentration", [None, 0.1])
def test_yardsticks_are_in_order(concentration: float | None) -> None:
    world = SlateMDP(4, 12, 3, mdp_seed=1, concentration=concentration)
    fixed = world.best_fixed_slate(1.0, 10).values[0]
    started = world.best_start_and_fixed_slate(1.0, 10).values[0]
    bound, optimum = world.click_bound(1.0, 10), world.optimal_policy(1.0, 10).values[0, 0]
    assert fixed < started < bound < optimum


def test_bad_bounds() -> None:
    with pytest.raises(RecGymError, match="gamma=2"):
        small().click_bound(2.0)
    with pytest.raises(RecGymError, match="horizon=0"):
        small().click_bound(1.0, 0)
    with pytest.raises(RecGymError, match=r"rank=4: must be a whole number in 1\.\.3"):
        small().coverage_bound(4)
