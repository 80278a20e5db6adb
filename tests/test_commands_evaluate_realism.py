"""recgym evaluate --realism from the command line: its page, and its errors."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from recgym.users import FittedUserModel
from recgym.users.fitting import fit_user_model
from recgym_agents.commands import evaluate
from recgym_agents.commands.command_line import run
from recgym_agents.runs.policy_panel import PANEL
from tests.fixtures.user_logs import CONFIG, FIT, small_dataset


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A prepared log, and a user model of it."""
    place = tmp_path_factory.mktemp("realism")
    log = small_dataset()
    log.save(place / "data")
    fit_user_model(log, CONFIG, FIT).save(place / "model")
    return place / "data", place / "model"


def evaluated(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["recgym evaluate", *arguments])
    run(evaluate.main)


def test_it_writes_a_page_and_prints_its_numbers(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch, capsys
) -> None:
    data, model = folders
    given = ["--realism", str(model), "--data", str(data), "--out", str(tmp_path / "page")]
    evaluated(monkeypatch, *given, "--episodes", "6")
    printed = capsys.readouterr().out
    numbers = json.loads((tmp_path / "page" / "realism.json").read_text())
    assert f"{numbers['calibration_error']:.4f}" in printed
    assert f"{numbers['panel_tau_identified']:.4f}" in printed
    assert set(numbers["panel"]) == set(PANEL)
    page = (tmp_path / "page" / "realism.html").read_text()
    assert "How real is the user model model?" in page
    assert "played in RecGAN-v0 twice" in page


def test_a_model_without_test_users_is_reported_without_a_panel(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch, capsys
) -> None:
    model = FittedUserModel.load(folders[1])
    replace(model, members={"train": model.members["train"]}).save(tmp_path / "alone")
    given = ["--realism", str(tmp_path / "alone"), "--data", str(folders[0])]
    evaluated(monkeypatch, *given, "--out", str(tmp_path / "page"))
    assert "note: no panel of policies: the user model has no member" in capsys.readouterr().out
    assert "panel" not in json.loads((tmp_path / "page" / "realism.json").read_text())
    assert "Not measured: the user model has no" in (tmp_path / "page/realism.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--realism", "MODEL"], "add --data"),
        (["AGENT", "--realism", "MODEL", "--data", "DATA"], "leave out FOLDER"),
        (["--realism", "nothing-here", "--data", "DATA"], "nothing-here"),
        (["--realism", "MODEL", "--data", "nowhere"], "nowhere: no prepared data here"),
        (["--realism", "MODEL", "--data", "DATA", "--out", "FILE"], "names a folder"),
        (["--realism", "MODEL", "--data", "DATA", "--episodes", "0"], "episodes=0: must be at"),
        (["--realism", "MODEL", "--data", "DATA", "--seed", "-1"], "seed=-1: must be at least 0"),
        (["AGENT", "--data", "DATA"], "--data: goes with --realism"),
        ([], "name the folder of an agent"),
    ],
)
def test_what_is_missing_or_too_much_is_one_line(
    arguments: list[str],
    message: str,
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch,
    capsys,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    places = {"DATA": str(folders[0]), "MODEL": str(folders[1]), "FILE": "file"}
    with pytest.raises(SystemExit):
        evaluated(monkeypatch, *(places.get(word, word) for word in arguments))
    said = capsys.readouterr().err.strip()
    assert message in said
    assert len(said.splitlines()) == 1
