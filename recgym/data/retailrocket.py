"""The log of RetailRocket: views, carts and transactions of the visitors of a shop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from recgym.data.dataset import Dataset
from recgym.data.event_logs import (
    CART,
    PURCHASE,
    EventLog,
    Filters,
    Preset,
    chosen_preset,
    events_dataset,
    one_file,
)
from recgym.data.raw import RawTable, source_of
from recgym.data.yoochoose import ShopPreset
from recgym.settings import AT_LEAST_0, check_number

TYPES: dict[str, Any] = {
    "timestamp": pl.Int64,
    "visitorid": pl.Int64,
    "event": pl.Enum(["view", "addtocart", "transaction"]),
    "itemid": pl.Int64,
}
"""The events stand in the order of ``EVENTS``."""
PRINTED = {"sequences": 195_523, "items": 70_852, "clicks": 1_176_680, "purchases": 57_269}
PRESETS = {
    "lpi": Preset(
        "lpi",
        "Liang and Vlassis 2022, section 4.2",
        Filters(least_clicks=3, least_item_sequences=3, longest=20),
        PRINTED | {"clicks": 1_180_000},
    ),
    "sqn": Preset(
        "sqn",
        "Xin et al. 2020, section 4.1",
        Filters(least_events=3, least_item_events=3),
        PRINTED,
    ),
}


def read_retailrocket(
    path: Path | str, *, preset: ShopPreset | None = None, seed: int = 0
) -> Dataset:
    """Reads RetailRocket's events.

    A view, a cart or a transaction is an event without a slate: a click, a cart or a purchase. A
    visitor is a sequence. With a preset, transactions are left out, and what is put into the cart
    counts as a purchase; "lpi" leaves out visitors of fewer than 3 clicks, then items of fewer than
    3 visitors, and keeps the last 20 events of each; "sqn" leaves out visitors of fewer than 3
    events, then items of fewer than 3 events.

    Args:
        path: ``events.csv``.
        preset: the paper whose sequences are kept; None keeps all.
        seed: of the division.

    Raises:
        RecGymError: the file is missing or empty, lacks a column, or has a malformed line, which is
            named with its column; or no sequence is left.
    """
    check_number("seed", seed, AT_LEAST_0)
    chosen = chosen_preset(PRESETS, preset)
    path = Path(path)
    table = RawTable.delimited(path, ",", list(TYPES))
    rows = table.parse(TYPES).rename({"timestamp": "time", "visitorid": "user", "itemid": "item"})
    info = {"name": "retailrocket", "licence": "CC BY-NC-SA 4.0 (RetailRocket)", **source_of(path)}
    dropped = {}
    if preset is not None:
        carts = rows.filter(pl.col("event") != PURCHASE)
        dropped["transactions_left_out"] = len(rows) - len(carts)
        bought = pl.when(pl.col("event") == CART).then(PURCHASE).otherwise("event")
        rows = carts.with_columns(event=bought.cast(pl.Int8))
        info["meaning"] = {"purchase": "put into the cart"}
    return events_dataset(
        EventLog(rows, info, one_file(table, rows, dropped), dropped), seed, chosen
    )
