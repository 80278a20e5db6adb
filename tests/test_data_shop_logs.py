"""The readers of YooChoose and RetailRocket, held to a plain count in Python."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recgym.data import Dataset, read_retailrocket, read_yoochoose
from recgym.data.yoochoose import CLICKS, PURCHASES, ShopPreset
from recgym.errors import RecGymError

QUICK = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
Event = tuple[int, int, int, int]
"""sequence, milliseconds, item, kind (0, 1, 2)"""
EVENT = st.tuples(
    st.integers(0, 3), st.integers(0, 4), st.integers(0, 4), st.sampled_from([0, 0, 0, 0, 1, 2])
)
KINDS = ("view", "addtocart", "transaction")
START = 1_396_742_400_000
"""Milliseconds of 2014-04-06."""


def write_yoochoose(folder: Path, events: list[Event]) -> Path:
    folder.mkdir(exist_ok=True)
    lines: dict[int, list[str]] = {0: [], 2: []}
    for sequence, time, item, kind in events:
        moment = datetime.fromtimestamp((START + time) / 1_000, UTC)
        when = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        lines[kind].append(f"{sequence},{when},{item}{',0' if kind == 0 else ',100,1'}\n")
    (folder / CLICKS).write_text("".join(lines[0]))
    (folder / PURCHASES).write_text("".join(lines[2]))
    return folder


def write_retailrocket(path: Path, events: list[Event]) -> Path:
    lines = [f"{START + t},{s},{KINDS[k]},{i},{7 if k == 2 else ''}\n" for s, t, i, k in events]
    path.write_text("timestamp,visitorid,event,itemid,transactionid\n" + "".join(lines))
    return path


def plainly(events: list[Event], keep_last: int | None) -> list[list[tuple[int, int]]]:
    """What sequences hold, as (item, kind), from events in the order of their files."""
    sequences: dict[int, list[tuple[int, int, int, int]]] = {}
    for line, (sequence, time, item, kind) in enumerate(events):
        sequences.setdefault(sequence, []).append((time, kind, line, item))
    ordered = [sorted(sequences[name]) for name in sorted(sequences)]
    return [
        [(item, kind) for _, kind, _, item in events][-(keep_last or 99) :] for events in ordered
    ]


def sequences_of(dataset: Dataset) -> list[list[tuple[int, int]]]:
    dataset.validate()
    sessions = dataset.sessions
    assert sessions.event is not None
    found: list[list[tuple[int, int]]] = [[] for _ in range(dataset.n_users)]
    for user, item, kind in zip(sessions.user, sessions.item, sessions.event, strict=True):
        found[user].append((int(dataset.catalog.item_id[item]), int(kind)))
    return found


def refused_or(read: Callable[[], Dataset], wanted: list[list[tuple[int, int]]]) -> Dataset | None:
    """Reads a log of which sequences are wanted; sees it refused where none is."""
    if not wanted:
        with pytest.raises(RecGymError, match="no event is left by the preset"):
            read()
        return None
    dataset = read()
    assert sequences_of(dataset) == wanted
    return dataset


@QUICK
@given(events=st.lists(EVENT, max_size=30), preset=st.sampled_from([None, "lpi", "sqn"]))
def test_yoochoose_is_what_a_plain_count_says(
    events: list[Event], preset: ShopPreset | None, tmp_path: Path
) -> None:
    events = [(s, t, i, 2 if kind else 0) for s, t, i, kind in events]
    events += [(9, 0, 1, 0), (9, 0, 1, 2)]  # neither file is empty
    folder = write_yoochoose(tmp_path / "log", events)
    clicks = Counter(s for s, _, _, kind in events if kind == 0)
    wanted = [event for event in events if preset is None or clicks[event[0]] >= 3]
    expected = plainly(wanted, 20 if preset == "lpi" else None)
    dataset = refused_or(lambda: read_yoochoose(folder, preset=preset), expected)
    if dataset is None:
        return
    kinds = Counter(kind for sequence in expected for _, kind in sequence)
    lines = dataset.info["lines"]
    assert lines[CLICKS].get("events", 0) == kinds[0]
    assert lines[PURCHASES].get("events", 0) == kinds[2]
    assert sum(lines[CLICKS].values()) == sum(kind == 0 for *_, kind in events)
    assert sum(lines[PURCHASES].values()) == sum(kind == 2 for *_, kind in events)


@QUICK
@given(
    events=st.lists(EVENT, min_size=1, max_size=40),
    preset=st.sampled_from([None, "lpi", "sqn"]),
)
def test_retailrocket_is_what_a_plain_count_says(
    events: list[Event], preset: ShopPreset | None, tmp_path: Path
) -> None:
    path = write_retailrocket(tmp_path / "events.csv", events)
    wanted = list(events)
    if preset is not None:
        wanted = [(s, t, i, 2 if kind else 0) for s, t, i, kind in events if kind < 2]
    if preset == "lpi":
        clicks = Counter(s for s, _, _, kind in wanted if kind == 0)
        wanted = [event for event in wanted if clicks[event[0]] >= 3]
        visitors = Counter(item for _, item in {(s, i) for s, _, i, _ in wanted})
        wanted = [event for event in wanted if visitors[event[2]] >= 3]
    elif preset == "sqn":
        number = Counter(s for s, *_ in wanted)
        wanted = [event for event in wanted if number[event[0]] >= 3]
        of_items = Counter(i for _, _, i, _ in wanted)
        wanted = [event for event in wanted if of_items[event[2]] >= 3]
    expected = plainly(wanted, 20 if preset == "lpi" else None)
    dataset = refused_or(lambda: read_retailrocket(path, preset=preset), expected)
    if dataset is not None:
        assert sum(dataset.info["lines"]["events.csv"].values()) == len(events) + 1


def test_long_sequences_keep_their_end(tmp_path: Path) -> None:
    events = [(1, time, time % 7, 0) for time in range(30)]
    events += [(2, 0, 1, 2)]
    random.Random(0).shuffle(events)
    dataset = read_yoochoose(write_yoochoose(tmp_path / "log", events), preset="lpi")
    assert sequences_of(dataset) == [[(time % 7, 0) for time in range(10, 30)]]
    assert dataset.info["preset"]["found"]["clicks"] == 30
    assert dataset.info["mended"] == {
        "sequences_of_fewer_than_3_clicks_left_out": 1,
        "events_before_the_last_20_left_out": 10,
    }


def test_under_a_preset_a_cart_is_the_purchase(tmp_path: Path) -> None:
    events = [(s, t, 1, kind) for s in range(3) for t, kind in enumerate((0, 0, 0, 1, 2))]
    path = write_retailrocket(tmp_path / "events.csv", events)
    assert sequences_of(read_retailrocket(path))[0] == [(1, 0)] * 3 + [(1, 1), (1, 2)]
    for preset in ("lpi", "sqn"):
        dataset = read_retailrocket(path, preset=preset)
        assert sequences_of(dataset)[0] == [(1, 0)] * 3 + [(1, 2)]
        assert dataset.info["meaning"] == {"purchase": "put into the cart"}
        assert dataset.info["mended"]["transactions_left_out"] == 3


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        (CLICKS, ["1,2014-04-06T00:00:00.000Z,5,0", "1,2014-04-06,5,0"],
         "line 2, column 'time': '2014-04-06' is no time such as 2014-04-06T01:29:05.969Z"),
        (CLICKS, ["1,2014-04-06T00:00:00.000Z,x,0"], "line 1, column 'item': 'x' is not a number"),
        (PURCHASES, ["1,2014-04-06T00:00:00.000Z,5,1"], "line 2: 4 fields, not 5"),
        (PURCHASES, [",2014-04-06T00:00:00.000Z,5,1,1"], "line 2, column 'session': no value"),
        (CLICKS, [], "an empty file"),
    ],
)  # fmt: skip
def test_a_malformed_line_of_yoochoose_is_named(
    name: str, lines: list[str], message: str, tmp_path: Path
) -> None:
    folder = write_yoochoose(tmp_path, [(1, 0, 1, 0), (1, 0, 1, 2)])
    text = "".join(f"{line}\n" for line in lines)
    path = folder / name
    path.write_text((path.read_text() if name == PURCHASES else "") + text)
    with pytest.raises(RecGymError) as caught:
        read_yoochoose(folder)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("5,1,look,2,", "line 3, column 'event': 'look' is none of view, addtocart, transaction"),
        ("5,1,,2,", "line 3, column 'event': no value"),
        ("5.5,1,view,2,", "line 3, column 'timestamp': '5.5' is not a whole number of 64 bits"),
        ("5,1,view,2", "line 3: 4 fields, not 5"),
    ],
)
def test_a_malformed_line_of_retailrocket_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = write_retailrocket(tmp_path / "events.csv", [(1, 0, 1, 0)])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(RecGymError) as caught:
        read_retailrocket(path)
    assert message in str(caught.value)


def test_the_real_samples_have_the_counts_that_are_known_of_them(real_data: Path) -> None:
    shop = read_yoochoose(real_data / "yoochoose", preset="lpi").info["preset"]["found"]
    assert shop["sequences"] == 44_312
    whole = read_yoochoose(real_data / "yoochoose")
    assert (whole.n_users, whole.catalog.n_items) == (92_497, 19_947)
    events = read_retailrocket(real_data / "retailrocket" / "events.csv").info["lines"]
    assert events == {"events.csv": {"header": 1, "events": 97_381}}
