"""How far user models of different users agree: what may carry over from one to the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.metrics import rank_correlation
from recgym.users.folder import FittedUserModel
from recgym.users.kinds import functions_of

BLOCK = 50
"""States whose whole catalogue is scored at once."""


@dataclass(frozen=True)
class Agreement:
    """Rank correlations (Spearman) of two models' rewards r(s, a)."""

    levels: float
    """Of the mean reward of all items, over states. An agent that plans walks to states of a high
    level: without agreement, where it walks is worth nothing to other users."""
    items: float
    """Of the rewards of the items within a state, mean over states. A greedy slate lives on it."""


def agreement(model: FittedUserModel, one: str = "train", other: str = "test") -> Agreement:
    """Compares two members of a user model in the states of its synthetic users.

    Args:
        model: of the GAN kind, whose users differ by what they clicked.
        one: member of the model.
        other: another one.

    Raises:
        RecGymError: there is no such member, or only one history to compare them in.
    """
    for name in (one, other):
        if name not in model.members:
            known = ", ".join(model.members)
            raise RecGymError(f"agreement: no member {name!r}; there are {known}")
    histories = model.histories["train"]
    if len(histories) < 2:
        raise RecGymError("agreement: one history; it takes a user model of the GAN kind")
    return compare(rewards_of(model, one, histories), rewards_of(model, other, histories))


def rewards_of(model: FittedUserModel, member: str, histories: Array) -> Array:
    """Returns r(s, a) of every item (S, N) in the states of some histories (S, W).

    Args:
        model: the user model.
        member: whose rewards.
        histories: item ids, W >= window: the last click last, left-padded with N.
    """
    functions = functions_of(model.config)
    tables = functions.prepare(model.config, model.members[member], model.features)
    every = np.arange(model.n_items)
    parts = []
    for start in range(0, len(histories), BLOCK):
        state = functions.initial(model.config, tables, histories[start : start + BLOCK])
        slate = np.broadcast_to(every, (len(state["history"]), model.n_items))
        parts.append(functions.respond(model.config, tables, state, slate)[1][:, :-1])
    return np.concatenate(parts)


def compare(ours: Array, theirs: Array) -> Agreement:
    """Compares rewards (S, N) of N items in S states with others of the same."""
    within = [rank_correlation(*pair) for pair in zip(ours, theirs, strict=True)]
    levels = rank_correlation(ours.mean(axis=1), theirs.mean(axis=1))
    return Agreement(levels, float(np.mean(within)))
