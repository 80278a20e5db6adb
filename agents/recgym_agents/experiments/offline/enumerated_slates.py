"""Policies over slates few enough to be listed: their probabilities, and their exact values.

All ``L = N**K`` rows of K items are listed, those with repeats too, whose probability is 0, so that
a table over slates is an array (N, .., N) over their slots.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recgym.arrays import Array
from recgym.collection import LoggingPolicy, Shown
from recgym.simulators.slate_mdp import SlateMDP


class ListedPolicy:
    """Draws K items without replacement, in proportion to weights that the last click decides.

    Args:
        weights: (N + 1, N) positive, of each item by the item that was clicked last; the last row
            is for no click yet.
        slate_size: K.
    """

    def __init__(self, weights: Array, slate_size: int) -> None:
        self.n_items, self.slate_size = weights.shape[1], slate_size
        self.slates = np.indices((self.n_items,) * slate_size).reshape(slate_size, -1).T
        """(L, K) item ids, in the order of their numbers."""
        shown = weights[:, self.slates]
        for slot in range(1, slate_size):
            again = (self.slates[:, :slot] == self.slates[:, slot, None]).any(axis=1)
            shown[:, again, slot] = 0.0
        left = weights.sum(axis=1)[:, None, None] - shown.cumsum(axis=2) + shown
        self.conditional = shown / left
        """(N + 1, L, K) probability of each slot's item, given those above."""
        self.whole = self.conditional.prod(axis=2)
        """(N + 1, L) probability of each slate."""
        self.holds = np.eye(self.n_items)[self.slates].cumsum(axis=1).clip(max=1.0)
        """(L, K, N) 1 for the items in the slots down to one, else 0."""
        grid = self.whole.reshape(-1, *(self.n_items,) * slate_size)
        every = range(1, slate_size + 1)
        self.marginal = np.stack(
            [grid.sum(axis=tuple(axis for axis in every if axis != slot)) for slot in every], axis=1
        )
        """(N + 1, K, N) probability of each item in each slot."""

    def number(self, slates: Array) -> Array:
        """Returns the numbers of slates (..., K), their rows in ``slates``."""
        place = self.n_items ** np.arange(self.slate_size)[::-1]
        numbers: Array = slates @ place
        return numbers

    def logging_policy(self) -> LoggingPolicy:
        """Returns it as ``collect`` plays it, where the last clicked item is observed."""
        reached = self.whole.cumsum(axis=1)

        def show(observation: Array, info: Mapping[str, Array], rng: np.random.Generator) -> Shown:
            last = observation[:, -1]
            drawn = rng.random(len(last))
            number = np.empty(len(last), np.int64)
            for item in np.unique(last):
                rows = last == item
                found = np.searchsorted(reached[item], drawn[rows], side="right")
                number[rows] = np.minimum(found, len(self.slates) - 1)
            chances = self.conditional[last, number], self.whole[last, number]
            return Shown(self.slates[number], *chances)

        return show

    def mean_of(self, tables: Array) -> Array:
        """Returns what tables of slots expect before the slot is filled by this policy.

        Args:
            tables: (L, K) a number for each slot, given the items down to it.

        Returns:
            (N + 1, L, K) its mean, given the items above the slot.
        """
        shape = (self.n_items,) * self.slate_size
        means = np.empty_like(self.conditional)
        for slot in range(self.slate_size):
            weighed = (self.conditional[:, :, slot] * tables[:, slot]).reshape(-1, *shape)
            mean = weighed.sum(axis=slot + 1, keepdims=True)
            means[:, :, slot] = np.broadcast_to(mean, weighed.shape).reshape(len(means), -1)
        return means


def exact_clicks(world: SlateMDP, policy: ListedPolicy, horizon: int) -> float:
    """Returns the expected clicks of a session, by backward induction over state and last click."""
    slates = policy.slates
    taken = world.click_rewards[:, slates]
    taken = taken**2 / taken.sum(axis=2, keepdims=True)  # becomes the candidate, and is clicked
    n_states, n_items = world.n_states, world.n_items
    chance = np.zeros((n_items + 1, n_states, n_items))  # of a click on each item
    for slot in range(policy.slate_size):
        weighed = policy.whole[:, None, :] * taken[None, :, :, slot]
        for item in range(n_items):
            chance[:, :, item] += weighed[:, :, slates[:, slot] == item].sum(axis=2)
    values = np.zeros((n_items + 1, n_states))
    for _ in range(horizon):
        following = np.einsum("sit,it->si", world.transition_probs, values[:n_items])
        values = (chance * (1.0 + following)).sum(axis=2)
    return float(values[n_items, 0])
