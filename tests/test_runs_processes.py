"""Processes that start at once: their environment, their threads, and what they send."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection

import pytest
import torch

from recgym_agents.runs.processes import ONE_THREAD, start


def tell(connection: Connection, name: str) -> None:
    threads = {one: os.environ.get(one) for one in ONE_THREAD}
    connection.send((os.getpid(), os.environ.get(name), threads, torch.get_num_threads()))


def test_each_has_the_environment_of_its_start_and_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    found = []
    for value in ("first", "second", None):
        if value is None:
            monkeypatch.delenv("RECGYM_TEST")
        else:
            monkeypatch.setenv("RECGYM_TEST", value)
        process, connection = start(tell, "RECGYM_TEST")
        found.append(connection.recv())
        process.join()
        assert process.exitcode == 0
    assert [one[1] for one in found] == ["first", "second", None]
    assert len({os.getpid(), *(one[0] for one in found)}) == 4
    assert all(one[2] == ONE_THREAD and one[3] == 1 for one in found)
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ
