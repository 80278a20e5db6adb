from __future__ import annotations

import json
import os
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym.files import load_arrays, read_json
from recgym_agents.networks import compiled_scan
from recgym_agents.runs import training
from recgym_agents.runs.evaluation import make_vector_env, run_episodes
from recgym_agents.runs.run_metrics import describe_end
from recgym_agents.runs.saved_agents import PARAMS, load_agent
from recgym_agents.runs.training import CHECKPOINT, DONE, METRICS, TrainConfig, train
from tests.fixtures.killed_runs import train_until_killed
from tests.small_world import random_user_model
from tests.stand_in_device import StandInDevice


class Stop(Exception):
    """What a test stops a training with."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    random_user_model().save(folder)
    return str(folder)


def config(model: str, out: Path, **changes: Any) -> TrainConfig:
    small = TrainConfig(
        env="RecGAN-v0",
        agent="cascading-dqn",
        steps=400,
        seed=3,
        out=str(out),
        env_args={"user_model": model, "slate_size": 3, "horizon": 5},
        agent_args={"hidden": [8], "target_period": 7},
        loop_args={"num_envs": 8, "warm_up": 40, "batch_size": 16, "updates": 1, "capacity": 150},
        reports=10,
        validation_episodes=10,
        compile="never",
    )
    return replace(small, **changes)


def assert_same_run(one: Path, other: Path) -> None:
    """Both runs are done, with the same parameters, bit for bit, and the same metrics."""
    assert (one / DONE).exists()
    assert (other / DONE).exists()
    ours, theirs = load_arrays(one / PARAMS), load_arrays(other / PARAMS)
    assert ours[1] == theirs[1]
    assert ours[0].keys() == theirs[0].keys()
    for name, array in ours[0].items():
        np.testing.assert_array_equal(array, theirs[0][name])
    assert (one / METRICS).read_text() == (other / METRICS).read_text()


def stop_at(step: int) -> training.Watch:
    def watch(steps_done: int, metrics: dict[str, float]) -> None:
        if steps_done >= step:
            raise Stop

    return watch


@pytest.fixture(scope="module")
def whole(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    out = tmp_path_factory.mktemp("whole")
    train(config(model, out))
    return out


def test_a_run_leaves_what_it_should(whole: Path, model: str) -> None:
    lines = [json.loads(line) for line in (whole / METRICS).read_text().splitlines()]
    assert [line["steps"] for line in lines] == list(range(40, 401, 40))
    assert lines[-1]["updates"] == (400 - 40) // 8 + 1
    assert {"loss", "q", "reward", "click_rate", "explore", "validation_reward"} <= set(lines[-1])
    assert list(whole.glob("events.out.tfevents.*"))
    assert (whole / CHECKPOINT).exists()
    assert read_json(whole / "config.json")["agent_args"] == {"hidden": [8], "target_period": 7}
    agent, about = load_agent(whole)
    assert about["env_args"]["user_model"] == model
    assert agent.spec.slate_size == 3


def test_the_same_seed_gives_the_same_run(whole: Path, model: str, tmp_path: Path) -> None:
    train(config(model, tmp_path))
    assert_same_run(whole, tmp_path)
    train(config(model, tmp_path / "other", seed=4))
    assert (whole / METRICS).read_text() != (tmp_path / "other" / METRICS).read_text()


@pytest.mark.parametrize("step", [8, 104, 120, 392])
def test_a_stopped_run_ends_as_one_that_was_not(
    step: int, whole: Path, model: str, tmp_path: Path
) -> None:
    with pytest.raises(Stop):
        train(config(model, tmp_path), stop_at(step))
    assert not (tmp_path / DONE).exists()
    with open(tmp_path / METRICS, "a", encoding="utf-8") as file:
        file.write('{"half a li')
    train(config(model, tmp_path))
    assert_same_run(whole, tmp_path)


@pytest.mark.parametrize("agent", ["additive-dqn", "popularity"])
def test_other_agents_resume_too(agent: str, model: str, tmp_path: Path) -> None:
    settings = {"agent": agent, "agent_args": {}, "loop_args": {"num_envs": 8, "warm_up": 80}}
    train(config(model, tmp_path / "whole", **settings))
    with pytest.raises(Stop):
        train(config(model, tmp_path / "stopped", **settings), stop_at(232))
    train(config(model, tmp_path / "stopped", **settings))
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


LUCK = random.Random(5)


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("step", 5 * LUCK.randrange(2, 9) + LUCK.randrange(1, 5)),  # between two checkpoints
        ("step", 5 * LUCK.randrange(2, 9)),  # just before one
        ("checkpoint", LUCK.randrange(2, 10)),
    ],
)
def test_a_killed_run_ends_as_one_that_was_not(
    where: str, count: int, whole: Path, model: str, tmp_path: Path
) -> None:
    train_until_killed(config(model, tmp_path), where, count)
    assert (tmp_path / CHECKPOINT).exists()
    assert not (tmp_path / DONE).exists()
    train(config(model, tmp_path))
    assert_same_run(whole, tmp_path)


def test_the_best_policy_is_kept(model: str, tmp_path: Path) -> None:
    """With a huge step size policies jump about; the one that is kept must be the best one seen."""
    wild = config(model, tmp_path, agent_args={"learning_rate": 0.5})
    train(wild)
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    rewards = [line["validation_reward"] for line in lines]
    assert rewards[-1] < max(rewards)
    seed = int(np.random.SeedSequence(wild.seed).generate_state(4)[3])
    agent, _ = load_agent(tmp_path)
    env = make_vector_env(wild.env, wild.env_args, 10, "next-step")
    again = run_episodes(agent, env, 10, seed)
    assert again.reward.mean() == pytest.approx(max(rewards))


def test_a_folder_with_another_run_is_refused(whole: Path, model: str) -> None:
    with pytest.raises(RecGymError, match="holds a run with seed=3, not 4"):
        train(config(model, whole, seed=4))


def test_settings_are_compared_as_json(tmp_path: Path) -> None:
    """A tuple is kept as a list: the same call finds the run that it began."""
    drawn = {"sensitivity": ("uniform", 0.01, 0.02), "horizon": 2}
    settings = TrainConfig("LongTermSatisfaction-v0", "random", 0, 0, str(tmp_path / "run"), drawn)
    settings = replace(settings, validation_episodes=2)
    for _ in range(2):
        train(settings)
    with pytest.raises(RecGymError, match=r"holds a run with env_args=.*0\.02.*, not .*0\.03"):
        train(replace(settings, env_args=drawn | {"sensitivity": ("uniform", 0.01, 0.03)}))
    strange = replace(settings, env_args={"sensitivity": np.float32(1)}, out=str(tmp_path / "no"))
    with pytest.raises(RecGymError, match="must be plain JSON: Object of type float32"):
        train(strange)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("step", [100, 400])
def test_a_run_with_a_user_model_that_was_refitted_since_is_refused(
    step: int, tmp_path: Path
) -> None:
    random_user_model().save(tmp_path / "model")
    settings = config(str(tmp_path / "model"), tmp_path / "run", validation_episodes=0)
    with pytest.raises(Stop):
        train(settings, stop_at(step))
    model = random_user_model(seed=0)
    other = random_user_model(seed=1).members
    replace(model, members=other).save(tmp_path / "model")
    with pytest.raises(RecGymError, match="holds a run with user model='[0-9a-f]{64}', not '"):
        train(settings)
    model.save(tmp_path / "model")
    train(settings)


def test_a_file_and_a_strange_folder_are_refused(model: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecGymError, match="file: is a file"):
        train(config(model, tmp_path / "file"))
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(RecGymError, match=r"config\.json: not the configuration of a run"):
        train(config(model, tmp_path))


def test_metrics_that_were_cut_are_refused(model: str, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(config(model, tmp_path), stop_at(100))
    os.truncate(tmp_path / METRICS, 10)
    with pytest.raises(RecGymError, match=r"metrics\.jsonl: 10 bytes, the checkpoint was written"):
        train(config(model, tmp_path))
    assert (tmp_path / METRICS).stat().st_size == 10


def test_a_script_says_what_the_system_refused_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["script"])
    from recgym_agents.commands.command_line import run

    def main() -> None:
        (tmp_path / "none" / "file").write_text("")

    with pytest.raises(SystemExit) as stopped:
        run(main)
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "No such file" in lines[0]


def test_the_interval_over_a_single_user_is_null(whole: Path) -> None:
    from recgym_agents.commands import evaluate as command

    command.main(whole, episodes=1, out=whole.parent / "evaluation.json")
    text = (whole.parent / "evaluation.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["reward_per_step"]["low"] is None


def test_a_finished_run_is_left_alone(whole: Path, model: str) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in whole.iterdir()}
    train(config(model, whole))
    assert {path.name: path.stat().st_mtime_ns for path in whole.iterdir()} == before


def test_a_diverging_run_stops_and_keeps_its_checkpoint(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cascade_loss(q: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        losses.append(0)
        return q.sum() * (float("nan") if len(losses) == 20 else 1.0)

    losses: list[int] = []
    monkeypatch.setattr("recgym_agents.algorithms.cascading_dqn.cascade_loss", cascade_loss)
    with pytest.raises(RecGymError, match="loss is nan at update 20, step 192"):
        train(config(model, tmp_path))
    _, info = load_arrays(tmp_path / CHECKPOINT)
    assert info["loop"]["steps_done"] == 160
    assert not (tmp_path / PARAMS).exists()


def test_an_altered_checkpoint_is_refused(model: str, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(config(model, tmp_path), stop_at(100))
    path = tmp_path / CHECKPOINT
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(RecGymError, match="checkpoint.safetensors: altered"):
        train(config(model, tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env": "Nowhere-v0"}, "environment 'Nowhere-v0'"),
        ({"env": "CartPole-v1"}, "not one of RecGym's"),
        ({"env_args": {"slates": 3}}, "unexpected keyword argument 'slates'"),
        ({"agent": "user-greedy-ensemble", "loop_args": {}}, None),
        ({"loop_args": {"update": 3}}, "loop: no setting 'update'"),
        ({"loop_args": {"capacity": 0}}, "capacity=0: must be at least 1"),
        ({"agent": "random", "agent_args": {}, "loop_args": {"updates": 2}}, "has no loop_args"),
        (
            {"agent": "popularity", "agent_args": {}, "loop_args": {}, "compile": "always"},
            "this agent scans no candidates",
        ),
        ({"agent_args": {"discount": 1.5}}, "discount=1.5: must be in 0..1"),
        ({"steps": -1}, "steps=-1"),
        ({"seed": -1}, "seed=-1"),
        ({"reports": 0}, "reports=0"),
        ({"validation_episodes": -1}, "validation_episodes=-1"),
        *(
            ({"env_args": {name: 1}}, f"environment argument '{name}'")
            for name in ("autoreset_mode", "view", "num_envs", "backend", "vector_kwargs")
        ),
    ],
)
def test_wrong_settings_leave_nothing_behind(
    changes: dict[str, Any], message: str | None, model: str, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    if message is None:
        random_user_model(bags=0).save(tmp_path / "model")
        changes = changes | {"env_args": {"user_model": str(tmp_path / "model")}, "agent_args": {}}
        message = "no bagged user model"
    with pytest.raises(RecGymError, match=message):
        train(config(model, out, **changes))
    assert not out.exists()


def test_without_a_compiler_auto_goes_on_and_always_says_so(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compiled_score() -> None:
        raise RecGymError("compile: torch.compile does not work here (no g++)")

    monkeypatch.setattr(compiled_scan, "compiled_score", compiled_score)
    monkeypatch.setattr(compiled_scan, "WORTH_COMPILING", 1.0)
    train(config(model, tmp_path / "auto", agent="cascading-dqn-paper", compile="auto", steps=48))
    with pytest.raises(RecGymError, match="does not work here"):
        train(
            config(
                model, tmp_path / "always", agent="cascading-dqn-paper", compile="always", steps=48
            )
        )
    assert not (tmp_path / "always").exists()


def test_nothing_is_compiled_for_another_device(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_scan, "WORTH_COMPILING", 1.0)
    monkeypatch.setattr(compiled_scan, "compiled_score", lambda: pytest.fail("compiled"))
    with StandInDevice():
        train(
            config(
                model,
                tmp_path,
                agent="cascading-dqn-paper",
                compile="auto",
                steps=48,
                device="cuda",
            )
        )


def test_there_is_nothing_to_say_of_how_a_run_ended_that_learned_nothing(
    model: str, tmp_path: Path
) -> None:
    idle = config(model, tmp_path, agent="user-greedy", agent_args={}, loop_args={})
    train(replace(idle, compile="auto"))
    assert describe_end(tmp_path, idle.steps) == []


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[" * 990 + "]" * 990, "[" * 20_000 + "]" * 20_000, "1" * 5_000]
)
def test_settings_that_no_message_could_show_are_one_line(
    text: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(repository / "scripts")
    from recgym_agents.commands.train import settings

    with pytest.raises(RecGymError, match="setting hidden: ") as caught:
        settings((f"hidden={text}",))
    assert "\n" not in str(caught.value)
