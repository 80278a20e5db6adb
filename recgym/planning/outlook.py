"""How a world goes on if a policy of some foresight acts in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recgym.arrays import Array, pick
from recgym.planning.foresight import Foresight
from recgym.planning.ratio_slates import best_slates
from recgym.simulators.base import HasKinds, Noise, Options, PlannableWorld, State, invert

BLOCK = 1 << 15
"""Options that are weighed at once: as many as stay in the cache."""
NEARLY_GONE = 1e-6
"""Probability of still being there at which a user is taken to have left."""
CLOSE = 1e-4
"""Relative gain at which the slates of continuations are good enough."""


class Outcome(NamedTuple):
    """What slates lead to."""

    reward: Array
    """Expected reward of this step, (B,)."""
    stays: Array
    """Probability that the user stays, (B,)."""
    item: Array
    """What was taken by her who stayed, int64 (B,); -1 for nothing."""


@dataclass(frozen=True, eq=False)
class Outlook:
    """A world, and the policy of those who foresee this much of it."""

    world: PlannableWorld
    foresight: Foresight
    pool: Array
    """Ids of the items that the policy chooses from, (M,)."""

    def keys(self, state: State, items: Array) -> Array:
        """Returns what options are, (B, M + 1), the last that nothing is taken.

        Items that are new at every step are known by their kind.
        """
        world = self.world
        nothing = np.full((len(items), 1), len(self.foresight.effect) - 1)
        if world.item_features is None:
            items = (
                pick(world.kinds(state).of_items, items)
                if isinstance(world, HasKinds)
                else items * 0
            )
        return np.concatenate([items, nothing], axis=1)

    def weigh(self, state: State, items: Array) -> tuple[Options, Array]:
        """Returns the options of items (B, M), and what each is worth (B, M + 1)."""
        options = self.world.options(state, items)
        remaining = self.world.remaining(state)
        after = self.foresight.after(remaining, self.keys(state, items))
        return options, options.rewards + options.stays * after

    def going(self, state: State) -> Array:
        """Returns whose episodes are not over, bool (B,)."""
        running: Array = (self.world.remaining(state) > 0) & (state["step"] < self.world.horizon)
        return running


def outcome(options: Options, items: Array, columns: Array, uniform: Array) -> Outcome:
    """Returns what slates lead to: in expectation, but for which item is taken.

    Args:
        options: of items (B, M).
        items: ids (B, M).
        columns: of the items that users read, (B, K).
        uniform: draws from [0, 1), (B, 1).
    """
    nothing = np.full((len(columns), 1), items.shape[1])
    columns = np.concatenate([columns, nothing], axis=1)
    weights = np.take_along_axis(options.weights, columns, axis=1)
    total = np.maximum(weights.sum(axis=1), np.finfo(weights.dtype).tiny)
    rewards = (weights * np.take_along_axis(options.rewards, columns, axis=1)).sum(axis=1)
    staying = weights * np.take_along_axis(options.stays, columns, axis=1)
    taken = pick(columns, invert(staying.cumsum(axis=1), uniform))
    item = np.where(taken < items.shape[1], pick(items, np.minimum(taken, items.shape[1] - 1)), -1)
    return Outcome(rewards / total, staying.sum(axis=1) / total, item)


def continuations(
    outlook: Outlook,
    state: State,
    items: Array,
    depth: int,
    repeats: int,
    generator: np.random.Generator,
) -> Array:
    """Returns the mean reward to come after users took items and the outlook's policy went on.

    All items of a row meet the same draws, so that they differ by what they lead to, not by luck.

    Args:
        outlook: the world and the policy.
        state: of B users.
        items: ids (B, C), -1 for nothing.
        depth: slates that are simulated; what comes later is the foresight's level.
        repeats: simulations of each.
        generator: draws the noise.

    Returns:
        (B, C), this step's own reward not included.
    """
    world, (n_rows, n_items) = outlook.world, items.shape
    shape = (n_rows, n_items, repeats)

    def shared(draws: Array) -> Array:
        """Gives draws (B * repeats, n) to all items of a row, (B * C * repeats, n)."""
        width = draws.shape[1]
        by_row = np.broadcast_to(draws.reshape(n_rows, 1, repeats, width), (*shape, width))
        return by_row.reshape(n_rows * n_items * repeats, width)

    def noise() -> Noise:
        return Noise(*map(shared, drawn(generator, n_rows * repeats, world.step_noise)))

    now = of_rows(state, np.repeat(np.arange(n_rows), n_items * repeats))
    now = world.follow(now, np.repeat(items.reshape(-1), repeats), noise())
    pool = np.tile(outlook.pool, (len(now["step"]), 1))
    total, there = np.zeros(len(pool)), outlook.going(now).astype(np.float64)
    for _ in range(depth):
        options, worth = outlook.weigh(now, pool)
        columns, _ = best_slates(options.weights, worth, world.slots_read, CLOSE)
        found = outcome(options, pool, columns, shared(generator.random((n_rows * repeats, 1))))
        total += there * found.reward
        now = world.follow(now, found.item, noise())
        there = there * found.stays * outlook.going(now)
        if (there < NEARLY_GONE).all():
            break
    total += there * outlook.foresight.value(world.remaining(now))
    mean: Array = total.reshape(shape).mean(axis=2)
    return mean


def drawn(generator: np.random.Generator, n_rows: int, counts: tuple[int, int]) -> Noise:
    """Draws as many uniforms and standard normals for each row."""
    shapes = [(n_rows, count) for count in counts]
    return Noise(generator.random(shapes[0]), generator.standard_normal(shapes[1]))


def of_rows(state: State, chosen: Array | slice) -> State:
    """Returns the state of some rows."""
    return {name: values[chosen] for name, values in state.items()}


def blocks(state: State, size: int) -> Iterator[State]:
    """Yields the state, so many rows at a time."""
    for start in range(0, len(state["step"]), max(size, 1)):
        yield of_rows(state, slice(start, start + max(size, 1)))
