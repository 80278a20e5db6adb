"""A world small enough to solve, and a small user model, for the tests of agents."""

from __future__ import annotations

from itertools import permutations
from typing import Any, Self

import numpy as np
from gymnasium import spaces

from recgym.arrays import Array
from recgym.simulators.base import Noise, Response, State, choose
from recgym.spaces import SlateSpace
from recgym.users import gan
from recgym.users.folder import FittedUserModel

N_ITEMS, SLATE_SIZE, WINDOW = 8, 2, 2
JUNK = np.arange(N_ITEMS) < 3
"""Items that are tempting, and that leave the user jaded: until another is clicked, little pays."""
APPEAL = np.where(JUNK, 3.0, 1.0) * np.linspace(1.2, 0.8, N_ITEMS)
"""Weight of an item in the user's choice; not clicking weighs 1."""
PAY = np.where(JUNK, 1.0, 0.6) + np.linspace(0.0, 0.2, N_ITEMS)
"""Reward of a click, of a user who is not jaded."""
JADED = 0.15
"""What a jaded user's clicks pay, as a share."""
SLOT = np.array([1.0, 0.6])
"""The second slot is seen less."""


class SmallWorld:
    """Users whose answers depend on the item they clicked last; no item is ever spent."""

    n_items, slate_size, n_users = N_ITEMS, SLATE_SIZE, 1
    reset_noise, step_noise = (0, 0), (1, 0)
    info_names = ()
    observation_space = spaces.Box(0, N_ITEMS, (WINDOW,), np.int64)
    action_space = SlateSpace(N_ITEMS, SLATE_SIZE)

    def __init__(self, horizon: int = 20, features: bool = True) -> None:
        self.horizon = horizon
        self.item_features = np.eye(N_ITEMS, dtype=np.float32) if features else None

    def reset(self, noise: Noise, users: Array | None = None) -> State:
        rows = len(noise.uniform)
        history = np.full((rows, WINDOW), N_ITEMS)
        return {"history": history, "step": np.zeros(rows, np.int64)}

    def observe(self, state: State) -> Array:
        return state["history"].copy()

    def step(self, state: State, slate: Array, noise: Noise) -> tuple[State, Response]:
        history = state["history"]
        option = choose(weights(slate), noise.uniform)
        clicked = option < SLATE_SIZE
        row = np.arange(len(slate))
        item = np.where(clicked, slate[row, np.minimum(option, SLATE_SIZE - 1)], -1)
        reward = np.where(clicked, pay(history[:, -1])[row, item], 0.0).astype(np.float32)
        shifted = np.concatenate([history[:, 1:], item[:, None]], axis=1)
        after = {
            "history": np.where(clicked[:, None], shifted, history),
            "step": state["step"] + 1,
        }
        click = np.where(clicked, option, -1)
        return after, Response(click, item, reward, np.zeros(len(slate), np.bool_), slate)

    def to(self, backend: str, device: str) -> Self:
        return self


def weights(slate: np.ndarray) -> np.ndarray:
    """The weights of clicking each slot, and of not clicking, (B, K + 1)."""
    return np.concatenate([APPEAL[slate] * SLOT, np.ones((len(slate), 1))], axis=1)


def pay(last: np.ndarray) -> np.ndarray:
    """The reward of a click on each item (B, N), for users who clicked ``last`` (B,) before."""
    jaded = np.append(JUNK, False)[last]
    return PAY * np.where(jaded, JADED, 1.0)[:, None]


HISTORIES = np.array([(a, b) for a in range(N_ITEMS + 1) for b in range(N_ITEMS + 1)])
"""Every observation there can be, (S, W)."""
SLATES = np.array(list(permutations(range(N_ITEMS), SLATE_SIZE)))
"""Every slate there can be, (A, K)."""


def _model() -> tuple[np.ndarray, np.ndarray]:
    """The expected reward (S, A), and the probability of the next observation (S, A, S)."""
    chance = weights(SLATES)
    chance /= chance.sum(axis=1, keepdims=True)
    clicked = np.zeros((len(SLATES), N_ITEMS))
    np.put_along_axis(clicked, SLATES, chance[:, :SLATE_SIZE], axis=1)
    reward = pay(HISTORIES[:, -1]) @ clicked.T
    after = HISTORIES[:, -1:] * (N_ITEMS + 1) + np.arange(N_ITEMS)
    moves = np.zeros((len(HISTORIES), len(SLATES), len(HISTORIES)))
    for state in range(len(HISTORIES)):
        moves[state][:, after[state]] = clicked
        moves[state][:, state] += chance[:, -1]
    return reward, moves


REWARD, MOVES = _model()
START = len(HISTORIES) - 1


def policy_value(slates: np.ndarray, discount: float) -> float:
    """The exact value at the start of the policy that shows ``slates`` (S, K) in ``HISTORIES``."""
    chosen = (slates[:, None, :] == SLATES).all(axis=2).argmax(axis=1)
    row = np.arange(len(HISTORIES))
    values = np.linalg.solve(np.eye(len(row)) - discount * MOVES[row, chosen], REWARD[row, chosen])
    return float(values[START])


def optimal_slates(discount: float) -> np.ndarray:
    """The best slate in each of ``HISTORIES`` (S, K), by value iteration over all slates."""
    value = np.zeros(len(HISTORIES))
    for _ in range(2000):
        value = (REWARD + discount * MOVES @ value).max(axis=1)
    return SLATES[(REWARD + discount * MOVES @ value).argmax(axis=1)]


def myopic_slates() -> np.ndarray:
    """The slate of the highest immediate reward in each of ``HISTORIES`` (S, K)."""
    return SLATES[REWARD.argmax(axis=1)]


def random_user_model(
    n_items: int = 30, bags: int = 2, seed: int = 0, features: int = 4, **shape: Any
) -> FittedUserModel:
    """A user model of some shape with random parameters, whose clicked items are spent."""
    rng = np.random.default_rng(seed)
    small = {"window": 3, "weights": 2, "hidden": (8,), "features": features}
    config = gan.GANUserConfig(**(small | shape))

    def member() -> gan.Params:
        return {
            name: rng.normal(size=shape).astype(np.float32)
            for name, shape in gan.shapes(config).items()
        }

    names = ["train", "test", *(f"bag{number}" for number in range(bags))]
    return FittedUserModel(
        config=config,
        features=rng.normal(size=(n_items, features)).astype(np.float32),
        members={name: member() for name in names},
        histories={
            split: np.stack([rng.permutation(n_items)[:3] for _ in range(20)])
            for split in ("train", "test")
        },
        info={"dataset": "none", "repeat_clicks": False, "page_size": 3},
        scores={},
    )
