"""Logs of what users did, without what they were shown: rows of events become a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from recgym.data.catalog import Catalog
from recgym.data.dataset import Dataset, split_users
from recgym.data.descriptions import click_facts, event_counts
from recgym.data.raw import ROW, RawTable
from recgym.data.sessions import Sessions, rank_within
from recgym.errors import RecGymError

CLICK, CART, PURCHASE = range(3)
REWARDS = (0.2, 0.5, 1.0)
"""Of a click, a cart and a purchase. Clicks and purchases are worth what they are in Xin et al.
(SIGIR 2020); a cart stands between them."""
DIVISION = (0.8, 0.1, 0.1)
"""Shares of the sequences that are for training, validation and test."""


@dataclass(frozen=True)
class Filters:
    """Which events are kept; applied in the order of the fields, each once."""

    least_clicks: int = 0
    """clicks that a sequence needs"""
    least_events: int = 0
    """events that a sequence needs"""
    least_item_sequences: int = 0
    """sequences that an item must be in"""
    least_item_events: int = 0
    """events that an item needs"""
    sequences: int | None = None
    """sequences that are drawn at random, at most; None for all"""
    longest: int | None = None
    """events of a sequence that are kept, its last ones; None for all"""


@dataclass(frozen=True)
class Preset:
    """What a paper keeps of a log."""

    name: str
    source: str
    """the paper"""
    filters: Filters
    printed: Mapping[str, int]
    """counts in the paper, of what is kept before sequences are cut short"""
    division: tuple[float, float, float] = DIVISION
    """shares of the sequences that are for training, validation and test"""


Account = Callable[[pl.DataFrame], dict[str, dict[str, int]]]
"""What became of the lines of each file, by its name, given the rows that are kept."""
NO_PRESET = Preset("", "", Filters(), {})


def chosen_preset(presets: Mapping[str, Preset], name: str | None) -> Preset:
    """Returns a preset by name, or one that keeps every event for None.

    Raises:
        RecGymError: there is none of that name.
    """
    if name is None:
        return NO_PRESET
    if name not in presets:
        raise RecGymError(f"preset={name!r}: must be {' or '.join(map(repr, presets))}")
    return presets[name]


@dataclass(frozen=True, eq=False)
class EventLog:
    """Events of a raw log, in any order."""

    rows: pl.DataFrame
    """``ROW``; ``user``, whose events are one sequence; ``item``; ``time``, milliseconds, where
    known; ``event``, a position in ``EVENTS``, or else ``reward``"""
    info: Mapping[str, Any]
    """name, licence, and what else a dataset's ``info`` says of the log"""
    account: Account
    mended: Mapping[str, int] = field(default_factory=dict)
    """what was dropped of the log so far, by reason"""
    titles: Mapping[Any, str] = field(default_factory=dict)
    """by raw id; empty for none"""


def reward_of_stars(stars: pl.Expr) -> pl.Expr:
    """Returns the reward of ratings from 1 to 5 (Liang and Vlassis 2022, section 4.1).

    It is 0 for 1 and 2 stars, 0.5 for 3, and 1 for 4 and 5; null for another number.
    """
    rewards = {1: 0.0, 2: 0.0, 3: 0.5, 4: 1.0, 5: 1.0}
    return stars.cast(pl.Float64).replace_strict(
        {float(k): v for k, v in rewards.items()}, default=None, return_dtype=pl.Float32
    )


def one_file(table: RawTable, rows: pl.DataFrame, dropped: Mapping[str, int]) -> Account:
    """Returns the ``account`` of a log in one file with an event a line.

    Args:
        table: the file.
        rows: its events.
        dropped: lines that are none, by reason.
    """
    total = len(rows)

    def account(kept: pl.DataFrame) -> dict[str, dict[str, int]]:
        return table.account({"events": len(kept), "events_left_out": total - len(kept), **dropped})

    return account


def events_dataset(
    log: EventLog,
    seed: int,
    preset: Preset = NO_PRESET,
    ties: bool = False,
) -> Dataset:
    """Makes a page without a slate of every event, and a user with one session of every sequence.

    A sequence's events are in the order of their times; those of one time begin with clicks and end
    with purchases, in the order of the file. Users are numbered in the order of their raw ids, and
    so are items.

    Args:
        log: the events.
        seed: of the sequences that are drawn, of ties, and of the division.
        preset: which events are kept, and how sequences are divided.
        ties: whether events of one time, or of none, are put in a random order.

    Raises:
        RecGymError: the preset leaves no event.
    """
    draws, order = np.random.default_rng([seed, 1]).spawn(2)
    mended = dict(log.mended)
    rows = _filtered(log.rows, preset.filters, draws, mended)
    if rows.is_empty():
        name = log.info["name"]
        if not preset.name:
            raise RecGymError(f"{name}: an empty log (every line is dropped: {mended})")
        raise RecGymError(
            f"{name}: no event is left by the preset {preset.name!r} (sequences or items are too"
            " rare in this log); leave --preset out to keep every event"
        )
    if ties:
        rows = rows.with_columns(pl.Series(ROW, order.permutation(len(rows))))
    keys = [name for name in ("user", "time", "event", ROW) if name in rows.columns]
    rows = rows.sort(keys).drop(ROW)
    facts = {}
    if preset.name:
        facts["preset"] = {
            "name": preset.name,
            "source": preset.source,
            "printed": dict(preset.printed),
            "found": _counts(rows),
        }
    rows = _last(rows, preset.filters.longest, mended)
    lines = log.account(rows)
    sessions, ids = _sessions(rows)
    catalog = Catalog(
        item_id=tuple(map(str, ids)),
        title=tuple(log.titles.get(i, str(i)) for i in ids) if log.titles else None,
        features=np.zeros((len(ids), 0), np.float32),
        feature_names=(),
    )
    info = {**log.info, "mended": mended, "lines": lines, **facts, **click_facts(sessions)}
    split = split_users(int(sessions.user[-1]) + 1, seed, preset.division)
    return Dataset(sessions, catalog, split, info)


def _filtered(
    rows: pl.DataFrame, filters: Filters, draws: np.random.Generator, mended: dict[str, int]
) -> pl.DataFrame:
    """Returns the events that all filters but ``longest`` keep; counts what they leave out."""
    few = (
        ("user", filters.least_clicks, (pl.col("event") == CLICK).sum(), "clicks"),
        ("user", filters.least_events, pl.len(), "events"),
        ("item", filters.least_item_sequences, pl.col("user").n_unique(), "sequences"),
        ("item", filters.least_item_events, pl.len(), "events"),
    )
    for of, least, count, what in few:
        if least:
            counts = rows.group_by(of).agg(count.alias("count"))
            kept = counts.filter(pl.col("count") >= least)
            name = "sequences" if of == "user" else "items"
            mended[f"{name}_of_fewer_than_{least}_{what}_left_out"] = len(counts) - len(kept)
            rows = rows.join(kept.select(of), on=of, how="semi", maintain_order="left")
    if filters.sequences is not None:
        users = rows["user"].unique().sort()
        wanted = min(filters.sequences, len(users))
        drawn = users.gather(np.sort(draws.choice(len(users), wanted, replace=False)))
        rows = rows.join(drawn.to_frame(), on="user", how="semi", maintain_order="left")
        mended["sequences_not_drawn"] = len(users) - wanted
    return rows


def _last(rows: pl.DataFrame, longest: int | None, mended: dict[str, int]) -> pl.DataFrame:
    """Returns the last events of each sequence, of rows in order."""
    if longest is None:
        return rows
    sequence = rows.select(pl.col("user").rle_id()).to_series().to_numpy()
    left = rank_within(-sequence[::-1].astype(np.int64))[::-1]
    kept = rows.filter(pl.Series(left < longest))
    mended[f"events_before_the_last_{longest}_left_out"] = len(rows) - len(kept)
    return kept


def _counts(rows: pl.DataFrame) -> dict[str, int]:
    """Returns what papers count: sequences, items, and events by kind."""
    kinds = rows["event"].to_numpy() if "event" in rows.columns else None
    return {
        "sequences": rows["user"].n_unique(),
        "items": rows["item"].n_unique(),
        **(event_counts(kinds) if kinds is not None else {"events": len(rows)}),
    }


def _sessions(rows: pl.DataFrame) -> tuple[Sessions, list[Any]]:
    """Returns events in order as sessions, and the raw ids of their items, by number."""
    ids = rows["item"].unique().sort()
    number = pl.DataFrame({"item": ids, "number": np.arange(len(ids))})
    items = rows.select("item").join(number, on="item", how="left", maintain_order="left")
    user = rows.select(pl.col("user").rle_id().cast(pl.Int64)).to_series().to_numpy()
    kind = rows["event"].to_numpy() if "event" in rows.columns else None
    reward = rows["reward"].to_numpy() if kind is None else np.array(REWARDS, np.float32)[kind]
    sessions = Sessions(
        user=user,
        session=user,
        step=rank_within(user),
        slate_offsets=np.zeros(len(user) + 1, np.int64),
        slate_items=np.zeros(0, np.int64),
        click=np.full(len(user), -1),
        item=items["number"].to_numpy(),
        reward=reward,
        timestamp=(rows["time"] // 1_000).to_numpy() if "time" in rows.columns else None,
        event=kind,
    )
    return sessions, ids.to_list()
