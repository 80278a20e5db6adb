"""Whether a folder is free, and how a finished run goes on to more steps."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym.files import load_arrays, read_json, write_json
from recgym.locks import LOCK
from recgym_agents import load_agent
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.runs.run_files import CHECKPOINT, CONFIG, DONE, METRICS, PARAMS
from recgym_agents.runs.run_folder import check_folder, record_of
from recgym_agents.runs.run_metrics import read_metrics
from recgym_agents.runs.training import train
from tests.fixtures.slate_mdp_runs import Stop, stop_at
from tests.fixtures.slate_mdp_runs import config as episode_run
from tests.fixtures.small_runs import assert_same_run, small_run


@pytest.mark.parametrize("agent", ["popularity", "sb3-a2c"])
def test_a_second_training_in_a_folder_is_refused(agent: str, tmp_path: Path) -> None:
    refused = 0

    def watch(steps: int, metrics: dict[str, float]) -> None:
        nonlocal refused
        with pytest.raises(RecGymError, match=f"run: in use by process {os.getpid()} on "):
            train(small_run(tmp_path / "run", agent, steps=32))
        refused += 1

    train(small_run(tmp_path / "run", agent, steps=32), watch)
    assert refused == 4
    assert not (tmp_path / "run" / LOCK).exists()
    assert (tmp_path / "run" / DONE).exists()
    if agent == "popularity":  # Stable-Baselines3 seeds the generators that a process shares
        train(small_run(tmp_path / "whole", agent, steps=32))
        assert_same_run(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("agent", ["popularity", "cascading-dqn"])
def test_a_finished_run_goes_on_to_more_steps(agent: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(small_run(out, agent, steps=48))
    before = (out / METRICS).read_text()
    train(small_run(out, agent))
    assert (out / METRICS).read_text().startswith(before)
    assert [line["steps"] for line in read_metrics(out)] == [16, 32, 48, 64, 96]
    assert read_json(out / CONFIG)["steps"] == 96
    assert read_json(out / CONFIG)["continued"] == [48]
    assert read_json(out / DONE)["steps"] == 96
    loaded, about = load_agent(out)
    assert about["steps"] == 96
    assert len(set(loaded.act(np.full((1, 6), 12))[0])) == 3
    train(small_run(out, agent, steps=128))
    assert read_json(out / CONFIG)["continued"] == [48, 96]
    done = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    train(small_run(out, agent, steps=128))
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == done


def test_it_learns_on_from_the_last_parameters_not_the_best(tmp_path: Path) -> None:
    """Up to step 48 both explore alike: the memory, the counts and the networks are the same."""
    settings: dict[str, Any] = {"reports": 6, "validation_episodes": 0}
    loop_args = small_run(tmp_path, "cascading-dqn").loop_args
    settings["loop_args"] = loop_args | {"explore_end": 0.5, "explore_start": 0.5}
    for steps in (48, 96):
        train(small_run(tmp_path / "in-two", "cascading-dqn", steps=steps, **settings))
    train(small_run(tmp_path / "at-once", "cascading-dqn", **settings))
    assert read_metrics(tmp_path / "in-two")[-1] == read_metrics(tmp_path / "at-once")[-1]
    ours, theirs = (load_arrays(tmp_path / name / PARAMS)[0] for name in ("in-two", "at-once"))
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])


def test_a_run_that_goes_on_and_is_stopped_ends_as_one_that_was_not(tmp_path: Path) -> None:
    for name in ("whole", "stopped"):
        train(small_run(tmp_path / name, "cascading-dqn", steps=48))
    whole, stopped = (small_run(tmp_path / name, "cascading-dqn") for name in ("whole", "stopped"))
    train(whole)
    for calls in (1, 4):
        with pytest.raises(Stop):
            train(stopped, stop_at(calls))
    assert not (tmp_path / "stopped" / DONE).exists()
    load_agent(tmp_path / "stopped")  # as it was before
    with pytest.raises(RecGymError, match="holds a run with steps=96, not 48"):
        train(small_run(tmp_path / "stopped", "cascading-dqn", steps=48))
    with pytest.raises(RecGymError, match="unfinished run with steps=96, not 128; finish it with"):
        train(small_run(tmp_path / "stopped", "cascading-dqn", steps=128))
    train(stopped)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


def test_patience_counts_anew_when_a_run_goes_on(tmp_path: Path) -> None:
    run = episode_run("online", "", tmp_path / "run", steps=20_000, reports=100)
    loop_args = run.loop_args | {"patience": 2}
    for steps in (20_000, 40_000):
        settings = {"agent_args": run.agent_args | {"learning_rate": 1.0}, "loop_args": loop_args}
        train(episode_run("online", "", tmp_path / "run", steps=steps, reports=100, **settings))
        found = read_metrics(tmp_path / "run")
        assert found[-1]["steps"] < steps
        if steps == 20_000:
            first = len(found)
    assert len(found) >= first + 2


@pytest.mark.parametrize("agent", ["random", "popularity"])
def test_what_has_taken_no_steps_goes_on_from_nothing(agent: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"validation_episodes": 2}
    train(small_run(tmp_path / "run", agent, steps=0, **settings))
    assert not (tmp_path / "run" / CHECKPOINT).exists()
    train(small_run(tmp_path / "run", agent, **settings))
    train(small_run(tmp_path / "whole", agent, **settings))
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_fewer_steps_no_checkpoint_and_other_libraries_are_one_line(tmp_path: Path) -> None:
    train(small_run(tmp_path / "run"))
    train(small_run(tmp_path / "sb3", "sb3-a2c", steps=32))
    for config, message in (
        (small_run(tmp_path / "run", steps=48), "run holds a run with steps=96, not 48; choose"),
        (small_run(tmp_path / "run", steps=200, seed=2), "run holds a run with steps=96, not 200"),
        (
            small_run(tmp_path / "sb3", "sb3-a2c", steps=64),
            "sb3 holds a run with steps=32, and sb3-a2c cannot go on to 64; choose another",
        ),
    ):
        with pytest.raises(RecGymError, match=message):
            train(config)
    (tmp_path / "run" / CHECKPOINT).unlink()
    with pytest.raises(RecGymError, match="with steps=96 without the checkpoint"):
        train(small_run(tmp_path / "run", steps=200))
    write_json(tmp_path / "run" / CONFIG, read_json(tmp_path / "run" / CONFIG) | {"steps": "many"})
    with pytest.raises(RecGymError, match="steps='many' is no number"):
        train(small_run(tmp_path / "run", steps=200))


def test_a_checkpoint_of_another_training_is_one_line(tmp_path: Path) -> None:
    for agent in ("popularity", "cascading-dqn"):
        train(small_run(tmp_path / agent, agent))
    shutil.copy(tmp_path / "popularity" / CHECKPOINT, tmp_path / "cascading-dqn" / CHECKPOINT)
    (tmp_path / "cascading-dqn" / DONE).unlink()
    with pytest.raises(RecGymError, match=f"{CHECKPOINT}: not a checkpoint of this run"):
        train(small_run(tmp_path / "cascading-dqn", "cascading-dqn"))


def test_settings_too_deep_are_one_line(tmp_path: Path) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RecGymError, match="a run's settings must be plain JSON"):
        record_of(small_run(tmp_path, env_args={"deep": deep}), EnvironmentSpec(9, 3, 4, None))


def test_a_folder_that_cannot_be_written_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_folder(tmp_path / "new" / "folder")
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RecGymError, match="file: is a file; a folder is needed"):
            train(small_run(out))
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    with pytest.raises(RecGymError, match="nowhere: is a file"):
        check_folder(tmp_path / "nowhere" / "run")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RecGymError, match=f"{tmp_path}: cannot be written"):
        train(small_run(tmp_path / "run"))


def test_a_name_that_is_not_utf_8_is_refused_for_training_and_read_for_loading(
    tmp_path: Path,
) -> None:
    train(small_run(tmp_path / "run"))
    strange = tmp_path / os.fsdecode(b"run-\xff")
    with pytest.raises(RecGymError, match="its name is not UTF-8"):
        train(small_run(strange))
    assert not strange.exists()
    (tmp_path / "run").rename(strange)
    assert load_agent(strange)[1]["seed"] == 1
