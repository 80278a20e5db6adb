"""Exact planning in a slate MDP: the value of slates, and the slates of the highest value."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.simulators.slate_exchange import best_ratio

EXHAUSTIVE = 20_000
"""So many fixed slates are all tried."""
BLOCK = 256
"""Fixed slates valued at a time."""
STARTS = 32
"""Random slates from which a fixed slate is improved, where there are more."""
TOLERANCE = 1e-12
"""Change of a value, relative to the largest, at which iteration stops."""


class Plan(NamedTuple):
    """Slates, and what they are worth."""

    slates: Array
    """Item ids: (M, K) by state; (T, M, K) by steps done and state; (K,) if fixed; (2, K) for a
    first slate and all that follow."""
    values: Array
    """Discounted clicks to come, (M,) by state, or (T, M)."""


class SlatePlanner:
    """The clicks to come in a slate MDP.

    In state s a slate A is worth ``sum_a r(s, a) g(s, a) / sum_a r(s, a)`` over its items, where
    ``g(s, a) = r(s, a) (1 + gamma sum_s' P(s' | s, a) V(s'))`` is what the candidate is worth: a
    ratio of sums, whose best A ``best_ratio`` finds.

    Args:
        click_rewards: r(s, a), (M, N).
        transition_probs: P(s' | s, a), (M, N, M).
        slate_size: K.
    """

    def __init__(self, click_rewards: Array, transition_probs: Array, slate_size: int) -> None:
        self.click_rewards, self.transition_probs = click_rewards, transition_probs
        self.slate_size = slate_size
        self.n_states, self.n_items = click_rewards.shape

    def optimal_policy(self, gamma: float, horizon: int | None = None) -> Plan:
        """Finds the best slate in every state, by value iteration.

        Args:
            gamma: discount.
            horizon: slates in an episode; endless when None.

        Returns:
            Slates (M, K) and their values (M,). With a horizon, by backward induction, slates
            (horizon, M, K) and values (horizon, M) by the number of steps already done.

        Raises:
            RecGymError: gamma is not in 0..1, or the horizon is not positive.
        """
        check_plan(gamma, horizon)
        values = np.zeros(self.n_states)
        if horizon is not None:
            plans = []
            for _ in range(horizon):
                plans.append(self._best_slates(gamma, values))
                values = plans[-1].values
            by_step = plans[::-1]
            return Plan(
                np.stack([p.slates for p in by_step]), np.stack([p.values for p in by_step])
            )
        while True:
            plan = self._best_slates(gamma, values)
            if np.abs(plan.values - values).max() <= TOLERANCE * np.abs(plan.values).max():
                return Plan(plan.slates, self.policy_value(plan.slates, gamma))
            values = self.policy_value(plan.slates, gamma)  # leaps ahead, never past the optimum

    def policy_value(self, slates: Array, gamma: float, horizon: int | None = None) -> Array:
        """Returns the discounted clicks to come, exactly.

        Args:
            slates: item ids, (K,) for all states, (M, K) by state, or with a horizon also
                (horizon, M, K) by the number of steps already done.
            gamma: discount.
            horizon: slates in an episode; endless when None.

        Returns:
            Values (M,) at the first step.

        Raises:
            RecGymError: slates of another shape, gamma not in 0..1, or a horizon not positive.
        """
        check_plan(gamma, horizon)
        slates = np.asarray(slates)
        by_state = (self.n_states, slates.shape[-1])
        if slates.shape not in (by_state[1:], by_state, (horizon, *by_state)):
            raise RecGymError(f"slates of shape {slates.shape}: must be {by_state}")
        if slates.ndim < 3:
            return self._values(np.atleast_2d(slates), gamma, horizon)
        values = np.zeros(self.n_states)
        for shown in slates[::-1]:
            clicks, moves = self._answers(shown)
            values = clicks + gamma * moves @ values
        return values

    def best_fixed_slate(self, gamma: float, horizon: int | None = None) -> Plan:
        """Finds one slate to show always: the best for whom the state is hidden and unlearned.

        Every slate is tried where there are no more than ``EXHAUSTIVE``. Otherwise, from random
        slates and from the slate of the highest mean rewards, single items are exchanged as long as
        that helps: the best that is found need not be the best there is.

        Args:
            gamma: discount.
            horizon: slates in an episode; endless when None.

        Returns:
            The slate (K,), and its values (M,); it is chosen by its value in state 0.

        Raises:
            RecGymError: gamma is not in 0..1, or the horizon is not positive.
        """
        check_plan(gamma, horizon)

        def worth(slates: Array) -> Array:
            return self._values(slates[:, None, :], gamma, horizon)[:, 0]

        slate = self._best_of_all(worth)
        return Plan(slate, self.policy_value(slate, gamma, horizon))

    def best_start_and_fixed_slate(self, gamma: float, horizon: int | None = None) -> Plan:
        """Finds a first slate, for state 0, and one to show ever after.

        The fixed slate is searched for as in ``best_fixed_slate``; the first one is the best for
        state 0 before each, exactly.

        Args:
            gamma: discount.
            horizon: slates in an episode; endless when None.

        Returns:
            The two slates (2, K), and their values (M,).

        Raises:
            RecGymError: gamma is not in 0..1, or the horizon is not positive.
        """
        check_plan(gamma, horizon)
        left = None if horizon is None else horizon - 1

        def starts(slates: Array) -> tuple[Array, Array]:
            following = self._values(slates[:, None, :], gamma, left)
            worth = 1.0 + gamma * following @ self.transition_probs[0].T  # of a click, (X, N)
            rewards = self.click_rewards[0]
            return best_ratio(rewards, rewards * worth, self.slate_size)

        fixed = self._best_of_all(lambda slates: starts(slates)[1])
        first = starts(fixed[None])[0][0]
        clicks, moves = self._answers(first[None])
        values = clicks + gamma * moves @ self._values(fixed[None], gamma, left)
        return Plan(np.stack([first, fixed]), values)

    def _best_of_all(self, worth: Callable[[Array], Array]) -> Array:
        """Returns the slate (K,) for which ``worth`` is highest, of those that are tried.

        Args:
            worth: of slates (X, K), (X,).
        """
        if math.comb(self.n_items, self.slate_size) <= EXHAUSTIVE:
            every = itertools.combinations(range(self.n_items), self.slate_size)
            return _best(np.array(list(every)), worth)[0]
        generator = np.random.default_rng(0)
        starts = [np.argsort(-self.click_rewards.mean(axis=0))[: self.slate_size]]
        starts += [generator.permutation(self.n_items)[: self.slate_size] for _ in range(STARTS)]
        return _best(np.stack([self._exchange(start, worth) for start in starts]), worth)[0]

    def _exchange(self, slate: Array, worth: Callable[[Array], Array]) -> Array:
        """Puts the best item into one slot after the other, until no exchange helps."""
        found = worth(slate[None])[0]
        while True:
            before = found
            for slot in range(self.slate_size):
                others = np.setdiff1d(np.arange(self.n_items), slate)
                options = np.tile(slate, (len(others), 1))
                options[:, slot] = others
                best, best_worth = _best(options, worth)
                if best_worth > found:
                    slate, found = best, best_worth
            if found == before:
                return slate

    def _values(self, slates: Array, gamma: float, horizon: int | None) -> Array:
        """Returns the values (..., M) of always showing slates, see ``_answers``."""
        clicks, moves = self._answers(slates)
        if horizon is None:
            system = np.eye(self.n_states) - gamma * moves
            solved: Array = np.linalg.solve(system, clicks[..., None])[..., 0]
            return solved
        values = np.zeros_like(clicks)
        for _ in range(horizon):
            values = clicks + gamma * (moves @ values[..., None])[..., 0]
        return values

    def _answers(self, slates: Array) -> tuple[Array, Array]:
        """Returns the probability of a click, and of a click and each next state.

        Args:
            slates: item ids (..., M, K) by state, or (..., 1, K) the same in all.

        Returns:
            (..., M), and (..., M, M).
        """
        state = np.arange(self.n_states)[:, None]
        rewards = self.click_rewards[state, slates]
        clicked = rewards**2 / rewards.sum(axis=-1, keepdims=True)  # candidate, then click
        moves = np.einsum("...sk,...skt->...st", clicked, self.transition_probs[state, slates])
        return clicked.sum(axis=-1), moves

    def _best_slates(self, gamma: float, values: Array) -> Plan:
        """Returns the best slates (M, K) if ``values`` (M,) follow, and their values (M,)."""
        worth = self.click_rewards * (1.0 + gamma * self.transition_probs @ values)  # g, (M, N)
        return Plan(*best_ratio(self.click_rewards, worth, self.slate_size))


def _best(slates: Array, worth: Callable[[Array], Array]) -> tuple[Array, float]:
    """Returns the slate (K,) of some (X, K) that is worth most, and what it is worth."""
    blocks = np.array_split(slates, -(-len(slates) // BLOCK))
    found = np.concatenate([worth(block) for block in blocks])
    best = int(found.argmax())
    return slates[best], float(found[best])


def check_plan(gamma: float, horizon: int | None) -> None:
    """Checks what is planned for.

    Raises:
        RecGymError: gamma is not in 0..1, or the horizon is not positive.
    """
    if not 0.0 <= gamma <= 1.0:
        raise RecGymError(f"gamma={gamma!r}: must be in 0..1")
    if horizon is not None and horizon < 1:
        raise RecGymError(f"horizon={horizon!r}: must be at least 1")
