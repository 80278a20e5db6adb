"""Which of several policies earns most, and which of the others cannot be told apart from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recgym.arrays import Array
from recgym.metrics import Estimate, holm, mean_and_error, paired_t
from recgym_agents.runs.evaluation import Evaluation

Unit = Literal["step", "session"]
"""What rewards are counted by."""
LEVEL = 0.05
"""Differences with a p-value below it are told apart."""


@dataclass(frozen=True)
class Standing:
    """What a policy earns, and how far it is behind the one that earns most."""

    name: str
    reward: Estimate
    """Over seeds; over users where there is a single seed."""
    behind: Estimate | None = None
    """The best one's reward less this one's, over the same; None of the best itself."""
    p_seeds: float = math.nan
    """Two-sided paired t-test over seeds, Holm-corrected; not a number with a single seed."""
    p_users: float = math.nan
    """The same over users (or episodes, where no users are named), each averaged over seeds."""

    @property
    def best(self) -> bool:
        """Whether none earns more."""
        return self.behind is None

    @property
    def told_apart(self) -> bool:
        """Whether every test there is tells it from the best."""
        known = [p for p in (self.p_seeds, self.p_users) if not math.isnan(p)]
        return bool(known) and all(p < LEVEL for p in known)


def standings(scores: Mapping[str, Array]) -> list[Standing]:
    """Ranks policies by their mean reward, and tests each against the best.

    Args:
        scores: by name, rewards (S, U) of S seeds and U users; the same seeds and users in all.

    Returns:
        The best first.

    >>> scores = {"a": np.array([[1.0, 2.0, 3.0]]), "b": np.array([[2.0, 3.0, 3.0]])}
    >>> best, other = standings(scores)
    >>> best.name, round(other.behind.mean, 3), other.told_apart
    ('b', 0.667, False)
    """
    best, *others = sorted(scores, key=lambda name: -scores[name].mean())
    gaps = [scores[best] - scores[name] for name in others]
    p_seeds = holm(np.array([_p_value(gap.mean(axis=1)) for gap in gaps]))
    p_users = holm(np.array([_p_value(gap.mean(axis=0)) for gap in gaps]))
    behind = [
        Standing(name, estimate(scores[name]), estimate(gap), float(over_seeds), float(over_users))
        for name, gap, over_seeds, over_users in zip(others, gaps, p_seeds, p_users, strict=True)
    ]
    return [Standing(best, estimate(scores[best])), *behind]


def estimate(scores: Array) -> Estimate:
    """Returns the mean of scores (S, U) over seeds, or over users where there is a single seed."""
    return mean_and_error(scores.mean(axis=1) if len(scores) > 1 else scores[0])


def unit_of(evaluations: Sequence[Evaluation]) -> Unit:
    """Returns what to count rewards by: steps where all episodes are of one length, or sessions.

    A policy that keeps its users earns more a session; its reward a step says nothing of that.
    """
    lengths = {
        int(steps) for found in evaluations for steps in (found.steps.min(), found.steps.max())
    }
    return "step" if len(lengths) == 1 else "session"


def rewards_by_user(evaluations: Sequence[Evaluation], unit: Unit) -> Array:
    """Returns the rewards (S, U) of S evaluations that met the same U users."""
    _, step, _, session = range(4)
    return np.stack([found.by_user()[step if unit == "step" else session] for found in evaluations])


def _p_value(differences: Array) -> float:
    """Two-sided p-value of "they are zero on average"; not a number if there is only one."""
    if len(differences) < 2:
        return math.nan
    return paired_t(differences, np.zeros(len(differences)))
