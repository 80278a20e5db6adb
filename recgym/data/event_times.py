"""Times of logs, written as ISO-8601 or as seconds or milliseconds since 1970."""

from __future__ import annotations

import polars as pl

from recgym.data.raw import ROW, RawTable
from recgym.errors import shortened

ISO, ZONED = "ISO-8601 without a time zone, read as UTC", "ISO-8601 with a time zone"
SECONDS, MILLISECONDS = "seconds since 1970", "milliseconds since 1970"
FIRST_MILLISECONDS, LAST = 1e11, 1e14
"""From the one on a number is milliseconds (seconds would lie after the year 5138), from the other
on it is no time."""
PATTERN = (
    r"^\d{4}-\d{2}-\d{2}"
    r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?(?:[Zz]|[+-]\d{2}:?\d{2}))?)?$"
)
ZONE = r":.*(?:[Zz]|[+-]\d{2}:?\d{2})$"


def parse_times(table: RawTable, rows: pl.DataFrame, column: str) -> tuple[pl.Series, str]:
    """Reads the times of a log, which are all written in one way.

    Args:
        table: for errors.
        rows: has ``ROW`` and the column.
        column: of text, without nulls.

    Returns:
        Microseconds since 1970 (P,) int64; and how they are written, with the first and the last.

    Raises:
        RecGymError: a time that is neither, or one that is written otherwise than the first.
    """
    text, iso, number = pl.col(column), pl.col("iso"), pl.col("number")
    parsed = rows.select(
        ROW, column, iso=_iso(text), number=text.cast(pl.Float64, strict=False)
    ).with_columns(
        kind=pl.when(iso.is_not_null() & text.str.contains(ZONE))
        .then(pl.lit(ZONED))
        .when(iso.is_not_null())
        .then(pl.lit(ISO))
        .when(number.abs() < FIRST_MILLISECONDS)
        .then(pl.lit(SECONDS))
        .when(number.abs() < LAST)
        .then(pl.lit(MILLISECONDS))
    )
    first = parsed["kind"][0]
    kind = pl.col("kind")
    wrong = parsed.filter(kind.is_null() | (kind != kind.first()))
    if not wrong.is_empty():
        line, cell, other = wrong.select(ROW, column, "kind").row(0)
        written = shortened(repr(cell))
        if other is None:
            why = f"{written} is no time (ISO-8601, or seconds or milliseconds since 1970)"
        else:
            why = f"mixed times: {written} is {other}, where the first is {first}"
        table.fail(line, column, why)
    scale = {SECONDS: 1e6, MILLISECONDS: 1e3}.get(first)
    if scale is None:
        found = parsed["iso"]
    else:
        found = parsed.select((number * scale).round().cast(pl.Int64)).to_series()
    ends = pl.Series([found.min(), found.max()], dtype=pl.Int64).cast(pl.Datetime("us"))
    low, high = ends.dt.strftime("%Y-%m-%d %H:%M:%S")
    return found.rename("time"), f"{first}, {low} to {high}"


def _iso(text: pl.Expr) -> pl.Expr:
    """Microseconds since 1970 UTC of ISO-8601 dates with or without a clock; null elsewhere."""
    clock = text.str.extract(r"^.{10}[T ](\d{2}:\d{2}(?::\d{2})?)").fill_null("00:00")
    seconds = pl.when(clock.str.len_chars() == 5).then(clock + ":00").otherwise(clock)
    whole = (text.str.slice(0, 10) + " " + seconds).str.to_datetime(
        "%Y-%m-%d %H:%M:%S", strict=False, time_unit="us"
    )
    digits = text.str.extract(r":\d{2}[.,](\d+)").fill_null("0").str.pad_end(6, "0")
    fraction = digits.str.slice(0, 6).cast(pl.Int64, strict=False)
    sign = pl.when(text.str.extract(r":.*([+-])\d{2}:?\d{2}$") == "-").then(-1).otherwise(1)
    hours = text.str.extract(r":.*[+-](\d{2}):?\d{2}$").cast(pl.Int64, strict=False).fill_null(0)
    minutes = text.str.extract(r":.*[+-]\d{2}:?(\d{2})$").cast(pl.Int64, strict=False).fill_null(0)
    offset = sign * (hours * 60 + minutes) * 60_000_000
    micros = whole.dt.timestamp("us") + fraction - offset
    return pl.when(text.str.contains(PATTERN)).then(micros)
