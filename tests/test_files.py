"""Files that are whole or absent, the same bytes for the same arrays, and one line for damage."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from recgym.errors import RecGymError
from recgym.files import (
    TYPES,
    atomic_write,
    load_arrays,
    read_json,
    save_arrays,
    settle,
    sha256_of_arrays,
    write_json,
    write_text,
)

DEAD = 999_999_999
"""No process has this number: it is above the most that Linux allows."""
NESTED = "[" * 200_000 + "]" * 200_000


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = [(3,), (), (2, 0), (1, 2, 3)]
    found = {}
    for number, name in enumerate(TYPES):
        values = 100 * rng.random(shapes[number % 4])
        found[f"ä{number % 3}/{name}"] = values.astype(name)
    return found


def test_the_same_arrays_are_the_same_bytes_in_whatever_order(tmp_path: Path) -> None:
    given = arrays()
    save_arrays(tmp_path / "a", given, {"b": 1, "a": [2]})
    save_arrays(tmp_path / "b", dict(reversed(given.items())), {"a": [2], "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    for found in (load_arrays(tmp_path / "a")[0], load_file(tmp_path / "a")):  # ours, the library's
        assert found.keys() == given.keys()
        for name, array in given.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)


def test_arrays_stand_where_their_type_wants_them(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a", arrays(), {"odd": "text" * 3})
    content = (tmp_path / "a").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    assert size % 8 == 0
    for name, entry in header.items():
        if name != "__metadata__":
            assert (8 + size + entry["data_offsets"][0]) % arrays()[name].itemsize == 0


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_flipped_bit_or_a_cut_is_noticed(
    place: float, bit: int, cut: bool, tmp_path: Path
) -> None:
    path = tmp_path / "arrays"
    given = {"a": np.arange(4.0), "b": np.arange(3)}
    save_arrays(path, given, {"name": "value"})
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    content[at] ^= 1 << bit
    path.write_bytes(content[:at] if cut else content)
    try:
        found, info = load_arrays(path)
    except RecGymError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert info == {"name": "value"}  # the bit was in what has no meaning, such as a blank
    assert found.keys() == given.keys()
    for name, array in given.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("content", [NESTED, "9" * 5_000, "{", "\ud800"])
def test_what_is_no_json_is_one_short_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "info.json"
    path.write_text(content, errors="surrogatepass")
    with pytest.raises(RecGymError, match=r"info\.json: not JSON") as caught:
        read_json(path)
    assert len(str(caught.value)) < len(str(path)) + 150
    save_arrays(tmp_path / "arrays", {"a": np.zeros(1)}, "written by hand")
    assert load_arrays(tmp_path / "arrays")[1] == "written by hand"


def test_json_in_arrays_that_is_too_deep_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "arrays"
    text = np.frombuffer(NESTED.encode(), np.uint8)
    digest = sha256_of_arrays({"a": np.zeros(1), "info": text})
    save_file({"a": np.zeros(1)}, path, metadata={"info": NESTED, "sha256": digest})
    with pytest.raises(RecGymError, match="arrays: not JSON inside"):
        load_arrays(path)


def test_a_folder_is_no_file_and_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for read in (read_json, load_arrays):
        for path in (tmp_path, tmp_path / "file" / "below", tmp_path / "nothing"):
            with pytest.raises(RecGymError) as caught:
                read(path)
            assert "\n" not in str(caught.value)
    for path in (tmp_path, tmp_path / "file" / "below"):
        with pytest.raises(RecGymError, match="cannot be written"):
            write_text(path, "text")
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_text(path, "before")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecGymError, match=r"file: cannot be written \(No space left on device\)$"):
        write_text(path, "after")
    with pytest.raises(RecGymError, match="No space left"):
        save_arrays(path, {"a": np.zeros(3)})
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file[1].json"
    alive = os.getppid()
    names = [f".{path.name}.{DEAD}.tmp", f".{path.name}.{alive}.tmp", f".other.{DEAD}.tmp"]
    for name in names:
        (tmp_path / name).write_text("half")
    write_json(path, {})
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, *names[1:]])
    with atomic_write(path) as temporary:
        temporary.write_text("whole")
    settle(tmp_path / "other")
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, names[1]])


KILLED = """
import os, signal, sys
from recgym.files import atomic_write
with atomic_write(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_killed_as_it_wrote(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "before")
    command = [sys.executable, "-c", KILLED, str(path)]
    done = subprocess.run(command, env={"PYTHONPATH": str(repository)}, check=False)
    assert done.returncode == -9
    assert path.read_text() == "before"
    assert len(os.listdir(tmp_path)) == 2
    write_text(path, "after")
    assert os.listdir(tmp_path) == ["file"]
