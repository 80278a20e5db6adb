"""How far two fits on different users agree: what of a user model can carry over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.users.folder import FittedUserModel
from recgym.users.gan import Params
from recgym.users.kinds import functions_of

STATES = 200
"""Of each member's synthetic users, those whose states are compared."""
BLOCK = 64
"""States whose items are judged at once."""


@dataclass(frozen=True)
class Agreement:
    """Rank correlations (Spearman) of two models' rewards, in the same states."""

    levels: float
    """over states, of the mean reward over the items: which states are worth more"""
    items: float
    """over items, mean over the states: which items are worth more"""
    tastes: float
    """as ``items``, with each item's mean over the states taken off first: which items a state
    makes worth more or less. An item that all users like counts in ``items``, not here."""

    def __str__(self) -> str:
        """Writes "levels 0.17, items 0.99, tastes 0.77"."""
        return f"levels {self.levels:.2f}, items {self.items:.2f}, tastes {self.tastes:.2f}"


def agreement_of(
    model: FittedUserModel,
    first: str = "train",
    second: str = "test",
    histories: Array | None = None,
) -> Agreement:
    """Compares what two members of a user model say of the same states.

    Fitted on disjoint users, they differ in all that the log does not fix. Members fitted on the
    same users, such as bags, can agree on that too.

    Args:
        model: the fitted user model.
        first: one of its members.
        second: another.
        histories: states as click histories, (S, W >= window) item ids, S >= 2; when None, those of
            both splits' synthetic users, or of a model whose sessions begin with nothing, random
            ones.

    Raises:
        RecGymError: there is no such member.
    """
    for name in (first, second):
        if name not in model.members:
            there = ", ".join(model.members)
            raise RecGymError(f"user model has no member {name!r}: there are {there}")
    states = _states(model) if histories is None else histories
    return compare_rewards(item_rewards(model, first, states), item_rewards(model, second, states))


def item_rewards(model: FittedUserModel, member: str, histories: Array) -> Array:
    """Returns the expected reward of a click on each item (S, N), after histories (S, W)."""
    tables = functions_of(model.config).prepare(model.config, model.members[member], model.features)
    return judged_items(model, tables, histories, np.arange(model.n_items))[1]


def judged_items(
    model: FittedUserModel, tables: Params, histories: Array, items: Array
) -> tuple[Array, Array]:
    """Returns the utilities of choosing items (M,), and rewards, (S, M), after histories (S, W).

    Args:
        model: the fitted user model.
        tables: of one of its members, from its kind's ``prepare``.
        histories: click histories, item ids.
        items: their ids.
    """
    functions, config = functions_of(model.config), model.config
    found = []
    for start in range(0, len(histories), BLOCK):
        state = functions.initial(config, tables, histories[start : start + BLOCK])
        slates = np.broadcast_to(items, (len(state["history"]), len(items)))
        found.append(functions.respond(config, tables, state, slates))
    utilities, rewards = (np.concatenate(parts)[:, :-1] for parts in zip(*found, strict=True))
    return utilities, rewards


def compare_rewards(first: Array, second: Array) -> Agreement:
    """Compares two models' rewards of every item in the same states, (S, N) each."""
    return Agreement(
        levels=rank_correlation(first.mean(axis=1), second.mean(axis=1)),
        items=_mean_over_states(first, second),
        tastes=_mean_over_states(first - first.mean(axis=0), second - second.mean(axis=0)),
    )


def rank_correlation(first: Array, second: Array) -> float:
    """Returns Spearman's rank correlation of two lists of numbers; 0 where one does not vary.

    >>> rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([5.0, 4.0, 7.0]))
    0.5
    """
    one, other = (_ranks(values) - (len(values) - 1) / 2 for values in (first, second))
    spread = np.sqrt((one @ one) * (other @ other))
    return float(one @ other / spread) if spread else 0.0


def kendall_tau(first: Array, second: Array) -> Array:
    """Returns Kendall's tau-b along the last axis; 0 where one does not vary.

    Of all pairs, how many are in the same order less how many are in the opposite one, over the
    geometric mean of how many are not tied in each.

    Args:
        first: (..., P) numbers of P things.
        second: (..., P) other numbers of the same things.

    >>> kendall_tau(np.array([1.0, 2.0, 9.0]), np.array([5.0, 4.0, 7.0])).round(3)
    np.float64(0.333)
    """
    one, other = np.triu_indices(first.shape[-1], 1)
    orders = [np.sign(values[..., one] - values[..., other]) for values in (first, second)]
    untied = np.sqrt(np.abs(orders[0]).sum(axis=-1) * np.abs(orders[1]).sum(axis=-1))
    agreed = (orders[0] * orders[1]).sum(axis=-1)
    return agreed / np.where(untied > 0.0, untied, 1.0)


def _mean_over_states(first: Array, second: Array) -> float:
    pairs = zip(first, second, strict=True)
    return float(np.mean([rank_correlation(one, other) for one, other in pairs]))


def _ranks(values: Array) -> Array:
    """Returns the rank of each number, from 0; equal ones share the mean of theirs."""
    _, number, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count + 1) / 2)[number]


def _states(model: FittedUserModel) -> Array:
    """Returns the states that are compared unless others are given, (S, W)."""
    own = [histories[:STATES] for histories in model.histories.values()]
    if max(map(len, own)) > 1:
        return np.concatenate(own)
    rng = np.random.default_rng(0)
    return rng.integers(model.n_items, size=(STATES, model.config.window))
