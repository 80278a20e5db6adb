"""recgym fit from the command line: its files, its table, and its errors."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from recgym.data import Catalog, Dataset, Sessions
from recgym.users import FittedUserModel, RecurrentUserConfig, agreement_of
from recgym.users.likelihood import FitConfig
from recgym.users.meta import MetaUserConfig
from recgym.users.presets import RECURRENT_PRESETS
from recgym_agents.commands import fit
from recgym_agents.commands.command_line import run


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Users who click the lowest id; a tenth of pages have no click."""
    rng = np.random.default_rng(0)
    users, pages, size, n_items = 16, 10, 4, 12
    slates = np.stack([rng.permutation(n_items)[:size] for _ in range(users * pages)])
    click = np.where(rng.random(len(slates)) < 0.1, -1, slates.argmin(1))
    item = np.where(click >= 0, slates[np.arange(len(slates)), click], -1)
    user = np.repeat(np.arange(users), pages)
    sessions = Sessions(
        user=user,
        session=user,
        step=np.tile(np.arange(pages), users),
        slate_offsets=np.arange(len(slates) + 1) * size,
        slate_items=slates.reshape(-1),
        click=click,
        item=item,
        reward=(click >= 0).astype(np.float32),
    )
    ids = tuple(str(i) for i in range(n_items))
    catalog = Catalog(ids, None, np.zeros((n_items, 0), np.float32), ())
    info = {"name": "low", "licence": "none", "sha256": "0", "no_click": True}
    split = (np.arange(users) % 4).clip(0, 2).astype(np.int8)
    folder = tmp_path / "data"
    Dataset(sessions, catalog, split, info | {"repeat_clicks": True}).save(folder)
    return folder


def test_it_writes_a_model_and_prints_its_scores(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    out = tmp_path / "user"
    arguments = ["--data", str(prepared), "--out", str(out), "--epochs", "2", "--bags", "1"]
    monkeypatch.setattr(sys, "argv", ["recgym fit", *arguments, "--hidden", "8", "8"])
    run(fit.main)
    printed = capsys.readouterr().out
    scores = json.loads((out / "scores.json").read_text())
    for key in ("log_likelihood", "precision_at_1", "precision_at_2"):
        assert f"{scores[key]:.3f}" in printed
        assert key in scores["floors"]["random"]
        assert key in scores["floors"]["item_ctr"]
    model = FittedUserModel.load(out)
    found = scores["agreement"]
    assert f"training and test users: levels {found['levels']:.2f}, items" in printed
    assert asdict(agreement_of(model)) == pytest.approx(found, abs=0.05)
    assert f"what the log fixes: {model.info['identified']}\n" in printed
    assert "differences of rewards between items, and from pages" in model.info["identified"]
    assert model.config.hidden == (8, 8)
    assert model.bags == ("bag0",)
    assert model.info["command"].startswith("recgym fit --data")


def test_a_meta_level_model_has_its_own_settings_and_scores(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    arguments = ["--data", str(prepared), "--model", "m3rec", "--epochs", "1", "--rounds", "1"]
    arguments += ["--context", "3", "--units", "8", "--hidden", "8", "--no-test-users"]
    monkeypatch.setattr(sys, "argv", ["recgym fit", *arguments, "--out", str(tmp_path / "a")])
    run(fit.main)
    model = FittedUserModel.load(tmp_path / "a")
    assert isinstance(model.config, MetaUserConfig)
    assert (model.config.context, model.config.units, model.config.hidden) == (3, 8, (8,))
    assert len(model.scores["adversary"]["train"]) == 1
    assert f"{model.scores['log_likelihood']:.3f}" in capsys.readouterr().out
    for extra, message in [
        (["--model", "gan-pw", "--rounds", "1"], "--rounds: no setting of --model gan-pw"),
        (["--model", "gan-pw", "--context", "3"], "--context: no setting of --model gan-pw"),
        (["--model", "m3rec", "--rounds", "-1"], "rounds=-1: must be at least 0"),
    ]:
        given = ["fit.py", "--data", str(prepared), "--out", str(tmp_path / "b"), *extra]
        monkeypatch.setattr(sys, "argv", given)
        with pytest.raises(SystemExit) as stop:
            run(fit.main)
        assert stop.value.code == 2
        assert message in capsys.readouterr().err


def test_a_recurrent_model_has_its_own_settings_and_scores(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    arguments = ["--data", str(prepared), "--model", "irecgan-gru", "--epochs", "2"]
    arguments += ["--units", "8", "--layers", "1", "--reward", "expectation"]
    monkeypatch.setattr(sys, "argv", ["recgym fit", *arguments, "--out", str(tmp_path / "a")])
    run(fit.main)
    printed = capsys.readouterr().out
    model = FittedUserModel.load(tmp_path / "a")
    config = model.config
    assert isinstance(config, RecurrentUserConfig)
    assert (config.cell, config.units, config.layers) == ("gru", 8, 1)
    assert (config.reward, config.outside) == ("expectation", "no_click")
    assert f"{model.scores['reward_log_likelihood']:.3f}" in printed
    out = tmp_path / "b"
    for extra, message in [
        (["--eta", "2"], "--eta: no setting of --model irecgan-gru"),
        (["--similarity"], "--similarity: no setting of --model irecgan-gru"),
        (["--regularizer", "l2"], "--regularizer: no setting"),
    ]:
        monkeypatch.setattr(sys, "argv", ["fit.py", *arguments, "--out", str(out), *extra])
        with pytest.raises(SystemExit) as stop:
            run(fit.main)
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
    again = ["--data", str(prepared), "--compare", str(tmp_path / "a"), "--out", str(out)]
    for model_name, outcome in [("gan-pw", "another kind"), ("irecgan-gru", "apart")]:
        chosen = ["--model", model_name, "--epochs", "1", "--units", "8"]
        monkeypatch.setattr(sys, "argv", ["fit.py", *again, *chosen])
        with pytest.raises(SystemExit):
            run(fit.main)
        assert outcome in capsys.readouterr().err
    assert not out.exists()
    monkeypatch.setattr(sys, "argv", ["fit.py", *arguments, *again[2:]])
    run(fit.main)
    assert out.exists()


@pytest.mark.parametrize("model", ["gan-lstm", "m3rec"])
def test_users_may_like_what_is_like_their_clicks(
    model: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--data", str(prepared), "--model", model, "--epochs", "1", "--similarity"]
    arguments += ["--rounds", "0"] if model == "m3rec" else []
    monkeypatch.setattr(sys, "argv", ["recgym fit", *arguments, "--out", str(tmp_path / "a")])
    run(fit.main)
    fitted = FittedUserModel.load(tmp_path / "a")
    assert fitted.config.summary.endswith(", similarity")
    moved = [params["similarity.weight"] for params in fitted.members.values()]
    assert all((weight != 0.0).any() for weight in moved)
    env = gymnasium.make(
        "RecGAN-v0" if model == "gan-lstm" else "M3Rec-v0", user_model=tmp_path / "a", slate_size=2
    )
    env.reset(seed=0)
    assert np.isfinite(env.step(np.arange(2))[1])


@pytest.mark.parametrize(("margin", "static"), [(1e9, ("train", "test")), (-1e9, ())])
def test_a_fit_that_ends_at_its_start_says_that_it_reads_no_clicks(
    margin: float,
    static: tuple[str, ...],
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys,
) -> None:
    given = RecurrentUserConfig(units=8), FitConfig(margin=margin, static_ridges=(1.0,))
    monkeypatch.setitem(RECURRENT_PRESETS, "low", given)
    arguments = ["--data", str(prepared), "--model", "irecgan-lstm", "--out", str(tmp_path / "a")]
    monkeypatch.setattr(sys, "argv", ["fit.py", *arguments, "--epochs", "1"])
    run(fit.main)
    model = FittedUserModel.load(tmp_path / "a")
    assert model.info["reads_clicks"] == {name: name not in static for name in ("train", "test")}
    for name, params in model.members.items():
        assert (params["click.weight"] == 0.0).all() == (name in static)
    said = "tells nothing in validation, and is not read: train, test" in capsys.readouterr().out
    assert said == bool(static)


def test_what_cannot_be_fitted_is_one_line_and_writes_nothing(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    before = sorted(path.name for path in prepared.iterdir())
    (tmp_path / "file").touch()
    out = ["--out", str(tmp_path / "a")]
    recurrent = [*out, "--model", "irecgan-lstm"]
    for extra, message in [
        ([*out, "--epochs", "0"], "epochs=0: must be at least 1"),
        ([*out, "--seed", "-1"], "seed=-1: must be at least 0"),
        ([*out, "--threads", "0"], "threads=0: must be in 1..1024"),
        ([*out, "--bags", "-1"], "bags=-1: must be in 0..1000"),
        ([*out, "--hidden", "0"], "hidden=0: must be in 1..8192"),
        ([*out, "--hidden", *["9"] * 65], "hidden layers=65: must be in 1..64"),
        ([*out, "--features", "-3"], "features=-3: must be in"),
        ([*out, "--window", "0"], "window=0: must be in"),
        ([*out, "--eta", "0"], "eta=0.0: must be at least"),
        ([*out, "--eta", "nan"], "eta=nan: must be at least"),
        ([*out, "--units", "0"], "units=0: must be in"),
        ([*recurrent, "--layers", "1000000000"], "layers=1000000000: must be in 1..64"),
        ([*recurrent, "--units", "8192"], "parameters is too large"),
        ([*recurrent, "--reward-weight", "-1"], "reward_weight=-1.0: must be at least 0"),
        ([*out, "--compare", str(tmp_path / "nowhere")], "nowhere: no user model here"),
        (["--out", str(tmp_path / "file")], "exists and is not a user model"),
        (["--out", str(prepared)], "exists and is not a user model; name another folder"),
        (["--out", str(tmp_path / "file" / "below")], "below: cannot be written"),
        (["--out", str(tmp_path / os.fsdecode(b"\xe9"))], "is not UTF-8"),
    ]:
        monkeypatch.setattr(sys, "argv", ["fit.py", "--data", str(prepared), *extra])
        with pytest.raises(SystemExit) as stop:
            run(fit.main)
        assert stop.value.code == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "a").exists()
    assert sorted(path.name for path in prepared.iterdir()) == before


def test_data_that_is_not_there_is_one_line_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    out = tmp_path / "user"
    arguments = ["--data", str(tmp_path / "nowhere"), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["recgym fit", *arguments])
    with pytest.raises(SystemExit) as stop:
        run(fit.main)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not out.exists()
