"""Times of logs: what is read as what, and that a log has one way to write them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from recgym.data.event_times import parse_times
from recgym.data.raw import ROW, RawTable
from recgym.errors import RecGymError


def parse(*texts: str) -> tuple[list[int], str]:
    rows = pl.DataFrame({ROW: range(2, 2 + len(texts)), "at": texts})
    times, how = parse_times(RawTable(Path("log.csv"), rows.lazy(), "line"), rows, "at")
    return times.to_list(), how


NINE = 1_714_554_000_000_000
"""2024-05-01 09:00 UTC in microseconds, as `date -u -d 2024-05-01T09:00 +%s` says."""


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2024-05-01", NINE - 9 * 3_600_000_000),
        ("2024-05-01T09:00", NINE),
        ("2024-05-01 09:00:00", NINE),
        ("2024-05-01T09:00:00.25", NINE + 250_000),
        ("2024-05-01T09:00:00,123456789", NINE + 123_456),
        ("2024-05-01T09:00:00Z", NINE),
        ("2024-05-01T11:00+02:00", NINE),
        ("2024-05-01 04:30:00.5 -0430", NINE + 500_000),
        ("1714554000", NINE),
        ("1714554000.25", NINE + 250_000),
        ("1714554000250", NINE + 250_000),
        ("-3", -3_000_000),
        ("0", 0),
    ],
)
def test_a_time_by_hand(text: str, micros: int) -> None:
    assert parse(text)[0] == [micros]


def test_it_is_said_how_times_were_read() -> None:
    ends = "2024-05-01 09:00:00 to 2024-05-01 09:00:01"
    assert parse("1714554001", "1714554000")[1] == f"seconds since 1970, {ends}"
    assert parse("1714554001000", "1714554000000")[1] == f"milliseconds since 1970, {ends}"
    assert parse("2024-05-01T09:00:01Z", "2024-05-01T09:00:00Z")[1].startswith("ISO-8601 with")
    assert "read as UTC" in parse("2024-05-01")[1]


@pytest.mark.parametrize(
    "text",
    ["late", "nan", "inf", "1e20", "2024-02-30", "2024-05-01 24:00", "2024-05-01T9:00", "1.5.2024"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RecGymError, match=r"log.csv, line 2, column 'at': .* is no time"):
        parse(text)
    with pytest.raises(RecGymError, match="line 3"):
        parse("1714554000", text)


def test_mixed_times_are_refused() -> None:
    for first, other, what in (
        ("1714554000", "1714554000000", "milliseconds since 1970, where the first is seconds"),
        ("1714554000", "2024-05-01", "ISO-8601 without"),
        ("2024-05-01T09:00", "2024-05-01T09:00Z", "ISO-8601 with a time zone, where the first is"),
    ):
        with pytest.raises(RecGymError, match=f"line 3, column 'at': mixed times: .* is {what}"):
            parse(first, other)
