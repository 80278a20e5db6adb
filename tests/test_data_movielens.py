"""The readers of MovieLens, on small files in every published format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recgym.data import read_movielens
from recgym.data.movielens import same_year_pages, sample_distinct
from recgym.data.movielens_files import find_files, read_movies
from recgym.errors import RecGymError
from recgym.users.page_arrays import outside_option
from tests.fixtures.readers import clicked, shown

RATINGS = [(5, 1, 5, 30), (5, 2, 2, 10), (5, 4, 3, 20), (9, 3, 1, 10), (9, 6, 4, 10), (9, 5, 4, 5)]
"""user, movie, stars, seconds"""
TITLES = {
    1: ("Amélie", "1995", "Comedy|Romance"),
    2: ("Brazil, part: two", "1995", "Comedy"),
    3: ("Casino", "1995", "Drama"),
    4: ("Dune", "1984", "Sci-Fi"),
    5: ("unkonwn", None, ""),
    6: ("Fargo", None, "Crime"),
}


def write_100k(folder: Path) -> None:
    lines = "".join("\t".join(map(str, row)) + "\n" for row in RATINGS)
    (folder / "u.data").write_text(lines)
    genres = ["Comedy", "Romance", "Drama", "Sci-Fi", "Crime"]
    column = {"Comedy": 5, "Crime": 6, "Drama": 8, "Romance": 14, "Sci-Fi": 15}
    with open(folder / "u.item", "w", encoding="latin-1") as file:
        for item, (title, year, kinds) in TITLES.items():
            flags = ["0"] * 19
            for genre in genres:
                flags[column[genre]] = str(int(genre in kinds.split("|")))
            date, named = ("", title) if year is None else (f"01-Jan-{year}", f"{title} ({year})")
            file.write("|".join([str(item), named, date, "", "http://", *flags]) + "\n")


def write_1m(folder: Path) -> None:
    (folder / "ratings.dat").write_text("".join("::".join(map(str, r)) + "\n" for r in RATINGS))
    with open(folder / "movies.dat", "w", encoding="latin-1") as file:
        for item, (title, year, kinds) in TITLES.items():
            file.write(f"{item}::{title} ({year or 'V'})::{kinds}\n")


def write_25m(folder: Path) -> None:
    lines = "".join(",".join(map(str, row)) + "\n" for row in RATINGS)
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + lines)
    with open(folder / "movies.csv", "w", encoding="utf-8") as file:
        file.write("movieId,title,genres\n")
        for item, (title, year, kinds) in TITLES.items():
            named = f"{title} ({year})" if year else title
            file.write(f'{item},"{named}",{kinds or "(no genres listed)"}\n')


def write_atomic(folder: Path) -> None:
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    lines = "".join("\t".join(map(str, row)) + ".0\n" for row in RATINGS)
    (folder / "ml-100k.inter").write_text(header + lines)
    with open(folder / "ml-100k.item", "w", encoding="utf-8") as file:
        file.write("item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n")
        for item, (title, year, kinds) in TITLES.items():
            file.write(f"{item}\t{title}\t{year or 'V'}\t{kinds.replace('|', ' ')}\n")


FORMATS = [write_100k, write_1m, write_25m, write_atomic]


@pytest.mark.parametrize("write", FORMATS)
def test_every_format_of_movielens_reads_the_same(tmp_path: Path, write: object) -> None:
    write(tmp_path)  # type: ignore[operator]
    dataset = read_movielens(tmp_path, min_ratings=1)
    dataset.validate()
    sessions, catalog = dataset.sessions, dataset.catalog
    assert catalog.item_id == tuple("123456")
    assert catalog.title is not None
    assert catalog.title[:4] == ("Amélie", "Brazil, part: two", "Casino", "Dune")
    groups = {
        name: np.flatnonzero(rows).tolist() for name, rows in catalog.groups("genre:").items()
    }
    assert groups == {"Comedy": [0, 1], "Crime": [5], "Drama": [2], "Romance": [0], "Sci-Fi": [3]}
    year = catalog.features[:, catalog.feature_names.index("year")]
    np.testing.assert_allclose(year, [3**-0.5] * 3 + [-(3**0.5), 0, 0], rtol=1e-5)
    assert sessions.user.tolist() == [0, 0, 0, 1, 1, 1]
    assert sessions.timestamp.tolist() == [10, 20, 30, 5, 10, 10]
    pages = {frozenset(shown(dataset, p)): c for p, c in enumerate(clicked(dataset))}
    assert set(pages) == {frozenset("123"), frozenset("4"), frozenset("56")}
    assert clicked(dataset)[:4] == [None, "4", "1", "5"]
    assert set(clicked(dataset)[4:]) == {None, "6"}
    assert dataset.info["mended"]["movies_without_release_year"] == 2
    assert dataset.info["no_click"]
    assert "GroupLens" in dataset.info["licence"]


def test_low_ratings_become_what_is_asked(tmp_path: Path) -> None:
    write_25m(tmp_path)
    clicks = {}
    for low in ("no-click", "click", "drop"):
        sessions = read_movielens(tmp_path, low_ratings=low, min_ratings=1).sessions
        clicks[low] = (sessions.n_pages, int((sessions.click >= 0).sum()))
    assert clicks == {"no-click": (6, 4), "click": (6, 6), "drop": (4, 4)}


def test_a_gap_ends_a_session_with_a_page_without_a_click(tmp_path: Path) -> None:
    hours = [(5, 1, 5, 0), (5, 2, 2, 1740), (5, 4, 3, 3539), (5, 3, 5, 5339), (9, 6, 4, 5400)]
    header = "userId,movieId,rating,timestamp\n"
    write_25m(tmp_path)
    lines = "".join(",".join(map(str, row)) + "\n" for row in hours)
    (tmp_path / "ratings.csv").write_text(header + lines)
    how = {"low_ratings": "click", "rewards": "five-stars", "session_gap": 30, "min_ratings": 1}
    dataset = read_movielens(tmp_path, **how)
    sessions = dataset.sessions
    dataset.validate()
    # 1740 and 1799 seconds go on, 1800 (30 minutes) do not, and another user is another session
    assert sessions.user.tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert sessions.session.tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    assert sessions.step.tolist() == [0, 1, 2, 3, 0, 1, 0, 1]
    assert clicked(dataset) == ["1", "2", "4", None, "3", None, "6", None]
    assert sessions.reward.tolist() == [1, 0, 0, 0, 1, 0, 0, 0]
    assert sessions.timestamp is not None
    assert sessions.timestamp.tolist() == [0, 1740, 3539, 3539, 5339, 5339, 5400, 5400]
    years = {"1": 1995, "2": 1995, "3": 1995, "4": 1984, "5": None, "6": None}
    for page in (3, 5, 7):
        one_year = {years[item] for item in shown(dataset, page)}
        assert len(one_year) == 1
        assert len(shown(dataset, page)) == list(years.values()).count(one_year.pop())
    assert outside_option(sessions) == "end"
    assert dataset.info["meaning"]["reward"] == "a rating of 5 stars"
    without = read_movielens(tmp_path, low_ratings="click", min_ratings=1)
    rated = sessions.select(sessions.click >= 0)
    np.testing.assert_array_equal(rated.slate_items, without.sessions.slate_items)
    assert "meaning" not in without.info
    assert outside_option(without.sessions) is None
    with pytest.raises(RecGymError, match="session_gap=0: must be in 1"):
        read_movielens(tmp_path, session_gap=0)


def test_same_seed_same_pages_and_ties_go_by_seed(tmp_path: Path) -> None:
    write_25m(tmp_path)
    reads = [read_movielens(tmp_path, min_ratings=1, seed=s) for s in (0, 0, *range(1, 9))]
    items = [tuple(dataset.sessions.item) for dataset in reads]
    assert items[0] == items[1]
    assert len(set(items)) == 2  # user 9 has two ratings in one second


def test_users_are_sampled_and_filtered(tmp_path: Path) -> None:
    write_1m(tmp_path)
    assert read_movielens(tmp_path, min_ratings=3, users=1).n_users == 1
    with pytest.raises(RecGymError, match="3 users wanted: only 2 have 3 ratings or more"):
        read_movielens(tmp_path, min_ratings=3, users=3)
    with pytest.raises(RecGymError, match="no ratings left"):
        read_movielens(tmp_path)


@pytest.mark.parametrize(
    ("write", "name", "line", "message"),
    [
        (write_100k, "u.data", "5\tx\t3\t1", r"line 7, column 'item': 'x' is not a number"),
        (write_1m, "ratings.dat", "5::1::9::1", "line 7, column 'rating': a rating is"),
        (write_25m, "ratings.csv", "5,77,3,1", "line 8, column 'movieId': .* movies.csv does not"),
        (write_25m, "ratings.csv", "5,1,nan,1", "line 8, column 'rating': a rating is"),
        (write_atomic, "ml-100k.inter", "5\t1\t3", "line 8: 3 fields, not 4"),
        (write_25m, "movies.csv", "7,Gattaca", "line 8: 2 fields, not 3"),
        (write_1m, "movies.dat", "1::Gattaca (1997)::Drama", "line 7, column 'item': 1 occurs"),
        (write_1m, "movies.dat", "x::Gattaca (1997)::Drama", "line 7, column 'item': 'x' is not"),
    ],
)
def test_a_malformed_line_of_movielens_is_named(
    tmp_path: Path, write: object, name: str, line: str, message: str
) -> None:
    write(tmp_path)  # type: ignore[operator]
    with open(tmp_path / name, "a") as file:
        file.write(line + "\n")
    with pytest.raises(RecGymError, match=message) as caught:
        read_movielens(tmp_path, min_ratings=1)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_a_folder_without_movielens_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match=r"looked for u\.data"):
        read_movielens(tmp_path)
    write_25m(tmp_path)
    (tmp_path / "movies.csv").unlink()
    with pytest.raises(RecGymError, match=r"movies\.csv: no such file"):
        read_movielens(tmp_path)


def test_titles_lose_their_year(tmp_path: Path) -> None:
    write_1m(tmp_path)
    movies, lines = read_movies(find_files(tmp_path))
    assert lines == {"header": 0, "blank": 0, "movies": 6}
    assert [movie.title for movie in movies][:2] == ["Amélie", "Brazil, part: two"]
    assert [movie.year for movie in movies] == [1995, 1995, 1995, 1984, None, None]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.integers(0, 6), st.integers(0, 99))
def test_sample_distinct_draws_distinct_numbers_below_the_limit(
    limits: list[int], count: int, seed: int
) -> None:
    drawn = sample_distinct(np.array(limits), count, np.random.default_rng(seed))
    for row, limit in zip(drawn, limits, strict=True):
        numbers = row[row >= 0].tolist()
        assert len(numbers) == len(set(numbers)) == min(count, limit)
        assert all(number < limit for number in numbers)


def test_pages_show_the_rated_item_and_its_own_year_uniformly() -> None:
    years = np.array([1990] * 5 + [2000] * 2 + [2010])
    rated = np.tile(np.arange(8), 2_000)
    items, sizes, slot = same_year_pages(years, rated, 4, np.random.default_rng(0))
    offsets = np.cumsum(sizes) - sizes
    np.testing.assert_array_equal(items[offsets + slot], rated)
    np.testing.assert_array_equal(years[items], np.repeat(years[rated], sizes))
    np.testing.assert_array_equal(sizes[:8], [4, 4, 4, 4, 4, 2, 2, 1])
    page = np.repeat(np.arange(len(rated)), sizes)
    assert len(np.unique(page * 8 + items)) == len(items)  # no item twice
    first = rated[page] == 0
    shares = np.bincount(items[first], minlength=5) / 2_000
    assert np.abs(shares - [1, 0.75, 0.75, 0.75, 0.75]).max() < 0.05  # 5 standard deviations
    slots = np.bincount(slot[rated < 5]) / 10_000
    assert np.abs(slots - 0.25).max() < 0.022  # 5 standard deviations


@pytest.mark.parametrize(
    ("write", "ratings", "movies", "header"),
    [
        (write_100k, "u.data", "u.item", 0),
        (write_1m, "ratings.dat", "movies.dat", 0),
        (write_25m, "ratings.csv", "movies.csv", 1),
        (write_atomic, "ml-100k.inter", "ml-100k.item", 1),
    ],
)
def test_every_line_of_both_files_is_accounted_for(
    write: Callable[[Path], None], ratings: str, movies: str, header: int, tmp_path: Path
) -> None:
    write(tmp_path)
    for name in (ratings, movies):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(b"\n" + content.replace(b"\n", b"\r\n\r\n", 2) + b"\n")
    dataset = read_movielens(tmp_path, min_ratings=1, users=1)
    kept = dataset.sessions.n_pages
    lines = dataset.info["lines"]
    assert lines[ratings].pop("header", 0) == header
    assert lines[ratings] == {
        "blank": 4,
        "ratings": kept,
        "ratings_of_users_left_out_or_dropped": len(RATINGS) - kept,
    }
    assert lines[movies] == {"header": header, "blank": 4, "movies": len(TITLES)}


@pytest.mark.parametrize(
    ("write", "name", "line", "message"),
    [
        (write_25m, "movies.csv", b'7,"Gattaca,Drama', "line 8: unexpected end of data"),
        (write_25m, "movies.csv", b"7,Gattac\xe1,Drama", "line 8: .*0xe1"),
        (write_25m, "movies.csv", b"9" * 5_000 + b",Gattaca,Drama", "line 8, column 'item': '99"),
        (write_25m, "movies.csv", b"1" * 200_000 + b",a,b", "line 8: field larger"),
        (write_25m, "ratings.csv", b"5," + b"9" * 5_000 + b",3,1", "line 8, column 'movieId': '99"),
        (write_25m, "ratings.csv", b"5,18446744073709551616,3,1", "line 8, column 'movieId'"),
        (write_atomic, "ml-100k.item", "٣\tGattaca\t1997\tDrama".encode(), "line 8, column 'item'"),
        (write_100k, "u.data", b"\xe9\t1\t3\t1", "line 7: byte 0xe9 is not UTF-8"),
    ],
)
def test_a_line_that_would_change_the_log_in_silence_is_named(
    write: Callable[[Path], None], name: str, line: bytes, message: str, tmp_path: Path
) -> None:
    write(tmp_path)
    with open(tmp_path / name, "ab") as file:
        file.write(line + b"\n")
    with pytest.raises(RecGymError, match=message) as caught:
        read_movielens(tmp_path, min_ratings=1)
    assert len(str(caught.value)) < len(str(tmp_path)) + 200


@pytest.mark.parametrize(
    "setting",
    [
        {"seed": -1},
        {"page_size": 1},
        {"page_size": 10**9},
        {"users": 0},
        {"min_ratings": -1},
        {"session_gap": -5},
        {"session_gap": 10**30},
    ],
)
def test_a_setting_out_of_its_range_is_one_line(setting: dict[str, int], tmp_path: Path) -> None:
    write_1m(tmp_path)
    (name,) = setting
    with pytest.raises(RecGymError, match=f"{name}={setting[name]}: must be"):
        read_movielens(tmp_path, **setting)  # type: ignore[arg-type]
