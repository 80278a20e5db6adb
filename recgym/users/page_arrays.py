"""The pages of a log as rectangular arrays, for fitting and scoring user models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from recgym.arrays import Array
from recgym.data import Sessions
from recgym.users.kinds import UserConfig, kind_of


@dataclass(frozen=True, eq=False)
class Pages:
    """P pages that show something, with what each page's user had clicked before.

    Item id N fills empty slots, short histories, and short sequences.
    """

    n_items: int
    """N"""
    slates: Array
    """(P, K) int64 item ids"""
    target: Array
    """(P,) int64 clicked slot, or K where nothing was clicked"""
    histories: Array
    """(P, window) int64 items that the user had clicked, most recent last"""
    user: Array
    """(P,) int64 row of ``sequences``"""
    clicks_before: Array
    """(P,) int64 how many items of her sequence the user had clicked before the page"""
    sequences: Array
    """(U, T) int64 every item that a user clicked, oldest first, right-padded"""
    reward: Array
    """(P,) float32, 0 where nothing was clicked"""

    @property
    def n_pages(self) -> int:
        """P."""
        return len(self.slates)

    @property
    def absent(self) -> Array:
        """(P, K) bool: slots without an item."""
        return self.slates == self.n_items

    @property
    def clicked(self) -> Array:
        """(P,) bool: pages on which something was clicked."""
        return self.target < self.slates.shape[1]

    def select(self, chosen: Array) -> Pages:
        """Returns the pages of these numbers (C,); ``sequences`` stay."""
        of_pages = ("slates", "target", "histories", "user", "clicks_before", "reward")
        return replace(self, **{name: getattr(self, name)[chosen] for name in of_pages})

    @staticmethod
    def of(sessions: Sessions, window: int, n_items: int) -> Pages:
        """Arranges the pages of a log; events without a slate count as history only.

        Args:
            sessions: a log.
            window: clicked items remembered in ``histories``.
            n_items: N.
        """
        shown = np.flatnonzero(sessions.slate_sizes > 0)
        slates = sessions.padded_slates()[shown]
        slates[slates < 0] = n_items
        click = sessions.click[shown]
        user = np.unique(sessions.user, return_inverse=True)[1]
        clicked = sessions.item >= 0
        clicks_of = np.bincount(user[clicked], minlength=user.max() + 1)
        first = np.cumsum(clicks_of) - clicks_of
        before = np.cumsum(clicked) - clicked - first[user]
        sequences = np.full((len(clicks_of), max(1, clicks_of.max())), n_items, np.int64)
        sequences[user[clicked], before[clicked]] = sessions.item[clicked]
        return Pages(
            n_items=n_items,
            slates=slates,
            target=np.where(click >= 0, click, slates.shape[1]),
            histories=sessions.histories(window, n_items)[shown],
            user=user[shown],
            clicks_before=before[shown],
            sequences=sequences,
            reward=np.where(click >= 0, sessions.reward[shown], np.float32(0.0)),
        )


def pages_of(config: UserConfig, sessions: Sessions, n_items: int) -> Pages:
    """Arranges the pages of a log as a user model reads them.

    Some kinds remember all clicks of a user, others those of a session, so that each session counts
    as a user (``Kind.by_session``).

    Args:
        config: which model.
        sessions: a log.
        n_items: N.
    """
    if kind_of(config).by_session:
        sessions = replace(sessions, user=sessions.session_number)
    return Pages.of(sessions, config.window, n_items)


def outside_option(sessions: Sessions) -> Literal["end", "no_click"] | None:
    """Returns what users do instead of clicking, as far as a log can tell.

    Returns:
        None where every page has a click; "end" where all others are the last of their session, so
        that not to click is to leave; else "no_click".
    """
    unclicked = (sessions.slate_sizes > 0) & (sessions.click < 0)
    number = sessions.session_number
    last = np.append(number[1:] != number[:-1], True)
    if not unclicked.any():
        return None
    return "end" if last[unclicked].all() else "no_click"
