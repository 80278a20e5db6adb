"""A policy that sees the state of a world, and plans ahead in the world itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.planning.foresight import Decisions, Foresight, learn
from recgym.planning.outlook import (
    BLOCK,
    Outlook,
    blocks,
    continuations,
    drawn,
    of_rows,
    outcome,
)
from recgym.planning.ratio_slates import best_slates
from recgym.planning.shortlists import choose_pool, shortlist
from recgym.settings import AT_LEAST_0, AT_LEAST_1, check_ranges
from recgym.simulators.base import HasKinds, HasOptions, Options, PlannableWorld, State

STARTS = 128
"""Users from whose first states the pool is chosen."""
PRIOR = 4.0
"""Continuations that what was learned of an item counts for beside those that are simulated."""


@dataclass(frozen=True)
class PlannerConfig:
    """How much a planner tries."""

    rounds: int = 5
    """Policies that are learned one from the other; 0 for the slate of the highest reward now."""
    episodes: int = 16
    """Episodes that each is learned from."""
    options: int = 24
    """Items that are thought of at a decision, beside taking none."""
    pool: int = 60
    """Items that simulated continuations choose from."""
    depth: int = 10
    """Slates of a continuation."""
    continuations: int = 2
    """Continuations of each item when acting; 0 to act on what was learned alone."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        at_least_1 = dict.fromkeys(("episodes", "pool", "depth"), AT_LEAST_1)
        at_least_0 = dict.fromkeys(("rounds", "continuations"), AT_LEAST_0)
        check_ranges(self, {**at_least_1, **at_least_0, "options": (2.0, np.inf)})

    def doubled(self) -> Self:
        """Returns twice the budget: of options, depth, episodes and continuations."""
        return replace(
            self,
            episodes=2 * self.episodes,
            options=2 * self.options,
            pool=2 * self.pool,
            depth=2 * self.depth,
            continuations=2 * self.continuations,
        )


class Round(NamedTuple):
    """What a round of learning found."""

    value: float
    """Reward of a session, if one acts on what was learned before, and one continuation of each
    option."""
    error: float
    """Its standard error over episodes."""


class Planner:
    """Shows slates by looking ahead in the known model.

    Users take one item of a slate, or none, and what follows depends on the slate only through
    that. So a slate is worth the mean of ``reward + reward to come`` over its options, by their
    weights, and the best is found exactly, once it is known what each option leads to. That is
    learned and then simulated:

    1. Policy iteration. A round plays episodes; at each decision it simulates how the policy so far
       would go on after items that matter and after others, with common random numbers, and learns
       from that the effect of taking an item (see ``Foresight``). The next policy shows the slates
       that are best with these effects.
    2. When acting, the options that matter most are simulated again, from the state as it is. What
       they led to is averaged with what was learned, and the slate that is best with it is shown.

    What it earns is a lower bound of the optimum.

    Args:
        world: a simulator that ``HasOptions``, in NumPy.
        config: how much it tries.
        seed: of its simulations; the same seed plans the same.

    Raises:
        RecGymError: the world does not tell what its users would do.

    References:
        Bertsekas, Tsitsiklis and Wu: Rollout algorithms for combinatorial optimization. Journal of
        Heuristics, 1997. The values of options are those of SlateQ (Ie et al., IJCAI 2019).
    """

    def __init__(self, world: object, config: PlannerConfig, seed: int = 0) -> None:
        self.world, self.config = _plannable(world), config
        self._generator = np.random.default_rng(seed)
        start = self._begin(STARTS)
        n_keys = self.world.n_items
        if self.world.item_features is None:
            n_keys = len(world.kinds(start).names) if isinstance(world, HasKinds) else 1
        most = float(self.world.remaining(start).max())
        nothing = Foresight.none(n_keys + 1, most)
        self._outlook = Outlook(self.world, nothing, np.arange(self.world.n_items))
        self._choose_pool(start)
        self.rounds: list[Round] = []
        """What was earned in each round of learning."""
        for _ in range(config.rounds):
            foresight = learn(self._outlook.foresight, self._play())
            self._outlook = replace(self._outlook, foresight=foresight)
            self._choose_pool(self._begin(STARTS))

    def act(self, state: State) -> Array:
        """Returns slates (B, K) for users whose states are seen; the best item comes first."""
        items, options, worth, _ = self._decide(state, self.config.continuations)
        columns, _ = best_slates(options.weights, worth, self.world.slots_read)
        return _filled(np.take_along_axis(items, columns, axis=1), self.world.slate_size)

    def _begin(self, n_rows: int) -> State:
        return self.world.reset(drawn(self._generator, n_rows, self.world.reset_noise))

    def _choose_pool(self, state: State) -> None:
        pool = choose_pool(self._outlook, state, self.config.pool)
        self._outlook = replace(self._outlook, pool=pool)

    def _play(self) -> Decisions:
        """Plays episodes with the policy so far, and tries other items at each decision."""
        count, world = self.config.episodes, self.world
        state, rows = self._begin(count), np.arange(count)
        tried, steps = [], []
        while len(rows):
            items, options, worth, after = self._decide(state, 1, trying=True)
            columns, _ = best_slates(options.weights, worth, world.slots_read)
            found = outcome(options, items, columns, self._generator.random((len(rows), 1)))
            tried.append((world.remaining(state), self._outlook.keys(state, items), after))
            steps.append((rows, found))
            noise = drawn(self._generator, len(rows), world.step_noise)
            state = world.follow(state, found.item, noise)
            going = self._outlook.going(state) & (found.stays > 0.0)
            state, rows = of_rows(state, going), rows[going]
        value, values = np.zeros(count), []
        for rows, found in reversed(steps):
            value[rows] = found.reward + found.stays * value[rows]
            values.append(value[rows])
        self.rounds.append(Round(float(value.mean()), float(value.std() / np.sqrt(count))))
        remaining, keys, after = (np.concatenate(part) for part in zip(*tried, strict=True))
        return Decisions(remaining, keys, after, np.concatenate(values[::-1]))

    def _decide(
        self, state: State, repeats: int, trying: bool = False
    ) -> tuple[Array, Options, Array, Array]:
        """Weighs what to show.

        Args:
            state: of B users.
            repeats: simulations of each option; 0 to go by what was learned.
            trying: whether as many items are drawn beside these, to learn what they lead to.

        Returns:
            Ids of items (B, M); their options; what each is worth, (B, M + 1); and the reward to
            come after each as it was simulated, NaN where it was not.
        """
        generator = self._generator if trying else None
        count = self.config.options * (1 + trying)
        items, count = shortlist(self._outlook, state, count, generator)
        options, worth = self._outlook.weigh(state, items)
        simulated = np.full(worth.shape, np.nan)
        if repeats:
            columns = np.append(np.arange(count), -1)
            simulated[:, columns] = self._simulate(state, items[:, :count], repeats)
            simulated[(options.weights == 0.0) | (options.stays == 0.0)] = np.nan
            known = np.isfinite(simulated)
            after = self._outlook.foresight.after(
                self.world.remaining(state), self._outlook.keys(state, items)
            )
            beyond = np.where(known, simulated - after, 0.0).sum(axis=1, keepdims=True)
            after = after + beyond / np.maximum(known.sum(axis=1, keepdims=True), 1)
            learned = PRIOR / (PRIOR + repeats)
            after = np.where(known, learned * after + (1.0 - learned) * simulated, after)
            worth = options.rewards + options.stays * after
        return items, options, worth, simulated

    def _simulate(self, state: State, items: Array, repeats: int) -> Array:
        """Returns the reward to come after items (B, C) and after none, (B, C + 1)."""
        taken = np.concatenate([items, np.full((len(items), 1), -1)], axis=1)
        size = max(1, BLOCK // (taken.shape[1] * repeats * len(self._outlook.pool)))
        depth, generator = self.config.depth, self._generator
        parts = [
            continuations(self._outlook, part, taken[i * size :][:size], depth, repeats, generator)
            for i, part in enumerate(blocks(state, size))
        ]
        return np.concatenate(parts)


def _plannable(world: object) -> PlannableWorld:
    if not isinstance(world, HasOptions):
        raise RecGymError(
            f"{type(world).__name__}: cannot be planned in, as it does not say what its users would"
            " do; give it options, follow and remaining, or take it without view and ensemble"
        )
    return world  # type: ignore[return-value]


def _filled(slates: Array, slate_size: int) -> Array:
    """Returns slates (B, K) that begin with (B, k) ids, and go on with the lowest others."""
    if slates.shape[1] == slate_size:
        return slates
    others = np.tile(np.arange(slate_size), (len(slates), 1))
    places = (others[:, :, None] == slates[:, None, :]).any(axis=2)
    order = np.argsort(places, axis=1, kind="stable")[:, : slate_size - slates.shape[1]]
    return np.concatenate([slates, np.take_along_axis(others, order, axis=1)], axis=1)
