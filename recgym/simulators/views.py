"""Other ways to give a slate: each a simulator around a simulator, with its own action space."""

from __future__ import annotations

import copy
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from gymnasium import spaces

from recgym.arrays import Array, in_backend, namespace, product, rows
from recgym.errors import RecGymError
from recgym.lookup import Registry
from recgym.simulators.base import Noise, Response, Simulator, State

MOST_SLATES = 100_000
"""So many slates can be enumerated."""
PLAIN = "slate"
"""Name of the world without a view."""
ACTION_MASK = "action_mask"
"""The info that says which actions are left, int8 (N,): 1 where one is, as Gymnasium has it."""
BLOCK = 1 << 22
"""Scores of items that are held at a time."""


class View(ABC):
    """A world whose action names a slate in another way; everything else is the world's own.

    Args:
        world: the simulator that is shown the slates.
    """

    def __init__(self, world: Simulator) -> None:
        self.world = world
        self.n_items, self.slate_size = world.n_items, world.slate_size
        self.horizon, self.n_users = world.horizon, world.n_users
        self.reset_noise, self.step_noise = world.reset_noise, world.step_noise
        self.observation_space = world.observation_space
        self.item_features = world.item_features
        self.info_names: tuple[str, ...] = world.info_names
        self.action_space: spaces.Space[Any] = world.action_space
        self._own: tuple[str, ...] = ()

    def reset(self, noise: Noise, users: Array | None = None) -> State:
        """Starts one episode a row, see ``Simulator.reset``."""
        return self.world.reset(noise, users)

    def observe(self, state: State) -> Array:
        """Returns the world's observations."""
        return self.world.observe(state)

    @abstractmethod
    def step(self, state: State, action: Array, noise: Noise) -> tuple[State, Response]:
        """Shows the slates that the actions name, see ``Simulator.step``."""

    def to(self, backend: str, device: str) -> Self:
        """Returns this view with its arrays in "numpy" or "torch", on ``device``."""
        moved = copy.copy(self)
        moved.world = self.world.to(backend, device)
        for name in self._own:
            setattr(moved, name, in_backend(getattr(self, name), backend, device))
        return moved


class SlateView(View):
    """A view in which one action names a whole slate."""

    @abstractmethod
    def slates(self, action: Array) -> Array:
        """Returns the slates (B, K) that actions name."""

    def step(self, state: State, action: Array, noise: Noise) -> tuple[State, Response]:
        """Shows the slates that the actions name."""
        return self.world.step(state, self.slates(action), noise)


class EnumeratedSlates(SlateView):
    """``Discrete``: the number of a slate among all sets of K items, in lexicographic order.

    Raises:
        RecGymError: there are more than ``MOST_SLATES``.
    """

    def __init__(self, world: Simulator) -> None:
        super().__init__(world)
        count = math.comb(self.n_items, self.slate_size)
        if count > MOST_SLATES:
            raise RecGymError(
                f"view='enumerated': {self.n_items} items make {count:,} slates of"
                f" {self.slate_size}, more than {MOST_SLATES:,}; choose a smaller slate_size"
            )
        every = itertools.combinations(range(self.n_items), self.slate_size)
        self._slates: Array = np.array(list(every), np.int64)
        self._own = ("_slates",)
        self.action_space = spaces.Discrete(count)

    def slates(self, action: Array) -> Array:
        """Returns the slates (B, K) of these numbers (B,)."""
        return rows(self._slates, action)


class Scores(SlateView):
    """``Box`` [-1, 1]^N: a score for every item; the K highest are shown, best first."""

    def __init__(self, world: Simulator) -> None:
        super().__init__(world)
        self.action_space = spaces.Box(-1.0, 1.0, (self.n_items,), np.float32)

    def slates(self, action: Array) -> Array:
        """Returns the items of the highest scores (B, N); of equal ones, the lowest ids."""
        return top(action, self.slate_size)


class ProtoAction(SlateView):
    """``Box`` [-1, 1]^D: a point among the items' features; the K items nearest to it are shown.

    Nearest is the highest inner product, exactly, as in Dulac-Arnold et al. (2015, Wolpertinger)
    without their approximate search.

    Raises:
        RecGymError: the world's items have no features.
    """

    def __init__(self, world: Simulator) -> None:
        super().__init__(world)
        if world.item_features is None:
            raise RecGymError(
                "view='proto-action': the items of this world have no features; view='scores' needs"
                " none"
            )
        self._features: Array = np.ascontiguousarray(world.item_features.T)
        self._own = ("_features",)
        self.action_space = spaces.Box(-1.0, 1.0, (len(self._features),), np.float32)

    def slates(self, action: Array) -> Array:
        """Returns the items nearest to points (B, D), a block of rows at a time."""
        block = max(BLOCK // self.n_items, 1)
        found = [
            top(product(action[start : start + block], self._features), self.slate_size)
            for start in range(0, len(action), block)
        ]
        return namespace(action).concat(found, axis=0)


class ItemByItem(View):
    """``Discrete``: the next item of the slate, which is shown once it is full.

    The items chosen so far are observed beside what the world shows. Until the slate is full
    nothing is clicked and the reward is 0. ``action_masks`` says which items are left; one that is
    chosen again is replaced by the lowest id that is not in the slate, and counted.
    """

    def __init__(self, world: Simulator) -> None:
        super().__init__(world)
        self.action_space = spaces.Discrete(self.n_items)
        self.info_names = (*world.info_names, "repaired")
        space = world.observation_space
        self._shows_ids = bool(np.issubdtype(space.dtype, np.integer))
        if self._shows_ids or world.item_features is None:
            table: Array = np.arange(self.n_items + 1)[:, None]
            if not self._shows_ids:
                table = table.astype(np.float32)
        else:
            table = np.concatenate([world.item_features, np.zeros_like(world.item_features[:1])])
        low, high = table.min(axis=0), table.max(axis=0)
        self._shown: Array = table  # what is observed of each item, and of an empty slot
        self._own = ("_shown",)
        self.observation_space = spaces.Box(
            np.concatenate([space.low.reshape(-1), np.tile(low, self.slate_size)]),
            np.concatenate([space.high.reshape(-1), np.tile(high, self.slate_size)]),
            dtype=space.dtype.type,
        )

    def reset(self, noise: Noise, users: Array | None = None) -> State:
        """Starts one episode a row, with an empty slate (its slots hold N)."""
        state = self.world.reset(noise, users)
        step = state["step"]
        xp = namespace(step)
        shape = (len(step), self.slate_size)
        empty = xp.full(shape, self.n_items, dtype=xp.int64, device=step.device)
        return state | {"slate": empty, "filled": xp.zeros_like(step), "repaired": step * 0}

    def observe(self, state: State) -> Array:
        """Returns the world's observation, and the slate as far as it is filled."""
        seen = self.world.observe(state)
        chosen = rows(self._shown, state["slate"]).reshape(len(seen), -1)
        return namespace(seen).concat([seen.reshape(len(seen), -1), chosen], axis=1)

    def step(self, state: State, action: Array, noise: Noise) -> tuple[State, Response]:
        """Puts an item into the next slot (B,), and shows the slates that are full."""
        xp = namespace(action)
        slot = xp.arange(self.slate_size, device=action.device)
        before = state["slate"]
        again = (before == action[:, None]).any(axis=1)
        free = ~(before[:, :, None] == slot).any(axis=1)  # K slots cannot hold all of 0..K - 1 yet
        lowest = xp.asarray(free, dtype=xp.int8).argmax(axis=1)
        item = xp.where(again, lowest, action)
        here = slot == state["filled"][:, None]
        slate = xp.where(here, item[:, None], before)
        full = state["filled"] == self.slate_size - 1
        # A slate that is not full is filled up with whatever is left, and its answer forgotten.
        padded = xp.where(slate == self.n_items, self._others(slate), slate)
        world = {name: state[name] for name in state if name not in ("slate", "filled", "repaired")}
        answered, response = self.world.step(world, padded, noise)
        after = {name: _where(full, answered[name], world[name]) for name in world}
        after |= {
            "slate": _where(full, xp.full_like(slate, self.n_items), slate),
            "filled": xp.where(full, 0, state["filled"] + 1),
            "repaired": xp.asarray(again, dtype=xp.int64),
        }
        nothing = xp.full_like(response.click, -1)
        return after, Response(
            xp.where(full, response.click, nothing),
            xp.where(full, response.item, nothing),
            xp.where(full, response.reward, xp.zeros_like(response.reward)),
            response.terminated & full,
            _where(full, response.slate, xp.full_like(response.slate, -1)),
        )

    def action_masks(self, state: State) -> Array:
        """Returns which items are not in the slate yet, bool (B, N)."""
        slate = state["slate"]
        xp = namespace(slate)
        row = xp.arange(len(slate), device=slate.device)
        shape = (len(slate), self.n_items + 1)  # one more, for the slots that are empty
        masks = xp.ones(shape, dtype=xp.bool, device=slate.device)
        masks[row[:, None], slate] = False
        return masks[:, :-1]

    def _others(self, slate: Array) -> Array:
        """Returns for each slot of slates (B, K) an item that is in no other slot, below 2 K."""
        xp = namespace(slate)
        size = self.slate_size
        low = xp.arange(min(2 * size, self.n_items), device=slate.device)
        free = ~(slate[:, :, None] == low).any(axis=1)
        # The last slot takes the lowest free id, the one before it the next.
        order = xp.argsort(xp.asarray(~free, dtype=xp.int8), axis=1, stable=True)
        return xp.flip(order[:, :size], axis=1)


def top(scores: Array, size: int) -> Array:
    """Returns the ``size`` highest of scores (B, N) in order, the lowest index of equal ones."""
    xp = namespace(scores)
    if isinstance(scores, np.ndarray) and size < scores.shape[1]:
        lowest = np.partition(scores, -size, axis=1)[:, -size, None]
        scores = np.where(scores >= lowest, scores, -np.inf)
    order = xp.argsort(-scores, axis=1, stable=True)
    return order[:, :size]


def _where(rows_: Array, new: Array, old: Array) -> Array:
    """Returns ``new`` in some rows (B,), ``old`` in the others."""
    return namespace(new).where(rows_.reshape(-1, *[1] * (new.ndim - 1)), new, old)


VIEWS: Registry[Callable[[Simulator], Simulator]] = Registry(
    "view",
    {
        "item-by-item": ItemByItem,
        "proto-action": ProtoAction,
        "scores": Scores,
        "enumerated": EnumeratedSlates,
    },
    callable,
)
"""The views by name; without one, or with ``PLAIN``, actions are slates."""


def view_of(world: Simulator, view: str | None) -> Simulator:
    """Returns the world under a view, or as it is for None and for "slate".

    Raises:
        RecGymError: no such view, or it does not suit the world.
    """
    return world if view in (None, PLAIN) else VIEWS.find(str(view))(world)


def actions_a_slate(simulator: Simulator) -> int:
    """Returns how many actions it takes to show one slate."""
    return simulator.slate_size if isinstance(simulator, ItemByItem) else 1
