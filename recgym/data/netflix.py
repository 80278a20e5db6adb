"""The ratings of the Netflix Prize, in the files of either edition."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl

from recgym.data.dataset import Dataset
from recgym.data.event_logs import (
    EventLog,
    Filters,
    Preset,
    chosen_preset,
    events_dataset,
    reward_of_stars,
)
from recgym.data.json_lines import LINE, whole_lines
from recgym.data.raw import ROW, RawTable, source_of
from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, check_number

NetflixPreset = Literal["lpi"]
EDITIONS = ("combined_data_*.txt", "training_set/mv_*.txt", "mv_*.txt")
"""Files of ratings below a folder; those of the first name that is found are read."""
TITLES = ("movie_titles.csv", "movie_titles.txt")
SEQUENCES, HELD_OUT = 472_987, 20_000
PRESETS = {
    "lpi": Preset(
        "lpi",
        "Liang and Vlassis 2022, section 4.1",
        Filters(least_events=5, longest=200),
        {"sequences": SEQUENCES, "items": 17_770},
        (1 - 2 * HELD_OUT / SEQUENCES, HELD_OUT / SEQUENCES, HELD_OUT / SEQUENCES),
    )
}


def read_netflix(
    folder: Path | str, *, preset: NetflixPreset | None = None, seed: int = 0
) -> Dataset:
    """Reads the Netflix Prize.

    A rating is an event without a slate, a user a sequence. The reward is ``reward_of_stars``.
    Ratings have a day and no time: those of one day are in a random order, since the files list
    them by movie. With the preset "lpi", users of fewer than 5 ratings are left out, the last 200
    ratings of each are kept, and users are divided as 432,987, 20,000 and 20,000 are.

    Args:
        folder: with ``combined_data_1.txt`` and so on, or ``mv_0000001.txt`` and so on (in
            ``training_set``). A line ``1:`` says which movie the lines below rate, and these are
            ``user,stars,date``. ``movie_titles.csv`` or ``.txt`` names the movies, if there.
        preset: the paper whose sequences are kept; None keeps all.
        seed: of the order within a day, and of the division.

    Raises:
        RecGymError: there are no such files; or a line is malformed, and is named.
    """
    check_number("seed", seed, AT_LEAST_0)
    chosen = chosen_preset(PRESETS, preset)
    folder = Path(folder)
    edition = next((name for name in EDITIONS if next(folder.glob(name), None)), None)
    if edition is None:
        raise RecGymError(f"{folder}: no Netflix ratings (looked for {', '.join(EDITIONS)})")
    paths = sorted(folder.glob(edition))
    parts = []
    other = {"blank": 0, "movies": 0}
    for path in paths:
        table = whole_lines(path)
        ratings, movies = _ratings(table)
        parts.append(ratings)
        other["movies"] += movies
        other["blank"] += table.skipped["blank"]
    rows = pl.concat(parts)
    del parts

    def account(kept: pl.DataFrame) -> dict[str, dict[str, int]]:
        became = {**other, "events": len(kept), "events_left_out": len(rows) - len(kept)}
        return {edition: {what: count for what, count in became.items() if count}}

    digest = source_of(*paths)["sha256"]
    info = {
        "name": "netflix",
        "licence": "Netflix Prize rules: research use, no redistribution",
        "source": {edition: digest},
        "sha256": digest,
    }
    log = EventLog(rows, info, account, titles=_titles(folder))
    return events_dataset(log, seed, chosen, ties=True)


def _ratings(table: RawTable) -> tuple[pl.DataFrame, int]:
    """Returns the ratings of a file, and how many lines name a movie instead."""
    line = pl.col(LINE)
    movie = line.str.extract(r"^(\d{1,9}):$").cast(pl.Int32, strict=False)
    cells = line.str.split(",")
    rows = table.frame.with_columns(movie=movie, item=movie.forward_fill()).select(
        ROW,
        "item",
        names=movie.is_not_null(),
        fields=cells.list.len(),
        user=cells.list.get(0, null_on_oob=True).cast(pl.Int32, strict=False),
        reward=reward_of_stars(cells.list.get(1, null_on_oob=True)),
        time=cells.list.get(2, null_on_oob=True)
        .str.to_datetime("%Y-%m-%d", time_unit="ms", strict=False)
        .dt.timestamp("ms"),
    )
    lines = table.collect(rows)
    ratings = lines.filter(~pl.col("names"))
    for bad, column, why in (
        (pl.col("fields") != 3, LINE, "neither a movie, such as '8:', nor 'user,stars,date'"),
        (pl.col("item").is_null(), LINE, "a rating with no line such as '8:' above it"),
        (pl.col("user").is_null(), "user", "not a number of 32 bits"),
        (pl.col("reward").is_null(), "stars", "not 1, 2, 3, 4 or 5"),
        (pl.col("time").is_null(), "date", "no date such as 2005-09-06"),
    ):
        table.refuse(ratings, bad, column, why)
    kept = ratings.select(ROW, "user", "item", "time", "reward")
    return kept, len(lines) - len(ratings)


def _titles(folder: Path) -> dict[int, str]:
    """Returns the movies' titles, if there is a file of them."""
    path = next((folder / name for name in TITLES if (folder / name).is_file()), None)
    if path is None:
        return {}
    titles = {}
    for number, text in enumerate(path.read_text("latin-1").splitlines(), 1):
        fields = text.split(",", 2)  # a title may hold commas
        if len(fields) != 3 or not fields[0].isdecimal():
            raise RecGymError(f"{path}, line {number}: not 'movie,year,title'")
        titles[int(fields[0])] = fields[2]
    return titles
