"""The reader of trivago, on a small log, and the floors by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recgym.data import Dataset, floors, read_trivago
from recgym.errors import RecGymError
from tests.fixtures.readers import clicked, shown


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
        "actions_not_about_an_item_dropped": 1,
        "events_without_item_id_dropped": 1,
        "repeats_within_a_page_dropped": 1,
        "clickouts_without_reference_dropped": 1,
        "clicks_outside_their_page_dropped": 1,
        "repeated_item_events_dropped": 1,
        "events_after_last_clickout_dropped": 2,
        "users_without_clickout_dropped": 1,
    }
    lines = dataset.info["lines"][name]
    assert lines.pop("header", 0) == (name == "train.csv")
    assert sum(lines.values()) == len(TRIVAGO_ROWS)
    assert lines["pages_and_events"] == 4


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        # all that stands between the two quotes was one field of one row
        ({2: 'u,early,10,1,{image},13,,"', 9: 'u,later,95,2,{image},12,,"'}, "line 2: a quote is"),
        ({3: "u,early,11,2,{image},13,"}, "line 3: 7 fields, not 8"),
        ({3: "u,early,11,2,{image},13,,,"}, "line 3: 9 fields, not 8"),
        ({3: 'u,early,11,2,"",13,,'}, "line 3, column 'action_type': no value"),
        ({3: "u,early,11,2,,13,,"}, "line 3, column 'action_type': no value"),
    ],
)
def test_lines_of_trivago_that_would_be_lost_are_refused(
    damaged: dict[int, str], message: str, tmp_path: Path
) -> None:
    path = write_trivago(tmp_path / "train.csv", TRIVAGO_ROWS)
    lines = path.read_text().splitlines()
    for number, line in damaged.items():
        lines[number - 1] = line.format(image=IMAGE)
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(RecGymError, match=message):
        read_trivago(path)


def test_users_whose_names_are_no_text_are_not_merged(tmp_path: Path) -> None:
    path = write_trivago(tmp_path / "train.csv", TRIVAGO_ROWS)
    path.write_bytes(path.read_bytes().replace(b"\nu,", b"\n\xe9,").replace(b"\nv,", b"\n\xe8,"))
    with pytest.raises(RecGymError, match="line 2: byte 0xe9 is not UTF-8"):
        read_trivago(path)


def test_interactions_can_be_clicks_on_what_is_displayed_next(tmp_path: Path) -> None:
    rows: list[tuple[object, ...]] = [
        ("u", "s", 10, 1, IMAGE, "2", None, None),
        ("u", "s", 11, 2, IMAGE, "5", None, None),  # not displayed next
        ("u", "s", 12, 3, CLICKOUT, "77", "5|6", "1|2"),  # dropped, and so displays nothing
        ("u", "s", 13, 4, IMAGE, "3", None, None),
        ("u", "s", 14, 5, CLICKOUT, "2", "1|2|3|2", "1|2|3|2"),
        ("u", "s", 15, 6, CLICKOUT, "4", "4|2|1", "4|2|1"),
        ("u", "s", 16, 7, IMAGE, "4", None, None),  # nothing is displayed after it
        ("u", "t", 20, 1, IMAGE, "2", None, None),
        ("u", "t", 21, 2, CLICKOUT, "1", "1|2", "1|2"),
        ("v", "w", 30, 1, CLICKOUT, "1", "1|2", "1|2"),  # a session of one page
    ]
    dataset = read_trivago(write_trivago(tmp_path / "log.parquet", rows), interactions="clicks")
    assert dataset.info["name"] == "trivago-clicks"  # no preset of the other reading applies
    dataset.validate()
    assert clicked(dataset) == ["2", "3", "2", "4", "2", "1"]
    assert [shown(dataset, page) for page in range(6)] == [
        {"1", "2", "3"}, {"1", "2", "3"}, {"1", "2", "3"}, {"4", "2", "1"}, {"1", "2"}, {"1", "2"},
    ]  # fmt: skip
    assert dataset.sessions.click.tolist() == [1, 2, 1, 0, 1, 0]
    assert dataset.sessions.reward.tolist() == [0, 0, 1, 1, 0, 1]
    assert dataset.sessions.session_number.tolist() == [0, 0, 0, 0, 1, 1]
    assert dataset.n_users == 1
    mended = dataset.info["mended"]
    assert mended["events_off_the_next_clickouts_page_dropped"] == 2
    assert mended["clicks_outside_their_page_dropped"] == 1
    assert mended["sessions_of_other_lengths_left_out"] == 1
    assert sum(dataset.info["lines"]["log.parquet"].values()) == len(rows)


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
