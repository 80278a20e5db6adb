"""Planning for a user whose state is seen one step late: what no policy of clicks alone exceeds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recgym.arrays import Array
from recgym.simulators.slate_exchange import Terms, exchange, expected, search
from recgym.simulators.slate_mdp_planning import TOLERANCE, SlatePlanner, check_plan


class Aim(NamedTuple):
    """What a policy is paid for."""

    click: float
    """For a click."""
    shown: Array
    """For showing an item to a user in a state, (M, N)."""


class DelayedPlan(NamedTuple):
    """Slates of a policy that sees, after a click, the state in which it was made."""

    slates: Array
    """Item ids (T, M * N + 1, K), by slates shown before, then by the last clicked item and the
    state in which it was clicked, M * N, and for the start. T is 1 when endless."""
    following: Array
    """What is to come after a click on an item in a state, (T, M, N), by slates shown before."""
    value: float
    """What is to come at the start of an episode, in state 0."""


class DelayedPlanner:
    """Plans for a policy that sees the state one step late.

    After a click on item i in state s such a policy knows of the next state only P(s' | s, i). It
    knows all that a policy of slates and clicks knows, and more, so none of those is worth more
    than the best of these. That one is found by value iteration over the M * N pairs (s, i) and the
    start; each slate by ``exchange``, so that what is found may fall short of the best.

    Args:
        planner: the world.
        aim: what is paid for.
        gamma: discount.
    """

    def __init__(self, planner: SlatePlanner, aim: Aim, gamma: float) -> None:
        self.world, self.aim, self.gamma = planner, aim, gamma
        start = np.eye(1, planner.n_states)
        transitions = planner.transition_probs.reshape(-1, planner.n_states)
        self.beliefs = np.concatenate([transitions, start])
        """What is known of the state, (M * N + 1, M), as ``DelayedPlan.slates`` are ordered."""

    def plan(self, horizon: int | None = None) -> DelayedPlan:
        """Finds slates, by backward induction for an episode or by policy iteration for an endless.

        Args:
            horizon: slates in an episode; endless when None.

        Raises:
            RecGymError: gamma is not in 0..1, or the horizon is not positive.
        """
        check_plan(self.gamma, horizon)
        following = np.zeros((self.world.n_states, self.world.n_items))
        slates, worth = search(self.beliefs, self.terms(following), self.world.slate_size)
        if horizon is None:
            return self._endless(slates)
        shown, after = [slates], [following]
        for _ in range(horizon - 1):
            following = self._after_clicks(worth)
            slates, worth = exchange(self.beliefs, slates, self.terms(following))
            shown.append(slates)
            after.append(following)
        return DelayedPlan(np.stack(shown[::-1]), np.stack(after[::-1]), float(worth[-1]))

    def value(self, slates: Array, horizon: int | None = None) -> float:
        """Returns what the slates (T, M * N + 1, K) of a plan are worth at the start."""
        if horizon is None:
            return float(self._always(slates[0])[-1])
        worth = np.zeros(len(self.beliefs))
        for shown in slates[::-1]:
            worth = expected(self.beliefs, shown, self.terms(self._after_clicks(worth)))
        return float(worth[-1])

    def terms(self, following: Array) -> Terms:
        """Returns what makes a slate's worth if ``following`` (M, N) follows a click."""
        rewards = self.world.click_rewards
        gains = rewards**2 * (self.aim.click + self.gamma * following)
        return Terms(rewards, gains, self.aim.shown)

    def _endless(self, slates: Array) -> DelayedPlan:
        """Improves slates to be shown however long the episode lasts already."""
        before = -np.inf
        while True:
            worth = self._always(slates)
            following = self._after_clicks(worth)
            if worth.sum() - before <= TOLERANCE * abs(worth.sum()):
                return DelayedPlan(slates[None], following[None], float(worth[-1]))
            before = worth.sum()
            slates, _ = exchange(self.beliefs, slates, self.terms(following))

    def _always(self, slates: Array) -> Array:
        """Returns what slates (M * N + 1, K) are worth if they are shown without end."""
        worth = np.zeros(len(self.beliefs))
        while True:
            after = expected(self.beliefs, slates, self.terms(self._after_clicks(worth)))
            if np.abs(after - worth).max() <= TOLERANCE * np.abs(after).max():
                return after
            worth = after

    def _after_clicks(self, worth: Array) -> Array:
        """Returns the worth of pairs of a state and a clicked item as (M, N)."""
        return worth[:-1].reshape(self.world.n_states, self.world.n_items)


def clicks(planner: SlatePlanner) -> Aim:
    """Returns the aim of as many clicks as possible."""
    return Aim(1.0, np.zeros((planner.n_states, planner.n_items)))


def coverage(planner: SlatePlanner, rank: int) -> Array:
    """Returns the share of the ``rank`` most rewarding items that each item is, (M, N) by state."""
    ranking = np.argsort(-planner.click_rewards, axis=1, kind="stable")
    shares = np.zeros(planner.click_rewards.shape)
    np.put_along_axis(shares, ranking[:, :rank], 1.0 / rank, axis=1)
    return shares


class CoveragePlan(NamedTuple):
    """The highest coverage, and the aim by which it is reached."""

    coverage: float
    aim: Aim
    plan: DelayedPlan


def best_coverage(planner: SlatePlanner, rank: int, horizon: int | None) -> CoveragePlan:
    """Finds the highest coverage of policies that see the state one step late.

    It is the expected coverage of all slates of an episode by their expected number, a ratio again:
    a slate is paid for the coverage that it adds to a trial ratio.
    """
    shares = coverage(planner, rank)
    per_slate = np.full(shares.shape, 1.0 / planner.slate_size)
    ratio = 0.0
    while True:
        aim = Aim(0.0, shares - ratio * per_slate)
        plan = DelayedPlanner(planner, aim, 1.0).plan(horizon)
        covered, slates = (
            DelayedPlanner(planner, Aim(0.0, counted), 1.0).value(plan.slates, horizon)
            for counted in (shares, per_slate)
        )
        if covered / slates <= ratio * (1.0 + 1e-9):
            return CoveragePlan(ratio, aim, plan)
        ratio = covered / slates
