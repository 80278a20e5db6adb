"""Where the numbers of an evaluation go."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from recgym.errors import RecGymError
from recgym.files import load_arrays, read_json, save_arrays, write_json
from recgym_agents.commands import evaluate as script
from recgym_agents.commands import render
from recgym_agents.runs.evaluation import evaluation_file
from recgym_agents.runs.run import Run
from recgym_agents.runs.run_files import PARAMS, write_done
from recgym_agents.runs.scored_runs import score_run
from recgym_agents.runs.training import train
from tests.fixtures.small_runs import WORLD, small_run

ABOUT = {"env": "RecGAN-v0", "env_args": {"slate_size": 3}}


@pytest.mark.parametrize(
    ("env", "env_args", "name"),
    [
        ("RecGAN-v0", {"slate_size": 3}, "evaluation.json"),
        ("RecGAN-v0", {"slate_size": 3, "split": "train"}, "evaluation.json"),
        ("RecGAN-v0", {"slate_size": 3, "split": "test"}, "evaluation-test.json"),
        ("RecGAN-LSTM-v0", {}, "evaluation-RecGAN-LSTM-v0.json"),
        ("my/pack:World-v0", {"split": "test"}, "evaluation-my-pack-World-v0-test.json"),
    ],
)
def test_a_world_has_a_file(env: str, env_args: dict[str, Any], name: str, tmp_path: Path) -> None:
    path = evaluation_file(tmp_path, ABOUT, env, env_args)
    assert path == tmp_path / name
    write_json(path, {"env_args": env_args, "seed": 0})
    assert evaluation_file(tmp_path, ABOUT, env, env_args) == path
    with pytest.raises(RecGymError, match=f"{name}: holds an evaluation with env_args=.*--out"):
        evaluation_file(tmp_path, ABOUT, env, env_args | {"ensemble": 2})


def test_a_strange_file_is_not_written_over(tmp_path: Path) -> None:
    write_json(tmp_path / "evaluation.json", [1])
    with pytest.raises(RecGymError, match="holds an evaluation with env_args=None"):
        evaluation_file(tmp_path, ABOUT, "RecGAN-v0", {"slate_size": 3})


def test_the_script_keeps_one_evaluation_a_world(tmp_path: Path) -> None:
    train(small_run(tmp_path, steps=16))
    for episodes in (3, 4):
        script.main(tmp_path, episodes=episodes)
        assert read_json(tmp_path / "evaluation.json")["episodes"] == episodes
    with pytest.raises(RecGymError, match="name another file with --out"):
        script.main(tmp_path, episodes=3, env_args=("horizon=2",))
    script.main(tmp_path, episodes=3, env_args=("horizon=2",), out=tmp_path / "short.json")
    assert read_json(tmp_path / "short.json")["env_args"] == WORLD | {"horizon": 2}
    assert read_json(tmp_path / "evaluation.json")["episodes"] == 4
    for out, message in ((tmp_path, "is a folder"), (tmp_path / "DONE" / "x", "is a file")):
        with pytest.raises(RecGymError, match=message):
            script.main(tmp_path, episodes=3, out=out)


def test_folders_of_any_name_are_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Brackets are no markup, and what is not UTF-8 is shown as well as can be."""
    folder = tmp_path / "run"
    train(small_run(folder, steps=16))
    for name in (b"[red]x", b"a\xffb"):
        folder = folder.rename(tmp_path / os.fsdecode(name))
        script.main(folder, episodes=3)
        assert json.loads((folder / "evaluation.json").read_text())["episodes"] == 3
    text = "".join(capsys.readouterr().out.split())
    assert "[red]x" in text
    assert "a\ufffdb" in text


def test_a_model_that_is_pickled_needs_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from recgym_agents.commands.command_line import run

    train(small_run(tmp_path, "sb3-a2c", steps=16))
    words = ["evaluate.py", str(tmp_path), "--episodes", "3"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit):
        run(script.main)
    assert "model.zip holds pickled Python" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*words, "--trust"])
    run(script.main)
    assert (tmp_path / "evaluation.json").exists()


def test_a_module_that_a_folder_names_is_imported_on_trust_alone(tmp_path: Path) -> None:
    train(small_run(tmp_path / "run", steps=16))
    arrays, stored = load_arrays(tmp_path / "run" / PARAMS)
    stored["about"]["env"] = "own_world:SlateMDP-v0"
    save_arrays(tmp_path / "run" / PARAMS, arrays, stored)
    write_done(tmp_path / "run", 16)
    for action in (
        lambda: script.main(tmp_path / "run"),
        lambda: score_run(tmp_path / "run", 3, 0),
        lambda: Run.load(tmp_path / "run"),
        lambda: render.main(out=tmp_path / "film.gif", agent=tmp_path / "run"),
    ):
        with pytest.raises(RecGymError, match="'own_world:SlateMDP-v0' is of a module, which"):
            action()
    assert "own_world" not in sys.modules
