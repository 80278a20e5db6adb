"""Yelp's log of reviews, a JSON object a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from recgym.data.dataset import Dataset
from recgym.data.event_logs import EventLog, events_dataset, one_file, reward_of_stars
from recgym.data.json_lines import read_json_lines
from recgym.data.raw import ROW, source_of
from recgym.settings import AT_LEAST_0, check_number

FIELDS: dict[str, Any] = {
    "user_id": pl.String,
    "business_id": pl.String,
    "stars": pl.Float64,
    "date": pl.String,
}


def read_yelp(path: Path | str, *, seed: int = 0) -> Dataset:
    """Reads Yelp's reviews.

    A review is an event without a slate, a user a sequence. The reward is ``reward_of_stars``.
    Reviews of one time are in a random order: earlier editions have the day alone.

    Args:
        path: ``yelp_academic_dataset_review.json``.
        seed: of the division, and of the order within one time.

    Raises:
        RecGymError: the file is missing or empty, or has a malformed line, which is named.
    """
    check_number("seed", seed, AT_LEAST_0)
    path = Path(path)
    table, rows = read_json_lines(path, FIELDS)
    for name in ("user_id", "business_id"):
        table.refuse(rows, pl.col(name).fill_null("") == "", name, "no value")
    date = pl.col("date")
    time = pl.coalesce(
        date.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ms", strict=False),
        date.str.to_datetime("%Y-%m-%d", time_unit="ms", strict=False),
    )
    reward = reward_of_stars(pl.col("stars"))
    rows = rows.with_columns(time=time.dt.timestamp("ms"), reward=reward)
    table.refuse(rows, pl.col("time").is_null(), "date", "no date such as 2018-07-07 22:09:11")
    table.refuse(rows, pl.col("reward").is_null(), "stars", "not 1, 2, 3, 4 or 5")
    rows = rows.select(ROW, "time", "reward", user="user_id", item="business_id")
    info = {"name": "yelp", "licence": "Yelp Dataset terms of use", **source_of(path)}
    return events_dataset(EventLog(rows, info, one_file(table, rows, {})), seed, ties=True)
