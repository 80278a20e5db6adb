"""A fixed panel of ten policies that learn nothing: do two worlds rank them alike?

They know the catalog, the clicks of the log's training users, and the user model's member that is
fitted on these; nothing of other users, so that the world of those is new to all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from recgym.arrays import Array
from recgym.simulators.views import top
from recgym.spaces import random_slates
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.runs.training_users import TrainingUsers
from recgym_agents.user_support import Support

STEPS_AHEAD = 10.0
"""Slates for which the policy that looks ahead counts on what a click leads to."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a policy is asked with."""

    history: Array
    """(B, W) items that users clicked, the last click last, padded with N on the left"""
    n_items: int
    """N"""
    slate_size: int
    """K"""
    rng: np.random.Generator

    def best(self, items: Array, scores: Array) -> Array:
        """Returns the K items of the highest scores that were not seen to be clicked, (B, K).

        Args:
            items: (M,) that there is a choice of.
            scores: (M,), or of each user (B, M).
        """
        clicked = np.zeros((len(self.history), self.n_items + 1), np.bool_)
        np.put_along_axis(clicked, self.history, True, axis=1)
        chosen: Array = items[top(np.where(clicked[:, items], -np.inf, scores), self.slate_size)]
        return chosen


Policy = Callable[[TrainingUsers, Seen], Array]
"""Returns slates (B, K)."""


def _random(known: TrainingUsers, seen: Seen) -> Array:
    n_rows = len(seen.history)
    return random_slates(seen.rng, seen.n_items, seen.slate_size, n_rows, seen.history)


def _same_for_all(score: Array, seen: Seen) -> Array:
    """Shows the items of the highest score (N,)."""
    items = np.argsort(-score, kind="stable")[: seen.history.shape[1] + seen.slate_size]
    return seen.best(items, score[items])


def _alike(known: TrainingUsers, seen: Seen, clicks: int, sign: float = 1.0) -> Array:
    """Shows the items whose features are most like those of the last clicks, or least (-1)."""
    mean = known.directions[seen.history[:, -clicks:]].mean(axis=1)
    return seen.best(np.arange(seen.n_items), sign * mean @ known.directions[:-1].T)


def _greedy(known: TrainingUsers, seen: Seen, ahead: float = 0.0) -> Array:
    """Shows the items of the highest reward now, with so much of the mean reward after them."""
    _, rewards = known.judged(seen.history)
    return seen.best(known.shortlist, rewards + ahead * known.reward_after)


def _one_among_the_worst(known: TrainingUsers, seen: Seen) -> Array:
    first = _greedy(known, replace(seen, slate_size=1))
    spoken_for = np.concatenate([seen.history, first], axis=1)
    others = replace(seen, history=spoken_for, slate_size=seen.slate_size - 1)
    return np.concatenate([first, _same_for_all(-known.reward, others)], axis=1)


def _tastes(known: TrainingUsers, seen: Seen) -> Array:
    return seen.best(known.shortlist, known.judged(seen.history)[0] - known.utility)


PANEL: dict[str, tuple[str, Policy]] = {
    "random": ("items drawn evenly", _random),
    "popular": (
        "the items that training users clicked most often in the log",
        lambda known, seen: _same_for_all(known.clicks, seen),
    ),
    "rare": (
        "the items that they clicked least often",
        lambda known, seen: _same_for_all(-known.clicks, seen),
    ),
    "alike": (
        "the items whose features are most like those of the last click",
        lambda known, seen: _alike(known, seen, 1),
    ),
    "unlike": (
        "the items whose features are least like those of the last three clicks",
        lambda known, seen: _alike(known, seen, 3, -1.0),
    ),
    "fixed": (
        "the items of the highest reward, mean over training users",
        lambda known, seen: _same_for_all(known.reward, seen),
    ),
    "greedy": ("the items of the highest reward now", _greedy),
    "one among the worst": (
        "the item of the highest reward now, beside those of the lowest mean reward",
        _one_among_the_worst,
    ),
    "tastes": (
        "the items that a user would rather choose now than training users would in the mean",
        _tastes,
    ),
    "ahead": (
        "the items of the highest reward now and of what their click makes others worth",
        lambda known, seen: _greedy(known, seen, STEPS_AHEAD),
    ),
}
"""Name -> what is shown, in words, and how. No item is shown that was seen to be clicked."""


class PanelPolicy:
    """One policy of the panel as an actor.

    Args:
        spec: of the environment; item ids are observed.
        known: what policies know.
        name: of the policy in ``PANEL``.
        seed: of what it draws.
    """

    def __init__(self, spec: EnvironmentSpec, known: TrainingUsers, name: str, seed: int) -> None:
        self.spec, self.known = spec, known
        self.policy = PANEL[name][1]
        self.rng = np.random.default_rng(seed)

    def adapt(self, support: Support) -> PanelPolicy:
        """Returns itself: it makes nothing of what users did before."""
        return self

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Returns slates (B, K)."""
        seen = Seen(observation, self.spec.n_items, self.spec.slate_size, self.rng)
        slates: np.ndarray = self.policy(self.known, seen)
        return slates
