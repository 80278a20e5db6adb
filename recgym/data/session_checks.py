"""Strict checks of a log, each naming the first page that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError

if TYPE_CHECKING:
    from recgym.data.sessions import Sessions


EVENTS = ("click", "cart", "purchase")
"""What an event can be, of rising value; ``Sessions.event`` holds positions of these names."""
PER_PAGE = (
    *("session", "step", "click", "item", "reward"),
    *("timestamp", "slate_propensities", "event"),
)
"""The columns with one value a page, beside ``user``."""


def check_sessions(sessions: Sessions, n_items: int) -> None:
    """Raises RecGymError at the first page that breaks a rule of ``Sessions.validate``."""
    if sessions.n_pages == 0:
        raise RecGymError("an empty log: no pages")
    _check_lengths(sessions)
    _check_order(sessions)
    _check_slates(sessions, n_items)
    _check_clicks(sessions, n_items)
    _refuse(sessions, ~np.isfinite(sessions.reward), "its reward is not a finite number")
    _check_propensities(sessions)
    if sessions.event is not None:
        unknown = (sessions.event < 0) | (sessions.event >= len(EVENTS))
        _refuse(
            sessions, unknown, f"an unknown event (0 to {len(EVENTS) - 1}: {', '.join(EVENTS)})"
        )


def _check_lengths(sessions: Sessions) -> None:
    pages, slots = sessions.n_pages, len(sessions.slate_items)
    for name in PER_PAGE:
        column = getattr(sessions, name)
        if column is not None and len(column) != pages:
            raise RecGymError(f"{name} has {len(column)} values for {pages} pages")
    if sessions.slot_propensities is not None and len(sessions.slot_propensities) != slots:
        count = len(sessions.slot_propensities)
        raise RecGymError(f"slot_propensities has {count} values for {slots} slots")
    offsets = sessions.slate_offsets
    if len(offsets) != pages + 1 or offsets[0] != 0 or offsets[-1] != slots:
        raise RecGymError(f"slate_offsets must run from 0 to {slots} in {pages + 1} values")
    _refuse(sessions, np.diff(offsets) < 0, "its slate ends before it begins")


def _check_order(sessions: Sessions) -> None:
    _refuse(sessions, (sessions.user < 0) | (sessions.session < 0), "a negative user or session")
    user, session, step = (np.diff(x) for x in (sessions.user, sessions.session, sessions.step))
    ascending = (user > 0) | ((user == 0) & ((session > 0) | ((session == 0) & (step > 0))))
    message = "out of order (pages ascend by user, then session, then step)"
    _refuse(sessions, np.append(False, ~ascending), message)


def _check_slates(sessions: Sessions, n_items: int) -> None:
    page = np.repeat(np.arange(sessions.n_pages), sessions.slate_sizes)
    items = sessions.slate_items
    unknown = (items < 0) | (items >= n_items)
    message = f"it shows an unknown item (ids are 0..{n_items - 1})"
    _refuse(sessions, _any(page, unknown, sessions.n_pages), message)
    order = np.lexsort((items, page))
    twice = (np.diff(items[order]) == 0) & (np.diff(page[order]) == 0)
    repeated = _any(page[order][1:], twice, sessions.n_pages)
    _refuse(sessions, repeated, "it shows an item twice")


def _check_clicks(sessions: Sessions, n_items: int) -> None:
    click, item, sizes = sessions.click, sessions.item, sessions.slate_sizes
    message = f"it clicks an unknown item (ids are 0..{n_items - 1}, or -1 for none)"
    _refuse(sessions, (item < -1) | (item >= n_items), message)
    outside = (click < -1) | (click >= sizes)
    _refuse(sessions, outside, "its clicked slot is outside its slate")
    slot = np.where(click >= 0, sessions.slate_offsets[:-1] + click, 0)
    shown = sessions.slate_items[slot] if len(sessions.slate_items) else np.full(len(slot), -1)
    wrong = (click >= 0) & (shown != item)
    _refuse(sessions, wrong, "its clicked item is not the one in its clicked slot")
    _refuse(sessions, (click < 0) & (sizes > 0) & (item >= 0), "it clicks outside its slate")


def _check_propensities(sessions: Sessions) -> None:
    message = "a propensity is outside (0, 1]"
    if sessions.slate_propensities is not None:
        _refuse(sessions, ~_is_probability(sessions.slate_propensities), message)
    if sessions.slot_propensities is not None:
        page = np.repeat(np.arange(sessions.n_pages), sessions.slate_sizes)
        bad = ~_is_probability(sessions.slot_propensities)
        _refuse(sessions, _any(page, bad, sessions.n_pages), message)


def _is_probability(values: Array) -> Array:
    return (values > 0) & (values <= 1)


def _any(page: Array, bad: Array, n_pages: int) -> Array:
    """(P,) bool: whether any of a page's slots is bad."""
    return np.bincount(page[bad], minlength=n_pages) > 0


def _refuse(sessions: Sessions, bad: Array, message: str) -> None:
    if bad.any():
        page = int(np.argmax(bad))
        where = ", ".join(
            f"{name} {int(getattr(sessions, name)[page])}" for name in ("user", "session", "step")
        )
        raise RecGymError(f"page {page} ({where}): {message}")
