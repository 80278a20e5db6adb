"""The reader of logs of one's own: layouts by hand, every mistake in a line, every format alike."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recgym.data import Dataset, read_clicks
from recgym.errors import RecGymError
from tests.fixtures.readers import clicked

LONG = "user=who item=what time=at clicked=hit"
WIDE = "user=who shown=seen clicked=hit"
SPLIT = " split=part"
Page = tuple[str, str, list[str], str | None, float]
"""User, session, what was shown, what was clicked, reward."""


def columns(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split())


def write(folder: Path, text: str, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def pages_of(dataset: Dataset) -> list[Page]:
    """The pages in order, by the ids of the raw log; sessions as numbers within their user."""
    sessions, names = dataset.sessions, dataset.catalog.item_id
    assert dataset.users is not None
    found = []
    for page, slate in enumerate(sessions.padded_slates()):
        user = sessions.user[page]
        first = sessions.session[np.argmax(sessions.user == user)]
        item = sessions.item[page]
        found.append((
            dataset.users.user_id[user],
            str(sessions.session[page] - first),
            [names[shown] for shown in slate if shown >= 0],
            names[item] if item >= 0 else None,
            float(sessions.reward[page]),
        ))  # fmt: skip
    return found


def test_a_row_an_impression_by_hand(tmp_path: Path) -> None:
    """Ann's second page comes first in the file; bob clicks two of three, one of them twice."""
    log = (
        "who,what,at,hit,part,worth\n"
        "ann,x,2024-05-02T09:00:00,0,train,\n"
        "ann,y,2024-05-02T09:00:00,0,train,\n"
        "bob,z,2024-05-01T09:00:00,true,test,2.5\n"
        "ann,x,2024-05-01T09:00:00,1,train,1\n"
        "bob,x,2024-05-01T09:00:00,false,test,\n"
        "bob,y,2024-05-01T09:00:00,1,test,-1\n"
        "bob,z,2024-05-01T09:00:00,0,test,7\n"
    )
    dataset = read_clicks(write(tmp_path, log), columns(LONG + SPLIT + " reward=worth"))
    dataset.validate()
    assert pages_of(dataset) == [
        ("ann", "0", ["x"], "x", 1.0),
        ("ann", "0", ["x", "y"], None, 0.0),
        ("bob", "0", ["z", "x", "y"], "z", 2.5),
        ("bob", "0", ["z", "x", "y"], "y", -1.0),
    ]
    assert dataset.sessions.step.tolist() == [0, 1, 0, 1]
    assert dataset.sessions.timestamp is not None
    assert dataset.sessions.timestamp[:2].tolist() == [1714554000, 1714640400]
    assert dataset.split.tolist() == [0, 2]
    assert dataset.info["lines"] == {
        "log.csv": {"header": 1, "kept": 6, "repeats_within_a_page_dropped": 1}
    }
    assert {k: n for k, n in dataset.info["mended"].items() if n} == {
        "repeats_within_a_page_dropped": 1,
        "rewards_without_a_click_ignored": 1,
    }
    assert dataset.info["name"] == "log"
    assert dataset.info["no_click"]


def test_a_repeat_within_a_page_is_kept_as_its_clicked_copy(tmp_path: Path) -> None:
    log = "who,what,page,hit,part\na,x,1,0,0\na,y,1,0,0\na,x,1,1,0\n"
    named = "user=who item=what page=page clicked=hit split=part"
    dataset = read_clicks(write(tmp_path, log), columns(named))
    assert pages_of(dataset) == [("a", "0", ["y", "x"], "x", 1.0)]


def test_a_row_a_page_by_hand(tmp_path: Path) -> None:
    log = (
        "who,seen,hit,part\n"
        "a, x | y ,y,0\n"
        "b,x|z|x,z|x|z,2\n"  # shows x twice, z was clicked twice
        "b,,y,2\n"  # what was shown is not known: an event
        "b,x|y,w,2\n"  # clicks what it does not show: dropped
        "b,x|y,w|y,2\n"  # the other click stays
        "b,,,2\n"  # nothing
        "b,x,,2\n"
    )
    dataset = read_clicks(write(tmp_path, log), columns(WIDE + SPLIT))
    dataset.validate()
    assert pages_of(dataset) == [
        ("a", "0", ["x", "y"], "y", 1.0),
        ("b", "0", ["x", "z"], "z", 1.0),
        ("b", "0", ["x", "z"], "x", 1.0),
        ("b", "0", [], "y", 1.0),
        ("b", "0", ["x", "y"], "y", 1.0),
        ("b", "0", ["x"], None, 0.0),
    ]
    assert dataset.info["lines"]["log.csv"] == {
        "header": 1,
        "kept": 5,
        "rows_whose_clicks_are_all_outside_their_page_dropped": 1,
        "rows_that_show_and_click_nothing_dropped": 1,
    }
    assert {k: n for k, n in dataset.info["mended"].items() if n} == {
        "repeats_within_a_page_dropped": 1,
        "repeated_clicks_dropped": 1,
        "clicks_outside_their_page_dropped": 2,
        "rows_whose_clicks_are_all_outside_their_page_dropped": 1,
        "rows_that_show_and_click_nothing_dropped": 1,
    }
    assert dataset.sessions.timestamp is None


def test_a_row_a_click_has_no_slates(tmp_path: Path) -> None:
    log = "who,what,at,part\na,x,7,0\na,y,5,0\nb,x,5,2\n"
    named = columns("user=who item=what time=at" + SPLIT)
    dataset = read_clicks(write(tmp_path, log), named, clicks_only=True)
    dataset.validate()
    assert pages_of(dataset) == [
        ("a", "0", [], "y", 1.0), ("a", "0", [], "x", 1.0), ("b", "0", [], "x", 1.0)
    ]  # fmt: skip
    assert dataset.sessions.histories(1, 2)[:, 0].tolist() == [2, 1, 2]


def test_sessions_are_named_or_end_after_a_gap(tmp_path: Path) -> None:
    log = "who,seen,hit,part,at,visit\n" + "".join(
        f"a,x|y,x,0,{minute * 60},{visit}\n"
        for minute, visit in (
            (100, "late"),
            (0, "early"),
            (29, "early"),
            (70, "late"),
            (99, "late"),
        )
    )
    path, named = write(tmp_path, log), columns(WIDE + SPLIT + " time=at")
    assert read_clicks(path, named).sessions.session.tolist() == [0] * 5
    gaps = read_clicks(path, named, session_gap=30)
    assert gaps.sessions.session.tolist() == [0, 0, 1, 1, 1]  # 41 minutes, then 29 and 1
    gaps = read_clicks(path, named, session_gap=29)
    assert gaps.sessions.session.tolist() == [0, 1, 2, 3, 3]  # over when so many have passed
    given = read_clicks(path, named | {"session": "visit"})
    assert given.sessions.session.tolist() == [0, 0, 1, 1, 1]


def test_page_ids_of_one_session_may_be_used_again_in_another(tmp_path: Path) -> None:
    log = "who,what,hit,part,page,visit\n" + "".join(
        f"a,{item},{int(item == 'x')},0,1,{visit}\n" for visit in "pq" for item in "xy"
    )
    named = columns("user=who item=what clicked=hit split=part page=page session=visit")
    dataset = read_clicks(write(tmp_path, log), named)
    assert pages_of(dataset) == [("a", "0", ["x", "y"], "x", 1.0), ("a", "1", ["x", "y"], "x", 1.0)]


def test_slots_are_those_of_the_log_or_drawn(tmp_path: Path) -> None:
    ids = [f"i{number:02d}" for number in range(20)]
    log = "who,seen,hit,part\n" + f"a,{'|'.join(ids)},i19,0\n" * 40
    path, named = write(tmp_path, log), columns(WIDE + SPLIT)
    as_logged = read_clicks(path, named).sessions
    assert as_logged.padded_slates().tolist() == [list(range(20))] * 40
    drawn = read_clicks(path, named, shuffled=True, seed=1)
    drawn.validate()
    assert np.sort(drawn.sessions.padded_slates(), axis=1).tolist() == [list(range(20))] * 40
    assert drawn.sessions.item.tolist() == [19] * 40
    assert len(set(drawn.sessions.click.tolist())) > 10
    again = read_clicks(path, named, shuffled=True, seed=1)
    np.testing.assert_array_equal(again.sessions.click, drawn.sessions.click)
    other = read_clicks(path, named, shuffled=True, seed=2)
    assert other.sessions.click.tolist() != drawn.sessions.click.tolist()


def test_users_without_a_click_stay_and_users_of_two_splits_are_two(tmp_path: Path) -> None:
    log = "who,seen,hit,part\na,x|y,,train\nb,x|y,x,0\nb,x|y,y,Test\n"
    dataset = read_clicks(write(tmp_path, log), columns(WIDE + SPLIT))
    assert [page[0] for page in pages_of(dataset)] == ["a", "b", "b"]
    assert dataset.sessions.user.tolist() == [0, 1, 2]
    assert dataset.split.tolist() == [0, 0, 2]
    assert dataset.info["mended"]["users_in_several_splits"] == 1


def test_users_are_divided_by_seed_unless_the_log_says_how(tmp_path: Path) -> None:
    path = write(tmp_path, "who,seen,hit\n" + "".join(f"u{i},x|y,x\n" for i in range(16)))
    one, same, other = (read_clicks(path, columns(WIDE), seed=seed).split for seed in (0, 0, 1))
    assert np.bincount(one).tolist() == [8, 2, 6]
    assert one.tolist() == same.tolist() != other.tolist()


def test_ids_are_text_of_any_length_and_script(tmp_path: Path) -> None:
    long, strange = "7" * 5_000, "日本 語, \u200eИ"
    rows = [["who", "seen", "hit", "part"], [strange, f"{long}|{strange}", long, "0"]]
    path = tmp_path / "log.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    for_json = {"who": strange, "seen": [int("7" * 4_000), strange], "hit": strange, "part": 0}
    for found, first in (
        (read_clicks(path, columns(WIDE + SPLIT)), long),
        (
            read_clicks(write(tmp_path, json.dumps(for_json), "log.jsonl"), columns(WIDE + SPLIT)),
            "7" * 4_000,
        ),
    ):
        assert pages_of(found)[0][:3] == (strange, "0", [first, strange])


def test_features_of_items_and_users_join_the_log(tmp_path: Path) -> None:
    log = write(tmp_path, "who,seen,hit,part\nb,x|y,y,0\na,x|y,x,2\n")
    items = write(
        tmp_path, "id,title,kind,price\ny,The Y,old|red,1\nq,,,3\nx,The X,red,2\n", "i.csv"
    )
    users = write(tmp_path, "id,age\na,30\nb,50\n", "u.csv")
    dataset = read_clicks(log, columns(WIDE + SPLIT), items=items, users=users)
    dataset.validate()
    catalog = dataset.catalog
    assert catalog.item_id == ("y", "q", "x")
    assert catalog.title == ("The Y", "q", "The X")
    assert catalog.feature_names == ("kind:old", "kind:red", "price")
    assert catalog.features[:, :2].tolist() == [[1, 1], [0, 0], [0, 1]]
    np.testing.assert_allclose(catalog.features[:, 2], np.array([-1, 1, 0]) * 1.5**0.5, rtol=1e-6)
    assert clicked(dataset) == ["y", "x"]
    assert dataset.sessions.padded_slates().tolist() == [[2, 0], [2, 0]]
    assert dataset.users is not None
    assert dataset.users.user_id == ("b", "a")
    assert dataset.users.features.tolist() == [[1.0], [-1.0]]
    assert set(dataset.info["source"]) == {"log.csv", "i.csv", "u.csv"}
    assert dataset.info["lines"] == {
        "log.csv": {"header": 1, "kept": 2},
        "i.csv": {"header": 1, "items": 3},
        "u.csv": {"header": 1, "users": 2},
    }
    dataset.save(tmp_path / "out")
    again = Dataset.load(tmp_path / "out")
    assert again.users is not None
    assert again.users.user_id == ("b", "a")
    assert again.users.feature_names == ("age",)


@pytest.mark.parametrize(
    ("named", "arguments", "message"),
    [
        ("item=what clicked=hit", {}, "user is not named"),
        ("user=who item=what time=at", {}, "neither shown nor clicked is named"),
        ("user=who clicked=hit time=at", {}, "item is not named"),
        ("user=who item=what clicked=hit", {}, "name page or time"),
        ("user=who shown=seen", {}, "clicked is not named"),
        (WIDE + " item=what", {}, "item has no meaning where there is a row a page"),
        (LONG, {"clicks_only": True}, "clicked has no meaning where there is a row a click"),
        (LONG + " page=at", {}, "time and page both name 'at'"),
        (LONG + " colour=red", {}, "no setting 'colour'; there are user, item, time"),
        (WIDE, {"session_gap": 30}, "--session-gap: it needs times"),
        (LONG + " session=visit", {"session_gap": 30}, "session says so already"),
        (LONG, {"session_gap": -1}, "a gap is more than 0 minutes"),
        (LONG, {"list_separator": ""}, "at least one character"),
        (LONG, {"seed": -1}, "seed=-1: must be at least 0"),
        ("user=who item=what time=at clicked=missing", {}, r"no column 'missing' \(it has who, "),
    ],
)
def test_columns_that_make_no_layout(
    tmp_path: Path, named: str, arguments: dict[str, Any], message: str
) -> None:
    path = write(tmp_path, "who,what,at,hit,seen,visit\na,x,1,1,x|y,v\n")
    with pytest.raises(RecGymError, match=message) as caught:
        read_clicks(path, columns(named), **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("named", "text", "message"),
    [
        (LONG, "a,x,1,1\na,y,late,0", r"line 3, column 'at': 'late' is no time"),
        (LONG, "a,x,1,1\na,y,2024-05-01,0", r"line 3, column 'at': mixed times: '2024-05-01'"),
        (LONG, "a,x,1,1\na,y,1,maybe", r"line 3, column 'hit': 'maybe' is none of 1, true, 0"),
        (LONG, "a,x,1,1\na,,1,0", r"line 3, column 'what': no value"),
        (LONG, "a,x,1,1\n ,y,1,0", r"line 3, column 'who': no value"),
        (LONG, "a,x,1,0\nb,y,1,0", "no click in the whole log"),
        (WIDE, "a,x|y,z\nb,x,q", r"line 2, column 'hit': 'z' is clicked but not shown"),
        (WIDE, "a,x||y,x", r"line 2, column 'seen': a list with an empty id"),
        (WIDE, "a,[x],x", r"line 2, column 'seen': a list in brackets; write its ids with '\|'"),
        (WIDE, "a,x|y,x\nb,x,x", "2 users are too few to divide"),
        (WIDE + SPLIT, "a,x,x,0\nb,x,x,dev", r"line 3, column 'part': 'dev' is none of train,"),
        (WIDE + " reward=part", "a,x,x,1\nb,x|y,x|y,1", "line 3, column 'part': not one reward"),
        (WIDE + " reward=part", "a,x,x,nan", "line 2, column 'part': a reward is not a finite"),
        (LONG + " reward=part", "a,x,1,1,", "line 2, column 'part': a click without a reward"),
        (LONG + " split=part", "a,x,1,1,0\na,y,1,0,2", "line 3, column 'part': a page has one sp"),
        (
            "user=who item=what clicked=at page=hit",
            "a,x,1,p\na,x,0,q\na,y,1,p",
            "line 4, column 'hit': a page that goes on long after",
        ),
        (
            LONG + " page=part",
            "a,x,1,1,p\na,y,200000,1,p",
            "line 3, column 'part': a page that goes on long after",
        ),
        (
            LONG + " session=part",
            "a,x,10,1,s\na,x,20,1,t\na,x,30,1,s",
            "line 4: session 's' of user 'a' goes on after her session 't' has begun",
        ),
        (
            WIDE + " session=part",
            "a,x,x,s\na,x,x,t\na,x,x,s",
            "line 4: session 's' of user 'a' goes on after her session 't' has begun",
        ),
        (WIDE, "x" * 100_000 + ",x,x\n" + "a,[,x", "line 3, column 'seen': a list in brackets"),
    ],
)
def test_a_malformed_row_is_one_line(tmp_path: Path, named: str, text: str, message: str) -> None:
    header = "who,seen,hit,part" if named.startswith(WIDE) else "who,what,at,hit,part"
    rows = [row + "," * (header.count(",") - row.count(",")) for row in text.split("\n")]
    path = write(tmp_path, "\n".join([header, *rows]) + "\n")
    with pytest.raises(RecGymError, match=message) as caught:
        read_clicks(path, columns(named))
    assert str(caught.value).startswith(str(path)) or "too few" in message
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


NAMES = st.text(
    st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="|"), min_size=1
).filter(lambda text: text == text.strip() and not text.startswith("["))


@st.composite
def logs(draw: st.DrawFn, events: bool) -> list[Page]:
    """Pages by user and session, as ``pages_of`` gives them; maybe with events without a slate."""
    items = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    pages: list[Page] = []
    for user in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
        for session in range(draw(st.integers(1, 2))):
            for _ in range(draw(st.integers(1, 3))):
                slate = draw(st.lists(st.sampled_from(items), min_size=not events, unique=True))
                choices = st.sampled_from(slate or items)
                item = draw(choices if not slate else st.none() | choices)
                reward = 0.0 if item is None else draw(st.sampled_from([1.0, 0.5, -2.0]))
                pages.append((user, str(session), slate, item, reward))
    if all(item is None for _, _, _, item, _ in pages):
        user, session, slate, _, _ = pages[-1]
        pages[-1] = (user, session, slate, slate[0], 1.0)
    return pages


def write_wide(pages: list[Page], path: Path) -> Path:
    rows: list[dict[str, Any]] = [
        {
            "who": user, "visit": session, "seen": slate, "part": "train", "at": 1e3 * number,
            "hit": [] if item is None else [item], "worth": None if item is None else [reward],
        }
        for number, (user, session, slate, item, reward) in enumerate(pages)
    ]  # fmt: skip
    return write_rows(rows, path)


def write_long(pages: list[Page], path: Path) -> Path:
    rows: list[dict[str, Any]] = [
        {
            "who": user, "visit": session, "part": "train", "at": 1e3 * number, "what": shown,
            "hit": shown == item, "worth": reward if shown == item else None,
        }
        for number, (user, session, slate, item, reward) in enumerate(pages)
        for shown in slate
    ]  # fmt: skip
    return write_rows(rows, path)


def write_rows(rows: list[dict[str, Any]], path: Path) -> Path:
    """Writes rows as other programs would: the csv and json modules, and polars for Parquet."""
    if path.suffix == ".jsonl":
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        path.write_text("".join(lines), encoding="utf-8")
    elif path.suffix == ".parquet":
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    else:
        dialect: dict[str, Any] = {"delimiter": ","}
        if path.suffix == ".tsv":
            dialect = {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None}
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n", **dialect)
            writer.writerow(rows[0])
            for row in rows:
                cells = (
                    "|".join(map(str, cell)) if isinstance(cell, list) else cell
                    for cell in row.values()
                )
                writer.writerow("" if cell is None else cell for cell in cells)
    return path


ENDINGS = ("csv", "tsv", "jsonl", "parquet")
QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("ending", ENDINGS)
@QUICK
@given(pages=logs(events=True))
def test_a_row_a_page_reads_back_in_every_format(
    tmp_path: Path, ending: str, pages: list[Page]
) -> None:
    named = columns(WIDE + SPLIT + " session=visit time=at reward=worth")
    dataset = read_clicks(write_wide(pages, tmp_path / f"log.{ending}"), named)
    dataset.validate()
    assert pages_of(dataset) == pages
    (lines,) = dataset.info["lines"].values()
    assert lines["kept"] == sum(lines.values()) - lines.get("header", 0) == len(pages)


@pytest.mark.parametrize("ending", ENDINGS)
@QUICK
@given(pages=logs(events=False))
def test_a_row_an_impression_reads_back_in_every_format(
    tmp_path: Path, ending: str, pages: list[Page]
) -> None:
    named = columns(LONG + SPLIT + " session=visit reward=worth")
    dataset = read_clicks(write_long(pages, tmp_path / f"log.{ending}"), named)
    dataset.validate()
    assert pages_of(dataset) == pages


def test_the_tutorials_log_is_what_its_script_makes(repository: Path, tmp_path: Path) -> None:
    import runpy

    folder = repository / "docs" / "tutorial"
    runpy.run_path(str(folder / "make_sample.py"))["main"](tmp_path)
    for name in ("clicks.csv", "articles.csv"):
        assert (tmp_path / name).read_text("utf-8") == (folder / name).read_text("utf-8")
    named = columns("user=reader time=shown_at shown=articles clicked=clicked")
    log = read_clicks(folder / "clicks.csv", named, items=folder / "articles.csv")
    assert (log.n_users, log.sessions.n_pages, log.catalog.n_items) == (25, 200, 30)
    assert sum(log.info["mended"].values()) == 0
