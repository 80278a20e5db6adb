"""Rows of events become sessions without slates: order, filters, draws, and what is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recgym.data import Dataset
from recgym.data.event_logs import (
    NO_PRESET,
    EventLog,
    Filters,
    Preset,
    chosen_preset,
    events_dataset,
)
from recgym.data.raw import ROW
from recgym.errors import RecGymError

EVENTS = [
    ("b", 3_000, "x", 0), ("b", 1_999, "y", 0), ("b", 3_000, "z", 2), ("b", 3_000, "y", 1),
    ("a", 5_000, "x", 0), ("a", 4_000, "x", 0), ("a", 4_000, "w", 0),
    ("c", 1_000, "x", 2),
]  # fmt: skip
"""user, milliseconds, item, kind"""


def log(events: list[tuple[str, int, str, int]] = EVENTS) -> EventLog:
    names = {"user": pl.String, "time": pl.Int64, "item": pl.String, "event": pl.Int8}
    rows = pl.DataFrame(events, schema=names, orient="row").with_row_index(ROW, 1)
    return EventLog(rows, {"name": "log"}, lambda kept: {"log": {"events": len(kept)}})


def kept(filters: Filters, seed: int = 0) -> Dataset:
    return events_dataset(log(), seed, Preset("p", "a paper", filters, {}))


def items(dataset: Dataset) -> list[list[str]]:
    """The items of each user, in order."""
    sessions, ids = dataset.sessions, dataset.catalog.item_id
    return [
        [ids[i] for i in sessions.item[sessions.user == user]] for user in range(dataset.n_users)
    ]


def test_events_are_in_the_order_of_time_then_kind_then_line(tmp_path: Path) -> None:
    dataset = events_dataset(log(), seed=0)
    dataset.validate()
    sessions = dataset.sessions
    assert items(dataset) == [["x", "w", "x"], ["y", "x", "y", "z"], ["x"]]  # of a, b, c
    assert sessions.user.tolist() == sessions.session.tolist() == [0, 0, 0, 1, 1, 1, 1, 2]
    assert sessions.step.tolist() == [0, 1, 2, 0, 1, 2, 3, 0]
    assert sessions.event is not None
    assert sessions.event.tolist() == [0, 0, 0, 0, 0, 1, 2, 2]
    assert sessions.reward.tolist() == pytest.approx([0.2] * 5 + [0.5, 1, 1])
    assert sessions.timestamp is not None
    assert sessions.timestamp.tolist() == [4, 4, 5, 1, 3, 3, 3, 1]
    assert sessions.slate_sizes.tolist() == [0] * 8
    assert sessions.click.tolist() == [-1] * 8
    assert dataset.catalog.item_id == ("w", "x", "y", "z")
    dataset.save(tmp_path / "log")
    info = Dataset.load(tmp_path / "log").info
    assert info["floors"] == {}
    assert info["counts"] == {
        "users": 3, "pages": 0, "clicked_pages": 0, "events_without_slate": 8,
        "pages_of_one_item": 0, "items": 4, "clicks": 5, "carts": 1, "purchases": 2,
    }  # fmt: skip
    assert info["lines"] == {"log": {"events": 8}}
    assert "preset" not in info


@pytest.mark.parametrize(
    ("filters", "left", "counted"),
    [
        (Filters(least_clicks=3), [["x", "w", "x"]], {"sequences_of_fewer_than_3_clicks": 2}),
        (
            Filters(least_events=3),
            [["x", "w", "x"], ["y", "x", "y", "z"]],
            {"sequences_of_fewer_than_3_events": 1},
        ),
        (
            Filters(least_item_sequences=2),
            [["x", "x"], ["x"], ["x"]],
            {"items_of_fewer_than_2_sequences": 3},
        ),
        (
            Filters(least_item_events=2),
            [["x", "x"], ["y", "x", "y"], ["x"]],
            {"items_of_fewer_than_2_events": 2},
        ),
        (  # once each: w leaves a with fewer than 3 events, who stays
            Filters(least_events=3, least_item_events=2),
            [["x", "x"], ["y", "x", "y"]],
            {"sequences_of_fewer_than_3_events": 1, "items_of_fewer_than_2_events": 2},
        ),
        (Filters(longest=2), [["w", "x"], ["y", "z"], ["x"]], {"events_before_the_last_2": 3}),
    ],
)
def test_filters_keep_what_they_say(
    filters: Filters, left: list[list[str]], counted: dict[str, int]
) -> None:
    dataset = kept(filters)
    dataset.validate()
    assert items(dataset) == left
    assert dataset.info["mended"] == {f"{why}_left_out": n for why, n in counted.items()}


def test_a_papers_counts_stand_beside_what_was_found_before_sequences_are_cut() -> None:
    preset = Preset("p", "a paper", Filters(least_events=3, longest=1), {"sequences": 7})
    dataset = events_dataset(log(), 0, preset)
    assert items(dataset) == [["x"], ["z"]]
    assert dataset.info["preset"] == {
        "name": "p",
        "source": "a paper",
        "printed": {"sequences": 7},
        "found": {"sequences": 2, "items": 4, "clicks": 5, "carts": 1, "purchases": 1},
    }


def test_sequences_are_drawn_by_the_seed() -> None:
    drawn = {tuple(map(tuple, items(kept(Filters(sequences=1), seed)))) for seed in range(20)}
    assert drawn == {(("x", "w", "x"),), (("y", "x", "y", "z"),), (("x",),)}
    dataset = kept(Filters(sequences=2))
    assert dataset.n_users == 2
    assert dataset.info["mended"] == {"sequences_not_drawn": 1}
    assert items(kept(Filters(sequences=9))) == items(events_dataset(log(), 0))


def test_ties_are_drawn_by_the_seed_and_times_are_kept() -> None:
    events = [("a", 2_000, item, 0) for item in "wxyz"] + [("a", 1_000, "v", 0)]
    orders = {tuple(items(events_dataset(log(events), s, ties=True))[0]) for s in range(9)}
    assert len(orders) > 2
    assert {order[0] for order in orders} == {"v"}
    assert {"".join(sorted(order)) for order in orders} == {"vwxyz"}


def test_sequences_are_divided_ten_to_one_to_one() -> None:
    dataset = events_dataset(log([(f"u{n}", 0, "x", 0) for n in range(50)]), seed=3)
    assert np.bincount(dataset.split).tolist() == [40, 5, 5]


def test_a_log_of_ratings_has_rewards_and_no_kinds_and_may_have_no_times() -> None:
    rows = log().rows.drop("event", "time").with_columns(reward=pl.lit(0.5, pl.Float32))
    dataset = events_dataset(
        EventLog(rows, {"name": "log"}, lambda _: {}, titles={"x": "An X"}),
        0,
        Preset("p", "a paper", Filters(), {}),
    )
    dataset.validate()
    assert dataset.sessions.event is None
    assert dataset.sessions.timestamp is None
    assert set(dataset.sessions.reward.tolist()) == {0.5}
    assert dataset.catalog.title == ("w", "An X", "y", "z")
    assert dataset.info["preset"]["found"] == {"sequences": 3, "items": 4, "events": 8}


def test_what_cannot_be_kept_is_one_line() -> None:
    with pytest.raises(RecGymError, match="log: no event is left by the preset 'p'"):
        kept(Filters(least_clicks=4))
    assert chosen_preset({}, None) is NO_PRESET
    with pytest.raises(RecGymError, match=r"^preset='icml': must be 'p' or 'q'$"):
        chosen_preset({"p": NO_PRESET, "q": NO_PRESET}, "icml")
