"""``recgym train`` and ``recgym recommend`` on a small world."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from recgym.errors import RecGymError
from recgym.files import read_json
from recgym_agents import AGENTS, Run
from recgym_agents.commands.command_line import main
from recgym_agents.commands.train import seeds_in
from recgym_agents.runs.parallel_training import train_all
from recgym_agents.runs.run_folder import TrainConfig
from tests.small_world import random_user_model

SMALL = ["--env", "RecGAN-v0", "--slate-size", "3", "--steps", "64", "--reports", "2"]
SMALL += ["--validation-episodes", "10", "--env-args", "window=3", "horizon=4"]
SMALL += ["--loop-args", "num_envs=8", "warm_up=16", "batch_size=8", "updates=1"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    random_user_model().save(folder)
    return str(folder)


def recgym(*words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["recgym", *words])
    monkeypatch.setattr(sys, "path", [*sys.path])
    main()


@pytest.mark.parametrize(
    ("text", "seeds"), [("0..4", [0, 1, 2, 3, 4]), ("7", [7]), ("3,0,7", [3, 0, 7]), ("2..2", [2])]
)
def test_seeds_are_read(text: str, seeds: list[int]) -> None:
    assert seeds_in(text) == seeds


@pytest.mark.parametrize("text", ["", "4..0", "0..", "a", "0,", "1,1", "-1", "0..2,5", "1.5"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(RecGymError, match="--seeds"):
        seeds_in(text)


def test_several_seeds_are_as_many_runs_that_each_would_be_alone(
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In processes of their own, and through ``module:id``."""
    words = ["train", *SMALL, "--user-model", model, "--agent", "popularity"]
    recgym(*words, "--seeds", "0..1", "--out", str(tmp_path / "all"), monkeypatch=monkeypatch)
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(";")[0] for line in printed] == [
        str(tmp_path / "all" / seed) for seed in ("0", "1")
    ]
    recgym(*words, "--seed", "1", "--out", str(tmp_path / "one"), monkeypatch=monkeypatch)
    alone, among = Run.load(tmp_path / "one"), Run.load(tmp_path / "all" / "1")
    assert alone.metrics == among.metrics
    assert alone.recommend([4]) == among.recommend([4])


def test_a_run_that_fails_is_named_and_the_others_are_finished(tmp_path: Path) -> None:
    good = TrainConfig("SlateMDP-v0", "random", 0, 0, str(tmp_path / "good"), validation_episodes=0)
    bad = replace(good, out=str(tmp_path / "bad"), agent_args={"nothing": 1})
    failed = train_all([bad, good], jobs=1, threads=1, watch=lambda *ignored: None)
    assert list(failed) == [0]
    assert "no setting 'nothing'" in failed[0]
    assert (tmp_path / "good" / "DONE").exists()
    with pytest.raises(RecGymError, match="jobs=0"):
        train_all([good], jobs=0, threads=1, watch=lambda *ignored: None)
    with pytest.raises(RecGymError, match="threads=-1"):
        train_all([good], jobs=1, threads=-1, watch=lambda *ignored: None)


@pytest.mark.parametrize("wrong", [("--threads", "0"), ("--jobs", "0")])
def test_several_runs_need_a_process_and_a_thread(
    wrong: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--env", "SlateMDP-v0", "--agent", "random", "--steps", "1"]
    with pytest.raises(SystemExit):
        recgym(*words, "--seeds", "0..1", *wrong, monkeypatch=monkeypatch)
    assert capsys.readouterr().err == f"error: {wrong[0][2:]}=0: must be at least 1\n"


@pytest.mark.parametrize("name", ["jobs", "threads"])
def test_no_jobs_or_threads_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", *SMALL[:2], "--agent", "random", "--steps", "0", "--seeds", "0..1"]
    with pytest.raises(SystemExit):
        recgym(*words, "--out", str(tmp_path), f"--{name}", "0", monkeypatch=monkeypatch)
    assert capsys.readouterr().err == f"error: {name}=0: must be at least 1\n"


def test_a_process_leaves_ctrl_c_to_the_one_that_started_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent of a module of one's own sends it as it is built."""
    (tmp_path / "pressing.py").write_text(
        "import os, signal\n"
        "from recgym_agents import AGENTS, register\n"
        "row = AGENTS.find('random')\n"
        "def build(config, spec, seed):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return row.builder(config, spec, seed)\n"
        "register('pressing', build, row.config, row.loop)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    config = TrainConfig("SlateMDP-v0", "pressing:pressing", 0, 0, str(tmp_path / "run"))
    assert train_all([config], jobs=1, threads=1, watch=lambda *ignored: None) == {}


def test_a_process_that_is_killed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent of a module of one's own ends its process as it is built."""
    (tmp_path / "deadly.py").write_text(
        "import os\n"
        "from dataclasses import dataclass\n"
        "from recgym_agents import register\n"
        "@dataclass(frozen=True)\n"
        "class Config:\n"
        "    pass\n"
        "register('deadly', lambda config, spec, seed: os._exit(3), Config(), None)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    config = TrainConfig("SlateMDP-v0", "deadly:deadly", 0, 0, str(tmp_path / "run"))
    failed = train_all([config], jobs=1, threads=1, watch=lambda *ignored: None)
    assert failed == {0: "its process ended with exit code 3"}


def test_help_names_every_agent_and_what_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        recgym("train", "--help", monkeypatch=monkeypatch)
    assert stopped.value.code == 0
    text = " ".join(word for word in capsys.readouterr().out.split() if word != "│")
    for name in AGENTS:
        assert f"{name}: {AGENTS.find(name).about}" in text


def test_lists_are_read_as_settings(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", *SMALL[:-5], "--user-model", model, "--agent", "sb3-a2c", "--out"]
    settings = ["--agent-args", "hidden=[16,8]", "num_envs=8"]
    recgym(*words, str(tmp_path / "run"), *settings, monkeypatch=monkeypatch)
    assert read_json(tmp_path / "run" / "config.json")["agent_args"]["hidden"] == [16, 8]


def test_a_slate_is_printed_and_with_data_its_ids_and_titles(
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import numpy as np

    from recgym.data import Catalog, Dataset, Sessions

    out, data = str(tmp_path / "run"), str(tmp_path / "data")
    words = ["train", *SMALL, "--user-model", model, "--agent", "popularity", "--out", out]
    recgym(*words, monkeypatch=monkeypatch)
    capsys.readouterr()
    recgym("recommend", out, "4", "9", monkeypatch=monkeypatch)
    slate = [int(line) for line in capsys.readouterr().out.split()]
    assert slate == Run.load(out).recommend([4, 9])

    zeros = np.zeros(1, np.int64)
    sessions = Sessions(
        user=zeros,
        session=zeros,
        step=zeros,
        slate_offsets=np.array([0, 2]),
        slate_items=np.array([0, 1]),
        click=zeros,
        item=zeros,
        reward=np.ones(1, np.float32),
    )
    ids = tuple(f"sku-{row}" for row in range(30))
    titles = tuple(f"Title {row}" for row in range(30))
    catalog = Catalog(ids, titles, np.zeros((30, 0), np.float32), ())
    info = {"name": "small", "licence": "none", "sha256": "0", "no_click": True}
    split = np.zeros(1, np.int8)
    Dataset(sessions, catalog, split, info | {"repeat_clicks": True}).save(data)
    recgym("recommend", out, "sku-4", "sku-9", "--data", data, monkeypatch=monkeypatch)
    expected = [f"{row}\tsku-{row}\tTitle {row}" for row in slate]
    assert capsys.readouterr().out.splitlines() == expected
    for words, message in (
        (["4", "--data", data], "item 4: not in "),
        (["31"], "item 31 is not in 0..29"),
        (["sku-4"], "item sku-4: must be a whole number"),
    ):
        with pytest.raises(SystemExit):
            recgym("recommend", out, *words, monkeypatch=monkeypatch)
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line


def test_the_validation_is_shown_while_it_trains(model: str, tmp_path: Path) -> None:
    """What is watched has the score of the last validation from the first one on."""
    from recgym_agents.runs.training import train

    world = {"user_model": model, "slate_size": 3, "window": 3, "horizon": 4}
    seen: list[dict[str, float]] = []
    config = TrainConfig("RecGAN-v0", "popularity", 64, 0, str(tmp_path), world, reports=2)
    config = replace(config, validation_episodes=10, loop_args={"num_envs": 16})
    train(config, lambda steps, metrics: seen.append(metrics))
    first = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    shown = [metrics.get("validation_session_reward") for metrics in seen]
    assert shown == [None, None, *[first["validation_session_reward"]] * 2]
