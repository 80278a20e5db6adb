"""What a run's folder consists of, and whether it still does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from recgym.errors import RecGymError
from recgym.files import read_json, sha256_of, write_json
from recgym_agents import load_agent
from recgym_agents.runs.run_files import (
    CHECKPOINT,
    CONFIG,
    DONE,
    METRICS,
    PARAMS,
    append,
    write_done,
)
from recgym_agents.runs.training import train
from tests.fixtures.small_runs import assert_same_run, no_file_longer_than, small_run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    train(small_run(folder))
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of a finished run."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


def test_done_holds_digests_of_what_an_agent_is_loaded_from(whole: Path) -> None:
    digests = {name: sha256_of(whole / name) for name in (CONFIG, PARAMS)}
    assert read_json(whole / DONE) == {"steps": 96, "sha256": digests}


@pytest.mark.parametrize("name", [CONFIG, PARAMS])
@pytest.mark.parametrize("damage", ["altered", "no such file"])
def test_an_altered_or_missing_file_is_refused_by_loading_and_by_training(
    name: str, damage: str, run: Path
) -> None:
    if damage == "altered":
        (run / name).write_bytes((run / name).read_bytes() + b" ")
    else:
        (run / name).unlink()
    for action in (lambda: load_agent(run), lambda: train(small_run(run))):
        with pytest.raises(RecGymError, match=f"{name}: {damage}.*put it back, or remove"):
            action()


def test_parameters_that_are_gone_are_made_again_as_the_message_says(
    run: Path, whole: Path
) -> None:
    (run / PARAMS).unlink()
    with pytest.raises(RecGymError, match=f"remove {run / DONE} and give the same command again"):
        train(small_run(run))
    (run / DONE).unlink()
    train(small_run(run))
    assert_same_run(run, whole)


def test_a_run_that_was_done_before_there_were_digests_is_loaded_and_is_done(run: Path) -> None:
    (run / DONE).write_text("")
    (run / CHECKPOINT).unlink()
    load_agent(run)
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    train(small_run(run))
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before
    (run / PARAMS).unlink()
    with pytest.raises(RecGymError, match=f"{PARAMS}: no such file; put it back, or remove {run}"):
        train(small_run(run))


@pytest.mark.parametrize("value", [[], {}, {"steps": "1", "sha256": {}}, {"steps": 1}])
def test_a_strange_done_is_refused(value: object, run: Path) -> None:
    write_json(run / DONE, value)
    with pytest.raises(RecGymError, match=f"{DONE}: not what a training wrote"):
        load_agent(run)


def test_a_configuration_too_deep_to_read_is_one_line(run: Path) -> None:
    (run / CONFIG).write_text("[" * 100_000)
    write_done(run, 96)
    for action in (lambda: load_agent(run), lambda: train(small_run(run))):
        with pytest.raises(RecGymError, match=f"{CONFIG}: not JSON"):
            action()


def test_a_checkpoint_without_its_configuration_is_refused(run: Path) -> None:
    (run / DONE).unlink()
    (run / CONFIG).unlink()
    with pytest.raises(RecGymError, match=f"{CONFIG}: no such file"):
        train(small_run(run))


def test_what_a_kill_left_is_removed_and_nothing_else(run: Path, whole: Path) -> None:
    names = [f".{name}.999999999.tmp" for name in (CONFIG, PARAMS, CHECKPOINT, DONE)]
    others = [".notes.999999999.tmp", "config.json.tmp", "mine.tmp"]
    for name in (*names, *others):
        (run / name).write_text("half")
    (run / DONE).unlink()
    (run / CHECKPOINT).unlink()
    train(small_run(run))
    assert_same_run(run, whole)
    assert not any((run / name).exists() for name in names)
    assert all((run / name).exists() for name in others)


def test_bytes_are_added_wholly_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert append(path, b"one") == 3
    with no_file_longer_than(5), pytest.raises(OSError):
        append(path, b"two")
    assert path.read_bytes() == b"one"
    assert append(path, b"two") == 6
    assert path.read_bytes() == b"onetwo"


@pytest.mark.parametrize("size", [100, 600, 18_000])
def test_a_training_on_a_full_disk_is_one_line_and_goes_on_when_it_is_not(
    size: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """So long a file is the configuration, the first checkpoint, or a later one."""
    settings = small_run(tmp_path / "run", "cascading-dqn")
    message = r"^[^\n]*cannot be written [^\n]*too large[^\n]*$"
    with pytest.raises(RecGymError, match=message), no_file_longer_than(size):
        train(settings)
    found = {path.name for path in (tmp_path / "run").iterdir()}
    assert (CHECKPOINT in found) == (size == 18_000)
    assert not any(name.endswith(".tmp") for name in found)
    if METRICS in found:
        assert (tmp_path / "run" / METRICS).read_text().endswith("}\n")
    train(settings)
    train(small_run(tmp_path / "whole", "cascading-dqn"))
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert "Traceback" not in capfd.readouterr().err
