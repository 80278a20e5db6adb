"""Folders that are replaced as a whole: killed at any step, one of the two is there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from recgym import whole_folders
from recgym.errors import RecGymError
from recgym.files import settle, write_text
from recgym.whole_folders import (
    DIGESTS,
    check_digests,
    check_place,
    replace_folder,
    write_digests,
)
from tests.fixtures.sudden_death import survives_every_death
from tests.test_files import DEAD

FILES = ("a", "b", DIGESTS)


def write(folder: Path, text: str) -> None:
    with replace_folder(folder, FILES, "a pair") as fresh:
        for name in ("a", "b"):
            write_text(fresh / name, text)
        write_digests(fresh)


def read(folder: Path) -> str:
    if not folder.exists():
        settle(folder)
    check_digests(folder, ("a", "b"))
    texts = {(folder / name).read_text() for name in ("a", "b")}
    assert len(texts) == 1
    assert sorted(os.listdir(folder)) == sorted(FILES)
    return texts.pop()


@pytest.mark.parametrize("exchange", [True, False])
def test_a_write_killed_before_any_step_leaves_a_whole_folder(
    exchange: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    texts = ["first"]
    write(folder, "first")

    def next_write() -> None:
        texts.append(f"text {len(texts)}")
        write(folder, texts[-1])

    def check() -> bool:
        found = read(folder)
        assert found in texts
        return found == texts[-1]

    after = survives_every_death(next_write, check, exchange)
    assert after > 0  # the last steps clear away the folder before
    assert os.listdir(tmp_path) == ["out"]
    assert read(folder) == texts[-1]


def test_a_first_write_leaves_a_whole_folder_or_none(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"

    def check() -> bool:
        return folder.exists() and read(folder) == "text"

    survives_every_death(lambda: write(folder, "text"), check, exchange=True)
    assert os.listdir(folder.parent) == ["out"]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="Linux exchanges two names in one step")
def test_two_folders_are_exchanged_in_one_step(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if whole_folders._exchange(tmp_path / "a", tmp_path / "b"):
        assert os.listdir(tmp_path / "a") == ["b"]
        assert os.listdir(tmp_path / "b") == ["a"]
    with pytest.raises(OSError, match="No such file"):
        whole_folders._exchange(tmp_path / "a", tmp_path / "nothing")


def test_what_a_dead_process_had_moved_away_is_put_back(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write(folder, "before")
    os.rename(folder, tmp_path / f".out.{DEAD}.old")
    (tmp_path / f".out.{DEAD}.new").mkdir()
    write(tmp_path / "out2", "another")
    assert not folder.exists()
    settle(folder)
    assert read(folder) == "before"
    assert sorted(os.listdir(tmp_path)) == ["out", "out2"]


def test_a_block_that_raises_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "out", "before")

    def fail(error: type[BaseException]) -> None:
        with replace_folder(tmp_path / "out", FILES, "a pair") as fresh:
            write_text(fresh / "a", "half")
            raise error

    for error in (KeyboardInterrupt, ValueError):
        with pytest.raises(error):
            fail(error)
    assert read(tmp_path / "out") == "before"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_full_disk_leaves_what_was_there_and_is_one_line(
    exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "out", "before")
    own = os.rename

    def full(source: Path, target: Path) -> None:
        if Path(target).name == "out" and ".new" in Path(source).name:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        own(source, target)

    if exchange:
        monkeypatch.setattr(whole_folders, "_exchange", full)
        monkeypatch.setattr(os, "rename", None)
    else:
        monkeypatch.setattr(whole_folders, "_exchange", lambda one, other: False)
        monkeypatch.setattr(os, "rename", full)
    with pytest.raises(RecGymError, match=r"out: cannot be written \(Disk quota exceeded\)$"):
        write(tmp_path / "out", "after")
    assert read(tmp_path / "out") == "before"
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    write(tmp_path / "out", "before")
    (tmp_path / "out" / f".a.{DEAD}.tmp").touch()  # of a killed process
    check_place(tmp_path / "out", FILES, "a pair")
    (tmp_path / "out" / "notes").touch()
    (tmp_path / "file").touch()
    for name in ("out", "file"):
        with pytest.raises(RecGymError, match=f"{name}: exists and is not a pair; name another"):
            write(tmp_path / name, "after")
    assert (tmp_path / "out" / "a").read_text() == "before"
    with pytest.raises(RecGymError, match="below: cannot be written .*file is no folder"):
        check_place(tmp_path / "file" / "below", FILES, "a pair")
    (tmp_path / "link").symlink_to(tmp_path / "far" / "target")
    write(tmp_path / "link", "after")
    assert read(tmp_path / "far" / "target") == "after"


def test_a_change_is_noticed_where_there_are_digests(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write(folder, "text")
    (folder / "b").write_text("texT")
    with pytest.raises(RecGymError, match="b: altered since it was written"):
        read(folder)
    (folder / "b").unlink()
    with pytest.raises(RecGymError, match="b: no such file"):
        read(folder)
    (folder / "b").mkdir()
    with pytest.raises(RecGymError, match=r"b: cannot be read \(Is a directory\)"):
        read(folder)
    check_digests(folder, ("a", "not in every folder"))
    (folder / DIGESTS).write_bytes(b"\xff  a\n")
    with pytest.raises(RecGymError, match="a: altered"):
        read(folder)
    (folder / DIGESTS).unlink()  # as folders of earlier versions are
    check_digests(folder, ("a", "b"))
