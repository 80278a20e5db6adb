"""One process at a time in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recgym.errors import RecGymError
from recgym.locks import LOCK, locked

HOLD = """
import sys
from recgym.locks import locked

with locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_made_locked_and_left_empty(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    with locked(folder):
        assert (folder / LOCK).read_text().startswith(f"process {os.getpid()} on ")
    assert not any(folder.iterdir())
    with locked(folder):
        pass


def test_the_second_in_one_process_is_refused(tmp_path: Path) -> None:
    with locked(tmp_path):
        for _ in range(2):
            with pytest.raises(RecGymError, match=f"in use by process {os.getpid()} on "):
                locked(tmp_path).__enter__()
    with locked(tmp_path):
        pass


def test_it_is_let_go_of_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    with locked(tmp_path):
        pass


def test_another_process_is_named_and_a_killed_one_is_in_nobodys_way(
    tmp_path: Path, repository: Path
) -> None:
    environment = os.environ | {"PYTHONPATH": str(repository)}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with (
            pytest.raises(RecGymError, match=f"in use by process {process.pid} on "),
            locked(tmp_path),
        ):
            pass
        process.kill()
        process.wait()
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path):
        assert f"process {os.getpid()} on " in (tmp_path / LOCK).read_text()


def test_a_strange_lock_file_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_bytes(b"\xff" * 5_000)
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text().startswith("process ")
