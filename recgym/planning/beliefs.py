"""A policy that does not see its users, and believes of them what their clicks say (particles)."""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array
from recgym.planning.outlook import drawn
from recgym.simulators.base import PlannableWorld, State

CANDIDATES = ("topic", "quality")
"""Entries of the state that say what can be shown; the rest of it is the user's own."""


class Beliefs:
    """What B users may be like: for each, M users of the population and how likely they are.

    Likelihoods are those of the world's own choices, so with many particles this is the exact
    posterior. Where interests move, those of the particles move by the same rule.

    Args:
        world: a simulator of RecSim's kind, which tells what its users would do (``HasOptions``).
        n_users: B.
        particles: M.
        generator: draws the particles and what moves them.
    """

    def __init__(
        self,
        world: PlannableWorld,
        n_users: int,
        particles: int,
        generator: np.random.Generator,
    ) -> None:
        self.world, self.shape, self._generator = world, (n_users, particles), generator
        self.state = world.reset(drawn(generator, n_users * particles, world.reset_noise))
        self.log_weight = np.zeros(self.shape)
        """Logarithm of how likely each particle is, (B, M), up to a constant of the user."""

    @property
    def weight(self) -> np.ndarray:
        """Probability of each particle, (B, M)."""
        weight = np.exp(self.log_weight - self.log_weight.max(axis=1, keepdims=True))
        found: np.ndarray = weight / weight.sum(axis=1, keepdims=True)
        return found

    def options(self, state: State, items: Array) -> np.ndarray:
        """Returns the weights of what each particle would do with items, (B, M, C + 1).

        Args:
            state: has the candidates of the B users.
            items: places of C candidates (B, C).
        """
        options = self.world.options(self._with_candidates(state), self._each(items))
        found: np.ndarray = options.weights.reshape(*self.shape, -1)
        return found

    def learn(self, state: State, slate: Array, click: Array) -> None:
        """Weighs the particles by what users clicked (B,), -1 for nothing, of slates (B, K)."""
        weights = self.options(state, slate)
        chosen = np.take_along_axis(weights, click[:, None, None], axis=2)[:, :, 0]
        self.log_weight += np.log(np.maximum(chosen / weights.sum(axis=2), 1e-12))

    def follow(self, state: State, item: Array) -> None:
        """Moves the particles as a click on an item (B,), -1 for none, moves users."""
        noise = drawn(self._generator, len(self.state["step"]), self.world.step_noise)
        before = self._with_candidates(state)
        self.state = self.world.follow(before, self._each(item), noise)

    def learn_support(self, support: Array, topic: Array, quality: Array) -> None:
        """Weighs the particles by sequences that began where the particles are now.

        Args:
            support: (B, S, T, K + 1), as environments hand it over.
            topic: of what was shown (B, S, T, K).
            quality: likewise.
        """
        first = self.state
        size = topic.shape[3]
        places = np.broadcast_to(np.arange(size), (len(topic), size))
        for sequence in range(support.shape[1]):
            self.state = first
            for step in range(support.shape[2]):
                at = (slice(None), sequence, step)
                there = support[at][:, 0] >= 0
                state = {"topic": topic[at], "quality": quality[at]}
                click = support[at][:, -1]
                before = self.log_weight.copy()
                self.learn(state, places, click)
                self.log_weight = np.where(there[:, None], self.log_weight, before)
                self.follow(state, np.where(there, click, -1))
        self.state = first

    def best_slates(self, state: State, worth: Array, slate_size: int) -> np.ndarray:
        """Returns slates (B, K), filled one by one with what is worth most by these beliefs.

        Args:
            state: has the candidates of the B users.
            worth: of taking each candidate, and none, (B, N + 1).
            slate_size: K.
        """
        n_users, n_items = len(worth), worth.shape[1] - 1
        every = np.broadcast_to(np.arange(n_items), (n_users, n_items))
        weights = self.options(state, every)
        each, none = weights[:, :, :-1], weights[:, :, -1:]
        gains = each * worth[:, None, :-1]
        total, gained = none.copy(), none * worth[:, None, -1:]
        probability = self.weight
        slate = np.zeros((n_users, slate_size), np.int64)
        row = np.arange(n_users)
        for slot in range(slate_size):
            value = np.einsum("bm,bmn->bn", probability, (gained + gains) / (total + each))
            np.put_along_axis(value, slate[:, :slot], -np.inf, axis=1)
            best = value.argmax(axis=1)
            slate[:, slot] = best
            total += each[row, :, best][:, :, None]
            gained += gains[row, :, best][:, :, None]
        return slate

    def _with_candidates(self, state: State) -> State:
        return self.state | {name: self._each(state[name]) for name in CANDIDATES}

    def _each(self, values: Array) -> np.ndarray:
        """Returns values (B, ...) of users once for each of their particles, (B * M, ...)."""
        return np.repeat(values, self.shape[1], axis=0)
