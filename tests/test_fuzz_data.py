"""Random logs against a plain count of them, and random damage to what was made of logs."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recgym.data import Dataset, read_display_sets, read_trivago
from recgym.errors import RecGymError
from recgym.users import FittedUserModel
from tests.fixtures.sudden_death import survives_every_death
from tests.fixtures.user_logs import session_dataset
from tests.fixtures.user_model import random_user_model
from tests.test_data_display_sets import HEADER

QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck))
DAMAGES: dict[str, Callable[[bytes, bytes], bytes]] = {
    "short": lambda line, cut: line.rpartition(cut)[0],
    "long": lambda line, cut: line + cut,
    "number": lambda line, cut: line.replace(cut + b"1", cut + b"1e9x", 1),
    "huge": lambda line, cut: line.replace(cut + b"1", cut + b"9" * 5_000, 1),
    "bytes": lambda line, cut: line.replace(b"u", b"\xff", 1),
    "blanks": lambda line, cut: b"  ",
    "quote": lambda line, cut: line[:-1] + b'"',
}
"""What may befall a line, whose fields are cut by a separator."""
OF_TEXT = ["short", "long", "number", "huge", "bytes", "blanks"]
OF_QUOTED_TEXT = ["short", "long", "bytes", "quote"]
UNHARMED = [None] * 5
ROW = st.tuples(st.sampled_from("abc"), *[st.integers(0, 3)] * 2, st.booleans())
BLANKS = st.lists(st.integers(0, 12), max_size=3)


def damaged(
    lines: list[bytes], blanks: list[int], place: int, damage: str | None, cut: bytes
) -> tuple[bytes, int | None]:
    """Returns a file and the number of its damaged line: None if that has come to no harm."""
    lines, hurt = list(lines), None
    if damage is not None:
        at = 1 + place % (len(lines) - 1)
        before, lines[at] = lines[at], DAMAGES[damage](lines[at], cut)
        hurt = at + 1 if lines[at] != before else None
    for place in blanks:
        lines.insert(min(place, len(lines)), b"")
        if hurt is not None and place < hurt:
            hurt += 1
    return b"\n".join(lines) + b"\n", hurt


def read_or_refused(
    read: Callable[[Path], Dataset], path: Path, content: bytes, hurt: int | None
) -> Dataset | None:
    """Reads an unharmed file, whose lines must all be accounted for; else sees it refused."""
    path.write_bytes(content)
    if hurt is not None:
        with pytest.raises(RecGymError, match=f"line {hurt}[:,]") as caught:
            read(path)
        assert len(str(caught.value)) < len(str(path)) + 250
        return None
    dataset = read(path)
    dataset.validate()
    assert sum(dataset.info["lines"][path.name].values()) == content.count(b"\n")
    return dataset


@settings(QUICK, max_examples=120)
@given(
    rows=st.lists(ROW, min_size=1, max_size=12),
    blanks=BLANKS,
    place=st.integers(0, 11),
    damage=st.sampled_from(UNHARMED + OF_TEXT),
)
def test_display_sets_are_what_a_plain_count_says(
    rows: list[tuple[str, int, int, bool]],
    blanks: list[int],
    place: int,
    damage: str | None,
    tmp_path: Path,
) -> None:
    lines = [
        f"u{user}\t{time}\ti{item}\t{int(click)}\t7\t7\t7\t{ord(user) % 3}".encode()
        for user, time, item, click in rows
    ]
    content, hurt = damaged([HEADER.encode(), *lines], blanks, place, damage, b"\t")
    dataset = read_or_refused(read_display_sets, tmp_path / "log.tsv", content, hurt)
    if dataset is None:
        return
    names = list(dict.fromkeys(user for user, *_ in rows))
    pages = {(names.index(user), time) for user, time, *_ in rows}
    clicks = {(names.index(user), time) for user, time, _, click in rows if click}
    sessions = dataset.sessions
    assert Counter(sessions.user.tolist()) == Counter(user for user, _ in pages)
    clicked = sessions.user[sessions.click >= 0]
    assert Counter(clicked.tolist()) == Counter(user for user, _ in clicks)
    assert dataset.split.tolist() == [ord(name) % 3 for name in names]


@settings(QUICK, max_examples=120)
@given(
    rows=st.lists(ROW, min_size=1, max_size=12),
    blanks=BLANKS,
    place=st.integers(0, 11),
    damage=st.sampled_from(UNHARMED + OF_QUOTED_TEXT),
)
def test_trivago_is_what_a_plain_count_says(
    rows: list[tuple[str, int, int, bool]],
    blanks: list[int],
    place: int,
    damage: str | None,
    tmp_path: Path,
) -> None:
    """A row is a clickout of one of two items, or a look at one; clicks on others are dropped."""
    header = "user_id,session_id,timestamp,step,action_type,reference,impressions,prices"
    lines = []
    for step, (user, time, item, clickout) in enumerate(rows):
        action, shown = ("clickout item", '0|1,"9|9"') if clickout else ("search for item", ",")
        lines.append(f'"u{user}",s{time},{time},{step},{action},{item},{shown}')
    valid = Counter(user for user, _, item, clickout in rows if clickout and item < 2)
    text = [line.encode() for line in (header, *lines)]
    content, hurt = damaged(text, blanks, place, damage, b",")
    if not valid and hurt is None:
        (tmp_path / "log.csv").write_bytes(content)
        with pytest.raises(RecGymError, match="an empty log"):
            read_trivago(tmp_path / "log.csv")
        return
    dataset = read_or_refused(read_trivago, tmp_path / "log.csv", content, hurt)
    if dataset is None:
        return
    sessions = dataset.sessions
    of_pages = Counter(sessions.user[sessions.click >= 0].tolist())
    assert of_pages == {number: valid[user] for number, user in enumerate(sorted(valid))}
    assert sessions.reward.sum() == valid.total()


def made(folder: Path, kind: str) -> None:
    if kind == "data":
        session_dataset(8).save(folder)
    else:
        random_user_model(12, n_users=5, bags=1, window=4).save(folder)


def contents(folder: Path, kind: str) -> Any:
    """Loads a folder, as what compares by ==."""
    if kind == "data":
        data = Dataset.load(folder)
        columns = {name: getattr(data.sessions, name) for name in data.sessions.__dict__}
        arrays = columns | {"split": data.split, "features": data.catalog.features}
        rest: Any = data.info, data.catalog.item_id, data.catalog.title, data.catalog.feature_names
    else:
        model = FittedUserModel.load(folder)
        arrays = {f"histories.{split}": ids for split, ids in model.histories.items()}
        arrays["features"] = model.features
        for name, params in model.members.items():
            arrays |= {f"{name}/{key}": value for key, value in params.items()}
        rest = model.config, model.info, model.scores
    held = {name: (a.dtype.str, a.tolist()) for name, a in arrays.items() if a is not None}
    return held, rest


@pytest.mark.parametrize("kind", ["data", "user model"])
@settings(QUICK, max_examples=150)
@given(
    which=st.integers(0, 9),
    how=st.sampled_from(["flip", "flip", "flip", "cut", "delete", "swap", "folder"]),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_a_damaged_folder_is_equal_or_one_line(
    kind: str,
    which: int,
    how: str,
    place: float,
    bit: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    whole = tmp_path_factory.getbasetemp() / f"whole {kind}"
    if not whole.exists():
        made(whole, kind)
    folder = whole.with_name(f"damaged {kind}")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    files = sorted(folder.iterdir())
    path, other = files[which % len(files)], files[(which + 1) % len(files)]
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    if how == "flip":
        content[at] ^= 1 << bit
        path.write_bytes(content)
    elif how == "cut":
        path.write_bytes(content[:at])
    elif how == "swap":
        path.write_bytes(other.read_bytes())
    else:
        path.unlink()
        if how == "folder":
            path.mkdir()
    try:
        found = contents(folder, kind)
    except RecGymError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert len(str(error)) < len(str(folder)) + 250  # noqa: PT017
    else:
        assert found == contents(whole, kind)


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("kind", ["data", "user model"])
def test_a_save_killed_before_any_step_leaves_a_whole_folder(
    kind: str, exchange: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    dataset, model = session_dataset(8), random_user_model(12, n_users=5, bags=0, window=4)
    written = 0

    def write() -> None:
        nonlocal written
        written += 1
        if kind == "data":
            replace(dataset, info=dataset.info | {"number": written}).save(folder)
        else:
            replace(model, scores={"number": written}).save(folder)

    def number() -> int:
        if kind == "data":
            return int(Dataset.load(folder).info["number"])
        return int(FittedUserModel.load(folder).scores["number"])

    write()
    there = number()

    def check() -> bool:
        nonlocal there
        before, there = there, number()
        assert there in (before, written)
        return there == written

    assert survives_every_death(write, check, exchange) > 0
    assert os.listdir(tmp_path) == ["out"]
    np.testing.assert_equal(number(), written)
