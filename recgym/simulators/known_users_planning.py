"""The best slates for users whose truth is known: for the moment, and for what follows."""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array
from recgym.simulators.base import State
from recgym.simulators.known_users import KnownUsers
from recgym.simulators.views import top

TOLERANCE = 1e-6
"""Gain of a slate, relative to its value, below which the search for a better one ends."""
CANDIDATES = 30
"""Items whose consequences are looked into: those of the highest reward now. Beside them stand the
K of the lowest, which fill a slate and are hardly clicked."""


def myopic_slates(world: KnownUsers, state: State) -> Array:
    """Returns the slates (B, K) that earn most now, see ``best_slates``.

    Args:
        world: whose users they are, in NumPy.
        state: B users.
    """
    return _best_now(world, state)[0]


def farsighted_slates(world: KnownUsers, state: State, discount: float = 1.0) -> Array:
    """Returns slates (B, K) that weigh what a click is worth now and what it does to its user.

    A click changes a memory by a share that shrinks by ``memory`` with each later click. So an
    item's consequences are taken as what it changes in the value of the best next slate, times the
    sum of these shares over the rest of the episode; the slate is the best one for rewards with
    consequences. What it earns is a lower bound of the optimum.

    Args:
        world: whose users they are, in NumPy.
        state: B users.
        discount: of each later slate.
    """
    rewards = world.rewards(state)
    order = top(rewards, world.n_items)
    candidates = order
    if CANDIDATES + world.slate_size < world.n_items:
        candidates = np.append(order[:, :CANDIDATES], order[:, -world.slate_size :], axis=1)
    n_rows, count = candidates.shape
    stay = _best_now(world, state)[1]
    spread = {name: np.repeat(values, count, axis=0) for name, values in state.items()}
    clicked = spread | world.advance(spread, candidates.reshape(-1))
    moved = _best_now(world, clicked)[1].reshape(n_rows, count)
    left = world.horizon - 1 - state["step"]
    fades = discount * world.memory
    lasting = left if fades == 1.0 else (1.0 - fades**left) / (1.0 - fades)
    later = discount * np.asarray(lasting)[:, None] * (moved - stay[:, None])
    own = np.take_along_axis(rewards, candidates, axis=1)
    chosen, _ = best_slates(_odds(world, own), own + later, world.slate_size, _outside(world))
    return np.take_along_axis(candidates, chosen, axis=1)


def best_slates(
    odds: Array, worth: Array, slate_size: int, outside: float = 1.0
) -> tuple[Array, Array]:
    """Returns the slates of the highest expected worth, and that worth, by Dinkelbach's method.

    A slate is worth sum(odds * worth) / (outside + sum(odds)), a ratio of sums over its items. The
    best items for a trial ratio are those of the highest odds * (worth - ratio), and the ratio that
    these have is the next trial, until it grows no more: then it is the greatest there is.

    Args:
        odds: how much each of N items weighs in a choice, (B, N).
        worth: what a click on each is worth, (B, N); no click is worth 0.
        slate_size: K distinct items.
        outside: what no click weighs, or 0 where something is always clicked.

    Returns:
        (B, K) columns, the most likely click first, and (B,).
    """
    slates = _any_order(odds * worth, slate_size)
    value = _worth_of(slates, odds, worth, outside)
    while True:
        better = _any_order(odds * (worth - value[:, None]), slate_size)
        reached = _worth_of(better, odds, worth, outside)
        grows = reached > value + TOLERANCE * np.abs(value)
        if not grows.any():
            break
        slates = np.where(grows[:, None], better, slates)
        value = np.where(grows, reached, value)
    order = np.argsort(-np.take_along_axis(odds, slates, axis=1), axis=1, kind="stable")
    return np.take_along_axis(slates, order, axis=1), value


def _any_order(scores: Array, size: int) -> Array:
    """Returns the columns of the highest scores (B, N), (B, size)."""
    columns: Array = np.argpartition(-scores, size - 1, axis=1)[:, :size]
    return columns


def _worth_of(slates: Array, odds: Array, worth: Array, outside: float) -> Array:
    """Returns the expected worth of a click on slates (B, K), (B,)."""
    shown = np.take_along_axis(odds, slates, axis=1)
    earned = (shown * np.take_along_axis(worth, slates, axis=1)).sum(axis=1)
    value: Array = earned / (outside + shown.sum(axis=1))
    return value


def _best_now(world: KnownUsers, state: State) -> tuple[Array, Array]:
    """Returns the best slates for the moment (B, K), and what they earn (B,)."""
    rewards = world.rewards(state)
    return best_slates(_odds(world, rewards), rewards, world.slate_size, _outside(world))


def _odds(world: KnownUsers, rewards: Array) -> Array:
    """Returns how much items of these rewards weigh in a choice, where no click weighs 1."""
    odds: Array = np.exp(world.eta * rewards.astype(np.float64))
    return odds


def _outside(world: KnownUsers) -> float:
    return 1.0 if world.no_click else 0.0
