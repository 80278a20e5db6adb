"""A log of one's own: a table of clicks, with a row an impression, a page, or a click."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recgym.arrays import Array
from recgym.data.catalog import Catalog
from recgym.data.click_columns import ClickColumns, Layout, layout_of
from recgym.data.click_pages import Log, pages_of_log
from recgym.data.dataset import Dataset, split_users
from recgym.data.descriptions import click_facts
from recgym.data.event_times import parse_times
from recgym.data.feature_files import read_items, read_users
from recgym.data.raw import ROW, RawTable, source_of
from recgym.data.sessions import Sessions
from recgym.data.table_formats import read_table
from recgym.data.user_table import UserTable
from recgym.errors import RecGymError, shortened
from recgym.settings import changed

SPLIT_NAMES = {
    **{"train": 0, "training": 0, "0": 0},
    **{"validation": 1, "valid": 1, "val": 1, "1": 1},
    **{"test": 2, "2": 2},
}
MARKS = {"1": True, "true": True, "0": False, "false": False}
FEWEST_USERS = 5
LONGEST_PAGE = 86_400_000_000
"""Microseconds, a day: rows of one page that lie further apart are of several pages."""


def read_clicks(
    path: Path | str,
    columns: Mapping[str, str],
    *,
    items: Path | str | None = None,
    users: Path | str | None = None,
    clicks_only: bool = False,
    session_gap: float | None = None,
    shuffled: bool = False,
    list_separator: str = "|",
    name: str | None = None,
    licence: str | None = None,
    seed: int = 0,
) -> Dataset:
    """Reads a log of clicks in one of three layouts, told by which columns are named.

    - A row an impression (``user``, ``item``, ``clicked``, and ``page`` or ``time``): the rows of a
      user with the same page, or else with the same time, are a page (within a session, if there
      are some), its slots in the order of the rows; ``clicked`` is 1 or 0, or true or false.
    - A row a page (``user``, ``shown``, ``clicked``): lists of the ids that were shown, by slot,
      and of those that were clicked, if any. A click without a list of what was shown is an event
      without a slate.
    - A row a click (``user``, ``item``, and ``clicks_only``): events without a slate.

    Several clicks on a page are as many pages, one after the other, which show the same. An item
    that a page shows twice is kept once, as its clicked copy where that is known, else as the
    first. A click on what its page does not show is dropped, and with it a page that has no other.
    Whatever is dropped is counted in ``info["mended"]``.

    Pages are in the order of their times, or of the rows where there are none. Ids are text, and
    spaces around them are no part of them.

    Args:
        path: a file that ``read_table`` reads.
        columns: role (a field of ``ClickColumns``) -> name of the column. ``reward`` is a number
            for each click (a list where a page has several), by default 1; ``split`` is train,
            validation or test (or 0, 1, 2).
        items: file of the items' features, see ``read_items``.
        users: file of the users' features, see ``read_users``.
        clicks_only: whether every row is a click, of which the log does not say what was shown.
        session_gap: minutes without a page after which a session is over. Without it and without
            ``session``, all pages of a user are one session.
        shuffled: whether the log's slots have no meaning: they are then drawn at random.
        list_separator: between the ids of a list in text.
        name: of the dataset; the file's without its ending if not given.
        licence: of the log; "not stated" if not given.
        seed: of the division of the users, and of slots that are drawn.

    Raises:
        RecGymError: columns that are not there, or do not make a layout; a malformed row, named by
            line and column; sessions of a user that overlap; no click on any page; or users that
            are too few to divide.
    """
    path = Path(path)
    named: ClickColumns = changed(ClickColumns(), columns, "--columns")
    layout = layout_of(named, clicks_only, session_gap)
    if not list_separator:
        raise RecGymError("--list-separator: at least one character is needed")
    if seed < 0:
        raise RecGymError(f"seed={seed}: must be at least 0")
    table, rows, read_as = _read(path, named, layout, list_separator)
    log = _log(table, rows, named, layout)
    if session_gap is not None:
        log = replace(log, gap=round(60_000_000 * session_gap))
    rng = np.random.default_rng([seed, 1]) if shuffled else None
    sessions, item_ids, page_users = pages_of_log(log, rng)
    used = page_users["user"].to_list()
    lines = table.account({"kept": len(rows) - sum(log.dropped.values()), **log.dropped})
    catalog, known_users = _bare_catalog(item_ids), _bare_users(used)
    if items is not None:
        catalog, of_items = read_items(items, item_ids, list_separator)
        lines |= of_items
    if users is not None:
        known_users, of_users = read_users(users, used, list_separator)
        lines |= of_users
    sessions = _renumbered(sessions, item_ids, catalog)
    paths = [path, *(Path(other) for other in (items, users) if other is not None)]
    slots = "drawn at random" if shuffled else "as in the log"
    info = {
        "name": name or path.name.split(".")[0],
        "licence": licence or "not stated",
        **source_of(*paths),
        "read_as": {"layout": layout, **read_as, "slots": slots},
        "mended": log.dropped | log.mended,
        "lines": lines,
        **click_facts(sessions),
    }
    split = _split(page_users, path, seed)
    return Dataset(sessions, catalog, split, info, known_users)


def _read(
    path: Path, columns: ClickColumns, layout: Layout, separator: str
) -> tuple[RawTable, pl.DataFrame, dict[str, str]]:
    """Returns the named columns by role, parsed, with ``ROW``; and how they were read."""
    roles = {f.name: getattr(columns, f.name) for f in fields(columns) if getattr(columns, f.name)}
    for role, column in roles.items():
        first = next(other for other, name in roles.items() if name == column)
        if first != role:
            raise RecGymError(f"--columns: {first} and {role} both name {column!r}")
    listed = ("shown", "clicked", "reward") if layout == "a row a page" else ()
    lists = [column for role, column in roles.items() if role in listed]
    table, rows = read_table(path, list(roles.values()), lists, separator)
    read_as = {}
    for role, column in roles.items():
        if role in listed:
            continue
        if rows[column].dtype != pl.String:
            raise RecGymError(f"{path}: column {column!r} holds lists; only shown= can be lists")
        if role != "reward":
            table.refuse(rows, pl.col(column).is_null(), column, "no value")
    for role, names in (("split", SPLIT_NAMES), ("clicked", MARKS)):
        if role in roles and role not in listed:
            rows = _coded(table, rows, roles[role], names)
    if "time" in roles:
        time, read_as["times"] = parse_times(table, rows, roles["time"])
        rows = rows.with_columns(time.alias(roles["time"]))
    if "reward" in roles:
        rows = _numbers(table, rows, roles["reward"])
    return table, rows.rename({column: role for role, column in roles.items()}), read_as


def _coded(
    table: RawTable, rows: pl.DataFrame, column: str, codes: Mapping[str, Any]
) -> pl.DataFrame:
    """Replaces words, in small or capital letters, by what they stand for."""
    word = pl.col(column).str.to_lowercase().str.strip_suffix(".0")
    value = word.replace_strict(dict(codes), default=None)
    unknown = rows.filter(value.is_null())
    if not unknown.is_empty():
        line, cell = unknown.select(ROW, column).row(0)
        table.fail(line, column, f"{shortened(repr(cell))} is none of {', '.join(codes)}")
    return rows.with_columns(value.alias(column))


def _numbers(table: RawTable, rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """Replaces a column of text, or of lists of text, by numbers."""
    parsed = pl.col(column).cast(pl.Float64, strict=False)
    wrong = pl.col(column).is_not_null() & ~parsed.is_finite().fill_null(value=False)
    if rows[column].dtype != pl.String:
        numbers = pl.element().cast(pl.Float64, strict=False)
        parsed = pl.col(column).list.eval(numbers)
        finite = pl.col(column).list.eval(numbers.is_finite().fill_null(value=False))
        wrong = ~finite.list.all()
    table.refuse(rows, wrong, column, "a reward is not a finite number")
    return rows.with_columns(parsed.alias(column))


def _log(table: RawTable, rows: pl.DataFrame, columns: ClickColumns, layout: Layout) -> Log:
    """Returns a row a page, whatever the layout was."""
    none = pl.lit(None)
    rows = rows.with_columns(
        none.cast(type_).alias(role)
        for role, type_ in (("session", pl.String), ("split", pl.Int64), ("time", pl.Int64))
        if role not in rows.columns
    )
    if "reward" not in rows.columns:
        kind = pl.List(pl.Float64) if layout == "a row a page" else pl.Float64
        rows = rows.with_columns(none.cast(kind).alias("reward"))
    dropped: dict[str, int] = {}
    mended: dict[str, int] = {}
    if layout == "a row an impression":
        rows = _grouped(table, rows, columns, dropped, mended)
    elif layout == "a row a click":
        rows = rows.with_columns(
            shown=none.cast(pl.List(pl.String)),
            clicked=pl.concat_list("item"),
            reward=pl.when(pl.col("reward").is_not_null()).then(pl.concat_list("reward")),
        )
    return Log(table, rows, columns.clicked, columns.reward, dropped, mended)


def _grouped(
    table: RawTable,
    rows: pl.DataFrame,
    columns: ClickColumns,
    dropped: dict[str, int],
    mended: dict[str, int],
) -> pl.DataFrame:
    """Returns a row a page of a log with a row an impression."""
    key = ["user", "session", "page" if columns.page else "time"]
    rows = rows.with_columns(page_row=pl.col(ROW).min().over(key))
    first = pl.col("split").first().over(key)
    table.refuse(rows, pl.col("split") != first, columns.split, "a page has one split only")
    reused = "a page that goes on long after; if page ids are used again in a session, name session"
    if columns.page and columns.time:
        late = pl.col("time") - pl.col("time").min().over(key) > LONGEST_PAGE
        table.refuse(rows, late, columns.page, f"{reused}= too")
    elif columns.page:
        last = pl.col("page_row").cum_max().over("user")
        table.refuse(rows, pl.col("page_row") < last, columns.page, f"{reused}=, or time=")
    unpaid = pl.col("clicked") & pl.col("reward").is_null()
    if columns.reward:
        table.refuse(rows, unpaid, columns.reward, "a click without a reward")
        idle = rows.filter(~pl.col("clicked") & (pl.col("reward") != 0))
        mended["rewards_without_a_click_ignored"] = len(idle)
    clicked_first = rows.sort("page_row", ~pl.col("clicked"), ROW)
    once = clicked_first.unique(["page_row", "item"], keep="first").sort("page_row", ROW)
    dropped["repeats_within_a_page_dropped"] = len(rows) - len(once)
    chosen = pl.col("clicked")
    grouped = once.group_by("page_row", maintain_order=True).agg(
        pl.first("user", "session", "split"),
        pl.col("time").min(),
        shown=pl.col("item"),
        clicked=pl.col("item").filter(chosen),
        reward=pl.col("reward").filter(chosen),
    )
    return grouped.rename({"page_row": ROW})


def _bare_catalog(item_ids: list[str]) -> Catalog:
    return Catalog(tuple(item_ids), None, np.zeros((len(item_ids), 0), np.float32), ())


def _bare_users(user_ids: list[str]) -> UserTable:
    return UserTable(tuple(user_ids), np.zeros((len(user_ids), 0), np.float32), ())


def _renumbered(sessions: Sessions, item_ids: list[str], catalog: Catalog) -> Sessions:
    """Returns pages whose items are numbered by ``item_ids`` numbered by the catalogue."""
    place = {item: number for number, item in enumerate(catalog.item_id)}
    number = np.array([place[item] for item in item_ids], np.int64)
    clicked = np.where(sessions.item >= 0, number[sessions.item], -1)
    return replace(sessions, slate_items=number[sessions.slate_items], item=clicked)


def _split(users: pl.DataFrame, path: Path, seed: int) -> Array:
    """Returns (U,) int8 the users' splits, of the log or drawn."""
    if users["split"].null_count() == 0:
        return users["split"].to_numpy().astype(np.int8)
    if len(users) < FEWEST_USERS:
        raise RecGymError(
            f"{path}: {len(users)} users are too few to divide into training, validation and test"
            f" users; it takes {FEWEST_USERS}, or a column that says so (split=)"
        )
    return split_users(len(users), seed)
