"""What held-out users did on the pages of a log, and what a user model does on the same pages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.arrays import Array
from recgym.data.sessions import rank_within
from recgym.users.folder import FittedUserModel
from recgym.users.kinds import functions_of
from recgym.users.page_arrays import Pages


@dataclass(frozen=True, eq=False)
class Behaviour:
    """What users did, page by page."""

    user: Array
    """(Q,) int64 numbers 0, 1, .. of users, or sessions, in ascending order"""
    slot: Array
    """(Q,) int64 clicked slot, or -1"""
    item: Array
    """(Q,) int64 clicked item, or -1"""

    @property
    def n_users(self) -> int:
        """U."""
        return int(self.user.max()) + 1

    @property
    def pages(self) -> Array:
        """(U,) how many pages each user saw."""
        return np.bincount(self.user, minlength=self.n_users)

    @property
    def clicks(self) -> Array:
        """(U,) how often each user clicked."""
        return np.bincount(self.user[self.item >= 0], minlength=self.n_users)

    @property
    def repeated(self) -> Array:
        """(Q,) bool: clicks on an item that the user had clicked on an earlier page."""
        pair = self.user * (self.item.max() + 2) + self.item
        first = np.zeros(len(pair), bool)
        first[np.unique(pair, return_index=True)[1]] = True
        return ~first & (self.item >= 0)


def logged(pages: Pages) -> Behaviour:
    """Returns what the users of some pages did."""
    clicked = pages.clicked
    slot = np.where(clicked, pages.target, -1)
    item = np.where(clicked, pages.slates[np.arange(pages.n_pages), slot], -1)
    return Behaviour(np.unique(pages.user, return_inverse=True)[1], slot, item)


def replayed(
    model: FittedUserModel, pages: Pages, rng: np.random.Generator, member: str = "train"
) -> Behaviour:
    """Returns what the users of a fitted model do on the pages that others were shown.

    Each begins with what the real user had clicked before her first page; after that she knows her
    own clicks alone. Where users leave, she is shown pages until she does, or has seen as many as
    the longest real session has: first those of the real user, then others drawn at random.

    Args:
        model: the fitted user model.
        pages: from ``pages_of`` its configuration, sorted by user.
        rng: draws clicks, and pages.
        member: which of its members answers.
    """
    config, functions = model.config, functions_of(model.config)
    tables = functions.prepare(config, model.members[member], model.features)
    users, turn = np.unique(pages.user, return_inverse=True)[1], rank_within(pages.user)
    first = np.flatnonzero(turn == 0)
    lengths = np.bincount(users)
    leaves = config.outside == "end"
    state = functions.initial(config, tables, pages.histories[first])
    if member in model.contexts:  # users of a meta-level model differ by more than their clicks
        state["context"] = rng.choice(model.contexts[member], len(first))
    spent = None if model.info["repeat_clicks"] else np.zeros((len(first), model.n_items + 1), bool)
    there = np.arange(len(first))
    found: list[tuple[Array, Array, Array]] = []
    for step in range(int(lengths.max())):
        if not leaves:
            there = np.flatnonzero(lengths > step)
        own = lengths[there] > step
        drawn = rng.integers(pages.n_pages, size=len(there))
        page = np.where(own, first[there] + np.minimum(step, lengths[there] - 1), drawn)
        slates = pages.slates[page]
        part = {name: values[there] for name, values in state.items()}
        logits = np.array(functions.respond(config, tables, part, slates)[0], np.float64)
        logits[:, :-1][slates == model.n_items] = -np.inf
        if spent is not None:
            logits[:, :-1][spent[there[:, None], slates]] = -np.inf
        choice = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
        clicked = (choice < slates.shape[1]) & np.isfinite(logits.max(axis=1))
        slot = np.where(clicked, choice, -1)
        item = np.where(clicked, slates[np.arange(len(there)), slot], -1)
        found.append((there, slot, item))
        for name, values in functions.advance(config, tables, part, item).items():
            state[name][there] = values
        if spent is not None:
            spent[there[clicked], item[clicked]] = True
        if leaves:
            there = there[clicked]
            if not len(there):
                break
    user, slot, item = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(user, kind="stable")
    return Behaviour(user[order], slot[order], item[order])
