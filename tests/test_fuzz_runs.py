"""Folders of runs that were damaged, and trainings that failed or were killed at every write."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recgym.errors import RecGymError
from recgym.locks import LOCK
from recgym_agents import load_agent
from recgym_agents.runs.run_files import CHECKPOINT, CONFIG, DONE, METRICS, PARAMS
from recgym_agents.runs.run_folder import TrainConfig
from recgym_agents.runs.training import train
from tests.fixtures.small_runs import assert_same_run, small_run

AGENTS = ("popularity", "cascading-dqn")
FILES = (CONFIG, PARAMS, DONE, METRICS, CHECKPOINT)
OBSERVATIONS = np.random.default_rng(0).integers(13, size=(20, 6))
SOMEWHERE = st.floats(0, 1, exclude_max=True)
DAMAGES = st.one_of(
    st.tuples(st.just("flip"), SOMEWHERE, st.integers(0, 7)),
    st.tuples(st.just("cut"), SOMEWHERE, st.just(0)),
    st.tuples(st.just("double"), SOMEWHERE, st.just(0)),
    st.tuples(st.sampled_from(["delete", "rename", "empty"]), st.just(0.0), st.just(0)),
)
Damage = tuple[str, float, int]


def damage(path: Path, how: Damage) -> None:
    kind, where, bit = how
    if kind == "delete":
        path.unlink()
        return
    if kind == "rename":
        path.rename(path.with_name("other"))
        return
    data = bytearray(path.read_bytes())
    place = int(where * len(data))
    if kind == "flip":
        data[place] ^= 1 << bit
    elif kind == "cut":
        del data[place:]
    elif kind == "double":
        data += data[place:]
    else:
        data.clear()
    path.write_bytes(data)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of each agent; one of fewer steps, and one that went on from there."""
    folder = tmp_path_factory.mktemp("runs")
    for agent in AGENTS:
        train(small_run(folder / agent, agent))
    for name in ("short", "long"):
        train(small_run(folder / name, steps=48))
    train(small_run(folder / "long"))
    return folder


@pytest.mark.parametrize("agent", AGENTS)
@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(FILES), how=DAMAGES)
@example(name=DONE, how=("empty", 0.0, 0))
@example(name=PARAMS, how=("rename", 0.0, 0))
@example(name=CONFIG, how=("cut", 0.5, 0))
def test_a_damaged_run_is_the_same_agent_or_one_line(
    agent: str, name: str, how: Damage, runs: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """And the same command makes it whole, or is refused, or finds it done and leaves it."""
    folder = tmp_path_factory.mktemp("damaged") / "run"
    shutil.copytree(runs / agent, folder)
    damage(folder / name, how)
    expected = load_agent(runs / agent)[0].act(OBSERVATIONS)
    actions: list[Callable[[], object]] = [lambda: None]
    if agent == "popularity":
        actions.append(lambda: train(small_run(folder, agent)))
    message = ""
    try:
        for action in actions:
            action()
            found = load_agent(folder)[0]
            np.testing.assert_array_equal(found.act(OBSERVATIONS), expected)
    except RecGymError as error:
        message = str(error)
    assert "\n" not in message
    shutil.rmtree(folder.parent)


WRITES = ("fsync", "replace", "truncate", "unlink", "open")
"""Functions of ``os`` by which a training writes; ``open`` where it makes a file."""


class Writes:
    """Counts the writes of a training in its folder, and does something at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, action: Callable[[], None]):
        self.count, self.at, self.action = 0, at, action
        for name in WRITES:
            monkeypatch.setattr(os, name, self.around(getattr(os, name), name == "open"))

    def around(self, function: Callable[..., object], opens: bool) -> Callable[..., object]:
        def write(*arguments: object, **keywords: object) -> object:
            if not opens or (len(arguments) > 1 and int(str(arguments[1])) & os.O_CREAT):
                self.count += 1
                if self.count == self.at:
                    self.action()
            return function(*arguments, **keywords)

        return write


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def killed() -> None:
    os._exit(9)


def writes_of(config: TrainConfig, at: int, action: Callable[[], None]) -> int:
    with pytest.MonkeyPatch.context() as monkeypatch:
        writes = Writes(monkeypatch, at, action)
        train(config)
    return writes.count


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("how", ["full", "killed"])
def test_a_training_that_fails_at_any_write_ends_as_one_that_did_not(
    how: str, goes_on: bool, runs: Path, tmp_path: Path
) -> None:
    """At every one of them in turn, and then again with nothing in the way."""

    def begin(folder: Path) -> TrainConfig:
        if goes_on:
            shutil.copytree(runs / "short", folder)
        return small_run(folder)

    whole = runs / ("long" if goes_on else "popularity")
    count = writes_of(begin(tmp_path / "count"), 0, full)
    assert count > 20
    for number in range(1, count + 1):
        config = begin(tmp_path / str(number))
        if how == "full":
            with suppress(RecGymError, OSError):
                writes_of(config, number, full)
        else:
            child = os.fork()
            if child == 0:
                writes_of(config, number, killed)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        train(config)
        assert_same_run(Path(config.out), whole)
        left = {path.name for path in Path(config.out).iterdir()}
        if number > count - 2:  # after DONE it only says that the folder is free
            left.discard(LOCK)
        assert {name for name in left if "tfevents" not in name} == set(FILES)
        load_agent(config.out)
