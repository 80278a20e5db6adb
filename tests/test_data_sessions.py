"""Sessions, catalogs and datasets: what they hold, how they are saved, what they refuse."""

from __future__ import annotations

import dataclasses
import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recgym.data import SPLITS, Catalog, Columns, Dataset, Sessions, split_users
from recgym.data.dataset import FILES
from recgym.data.sessions import rank_within
from recgym.errors import RecGymError
from recgym.whole_folders import DIGESTS

N_ITEMS = 7
WRITTEN = [name for name in FILES if name != "users.parquet"]
"""The files of a dataset that does not name its users."""
QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

INFO = {
    "name": "by hand",
    "licence": "none",
    "sha256": "0",
    "no_click": False,
    "repeat_clicks": True,
}


@st.composite
def page_lists(draw: st.DrawFn) -> list[tuple[int, int, list[int], int, int]]:
    """Pages as (user, session, slate, click, item), sorted; some are events without a slate."""
    pages = []
    for user in range(draw(st.integers(1, 3))):
        for session in range(draw(st.integers(1, 2))):
            for _ in range(draw(st.integers(0, 4)) or 1):
                slate = draw(st.lists(st.integers(0, N_ITEMS - 1), max_size=4, unique=True))
                click = draw(st.integers(-1, len(slate) - 1)) if slate else -1
                item = draw(st.integers(0, N_ITEMS - 1)) if not slate else -1
                pages.append(
                    (user, 2 * user + session, slate, click, slate[click] if click >= 0 else item)
                )
    return pages


def sessions_of(pages: list[tuple[int, int, list[int], int, int]], **extra: Any) -> Sessions:
    user, session, slates, click, item = zip(*pages, strict=True)
    return Sessions(
        user=np.array(user),
        session=np.array(session),
        step=rank_within(np.array(session)),
        slate_offsets=np.cumsum([0, *map(len, slates)]),
        slate_items=np.array([i for slate in slates for i in slate], np.int64),
        click=np.array(click),
        item=np.array(item),
        reward=(np.array(click) >= 0).astype(np.float32),
        **extra,
    )


def assert_same(one: Any, other: Any) -> None:
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_array_equal(a, b, err_msg=field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype, field.name


TWO_USERS = [
    (0, 0, [3, 1], 0, 3),
    (0, 0, [2], -1, -1),
    (0, 1, [], -1, 5),
    (0, 1, [4, 0, 6], 2, 6),
    (1, 2, [1, 2], 1, 2),
    (1, 2, [5], 0, 5),
]


def test_histories_by_hand() -> None:
    expected = [[7, 7], [7, 3], [7, 3], [3, 5], [7, 7], [7, 2]]
    assert sessions_of(TWO_USERS).histories(2, N_ITEMS).tolist() == expected


def test_padded_slates_by_hand() -> None:
    expected = [[3, 1, -1], [2, -1, -1], [-1, -1, -1], [4, 0, 6], [1, 2, -1], [5, -1, -1]]
    assert sessions_of(TWO_USERS).padded_slates().tolist() == expected


@QUICK
@given(page_lists(), st.integers(1, 4))
def test_histories_hold_the_clicks_before_a_page_and_no_others(pages: Any, window: int) -> None:
    histories = sessions_of(pages).histories(window, N_ITEMS)
    for index, page in enumerate(pages):
        before = [item for user, _, _, _, item in pages[:index] if user == page[0] and item >= 0]
        expected = ([N_ITEMS] * window + before)[-window:]
        assert histories[index].tolist() == expected


@QUICK
@given(page_lists())
def test_padded_slates_give_the_flat_slates_back(pages: Any) -> None:
    sessions = sessions_of(pages)
    padded = sessions.padded_slates()
    np.testing.assert_array_equal(padded[padded >= 0], sessions.slate_items)
    np.testing.assert_array_equal((padded >= 0).sum(axis=1), sessions.slate_sizes)


@QUICK
@given(page_lists(), st.data())
def test_select_equals_building_from_the_chosen_pages(pages: Any, data: st.DataObject) -> None:
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(pages), max_size=len(pages))))
    every = sessions_of(pages)
    chosen = every.select(mask)
    assert_same(chosen, every.select(np.flatnonzero(mask)))
    slates = [slate for (_, _, slate, _, _), keep in zip(pages, mask, strict=True) if keep]
    padded = chosen.padded_slates()
    assert [[i for i in row if i >= 0] for row in padded.tolist()] == slates
    np.testing.assert_array_equal(chosen.item, every.item[mask])


@QUICK
@given(page_lists(), st.booleans())
def test_sessions_survive_parquet(tmp_path: Path, pages: Any, full: bool) -> None:
    slots = sum(len(slate) for _, _, slate, _, _ in pages)
    extra = {
        "timestamp": np.arange(len(pages)) * 10,
        "slot_propensities": np.linspace(0.1, 1, slots, dtype=np.float32),
        "slate_propensities": np.linspace(0.1, 1, len(pages), dtype=np.float32),
        "event": (np.arange(len(pages)) % 3).astype(np.int8),
    }
    sessions = sessions_of(pages, **(extra if full else {}))
    sessions.validate(N_ITEMS)
    sessions.save(tmp_path / "sessions.parquet")
    assert_same(Sessions.load(tmp_path / "sessions.parquet"), sessions)


def changed(**columns: tuple[int, float]) -> Sessions:
    """TWO_USERS with one value of some columns replaced: name=(position, value)."""
    sessions = sessions_of(TWO_USERS)
    arrays = {name: getattr(sessions, name).copy() for name in columns}
    for name, (position, value) in columns.items():
        arrays[name][position] = value
    return dataclasses.replace(sessions, **arrays)


@pytest.mark.parametrize(
    ("sessions", "message"),
    [
        (changed(slate_items=(3, 9)), r"page 3 .*unknown item \(ids are 0\.\.6\)"),
        (changed(item=(2, 7)), "page 2 .*clicks an unknown item"),
        (changed(slate_items=(4, 4)), "page 3 .*shows an item twice"),
        (changed(click=(0, 2)), "page 0 .*outside its slate"),
        (changed(click=(2, 0)), "page 2 .*outside its slate"),
        (changed(item=(4, 1)), "page 4 .*not the one in its clicked slot"),
        (changed(item=(1, 4)), "page 1 .*clicks outside its slate"),
        (changed(reward=(5, np.nan)), r"page 5 \(user 1, session 2, step 1\): its reward"),
        (changed(step=(1, 0)), "page 1 .*out of order"),
        (changed(session=(2, 0)), "page 2 .*out of order"),
        (changed(user=(4, -1)), "page 4 .*negative"),
        (sessions_of(TWO_USERS).select(np.zeros(6, bool)), "empty log"),
        (sessions_of(TWO_USERS, slate_propensities=np.zeros(6)), "page 0 .*propensity"),
        (sessions_of(TWO_USERS, slot_propensities=np.ones(3)), "3 values for 9 slots"),
        (sessions_of(TWO_USERS, timestamp=np.ones(3)), "3 values for 6 pages"),
        (sessions_of(TWO_USERS, event=np.ones(3, np.int8)), "event has 3 values for 6 pages"),
        (sessions_of(TWO_USERS, event=np.arange(6, dtype=np.int8)), "page 3 .*unknown event"),
    ],
)
def test_validate_names_the_first_bad_page(sessions: Sessions, message: str) -> None:
    with pytest.raises(RecGymError, match=message):
        sessions.validate(N_ITEMS)


def write_log(path: Path, change: Any) -> Path:
    sessions_of(TWO_USERS).save(path)
    change(pl.read_parquet(path)).write_parquet(path)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(Columns.SLATE), "no column 'slate'"),
        (lambda frame: frame.head(0), "an empty log"),
        (lambda frame: frame.with_columns(click=pl.lit("x")), "column 'click' is not Int64"),
        (lambda frame: frame.with_columns(step=pl.lit(None)), "row 0, column 'step': no value"),
        (
            lambda frame: frame.with_columns(slate=pl.lit([1, None], dtype=pl.List(pl.Int64))),
            "row 0, column 'slate': a value is missing",
        ),
    ],
)
def test_load_refuses_in_one_line(tmp_path: Path, change: Any, message: str) -> None:
    path = write_log(tmp_path / "log.parquet", change)
    with pytest.raises(RecGymError, match=message) as caught:
        Sessions.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_load_refuses_what_is_not_parquet(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match="no such file"):
        Sessions.load(tmp_path / "nothing.parquet")
    (tmp_path / "text.parquet").write_text("user,item\n1,2\n")
    with pytest.raises(RecGymError, match="not a Parquet file"):
        Sessions.load(tmp_path / "text.parquet")


def catalog() -> Catalog:
    genres = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [0, 1], [1, 0], [0, 0]], np.float32)
    year = np.linspace(-1, 1, N_ITEMS, dtype=np.float32)
    names = ("genre:Comedy", "genre:Film-Noir", "year")
    ids = tuple("abcdefg")
    return Catalog(ids, tuple(f"Title {i}" for i in ids), np.column_stack([genres, year]), names)


def test_groups_are_found_by_prefix() -> None:
    groups = catalog().groups("genre:")
    assert list(groups) == ["Comedy", "Film-Noir"]
    assert groups["Comedy"].tolist() == [True, False, True, False, False, True, False]


@pytest.mark.parametrize("titles", [True, False])
@pytest.mark.parametrize("features", [True, False])
def test_catalog_survives_parquet(tmp_path: Path, titles: bool, features: bool) -> None:
    items = catalog()
    if not titles:
        items = dataclasses.replace(items, title=None)
    if not features:
        items = dataclasses.replace(items, features=items.features[:, :0], feature_names=())
    items.save(tmp_path / "catalog.parquet")
    assert_same(Catalog.load(tmp_path / "catalog.parquet"), items)


def test_catalog_refuses_repeated_ids_and_infinite_features() -> None:
    with pytest.raises(RecGymError, match="item id occurs twice"):
        dataclasses.replace(catalog(), item_id=tuple("abcdefa")).validate()
    features = catalog().features.copy()
    features[4, 1] = np.inf
    with pytest.raises(RecGymError, match="item 'e' has a feature"):
        dataclasses.replace(catalog(), features=features).validate()


@QUICK
@given(st.integers(1, 200), st.integers(0, 2**32))
def test_split_users_is_a_division_in_the_wanted_shares(n_users: int, seed: int) -> None:
    split = split_users(n_users, seed)
    counts = np.bincount(split, minlength=3)
    assert split.shape == (n_users,)
    assert counts.sum() == n_users
    assert np.abs(counts - n_users * np.array([0.5, 0.125, 0.375])).max() <= 1
    np.testing.assert_array_equal(split, split_users(n_users, seed))


@pytest.mark.parametrize("n_users", [3, 40])
def test_a_split_without_a_share_has_no_users(n_users: int) -> None:
    split = split_users(n_users, 2, (0.8, 0.2, 0.0))
    assert np.bincount(split, minlength=3).tolist() == {3: [2, 1, 0], 40: [32, 8, 0]}[n_users]


def dataset() -> Dataset:
    return Dataset(sessions_of(TWO_USERS), catalog(), np.array([0, 2], np.int8), INFO)


def test_dataset_survives_its_folder_and_gives_each_page_to_one_split(tmp_path: Path) -> None:
    dataset().save(tmp_path / "data")
    loaded = Dataset.load(tmp_path / "data")
    assert_same(loaded.sessions, dataset().sessions)
    assert_same(loaded.catalog, dataset().catalog)
    assert loaded.info.items() >= INFO.items()
    assert [loaded.pages(split).user.tolist() for split in SPLITS] == [[0, 0, 0, 0], [], [1, 1]]


def test_dataset_load_refuses(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match="recgym prepare"):
        Dataset.load(tmp_path / "nothing")
    short = dataclasses.replace(dataset(), split=np.zeros(1, np.int8))
    with pytest.raises(RecGymError, match="user 1 has no split"):
        short.save(tmp_path / "short")
    assert not (tmp_path / "short").exists()
    dataset().save(tmp_path / "few")
    few = catalog()
    few = Catalog(tuple("abcdef"), None, few.features[:6], few.feature_names)
    few.save(tmp_path / "few" / "catalog.parquet")
    (tmp_path / "few" / DIGESTS).unlink()
    with pytest.raises(RecGymError, match=r"few: page 3 .*unknown item"):
        Dataset.load(tmp_path / "few")


def test_a_dataset_whose_info_lacks_a_fact_is_refused(tmp_path: Path) -> None:
    dataset().save(tmp_path / "data")
    (tmp_path / "data" / DIGESTS).unlink()
    (tmp_path / "data" / "info.json").write_text("{}")
    with pytest.raises(RecGymError, match=r"info\.json: lacks name, licence"):
        Dataset.load(tmp_path / "data")
    (tmp_path / "data" / "info.json").write_text("[]")
    with pytest.raises(RecGymError, match=r"info\.json: lacks"):
        Dataset.load(tmp_path / "data")


def test_a_dataset_whose_split_names_other_users_is_refused(tmp_path: Path) -> None:
    dataset().save(tmp_path / "data")
    (tmp_path / "data" / DIGESTS).unlink()
    frame = pl.read_parquet(tmp_path / "data" / "split.parquet")
    frame.with_columns(pl.col("user") * 2).write_parquet(tmp_path / "data" / "split.parquet")
    with pytest.raises(RecGymError, match=r"split\.parquet: users must be 0\.\.U-1"):
        Dataset.load(tmp_path / "data")


def test_a_flipped_bit_in_prepared_data_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    dataset().save(folder)
    for name in WRITTEN:
        content = (folder / name).read_bytes()
        damaged = bytearray(content)
        damaged[len(content) // 2] ^= 1
        (folder / name).write_bytes(damaged)
        with pytest.raises(RecGymError, match=f"{name}: altered since it was written"):
            Dataset.load(folder)
        (folder / name).write_bytes(content)
    (folder / DIGESTS).unlink()  # data that an earlier version prepared
    assert_same(Dataset.load(folder).sessions, dataset().sessions)


def test_damage_that_polars_panics_of_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def panic(*args: Any, **how: Any) -> None:
        raise pl.exceptions.PanicException("called `Option::unwrap()` on a `None` value")

    dataset().save(tmp_path / "data")
    monkeypatch.setattr(pl.LazyFrame, "collect", panic)
    with pytest.raises(RecGymError, match=r"split\.parquet: not a Parquet file \(called"):
        Dataset.load(tmp_path / "data")


def test_data_replaces_data_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    dataset().save(folder)
    dataclasses.replace(dataset(), info=INFO | {"name": "again"}).save(folder)
    assert Dataset.load(folder).info["name"] == "again"
    assert sorted(path.name for path in folder.iterdir()) == sorted((*WRITTEN, DIGESTS))
    (folder / "notes.txt").touch()
    with pytest.raises(RecGymError, match="exists and is not prepared data"):
        dataset().save(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_disk_that_takes_no_more_is_one_line(tmp_path: Path) -> None:
    """The limit is the system's own, so that polars meets what it meets on a full disk."""
    folder = tmp_path / "data"
    dataset().save(folder)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        for write in (dataset().save, dataset().catalog.save):
            with pytest.raises(RecGymError, match=r"cannot be written \(.*ile too large") as caught:
                write(folder)
            assert "\n" not in str(caught.value)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_same(Dataset.load(folder).sessions, dataset().sessions)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("name", ["data[1]", "data*", "ä b"])
def test_a_folder_name_is_no_pattern(name: str, tmp_path: Path) -> None:
    dataset().save(tmp_path / name)
    assert_same(Dataset.load(tmp_path / name).sessions, dataset().sessions)


def test_a_folder_name_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match="the name is not UTF-8"):
        dataset().save(tmp_path / os.fsdecode(b"\xe9"))
    assert list(tmp_path.iterdir()) == []
