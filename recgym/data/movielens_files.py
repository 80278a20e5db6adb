"""The formats in which MovieLens is found."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recgym.data.raw import RawTable
from recgym.errors import RecGymError, shortened

GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)  # fmt: skip
"""The genres of ``u.item``, in the order of its flags."""


@dataclass(frozen=True)
class Format:
    """How an edition of MovieLens is written."""

    edition: str
    ratings: str
    """file name; ``*`` stands for any name, the same in both files"""
    movies: str
    rating_separator: str
    rating_columns: tuple[str, ...]
    """user, item, rating, time, among names starting with ``_`` for fields to skip"""
    header: bool
    """whether the first line of each file names its columns"""
    movie_separator: str
    movie_fields: int
    movie_encoding: str = "utf-8"

    @property
    def fields(self) -> tuple[str, str, str, str]:
        """The columns of user, item, rating and time."""
        user, item, rating, time = (n for n in self.rating_columns if not n.startswith("_"))
        return user, item, rating, time


FORMATS = (
    Format(
        "ml-100k", "u.data", "u.item", "\t", ("user", "item", "rating", "timestamp"), False,
        "|", 24, "latin-1",
    ),
    Format(  # "::" is read as two separators with an empty field between them
        "ml-1m", "ratings.dat", "movies.dat", ":",
        ("user", "_1", "item", "_2", "rating", "_3", "timestamp"), False, "::", 3, "latin-1",
    ),
    Format(
        "ml-25m", "ratings.csv", "movies.csv", ",",
        ("userId", "movieId", "rating", "timestamp"), True, ",", 3,
    ),
    Format(
        "*", "*.inter", "*.item", "\t", ("user_id", "item_id", "rating", "timestamp"), True,
        "\t", 4,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Movie:
    """A line of a movie file."""

    item: int
    title: str
    year: int | None
    """release year; None where the file has no usable one"""
    genres: tuple[str, ...]


@dataclass(frozen=True)
class MovieLensFiles:
    """The two files of an edition of MovieLens that are read."""

    name: str
    """``ml-100k``, ``ml-1m``, ``ml-25m``"""
    format: Format
    ratings: Path
    movies: Path


def find_files(folder: Path) -> MovieLensFiles:
    """Finds out which edition of MovieLens a folder holds.

    Raises:
        RecGymError: the folder holds none, or ratings without movies.
    """
    for form in FORMATS:
        for ratings in sorted(folder.glob(form.ratings)):
            movies = ratings.with_name(form.movies.replace("*", ratings.stem))
            if not movies.is_file():
                raise RecGymError(f"{movies}: no such file (it belongs beside {ratings.name})")
            return MovieLensFiles(form.edition.replace("*", ratings.stem), form, ratings, movies)
    looked_for = ", ".join(form.ratings for form in FORMATS)
    raise RecGymError(f"{folder}: no folder with MovieLens ratings (looked for {looked_for})")


def read_ratings(files: MovieLensFiles) -> tuple[RawTable, pl.DataFrame]:
    """Reads the ratings.

    Returns:
        The raw table, for errors; and rows of ``user``, ``item``, ``rating``, ``timestamp``
        (seconds) with their line.

    Raises:
        RecGymError: the first malformed line, with its column; or a rating outside 0.5 to 5.
    """
    form = files.format
    table = RawTable.delimited(
        files.ratings, form.rating_separator, form.rating_columns, header=form.header
    )
    names = form.fields
    rows = table.parse(dict(zip(names, (pl.Int64, pl.Int64, pl.Float32, pl.Int64), strict=True)))
    outside = ~pl.col(names[2]).is_between(0.5, 5)
    table.refuse(rows, outside, names[2], "a rating is a number from 0.5 to 5")
    common = ("user", "item", "rating", "timestamp")
    return table, rows.rename(dict(zip(names, common, strict=True)))


def read_movies(files: MovieLensFiles) -> tuple[list[Movie], dict[str, int]]:
    """Reads the movies.

    Returns:
        The movies; and how many lines are movies, a ``header``, or ``blank``.

    Raises:
        RecGymError: a line is not in the encoding of the edition, has a quote that is not closed on
            it, another number of fields, or an id that is no number or not new.
    """
    movies: dict[int, Movie] = {}
    counts = {"header": 0, "blank": 0}
    for line, fields in _lines(files):
        where = f"{files.movies}, line {line}"
        if not fields:
            counts["blank"] += 1
            continue
        if files.format.header and not counts["header"]:
            counts["header"] = 1
            continue
        if len(fields) != files.format.movie_fields:
            expected = files.format.movie_fields
            raise RecGymError(f"{where}: {len(fields)} fields, not {expected}")
        if not re.fullmatch(r"[0-9]{1,18}", fields[0]):
            what = f"{shortened(repr(fields[0]))} is not a number of 18 digits at most"
            raise RecGymError(f"{where}, column 'item': {what}")
        movie = _movie(fields)
        if movie.item in movies:
            raise RecGymError(f"{where}, column 'item': {movie.item} occurs twice")
        movies[movie.item] = movie
    if not movies:
        raise RecGymError(f"{files.movies}: no movies")
    counts["movies"] = len(movies)
    return list(movies.values()), counts


def _lines(files: MovieLensFiles) -> Iterator[tuple[int, list[str]]]:
    """Yields the number of every line and its fields, none of a blank one."""
    form = files.format
    with open(files.movies, "rb") as file:
        for line, content in enumerate(file, 1):
            try:
                text = content.rstrip(b"\r\n").decode(form.movie_encoding).removeprefix("\ufeff")
                yield line, _fields(text, form.movie_separator) if text else []
            except (UnicodeDecodeError, csv.Error) as error:
                raise RecGymError(f"{files.movies}, line {line}: {error}") from None


def _fields(text: str, separator: str) -> list[str]:
    if separator == ",":
        return next(csv.reader([text], strict=True))
    return text.split(separator)


def _movie(fields: list[str]) -> Movie:
    """Reads a line's fields: 24 in ``u.item``, 4 in an atomic file, 3 elsewhere."""
    item, title = int(fields[0]), fields[1]
    in_title = re.search(r"\s*\((\d{4})\)\s*$", title)
    if len(fields) == 24:
        year = fields[2][-4:]  # 01-Jan-1995
        flags = zip(GENRES_100K, fields[5:], strict=True)
        genres = tuple(genre for genre, flag in flags if flag == "1")
    elif len(fields) == 4:
        year = fields[2]
        genres = tuple(fields[3].split())
    else:
        year = in_title[1] if in_title else ""
        genres = tuple(g for g in fields[2].split("|") if g and g != "(no genres listed)")
    plain = title[: in_title.start()] if in_title else title
    return Movie(item, plain, int(year) if re.fullmatch(r"\d{4}", year) else None, genres)
