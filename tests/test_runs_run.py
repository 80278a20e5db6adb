"""Training in Python: the run that it leaves, and what can be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym.files import read_json
from recgym_agents import Run, evaluate, train
from recgym_agents.runs import training
from recgym_agents.runs.run import default_folder, world_of
from tests.small_world import random_user_model

QUICK: dict[str, Any] = {
    "steps": 80,
    "reports": 2,
    "validation_episodes": 10,
    "progress": False,
    "agent_args": {"hidden": [8]},
    "loop_args": {"num_envs": 8, "warm_up": 16, "batch_size": 8, "updates": 1},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    random_user_model().save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def world(model: str) -> dict[str, Any]:
    return {"user_model": model, "slate_size": 3, "window": 3, "horizon": 4}


@pytest.fixture(scope="module")
def run(world: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("run") / "dqn"
    return train("cascading-dqn", "recgym:RecGAN-v0", out=out, env_args=world, **QUICK)


def test_a_run_has_an_agent_a_folder_and_metrics(run: Run, world: dict[str, Any]) -> None:
    assert read_json(run.folder / "config.json") == run.config
    assert run.config["env_args"] == world
    assert [line["steps"] for line in run.metrics] == [40, 80]
    slate = run.recommend([4, 9])
    assert len(set(slate) - {4, 9}) == 3
    assert slate == run.agent.recommend([4, 9])


def test_printed_it_says_what_was_trained(run: Run) -> None:
    text = repr(run)
    assert text.startswith(f"Run({str(run.folder)!r}: agent={run.config['agent']!r}, env=")
    assert text.endswith(f"steps={run.config['steps']}, seed={run.config['seed']})")


def test_it_is_read_from_its_folder(run: Run) -> None:
    again = Run.load(run.folder)
    assert (again.folder, again.config, again.metrics) == (run.folder, run.config, run.metrics)
    assert again.recommend([1]) == run.recommend([1])
    with pytest.raises(RecGymError, match="no trained agent here; make one with recgym train"):
        Run.load(run.folder.parent)


def test_it_is_evaluated_where_it_trained_and_where_one_says(
    run: Run, world: dict[str, Any]
) -> None:
    for split in (None, "test"):
        found = run.evaluate(30, split=split, seed=3)
        given = world if split is None else world | {"split": split}
        expected = evaluate(run.agent, "RecGAN-v0", given, 30, seed=3)
        np.testing.assert_array_equal(found.reward, expected.reward)
    longer = run.evaluate(5, env_args={"horizon": 6})
    assert longer.steps.tolist() == [6] * 5
    with pytest.raises(RecGymError, match="slate_size=4, the agent was trained for 3"):
        run.evaluate(5, env_args={"slate_size": 4})


def test_an_evaluation_is_written_with_its_intervals(run: Run) -> None:
    found = run.evaluate(30)
    lines = str(found).splitlines()
    reward, click_rate, session_reward = found.estimates()
    assert (
        lines[0] == f"reward per step    {reward.mean:.4f} ({reward.low:.4f} .. {reward.high:.4f})"
    )
    assert lines[1].startswith(f"click rate         {click_rate.mean:.4f} (")
    assert lines[2].startswith(f"reward per session {session_reward.mean:.4f} (")
    assert str(run.evaluate(1)).splitlines()[0].endswith(f"{run.evaluate(1).reward[0]:.4f}")


def test_its_curves_are_those_of_its_metrics(run: Run) -> None:
    figure = run.plot()
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == [
        "reward a step, while training",
        "reward a step, in validation",
        "reward a session, in validation",
    ]
    curve = figure.axes[2].lines[0]
    rewards = [line["validation_session_reward"] for line in run.metrics]
    assert list(curve.get_xdata()) == [40, 80]
    assert list(curve.get_ydata()) == rewards
    kept = figure.axes[2].lines[1]
    assert kept.get_ydata() == max(rewards)
    assert figure.axes[0].get_legend_handles_labels()[1] == ["cascading-dqn"]


def test_a_finished_run_is_not_trained_again(run: Run, world: dict[str, Any]) -> None:
    before = (run.folder / "DONE").stat().st_mtime_ns
    again = train("cascading-dqn", "recgym:RecGAN-v0", out=run.folder, env_args=world, **QUICK)
    assert again.metrics == run.metrics
    assert (run.folder / "DONE").stat().st_mtime_ns == before


def test_a_run_without_a_folder_goes_below_runs(
    world: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = {"steps": 0, "validation_episodes": 0, "progress": False}
    run = train("random", "RecGAN-v0", seed=2, env_args=world, **small)
    assert run.folder == Path("runs/RecGAN-v0/random/2")
    assert default_folder("mine:World-v1", None, "mine:agent", 3) == Path("runs/World-v1/agent/3")
    assert default_folder(None, "data/shop/", "pgu", 0) == Path("runs/shop/pgu/0")


def test_threads_are_as_many_as_one_says_and_as_before_afterwards(
    world: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    true = training.train

    def spied(*arguments: Any) -> None:
        seen.append(torch.get_num_threads())
        true(*arguments)

    monkeypatch.setattr(training, "train", spied)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for threads in (1, 2):
            out = tmp_path / str(threads)
            settings = {"steps": 0, "progress": False, "threads": threads}
            train("random", "RecGAN-v0", out=out, env_args=world, **settings)
        assert seen == [1, 2]
        assert torch.get_num_threads() == 3
        with pytest.raises(RecGymError, match="threads=0: at least 1"):
            train("random", "RecGAN-v0", steps=0, threads=0, out=tmp_path)
    finally:
        torch.set_num_threads(before)


def test_the_world_of_an_evaluation() -> None:
    about = {"env": "RecGAN-v0", "env_args": {"slate_size": 3, "ensemble": 5}}
    here = Path("run")
    assert world_of(here, about, None, {}) == ("RecGAN-v0", about["env_args"])
    assert world_of(here, about, None, {"split": "test"})[1] == {"slate_size": 3, "split": "test"}
    assert world_of(here, about, "SlateMDP-v0", {"window": 2}) == ("SlateMDP-v0", {"window": 2})
    named = ("recgym:RecGAN-v0", about["env_args"])
    assert world_of(here, about, "recgym:RecGAN-v0", {}) == named
    with pytest.raises(RecGymError, match="run: learned from a log alone"):
        world_of(here, {"env": None, "env_args": {}}, None, {})


def test_settings_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'step'"):
        train("random", "RecGAN-v0", steps=1, step=1)  # type: ignore[call-arg]
    for env, message in (
        ("nowhere:RecGAN-v0", "environment 'nowhere:RecGAN-v0': No module named 'nowhere'"),
        ("recgym:Nowhere-v0", "environment 'recgym:Nowhere-v0': "),
        (":RecGAN", "environment ':RecGAN'"),
    ):
        with pytest.raises(RecGymError, match=message):
            train("random", env, steps=1, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("out", [None, "run"])
def test_settings_of_another_type_are_refused(
    out: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    world: Any = gymnasium.make("SlateMDP-v0")
    with pytest.raises(RecGymError, match=r"env=<.*> does not fit str \| None"):
        train("random", world, steps=0, out=out)
    many: Any = 1e3
    with pytest.raises(RecGymError, match=r"steps=1000\.0 does not fit int"):
        train("random", "SlateMDP-v0", steps=many, out=out)
    assert not list(tmp_path.iterdir())


def test_an_unfinished_training_is_called_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((run.folder / "config.json").read_bytes())
    with pytest.raises(RecGymError, match="its training has not finished; the same command"):
        Run.load(tmp_path)
