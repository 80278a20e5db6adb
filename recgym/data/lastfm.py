"""Last.fm's logs of artists: the plays of 1K users, and the tags and counts of HetRec 2011."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from recgym.data.dataset import Dataset
from recgym.data.event_logs import EventLog, events_dataset, one_file
from recgym.data.raw import ROW, RawTable, source_of
from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, check_number

PLAYS = "userid-timestamp-artid-artname-traid-traname.tsv"
TAGS, COUNTS, ARTISTS = "user_taggedartists-timestamps.dat", "user_artists.dat", "artists.dat"
PLAY_COLUMNS = ("user", "time", "artid", "artname", "traid", "traname")
"""The fields of a play, in a file without a header."""
PLAY_TYPES: dict[str, Any] = {
    "user": pl.String,
    "time": pl.Datetime("ms"),
    "artid": pl.String,
    "artname": pl.String,
}
TAG_TYPES: dict[str, Any] = {"userID": pl.Int64, "artistID": pl.Int64, "timestamp": pl.Int64}
COUNT_TYPES: dict[str, Any] = {"userID": pl.Int64, "artistID": pl.Int64, "weight": pl.Int64}
OF_HETREC = {"userID": "user", "artistID": "item", "timestamp": "time"}


def read_lastfm(path: Path | str, *, seed: int = 0) -> Dataset:
    """Reads a log of Last.fm; which one, the name of its file says.

    Every row is an event without a slate that is worth 1, a user is a sequence, an artist an item.

    - ``userid-timestamp-artid-artname-traid-traname.tsv`` (1K users): a row is a play. An artist
      without an id goes by her name; a play with neither is dropped and counted.
    - ``user_taggedartists-timestamps.dat`` (HetRec 2011): a row is a tag; an artist's tags of one
      time are one event. Most times are a month: what is of one time is in a random order.
    - ``user_artists.dat`` (HetRec 2011): a row is an artist whom the user has played, and has no
      time; the order is random, and how often she was played is not read.

    ``artists.dat`` beside either of the last two names the artists.

    Args:
        path: one of the files; or a folder, of which the first of these that it holds is read.
        seed: of the order within one time, and of the division.

    Raises:
        RecGymError: there is no such file, it is empty, lacks a column, or has a malformed line,
            which is named with its column.
    """
    check_number("seed", seed, AT_LEAST_0)
    path = Path(path)
    names = (PLAYS, TAGS, COUNTS)
    if path.is_dir():
        found = next((path / name for name in names if (path / name).is_file()), None)
        if found is None:
            raise RecGymError(f"{path}: no log of Last.fm (looked for {', '.join(names)})")
        path = found
    if path.name not in names:
        raise RecGymError(f"{path}: not named like a log of Last.fm ({', '.join(names)})")
    if path.name == PLAYS:
        return events_dataset(_plays(path), seed)
    return events_dataset(_of_hetrec(path), seed, ties=True)


def _plays(path: Path) -> EventLog:
    table = RawTable.delimited(path, "\t", PLAY_COLUMNS, header=False)
    every = table.parse(PLAY_TYPES, optional=("artid", "artname"))
    rows = every.with_columns(item=pl.coalesce("artid", "artname"))
    rows = rows.filter(pl.col("item").is_not_null())
    dropped = {"plays_without_artist_dropped": len(every) - len(rows)}
    named = rows.select("item", "artname").unique("item", keep="first", maintain_order=True)
    titles = {item: name or item for item, name in named.iter_rows()}
    rows = _worth_1(rows.select(ROW, "user", "time", "item"))
    info = {"name": "lastfm-1k", "licence": "Last.fm: non-commercial use", **source_of(path)}
    return EventLog(rows, info, one_file(table, rows, dropped), dropped, titles)


def _of_hetrec(path: Path) -> EventLog:
    types = TAG_TYPES if path.name == TAGS else COUNT_TYPES
    table = RawTable.delimited(path, "\t", list(types))
    every = table.parse(types)
    known = every.rename({k: v for k, v in OF_HETREC.items() if k in types})
    keys = [name for name in ("user", "item", "time") if name in known.columns]
    rows = known.unique(keys, keep="first", maintain_order=True).select(ROW, *keys)
    dropped = {"repeats_of_one_artist_at_one_time_dropped": len(every) - len(rows)}
    rows = _worth_1(rows)
    artists = path.with_name(ARTISTS)
    titles = {}
    if artists.is_file():
        table_of_artists = RawTable.delimited(artists, "\t", ["id", "name"])
        names = table_of_artists.parse({"id": pl.Int64, "name": pl.String})
        titles = dict(names.select("id", "name").iter_rows())
    info = {
        "name": "lastfm-hetrec",
        "licence": "Last.fm and HetRec 2011: non-commercial use",
        **source_of(path),
    }
    return EventLog(rows, info, one_file(table, rows, dropped), dropped, titles)


def _worth_1(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(reward=pl.lit(1.0, pl.Float32))
