"""``recgym render``: an agent, or random slates, as a film."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym_agents.commands import render
from recgym_agents.commands.command_line import main
from recgym_agents.runs.run import train
from tests.small_world import random_user_model

WORLD = {"slate_size": 3, "window": 3, "horizon": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ``popularity`` in a small world."""
    model, out = tmp_path_factory.mktemp("model"), tmp_path_factory.mktemp("run")
    random_user_model().save(model)
    world = WORLD | {"user_model": str(model)}
    quick: dict[str, Any] = {"steps": 64, "validation_episodes": 0, "progress": False}
    return train("popularity", "RecGAN-v0", out=out / "it", env_args=world, **quick).folder


def recgym(*words: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["recgym", "render", *map(str, words)])
    monkeypatch.setattr(sys, "path", [*sys.path])
    main()


def test_a_film_has_a_frame_at_the_reset_and_one_after_each_step(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = pytest.importorskip("PIL.Image")
    out = tmp_path / "film.gif"
    recgym("--agent", folder, "--out", out, "--steps", 2, monkeypatch=monkeypatch)
    assert capsys.readouterr().out == f"{out}: 3 frames\n"
    assert image.open(out).n_frames == 3
    recgym("SlateMDP-v0", "--out", out, "--steps", 1, monkeypatch=monkeypatch)
    assert image.open(out).n_frames == 2


def test_the_agent_acts_in_the_world_of_its_training_but_for_what_is_changed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filmed: list[tuple[str, dict[str, Any], Any]] = []

    def render_episode(env: str, env_args: Any, act: Any, out: Path, **how: Any) -> int:
        filmed.append((env, env_args, act))
        return 1

    monkeypatch.setattr(render, "render_episode", render_episode)
    words = ("--agent", folder, "--out", tmp_path / "film.gif", "--split", "test")
    recgym(*words, "--titles", "movielens", monkeypatch=monkeypatch)
    ((env, env_args, act),) = filmed
    assert env == "RecGAN-v0"
    changed = {"split": "test", "observe": "items", "titles": "movielens"}
    assert {name: env_args[name] for name in (*WORLD, *changed)} == WORLD | changed
    assert act(np.array([30, 30, 4])).shape == (3,)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["SlateMDP-v0", "--out", "film.png"], "film.png: must end in .gif or .mp4"),
        (["--out", "film.gif"], "no environment: name its id, or an agent with --agent"),
        (["CartPole-v1", "--out", "film.gif"], "'CartPole-v1': not one of RecGym's"),
        (["SlateMDP-v0", "--out", "."], ".: is a folder; --out names a file"),
        (["SlateMDP-v0", "--out", "a.gif", "--env-args", "slates=2"], "'slates'"),
        (["SlateMDP-v0", "--out", "a.gif", "--env-args", "view=scores"], "'view'"),
        (["SlateMDP-v0", "--out", "a.gif", "--agent", "RUN"], "the agent was trained for"),
    ],
)
def test_what_cannot_be_filmed_is_one_line(
    words: list[str],
    message: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        recgym(*(folder if word == "RUN" else word for word in words), monkeypatch=monkeypatch)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())
