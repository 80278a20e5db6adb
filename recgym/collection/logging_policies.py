"""Policies that make logs, and know how likely they were to show what they showed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from gymnasium import Space, spaces

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.simulators.views import ACTION_MASK, top
from recgym.spaces import draw_slates


class Shown(NamedTuple):
    """What a logging policy shows in B rows."""

    slate: Array
    """Item ids (B, K)."""
    slot_propensities: Array
    """Probability that each slot shows its item, (B, K)."""
    slate_propensities: Array
    """Probability of the whole slate in its order, (B,)."""


LoggingPolicy = Callable[[Array, Mapping[str, Array], np.random.Generator], Shown]
"""Called with observations, infos, and a generator."""
ActionPolicy = Callable[[Any, Mapping[str, Array], np.random.Generator], Array]
"""The same under a view: returns the view's actions (B, ...)."""


def uniform_actions(space: Space[Any]) -> ActionPolicy:
    """Returns the policy that draws every action of a view equally often.

    Args:
        space: the view's, ``env.single_action_space``. Item by item, an item that is in the slate
            already is not drawn.
    """

    def act(observation: Any, info: Mapping[str, Array], rng: np.random.Generator) -> Array:
        n_rows = len(info["click"])
        if isinstance(space, spaces.Box):
            return rng.uniform(space.low, space.high, (n_rows, *space.shape)).astype(np.float32)
        assert isinstance(space, spaces.Discrete)
        if ACTION_MASK not in info:
            return rng.integers(int(space.n), size=n_rows)
        return (rng.random(info[ACTION_MASK].shape) * info[ACTION_MASK]).argmax(axis=1)

    return act


def uniform_policy(n_items: int, slate_size: int) -> LoggingPolicy:
    """Returns the policy that shows every ordered slate of K of N items equally often."""

    def show(observation: Array, info: Mapping[str, Array], rng: np.random.Generator) -> Shown:
        n_rows = len(observation)
        slate = draw_slates(n_items, n_rows, slate_size, rng)
        slots = np.full(slate.shape, 1.0 / n_items)
        return Shown(slate, slots, np.full(n_rows, 1.0 / math.perm(n_items, slate_size)))

    return show


def greedy_policy(agent: Any) -> LoggingPolicy:
    """Returns the policy of an agent that does not explore: ``agent.act(observation)``."""

    def show(observation: Array, info: Mapping[str, Array], rng: np.random.Generator) -> Shown:
        slate = agent.act(observation)
        return Shown(slate, np.ones(slate.shape), np.ones(len(slate)))

    return show


def slate_mdp_policy(world: Any, name: Literal["random", "max", "mix"]) -> LoggingPolicy:
    """Returns a logging policy of IRecGAN's slate MDP (Bai et al., NeurIPS 2019, section 7.1).

    "random" is ``uniform_policy``. "max" shows the K items of the highest reward in the user's
    state, which it sees. "mix" shows them with probability 1/2, and otherwise distinct items drawn
    evenly from the ranks of 20% to 50% of the reward.

    Args:
        world: the simulator of a SlateMDP-v0.
        name: which.

    Raises:
        RecGymError: no such policy, or too few items between those ranks for "mix".
    """
    size, n_items = world.slate_size, world.n_items
    if name == "random":
        return uniform_policy(n_items, size)
    ranking = np.argsort(-world.click_rewards, axis=1, kind="stable")  # (M, N)
    first, last = n_items // 5, n_items // 2
    middle = last - first
    if name not in ("max", "mix"):
        raise RecGymError(f"logging policy {name!r}: must be one of random, max, mix")
    if name == "mix" and middle < size:
        raise RecGymError(f"logging policy 'mix': {middle} items of middle rank, {size} slots")

    def show(observation: Array, info: Mapping[str, Array], rng: np.random.Generator) -> Shown:
        ranked, n_rows = ranking[info["state"]], len(observation)
        slate, share = ranked[:, :size], np.ones(n_rows)
        slots = np.ones(slate.shape)
        if name == "mix":
            rank = first + draw_slates(middle, n_rows, size, rng)
            other = rng.random(n_rows) < 0.5
            slate = np.where(other[:, None], np.take_along_axis(ranked, rank, axis=1), slate)
            share = np.where(other, 0.5 / math.perm(middle, size), 0.5)
            slots = np.where(other[:, None], 0.5 / middle, 0.5) * slots
        return Shown(slate, slots, share)

    return show


def known_users_policy(world: Any, name: Literal["random", "popular", "best"]) -> LoggingPolicy:
    """Returns a logging policy for the users of a KnownUsers-v0.

    "random" is ``uniform_policy``. "popular" shows with probability 1/2 distinct items drawn evenly
    from the fifth of highest reward, averaged over users who clicked nothing, and otherwise from
    all. "best" shows every user the K items of her highest reward before she clicks anything.

    Args:
        world: the simulator, in NumPy.
        name: which.

    Raises:
        RecGymError: no such policy, or too few items for "popular".
    """
    size, n_items = world.slate_size, world.n_items
    if name == "random":
        return uniform_policy(n_items, size)
    if name not in ("popular", "best"):
        raise RecGymError(f"logging policy {name!r}: must be one of random, popular, best")
    user = np.arange(world.n_users)
    memory = np.zeros((world.n_users, world.n_topics + 1), np.float32)
    rewards = world.rewards({"user": user, "memory": memory})  # (U, N)
    fifth = n_items // 5
    if name == "popular" and fifth < size:
        raise RecGymError(f"logging policy 'popular': a fifth is {fifth} items, {size} slots")
    popular, own = top(rewards.mean(axis=0)[None], fifth)[0], top(rewards, size)

    def show(observation: Array, info: Mapping[str, Array], rng: np.random.Generator) -> Shown:
        n_rows = len(observation)
        if name == "best":
            return Shown(own[info["user"]], np.ones((n_rows, size)), np.ones(n_rows))
        among = popular[draw_slates(fifth, n_rows, size, rng)]
        other = draw_slates(n_items, n_rows, size, rng)
        slate = np.where(rng.random((n_rows, 1)) < 0.5, among, other)
        inside = np.isin(slate, popular)
        slots = 0.5 / n_items + 0.5 / fifth * inside
        slates = 0.5 / math.perm(n_items, size)
        return Shown(slate, slots, slates + 0.5 / math.perm(fifth, size) * inside.all(axis=1))

    return show
