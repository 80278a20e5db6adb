"""The log of the RecSys Challenge 2015 (YooChoose): clicks and purchases of a shop's sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import polars as pl

from recgym.data.dataset import Dataset
from recgym.data.event_logs import (
    CLICK,
    PURCHASE,
    EventLog,
    Filters,
    Preset,
    chosen_preset,
    events_dataset,
)
from recgym.data.raw import RawTable, source_of
from recgym.settings import AT_LEAST_0, check_number

ShopPreset = Literal["lpi", "sqn"]
CLICKS, PURCHASES = "yoochoose-clicks.dat", "yoochoose-buys.dat"
COLUMNS = {
    CLICKS: ("session", "time", "item", "category"),
    PURCHASES: ("session", "time", "item", "price", "quantity"),
}
"""The fields of a line, in files without a header."""
TYPES: dict[str, Any] = {"session": pl.Int64, "time": pl.Datetime("ms"), "item": pl.Int64}
PRESETS = {
    "lpi": Preset(
        "lpi",
        "Liang and Vlassis 2022, section 4.2",
        Filters(least_clicks=3, longest=20),
        {"sequences": 4_430_000, "items": 48_255, "clicks": 24_600_000, "purchases": 1_150_000},
    ),
    "sqn": Preset(
        "sqn",
        "Xin et al. 2020, section 4.1",
        Filters(least_clicks=3, sequences=200_000),
        {"sequences": 200_000, "items": 26_702, "clicks": 1_110_965, "purchases": 43_946},
    ),
}


def read_yoochoose(
    folder: Path | str, *, preset: ShopPreset | None = None, seed: int = 0
) -> Dataset:
    """Reads the training files of the RecSys Challenge 2015.

    A click or a purchase is an event without a slate, a session a sequence. With a preset, sessions
    of fewer than 3 clicks are left out; "lpi" keeps the last 20 events of each, "sqn" draws 200,000
    sessions.

    Args:
        folder: with ``yoochoose-clicks.dat`` and ``yoochoose-buys.dat``.
        preset: the paper whose sequences are kept; None keeps all.
        seed: of the drawn sessions, and of the division.

    Raises:
        RecGymError: a file is missing or empty, or has a malformed line, which is named with its
            column; or no sequence is left.
    """
    check_number("seed", seed, AT_LEAST_0)
    chosen = chosen_preset(PRESETS, preset)
    paths = [Path(folder) / name for name in (CLICKS, PURCHASES)]
    tables = [RawTable.delimited(p, ",", COLUMNS[p.name], header=False) for p in paths]
    events = [
        table.parse(TYPES).rename({"session": "user"}).with_columns(event=pl.lit(kind, pl.Int8))
        for table, kind in zip(tables, (CLICK, PURCHASE), strict=True)
    ]
    info = {
        "name": "yoochoose",
        "licence": "CC BY-NC-ND 4.0 (RecSys Challenge 2015)",
        **source_of(*paths),
    }
    sizes = [len(rows) for rows in events]

    def account(kept: pl.DataFrame) -> dict[str, dict[str, int]]:
        lines: dict[str, dict[str, int]] = {}
        for table, kind, size in zip(tables, (CLICK, PURCHASE), sizes, strict=True):
            events = int((kept["event"] == kind).sum())
            lines |= table.account({"events": events, "events_left_out": size - events})
        return lines

    return events_dataset(EventLog(pl.concat(events), info, account), seed, chosen)
