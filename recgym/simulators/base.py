"""What a simulator is: a pure, batched transition whose randomness is passed in."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import gymnasium
import numpy as np

from recgym.arrays import Array, namespace

State = dict[str, Array]
"""Arrays by name, each with one row an episode (B, ...). Every state has "step", an int64 (B,)."""


class Noise(NamedTuple):
    """The randomness that one call consumes."""

    uniform: Array
    """Draws from [0, 1), (B, n_uniform)."""
    normal: Array
    """Standard normal draws, (B, n_normal)."""


class Response(NamedTuple):
    """What the users did with their slates."""

    click: Array
    """Clicked slot, int64 (B,); -1 when nothing was clicked."""
    item: Array
    """Clicked item id, int64 (B,); -1 when nothing was clicked."""
    reward: Array
    """Reward, float32 (B,)."""
    terminated: Array
    """Whether the user left, bool (B,)."""
    slate: Array
    """Item ids that were shown, int64 (B, K); -1 where nothing was."""


class Kinds(NamedTuple):
    """Which kind each item is of, and what else there is to say of it."""

    names: tuple[str, ...]
    """G kinds: topics, for instance."""
    of_items: Array
    """The kind of each item, int64 (B, N)."""
    measure: str = ""
    """What else an item has, such as "quality"; "" for nothing."""
    measures: Array | None = None
    """How much of it each item has, (B, N)."""


class Liking(NamedTuple):
    """What users like now."""

    what: str
    """What the values are."""
    names: tuple[str, ...]
    """What each value is of; empty where there is one for each item."""
    values: Array
    """(B, number of names) or (B, N)."""
    low: float
    """A bar of this value is empty, or as far to the left as one goes if it is below 0."""
    high: float
    """A bar of this value is full."""


class Options(NamedTuple):
    """What users may do with items, the last column being to take none of them."""

    weights: Array
    """Of a slate, one option is taken in proportion to these, (B, M + 1), none below 0."""
    rewards: Array
    """Expected reward of taking each, (B, M + 1)."""
    stays: Array
    """Probability that the user stays once she has taken it, (B, M + 1)."""


class Simulator(Protocol):
    """A world of users who answer slates of items.

    A simulator holds no episode: its methods map arrays to arrays and change none of their
    arguments, so that the single and the vector environment, NumPy and torch, and one row and
    thousands all run the same code. An episode is truncated by the environment once
    ``state["step"]`` has reached ``horizon``.

    Where the items are new at every step, ids are places among them, ``item_features`` is None,
    each observation begins with their N * D features, and a method ``candidates(observation)``
    returns these as (B, N, D).

    A simulator may also be one that ``HasKinds`` or ``HasLiking``: then pictures show it; or that
    ``HasOptions``: then ``recgym.planning`` can plan in it.
    """

    n_items: int
    slate_size: int
    horizon: int
    """Slates an episode lasts, unless its user leaves earlier."""
    n_users: int
    """Users that ``reset`` can choose from; user i is the same in every run."""
    reset_noise: tuple[int, int]
    """How many uniform and how many standard normal draws one row of ``reset`` consumes."""
    step_noise: tuple[int, int]
    """How many uniform and how many standard normal draws one row of ``step`` consumes."""
    observation_space: gymnasium.spaces.Box
    """The space of one row of ``observe``."""
    action_space: gymnasium.Space[Any]
    """The space of one row's action: a ``SlateSpace``, but for views."""
    info_names: tuple[str, ...]
    """The entries of the state, (B, ...), that environments copy into their info."""
    item_features: np.ndarray | None
    """The items as agents may see them, float32 (N, D)."""

    def reset(self, noise: Noise, users: Array | None = None) -> State:
        """Starts one episode a row; ``users`` int64 (B,) names its user, -1 draws one."""

    def observe(self, state: State) -> Array:
        """Returns fresh observations, (B, ...)."""

    def step(self, state: State, action: Array, noise: Noise, /) -> tuple[State, Response]:
        """Shows the slates, int64 (B, K) of distinct ids, and returns the answers."""

    def to(self, backend: str, device: str) -> Self:
        """Returns this simulator with its arrays in "numpy" or "torch", on ``device``."""


@runtime_checkable
class HasKinds(Protocol):
    """A simulator whose items are of kinds; pictures name and colour them by it."""

    def kinds(self, state: State) -> Kinds:
        """Returns the kinds of the items that can be shown next, for a state in NumPy."""


@runtime_checkable
class HasLiking(Protocol):
    """A simulator that knows what its users like."""

    def liking(self, state: State) -> Liking:
        """Returns what the users like now, for a state in NumPy."""


@runtime_checkable
class HasOptions(Protocol):
    """A simulator that tells what users would do, and so can be planned in.

    Its users take one of the items that they read, or none. What follows depends on a slate only
    through what was taken. A step is worth the mean of ``rewards`` by ``weights``.
    """

    slots_read: int
    """Slots that users read, the first of a slate."""

    def options(self, state: State, items: Array) -> Options:
        """Returns what users would do with M items, int64 (B, M)."""

    def follow(self, state: State, item: Array, noise: Noise) -> State:
        """Returns the state of users who took an item, int64 (B,), -1 for none, and stayed."""

    def remaining(self, state: State) -> Array:
        """Returns how much is left of the episodes, (B,), in slates or minutes; 0 once over."""


class PlannableWorld(Simulator, HasOptions, Protocol):
    """A simulator that can be planned in."""


def choose(weights: Array, uniform: Array) -> Array:
    """Draws one option a row in proportion to its weight, by inverting the distribution function.

    Args:
        weights: non-negative weights (B, K).
        uniform: draws from [0, 1), (B, 1).

    Returns:
        int64 (B,): the chosen option, never one of weight 0; the last in a row of zeros.
    """
    return invert(weights.cumsum(axis=1), uniform)


def invert(cumulative: Array, uniform: Array) -> Array:
    """Draws one option a row by inverting its distribution function, as ``choose`` does.

    Args:
        cumulative: sums of the weights up to each option (B, K).
        uniform: draws from [0, 1), (B, 1).
    """
    xp = namespace(cumulative)
    reached = xp.asarray(cumulative > uniform * cumulative[:, -1:], dtype=xp.int8)
    reached[:, -1] = 1
    return reached.argmax(axis=1)
