"""Interaction logs: pages, what was shown on them, and what was clicked.

A log is one table with a row a page, on disk (Parquet) and in memory (flat NumPy arrays). Slates
vary in size, so their items lie end to end in one array, cut by offsets.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import polars as pl

from recgym.arrays import Array
from recgym.data import session_checks
from recgym.data.parquet import flat_to_lists, lists_to_flat, read_parquet, write_parquet
from recgym.errors import RecGymError


class Columns:
    """Names of the columns of a log in Parquet."""

    USER = "user"
    SESSION = "session"
    STEP = "step"
    SLATE = "slate"
    CLICK = "click"
    ITEM = "item"
    REWARD = "reward"
    TIMESTAMP = "timestamp"
    SLOT_PROPENSITY = "slot_propensity"
    SLATE_PROPENSITY = "slate_propensity"
    EVENT = "event"


REQUIRED = {
    Columns.USER: pl.Int64,
    Columns.SESSION: pl.Int64,
    Columns.STEP: pl.Int64,
    Columns.SLATE: pl.List(pl.Int64),
    Columns.CLICK: pl.Int64,
    Columns.ITEM: pl.Int64,
    Columns.REWARD: pl.Float32,
}
OPTIONAL = {
    Columns.TIMESTAMP: pl.Int64,
    Columns.SLOT_PROPENSITY: pl.List(pl.Float32),
    Columns.SLATE_PROPENSITY: pl.Float32,
    Columns.EVENT: pl.Int8,
}


@dataclass(frozen=True, eq=False)
class Sessions:
    """P pages sorted by (user, session, step), showing S items altogether.

    An event whose slate was not recorded (an item opened from elsewhere) is a page with an empty
    slate, ``click`` -1 and its ``item``: it enters the history of later pages, and is not scored.
    """

    user: Array
    """(P,) int64"""
    session: Array
    """(P,) int64"""
    step: Array
    """(P,) int64, ascending within a session"""
    slate_offsets: Array
    """(P + 1,) int64: page p shows ``slate_items[slate_offsets[p]:slate_offsets[p + 1]]``"""
    slate_items: Array
    """(S,) int64 item ids, by slot"""
    click: Array
    """(P,) int64 clicked slot, or -1"""
    item: Array
    """(P,) int64 clicked item id, or -1"""
    reward: Array
    """(P,) float32"""
    timestamp: Array | None = None
    """(P,) int64 seconds"""
    slot_propensities: Array | None = None
    """(S,) float32: the logging policy's probability of each item in its slot, on all pages either
    whatever stands in the other slots, or given the items above"""
    slate_propensities: Array | None = None
    """(P,) float32: the logging policy's probability of each slate"""
    event: Array | None = None
    """(P,) int8: what was done with the item, as the position of its name in
    ``session_checks.EVENTS``; all are clicks if absent"""

    @property
    def n_pages(self) -> int:
        """P."""
        return len(self.user)

    @property
    def slate_sizes(self) -> Array:
        """(P,) int64 number of items on each page."""
        return np.diff(self.slate_offsets)

    @property
    def session_number(self) -> Array:
        """(P,) int64 numbers 0, 1, .. of each page's session, in the order of the log."""
        opens = (np.diff(self.user) != 0) | (np.diff(self.session) != 0)
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(opens)])[: self.n_pages]

    def select(self, pages: Array) -> Sessions:
        """Returns some of the pages; ids of users, sessions and items are kept.

        Args:
            pages: (P,) bool mask, or ascending page indices. Histories are those of the selected
                pages alone: to score some pages of a user, take ``histories`` first.
        """
        pages = np.flatnonzero(pages) if np.asarray(pages).dtype == bool else np.asarray(pages)
        sizes = self.slate_sizes[pages]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        slots = np.arange(offsets[-1]) + np.repeat(self.slate_offsets[pages] - offsets[:-1], sizes)
        chosen = {
            field.name: getattr(self, field.name)[_rows(field.name, pages, slots)]
            for field in fields(self)
            if field.name != "slate_offsets" and getattr(self, field.name) is not None
        }
        return replace(self, slate_offsets=offsets, **chosen)

    def padded_slates(self) -> Array:
        """Returns (P, K) int64 slates, K the size of the largest; -1 where a page has no item."""
        present = np.arange(self.slate_sizes.max(initial=0)) < self.slate_sizes[:, None]
        slates = np.full(present.shape, -1, np.int64)
        slates[present] = self.slate_items
        return slates

    def histories(self, window: int, n_items: int) -> Array:
        """Returns the last items that each page's user had clicked before the page was shown.

        Args:
            window: the number W of items remembered.
            n_items: N, the id that pads histories shorter than ``window``.

        Returns:
            (P, W) int64, most recent last.
        """
        clicked = self.item >= 0
        before = np.cumsum(clicked) - clicked  # clicks by anyone on the pages above
        opens = np.concatenate([np.ones(1, bool), self.user[1:] != self.user[:-1]])[: self.n_pages]
        first = np.maximum.accumulate(np.where(opens, before, 0))  # where this user's clicks begin
        index = before[:, None] + np.arange(-window, 0)
        items = np.append(self.item[clicked], n_items)
        return np.where(index >= first[:, None], items[np.maximum(index, 0)], n_items)

    def validate(self, n_items: int) -> None:
        """Checks every page.

        Raises:
            RecGymError: names the first page that shows or clicks an unknown item, shows an item
                twice, clicks outside its slate, has a reward that is not finite, a propensity
                outside (0, 1], an unknown event, or stands out of order.
        """
        session_checks.check_sessions(self, n_items)

    def save(self, path: Path | str) -> None:
        """Writes the pages as Parquet, one row a page."""
        columns = {
            Columns.USER: self.user,
            Columns.SESSION: self.session,
            Columns.STEP: self.step,
            Columns.SLATE: flat_to_lists(self.slate_items, self.slate_offsets),
            Columns.CLICK: self.click,
            Columns.ITEM: self.item,
            Columns.REWARD: self.reward,
        }
        if self.timestamp is not None:
            columns[Columns.TIMESTAMP] = self.timestamp
        if self.slot_propensities is not None:
            lists = flat_to_lists(self.slot_propensities, self.slate_offsets)
            columns[Columns.SLOT_PROPENSITY] = lists
        if self.slate_propensities is not None:
            columns[Columns.SLATE_PROPENSITY] = self.slate_propensities
        if self.event is not None:
            columns[Columns.EVENT] = self.event
        write_parquet(pl.DataFrame(columns), path)

    @staticmethod
    def load(path: Path | str) -> Sessions:
        """Reads what ``save`` wrote. Call ``validate`` on a log from elsewhere.

        Raises:
            RecGymError: the file is missing, is not Parquet, lacks a column, or has no pages.
        """
        frame = read_parquet(path, REQUIRED, OPTIONAL)
        if frame.is_empty():
            raise RecGymError(f"{path}: an empty log (no pages); prepare the data again")
        items, offsets = lists_to_flat(frame[Columns.SLATE], path)
        optional = {name: frame[name].to_numpy() for name in OPTIONAL if name in frame.columns}
        slot_propensities = None
        if Columns.SLOT_PROPENSITY in frame.columns:
            slot_propensities, its_offsets = lists_to_flat(frame[Columns.SLOT_PROPENSITY], path)
            if not np.array_equal(offsets, its_offsets):
                raise RecGymError(
                    f"{path}: {Columns.SLOT_PROPENSITY} does not have one value a slot"
                )
        return Sessions(
            user=frame[Columns.USER].to_numpy(),
            session=frame[Columns.SESSION].to_numpy(),
            step=frame[Columns.STEP].to_numpy(),
            slate_offsets=offsets,
            slate_items=items,
            click=frame[Columns.CLICK].to_numpy(),
            item=frame[Columns.ITEM].to_numpy(),
            reward=frame[Columns.REWARD].to_numpy(),
            timestamp=optional.get(Columns.TIMESTAMP),
            slot_propensities=slot_propensities,
            slate_propensities=optional.get(Columns.SLATE_PROPENSITY),
            event=optional.get(Columns.EVENT),
        )


def rank_within(groups: Array) -> Array:
    """Returns (P,) int64: how many earlier rows are of the same group; groups stand together."""
    rows = np.arange(len(groups))
    opens = np.diff(groups, prepend=groups[:1] - 1) != 0
    return rows - np.maximum.accumulate(np.where(opens, rows, 0))


def _rows(name: str, pages: Array, slots: Array) -> Array:
    return slots if name in ("slate_items", "slot_propensities") else pages
