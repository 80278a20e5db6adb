"""OTTO's log: clicks, carts and orders of the sessions of a shop, a session a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from recgym.data.dataset import Dataset
from recgym.data.event_logs import EventLog, events_dataset
from recgym.data.json_lines import read_json_lines
from recgym.data.raw import ROW, source_of, whole_number
from recgym.settings import AT_LEAST_0, check_number

EVENT = {"aid": pl.Float64, "ts": pl.Float64, "type": pl.String}
FIELDS: dict[str, Any] = {"session": pl.Float64, "events": pl.List(pl.Struct(EVENT))}
KINDS = ("clicks", "carts", "orders")
"""In the order of ``EVENTS``."""


def read_otto(path: Path | str, *, seed: int = 0) -> Dataset:
    """Reads OTTO's sessions: ``{"session": 1, "events": [{"aid": 2, "ts": 3, "type": "clicks"}]}``.

    A click, a cart or an order is an event without a slate: a click, a cart or a purchase. A
    session is a sequence; ``ts`` is in milliseconds.

    Args:
        path: a ``.jsonl`` file.
        seed: of the division.

    Raises:
        RecGymError: the file is missing or empty, or has a malformed line, which is named.
    """
    check_number("seed", seed, AT_LEAST_0)
    path = Path(path)
    table, lines = read_json_lines(path, FIELDS)
    numbers = {name: whole_number(name) for name in ("session", "aid", "ts")}
    lines = lines.with_columns(numbers["session"])
    table.refuse(lines, pl.col("session").is_null(), "session", "not a whole number")
    table.refuse(lines, ~pl.col("session").is_first_distinct(), "session", "it has a line already")
    table.refuse(lines, pl.col("events").is_null(), "events", "no list of events")
    holding = lines.filter(pl.col("events").list.len() > 0)
    rows = holding.explode("events").unnest("events").with_columns(numbers["aid"], numbers["ts"])
    for name in ("aid", "ts"):
        table.refuse(rows, pl.col(name).is_null(), name, "not a whole number")
    kind = pl.col("type").replace_strict(dict(zip(KINDS, range(3), strict=True)), default=None)
    rows = rows.with_columns(event=kind.cast(pl.Int8)).drop("type")
    table.refuse(rows, pl.col("event").is_null(), "type", f"none of {', '.join(KINDS)}")
    empty = len(lines) - len(holding)
    dropped = {"sessions_without_events_dropped": empty}

    def account(kept: pl.DataFrame) -> dict[str, dict[str, int]]:
        return table.account({"sessions": kept["user"].n_unique(), **dropped})

    rows = rows.rename({"session": "user", "ts": "time", "aid": "item"})
    rows = rows.with_columns(pl.int_range(pl.len()).alias(ROW))
    info = {"name": "otto", "licence": "CC BY 4.0 (OTTO)", **source_of(path)}
    return events_dataset(EventLog(rows, info, account, dropped), seed)
