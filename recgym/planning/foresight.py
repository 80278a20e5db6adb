"""What taking an item is worth after the step, from continuations that were simulated."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

KNOTS = 13
"""Points between which the level and the fading are linear."""
SWEEPS = 6
"""Of alternating least squares."""
PRIOR = 2.0
"""Decisions without effect that each item's effect is averaged with."""


class Decisions(NamedTuple):
    """Continuations of D decisions, each after M options."""

    remaining: np.ndarray
    """How much was left of the episode (D,)."""
    keys: np.ndarray
    """What each option was, (D, M)."""
    worth: np.ndarray
    """Mean reward to come after each, (D, M); NaN where it was not simulated."""
    value: np.ndarray
    """Reward to come of the slate that was shown, this step's included, (D,)."""


class Foresight(NamedTuple):
    """The reward to come: a level by what is left of an episode, and an effect of each item.

    An item's effect fades as an episode runs out: it is the product of a number of its own and a
    function of what is left, which all items share.
    """

    knots: np.ndarray
    """Of what is left, (G,), from 0 up."""
    level: np.ndarray
    """Mean reward to come, (G,)."""
    fading: np.ndarray
    """Factor of all effects, (G,)."""
    effect: np.ndarray
    """Reward to come beyond that of the mean option, by key."""

    @staticmethod
    def none(n_keys: int, most: float) -> Foresight:
        """Returns the foresight of who looks at this step alone."""
        knots = np.linspace(0.0, max(most, 1.0), KNOTS)
        return Foresight(knots, np.zeros(KNOTS), np.zeros(KNOTS), np.zeros(n_keys))

    def value(self, remaining: np.ndarray) -> np.ndarray:
        """Returns the reward to come where so much is left (B,)."""
        found: np.ndarray = np.interp(remaining, self.knots, self.level)
        return found

    def after(self, remaining: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Returns the reward to come after options (B, M), where so much was left (B,)."""
        fading = np.interp(remaining, self.knots, self.fading)
        level = self.value(np.maximum(remaining - 1.0, 0.0))
        found: np.ndarray = level[:, None] + fading[:, None] * self.effect[keys]
        return found


def learn(before: Foresight, decisions: Decisions) -> Foresight:
    """Fits levels and effects to decisions, by alternating least squares.

    Args:
        before: whose knots are kept.
        decisions: what was found.
    """
    knots = before.knots
    hats = _hats(decisions.remaining, knots)  # (D, G)
    level = _by_knot(hats, decisions.value)
    level[0] = 0.0
    known = np.isfinite(decisions.worth)
    gained = np.where(known, decisions.worth, 0.0)
    gained -= gained.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    fading, effect = np.ones_like(knots), np.zeros_like(before.effect)
    fading[0] = 0.0
    n_keys = len(effect)
    for _ in range(SWEEPS):
        factor = (hats @ fading)[:, None] * known
        offset = (factor * effect[decisions.keys]).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        target = (gained + offset[:, None]) * known
        moved = np.bincount(decisions.keys.ravel(), (factor * target).ravel(), n_keys)
        weight = np.bincount(decisions.keys.ravel(), (factor**2).ravel(), n_keys)
        effect = moved / (weight + PRIOR)
        size = np.where(known, effect[decisions.keys], 0.0)
        moment = hats.T @ (size * target).sum(axis=1)
        fading = moment / np.maximum(hats.T @ (size**2).sum(axis=1), 1e-12)
        fading = np.clip(fading / max(fading.max(), 1e-12), 0.0, 1.0)
        fading[0] = 0.0
    return Foresight(knots, level, fading, effect)


def _hats(points: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Returns the weight of each knot at each point, (D, G), as linear interpolation has it."""
    place = np.clip(points / knots[1], 0.0, len(knots) - 1.0)
    hats: np.ndarray = np.maximum(1.0 - np.abs(place[:, None] - np.arange(len(knots))), 0.0)
    return hats


def _by_knot(hats: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns the piecewise linear function nearest to values (D,), as good as none bent."""
    bend = np.diff(np.eye(hats.shape[1]), 2, axis=0)
    system = hats.T @ hats + 1e-2 * len(hats) / hats.shape[1] * bend.T @ bend
    system += 1e-9 * np.eye(len(system))
    found: np.ndarray = np.linalg.solve(system, hats.T @ values)
    return found
