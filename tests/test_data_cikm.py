"""The reader of the CIKM Cup 2016, on small files in its format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recgym.data import Dataset, cikm, read_cikm_cup
from recgym.errors import RecGymError
from tests.fixtures.readers import clicked, shown

QUERIES = """queryId;sessionId;userId;timeframe;duration;eventdate;searchstring.tokens;categoryId;items;is.test
1;7;NA;100;300;2016-05-09;5,6;;31,12,31,40;FALSE
2;7;NA;200;300;2016-05-09;;22;12,50;FALSE
3;3;9;100;300;2016-05-09;;22;40,12;FALSE
4;3;9;150;300;2016-05-09;;22;;TRUE
5;8;NA;100;300;2016-05-09;;22;12,31;FALSE
"""  # noqa: E501
CLICKS = """queryId;timeframe;itemId
2;210;50
1;120;40
1;110;31
1;110;31
3;180;12
3;170;40
3;160;77
4;155;12
5;110;12
99;110;12
"""
PURCHASES = """sessionId;userId;timeframe;eventdate;ordernumber;itemId
7;NA;115;2016-05-09;1;40
7;NA;110;2016-05-09;1;31
3;9;900;2016-05-09;2;12
3;9;100;2016-05-09;2;12
8;NA;900;2016-05-09;3;40
"""


def write(folder: Path, **texts: str) -> Path:
    folder.mkdir(exist_ok=True)
    whole = {"queries": QUERIES, "clicks": CLICKS, "purchases": PURCHASES} | texts
    for name, text in whole.items():
        (folder / f"train-{name}.csv").write_text(text)
    return folder


def test_clicks_become_pages_and_what_is_bought_later_pays(tmp_path: Path) -> None:
    dataset = read_cikm_cup(write(tmp_path))
    dataset.validate()
    sessions = dataset.sessions
    assert dataset.catalog.item_id == ("12", "31", "40", "50")
    assert clicked(dataset) == ["40", "12", "31", "40", "50"]  # session 3, then 7, by time
    assert [shown(dataset, page) for page in range(5)] == [
        {"40", "12"}, {"40", "12"}, {"31", "12", "40"}, {"31", "12", "40"}, {"12", "50"},
    ]  # fmt: skip
    assert sessions.slate_items[:7].tolist() == [2, 0, 2, 0, 1, 0, 2]  # as listed
    assert sessions.user.tolist() == [0, 0, 1, 1, 1]
    assert sessions.step.tolist() == [0, 1, 0, 1, 2]
    assert sessions.reward.tolist() == [0, 1, 1, 0, 0]  # 40 was bought before it was clicked
    assert dataset.info["no_click"] is False
    assert list(dataset.info["source"]) == [cikm.QUERIES, cikm.CLICKS, cikm.PURCHASES]
    assert dataset.info["mended"] == {
        "repeated_clicks_dropped": 1,
        "clicks_of_unknown_queries_dropped": 1,
        "repeats_within_a_page_dropped": 1,
        "clicks_outside_their_page_dropped": 2,
        "sessions_of_other_lengths_left_out": 1,
        "items_not_clicked_or_not_popular_left_out": 0,
        "pages_without_their_click_left_out": 0,
        "sessions_of_one_page_then_left_out": 0,
        "sessions_not_drawn": 0,
    }
    assert dataset.info["lines"] == {
        cikm.QUERIES: {"header": 1, "queries": 4, "queries_without_pages": 1},
        cikm.CLICKS: {
            "header": 1,
            "pages": 6,
            "repeated_clicks_dropped": 1,
            "clicks_of_unknown_queries_dropped": 1,
            "clicks_outside_their_page_dropped": 2,
        },
        cikm.PURCHASES: {"header": 1, "purchases": 5},
    }


def many(folder: Path, sessions: int) -> Dataset:
    """A log of sessions with two clicks each, read with the first seed."""
    queries = [f"{n};{n};NA;1;1;d;;2;{n},{n + 1};FALSE" for n in range(sessions)]
    clicks = [f"{n};{time};{n + time}" for n in range(sessions) for time in (0, 1)]
    texts = {
        "queries": "\n".join([QUERIES.splitlines()[0], *queries]),
        "clicks": "\n".join([CLICKS.splitlines()[0], *clicks]),
    }
    return read_cikm_cup(write(folder, **texts))


@pytest.mark.parametrize(
    ("division", "counts"), [((20, 4, 8), [20, 4, 8]), ((100, 20, 40), [31, 7, 12])]
)
def test_sessions_are_drawn_and_divided_as_in_the_paper(
    division: tuple[int, int, int],
    counts: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cikm, "DIVISION", division)
    dataset = many(tmp_path, 50)
    dataset.validate()
    assert np.bincount(dataset.split).tolist() == counts
    assert dataset.info["mended"]["sessions_not_drawn"] == 50 - sum(counts)
    assert dataset.sessions.n_pages == 2 * sum(counts)
    again = read_cikm_cup(tmp_path)
    np.testing.assert_array_equal(again.split, dataset.split)
    other = read_cikm_cup(tmp_path, seed=1)
    assert clicked(other) != clicked(dataset) or other.split.tolist() != dataset.split.tolist()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("queries", "6;8;NA;1;1;d;;2;12,x;FALSE", "line 7, column 'items': an item id is not a"),
        ("queries", "5;8;NA;1;1;d;;2;12,31;FALSE", "line 7, column 'queryId': the query has a"),
        ("queries", "6;8;NA;1;1;d;;2;12", "train-queries.csv, line 7: 9 fields, not 10"),
        ("queries", "6;none;NA;1;1;d;;2;12;FALSE", "column 'sessionId': 'none' is not a number"),
        ("clicks", "5;late;12", "line 12, column 'timeframe': 'late' is not a number"),
        ("purchases", "8;NA;1;d;3;", "line 7, column 'itemId': no value"),
    ],
)
def test_a_malformed_row_is_named(name: str, text: str, message: str, tmp_path: Path) -> None:
    texts = {"queries": QUERIES, "clicks": CLICKS, "purchases": PURCHASES}
    clicks = {"clicks": CLICKS + "6;10;12\n"} if name == "queries" else {}
    folder = write(tmp_path, **(clicks | {name: texts[name] + text + "\n"}))
    with pytest.raises(RecGymError, match=message):
        read_cikm_cup(folder)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match=r"train-queries.csv: no such file"):
        read_cikm_cup(tmp_path)
    folder = write(tmp_path, clicks="queryId;itemId\n1;31\n")
    with pytest.raises(RecGymError, match=r"train-clicks.csv: no column 'timeframe'"):
        read_cikm_cup(folder)
    with pytest.raises(RecGymError, match=r"an empty log \(no click among the items"):
        read_cikm_cup(write(tmp_path, clicks="queryId;timeframe;itemId\n1;110;77\n"))
