"""Taobao's log of user behaviour: page views, favourites, carts and purchases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from recgym.data.dataset import Dataset
from recgym.data.event_logs import CART, EventLog, events_dataset, one_file
from recgym.data.raw import RawTable, source_of
from recgym.settings import AT_LEAST_0, check_number

COLUMNS = ("user", "item", "category", "event", "time")
"""The fields of a line; there is no header."""
BEHAVIOURS = ("pv", "cart", "buy", "fav")
"""In the order of ``EVENTS``, and a favourite."""
TYPES: dict[str, Any] = {
    "user": pl.Int64,
    "item": pl.Int64,
    "event": pl.Enum(BEHAVIOURS),
    "time": pl.Int64,
}
FIRST, AFTER = 1_511_539_200, 1_512_316_800
"""Seconds of 2017-11-25 and 2017-12-04 in Beijing: the nine days that the log is of."""


def read_taobao(path: Path | str, *, seed: int = 0) -> Dataset:
    """Reads Taobao's user behaviour.

    A page view, a cart or a purchase is an event without a slate: a click, a cart or a purchase. A
    favourite counts as a cart: it is put aside, not bought. A user is a sequence. Events outside
    the log's nine days, which the published file has, are dropped and counted.

    Args:
        path: ``UserBehavior.csv``.
        seed: of the division.

    Raises:
        RecGymError: the file is missing or empty, or has a malformed line, which is named with its
            column; or no event is within the nine days.
    """
    check_number("seed", seed, AT_LEAST_0)
    path = Path(path)
    table = RawTable.delimited(path, ",", COLUMNS, header=False)
    rows = table.parse(TYPES)
    within = rows.filter(pl.col("time").is_between(FIRST, AFTER, closed="left"))
    dropped = {"events_outside_the_nine_days_dropped": len(rows) - len(within)}
    favourite = pl.col("event") == BEHAVIOURS.index("fav")
    rows = within.with_columns(
        event=pl.when(favourite).then(CART).otherwise("event").cast(pl.Int8),
        time=pl.col("time") * 1_000,
    )
    info = {
        "name": "taobao",
        "licence": "none stated (Alibaba, user behaviour data for recommendation)",
        **source_of(path),
        "meaning": {"cart": "put into the cart, or among the favourites"},
    }
    return events_dataset(EventLog(rows, info, one_file(table, rows, dropped), dropped), seed)
