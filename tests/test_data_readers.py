"""Readers of raw logs, on small files in the published formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recgym.data import Dataset, floors, read_display_sets, read_movielens, read_trivago
from recgym.data.movielens import same_year_pages, sample_distinct
from recgym.data.movielens_files import find_files, read_movies
from recgym.errors import RecGymError

HEADER = (
    "SessionId\tTime\tItemId\tis_click\traw_index\tsession_new_index\titem_new_index\ttr_val_tst"
)


def display_sets(path: Path, *rows: tuple[str, int, str, int, int]) -> Path:
    lines = [f"{u}\t{t}\t{i}\t{c}\t{n}\t0\t0\t{s}" for n, (u, t, i, c, s) in enumerate(rows)]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def shown(dataset: Dataset, page: int) -> set[str]:
    slate = dataset.sessions.padded_slates()[page]
    return {dataset.catalog.item_id[i] for i in slate if i >= 0}


def clicked(dataset: Dataset) -> list[str | None]:
    return [dataset.catalog.item_id[i] if i >= 0 else None for i in dataset.sessions.item]


def test_display_sets_are_mended_and_counted(tmp_path: Path) -> None:
    path = display_sets(
        tmp_path / "log.tsv",
        ("ann", 5, "x", 0, 2),
        ("ann", 5, "y", 0, 2),
        ("ann", 5, "x", 1, 2),  # a repeat: the clicked copy stays
        ("bob", 3, "y", 1, 0),
        ("bob", 3, "z", 1, 0),  # a second click: leaves the page
        ("bob", 3, "x", 0, 0),
        ("ann", 4, "z", 0, 2),  # an earlier page, without a click
        ("bob", 9, "x", 0, 1),  # the same user in another split
    )
    dataset = read_display_sets(path)
    dataset.validate()
    assert dataset.sessions.user.tolist() == [0, 0, 1, 2]
    assert dataset.split.tolist() == [2, 0, 1]
    assert [shown(dataset, p) for p in range(4)] == [{"z"}, {"x", "y"}, {"y", "x"}, {"x"}]
    assert clicked(dataset) == [None, "x", "y", None]
    assert dataset.info["mended"] == {
        "repeats_within_a_page_dropped": 1,
        "clicks_after_the_first_of_a_page_dropped": 1,
        "users_in_several_splits": 1,
    }
    assert dataset.info["no_click"] is True
    assert dataset.info["repeat_clicks"] is False


def test_display_sets_do_not_give_the_click_away_by_its_slot(tmp_path: Path) -> None:
    rows = [(f"u{t}", t, f"i{n}", int(n == 3), 0) for t in range(400) for n in range(4)]
    dataset = read_display_sets(display_sets(tmp_path / "log.tsv", *rows))
    counts = np.bincount(dataset.sessions.click, minlength=4)
    assert counts.min() > 60  # of 100 expected: 4.6 standard deviations


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ann\tsoon\tx\t0\t0\t0\t0\t0", r"line 3, column 'Time': 'soon' is not a number"),
        ("ann\t2.5\tx\t0\t0\t0\t0\t0", r"line 3, column 'Time': '2.5' is not a number"),
        ("ann\t2\tx\t2\t0\t0\t0\t0", "line 3, column 'is_click': a click is 0 or 1"),
        ("ann\t2\tx\t0\t0\t0\t0\t7", "line 3, column 'tr_val_tst': a split is 0, 1 or 2"),
        ("ann\t2\tx", "line 3: 3 fields, not 8"),
        ("ann\t2\t\t0\t0\t0\t0\t0", "line 3, column 'ItemId': no value"),
        ("ann\t1\tx\t0\t0\t0\t0\t1", "line 3, column 'tr_val_tst': a page has one split only"),
        ("ann\t2\tx\t0\t0\t0\t0\t0\tmore", "line 3: 9 fields, not 8"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = display_sets(tmp_path / "log.tsv", ("ann", 1, "x", 1, 0))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(RecGymError, match=message) as caught:
        read_display_sets(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_missing_files_columns_and_rows_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match="no such file"):
        read_display_sets(tmp_path / "nothing.tsv")
    (tmp_path / "empty.tsv").write_text("")
    with pytest.raises(RecGymError, match="an empty file"):
        read_display_sets(tmp_path / "empty.tsv")
    with pytest.raises(RecGymError, match="an empty log"):
        read_display_sets(display_sets(tmp_path / "rows.tsv"))
    (tmp_path / "columns.tsv").write_text("SessionId\tTime\tItemId\ttr_val_tst\nann\t1\tx\t0\n")
    with pytest.raises(RecGymError, match="no column 'is_click'"):
        read_display_sets(tmp_path / "columns.tsv")


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
    movies = read_movies(find_files(tmp_path))
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


def test_floors_by_hand() -> None:
    """Two training users click item 0 of {0, 1}; the test user clicks 1 of {0, 1}, the older."""
    from recgym.data import Catalog, Sessions

    sessions = Sessions(
        user=np.arange(3), session=np.arange(3), step=np.zeros(3, np.int64),
        slate_offsets=np.array([0, 2, 4, 6]), slate_items=np.array([0, 1, 0, 1, 0, 1]),
        click=np.array([0, 0, 1]), item=np.array([0, 0, 1]), reward=np.ones(3, np.float32),
    )  # fmt: skip
    catalog = Catalog(("a", "b"), None, np.array([[1.0], [-1.0]], np.float32), ("year",))
    found = floors(Dataset(sessions, catalog, np.array([0, 0, 2], np.int8), {}))
    first = {rule: scores["precision_at_1"] for rule, scores in found.items()}
    assert first == {
        "random": 0.5, "item_ctr": 0, "oldest": 1, "newest": 0, "first_slot": 0, "last_slot": 1,
    }  # fmt: skip
    assert all(scores["precision_at_2"] == 1 for scores in found.values())


TRIVAGO = {
    "user_id": pl.String, "session_id": pl.String, "timestamp": pl.Int64, "step": pl.Int64,
    "action_type": pl.String, "reference": pl.String, "impressions": pl.String,
    "prices": pl.String,
}  # fmt: skip
IMAGE, CLICKOUT = "interaction item image", "clickout item"
TRIVAGO_ROWS = [
    ("u", "later", 90, 1, CLICKOUT, "12", "11|12|13", "50|10|20"),
    ("u", "early", 10, 1, IMAGE, "13", None, None),
    ("u", "early", 11, 2, IMAGE, "13", None, None),  # the same item again
    ("u", "early", 12, 3, "filter selection", "Hostal", None, None),
    ("u", "early", 13, 4, IMAGE, "10", None, None),
    ("u", "early", 14, 5, CLICKOUT, "11", "9|11|9", "30|60|30"),  # a repeat within the page
    ("u", "early", 15, 6, CLICKOUT, "77", "9|11", "30|60"),  # a click outside its page
    ("u", "early", 16, 7, CLICKOUT, None, "9|11", "30|60"),  # hidden, as in the test file
    ("u", "later", 95, 2, IMAGE, "12", None, None),  # after the last clickout
    ("v", "other", 20, 1, IMAGE, "9", None, None),  # a user without a clickout
    ("u", "early", 13, 4, "interaction item info", "none", None, None),  # no item
]


def write_trivago(path: Path, rows: list[tuple[object, ...]]) -> Path:
    frame = pl.DataFrame(rows, schema=TRIVAGO, orient="row")
    if path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    return path


@pytest.mark.parametrize("name", ["train.csv", "train.parquet"])
def test_trivago_by_hand(tmp_path: Path, name: str) -> None:
    dataset = read_trivago(write_trivago(tmp_path / name, TRIVAGO_ROWS))
    dataset.validate()
    sessions = dataset.sessions
    assert dataset.catalog.item_id == ("9", "10", "11", "12", "13")  # as numbers
    assert clicked(dataset) == ["13", "10", "11", "12"]
    assert sessions.session.tolist() == [0, 0, 0, 1]
    assert sessions.step.tolist() == [0, 1, 2, 0]
    assert sessions.padded_slates().tolist() == [[-1] * 3, [-1] * 3, [0, 2, -1], [2, 3, 4]]
    assert sessions.click.tolist() == [-1, -1, 1, 1]
    assert sessions.reward.tolist() == [0, 0, 1, 1]
    assert dataset.info["mended"] == {
        "events_without_item_id_dropped": 1,
        "repeats_within_a_page_dropped": 1,
        "clickouts_without_reference_dropped": 1,
        "clicks_outside_their_page_dropped": 1,
        "repeated_item_events_dropped": 1,
        "events_after_last_clickout_dropped": 2,
        "users_without_clickout_dropped": 1,
    }


def test_trivago_features_are_of_training_users_alone(tmp_path: Path) -> None:
    rows: list[tuple[object, ...]] = [
        (f"u{n}", f"s{n}", n, 1, CLICKOUT, "1", f"1|2|{n + 10}", f"{n + 1}|9|4") for n in range(8)
    ]
    dataset = read_trivago(write_trivago(tmp_path / "log.parquet", rows), seed=3)
    assert dataset.catalog.feature_names == ("log price", "price rank", "displayed rank")
    train = [n for n in range(8) if dataset.split[n] == 0]
    assert len(train) == 4
    features = dict(zip(dataset.catalog.item_id, dataset.catalog.features, strict=True))
    for n in range(8):
        assert features[str(n + 10)].any() == (n in train)
    seen = np.array([features[i] for i in ("1", "2", *(str(n + 10) for n in train))])
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(seen.std(axis=0), 1, atol=1e-6)
    log_price = np.array([np.log([n + 1 for n in train]).mean(), np.log(9), *[np.log(4)] * 4])
    expected = (log_price - log_price.mean()) / log_price.std()
    np.testing.assert_allclose(seen[:, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(np.diff(seen[:3, 2]), [seen[2, 2] - seen[1, 2]] * 2, rtol=1e-5)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("u", "s", 1, 1, CLICKOUT, "1", None, None), "row 11, column 'impressions': a clickout"),
        (("u", "s", 1, 1, CLICKOUT, "1", "1|2", "3"), "row 11, column 'prices': not one price"),
        (("u", "s", 1, 1, CLICKOUT, "1", "1|2", None), "row 11, column 'prices': not one price"),
        (("u", "s", 1, 1, CLICKOUT, "1", "1|b", "3|4"), "row 11, column 'impressions': an item"),
        (("u", "s", 1, 1, CLICKOUT, "1", "1|2", "3|nan"), "row 11, column 'prices': a price"),
        (("u", "s", 1, 1, CLICKOUT, "1", "1|2", "3|0"), "row 11, column 'prices': a price"),
        ((None, "s", 1, 1, CLICKOUT, "1", "1|2", "3|4"), "row 11, column 'user_id': no value"),
    ],
)
def test_a_malformed_row_of_trivago_is_named(
    tmp_path: Path, row: tuple[object, ...], message: str
) -> None:
    path = write_trivago(tmp_path / "log.parquet", [*TRIVAGO_ROWS, row])
    with pytest.raises(RecGymError, match=message):
        read_trivago(path)


def test_trivago_without_columns_or_clickouts_is_refused(tmp_path: Path) -> None:
    path = write_trivago(tmp_path / "log.parquet", TRIVAGO_ROWS[1:4])
    with pytest.raises(RecGymError, match="an empty log"):
        read_trivago(path)
    pl.read_parquet(path).drop("prices").write_parquet(path)
    with pytest.raises(RecGymError, match="no column 'prices'"):
        read_trivago(path)


def test_released_logs_keep_their_facts(real_data: Path) -> None:
    """The baselines of the released samples, which any honest reading must find again."""
    yelp = read_display_sets(real_data / "gan_yelp.tsv")
    yelp.validate()
    assert [yelp.pages(split).n_pages for split in ("train", "validation", "test")] == [
        841,
        447,
        437,
    ]
    assert floors(yelp)["random"]["precision_at_1"] == pytest.approx(0.397, abs=5e-4)
    trivago = read_trivago(real_data / "trivago.parquet")
    trivago.validate()
    pages = trivago.sessions.slate_sizes > 0
    assert (trivago.sessions.click[pages] == 0).mean() == pytest.approx(0.31, abs=5e-3)
