"""Networks learn on a GPU as on the CPU; where there is none, a stand-in keeps devices apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym.files import load_arrays, read_json, write_json
from recgym_agents.algorithms.irecgan import IRecGANConfig
from recgym_agents.commands import reproduce
from recgym_agents.commands import train as train_command
from recgym_agents.experiments.experiment import Budget, Place
from recgym_agents.experiments.irecgan.figure_2_runs import ADVERSARIAL, SMOKE, run_cell
from recgym_agents.experiments.runner import Outcome
from recgym_agents.runs import stable_baselines_training
from recgym_agents.runs.devices import on_device
from recgym_agents.runs.run_files import CONFIG, DONE
from recgym_agents.runs.saved_agents import PARAMS
from recgym_agents.runs.training import TrainConfig, train
from recgym_agents.zoo import AGENTS
from tests.fixtures.slate_mdp_runs import Stop, assert_same_run, config, random_log, stop_at
from tests.stand_in_device import StandInDevice

REPLAYED = ("cascading-dqn", "cascading-dqn-paper", "additive-dqn", "slateq", "slateq-sarsa")
EPISODIC = (
    *("reinforce", "reinforce-slate", "reinforce-is", "reinforce-top-k", "actor-critic"),
    *("irecgan", "pgu", "acu", "user-lstm", "user-lstm-d"),
)
SEQUENTIAL = ("logging", "lpi-rl", "ips-pg", "bcq", "rem", "decision-transformer")
QUICK = {"pretraining": 2, "discriminator_pretraining": 2, "rollouts": 2}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("log")
    random_log(60).save(folder)
    return str(folder)


def run(agent: str, schedule: str, changes: dict[str, Any], log: str, out: Path) -> TrainConfig:
    """A run of a few updates."""
    given = config(schedule, log, out, agent=agent, steps=150, reports=3)
    if agent in REPLAYED:
        loop_args = {"num_envs": 4, "warm_up": 40, "batch_size": 8, "updates": 1}
        agent_args = {"hidden": [6], "remove_clicked": False}
        return replace(given, log=None, loop_args=loop_args, agent_args=agent_args)
    if agent in SEQUENTIAL:
        return replace(given, agent_args={"size": 8, "remove_clicked": False} | changes)
    quick = QUICK if isinstance(AGENTS.find(agent).config, IRecGANConfig) else {}
    return replace(given, agent_args=given.agent_args | quick | changes)


RUNS = [(name, "online", {}) for name in REPLAYED]
RUNS += [(name, "offline", {}) for name in (*EPISODIC, *SEQUENTIAL)]
RUNS += [
    ("reinforce-is", "online-offline", {}),
    ("logging", "online", {"encoder": "gru", "sampled": 10}),
    ("reinforce", "online", {"log_probability": "slate", "advantage": "centred"}),
    ("irecgan", "online", {"outside": "no_click", "user_reward": "normal", "cell": "lstm"}),
]
each_run = pytest.mark.parametrize(("agent", "schedule", "changes"), RUNS)


@each_run
def test_a_run_is_the_same_on_another_device(
    agent: str, schedule: str, changes: dict[str, Any], log: str, tmp_path: Path
) -> None:
    on_cpu = run(agent, schedule, changes, log, tmp_path / "cpu")
    train(on_cpu)
    elsewhere = replace(on_cpu, out=str(tmp_path / "elsewhere"), device="cuda")
    with StandInDevice() as device:
        train_with_a_stop(elsewhere)
    assert device.calls > 1000
    assert_same_run(tmp_path / "cpu", tmp_path / "elsewhere")


@pytest.mark.parametrize("agent", [*EPISODIC, *SEQUENTIAL])
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
def test_what_is_learned_on_a_gpu_is_nearly_that_on_the_cpu(
    agent: str, log: str, tmp_path: Path
) -> None:
    on_cpu = run(agent, "offline", {}, log, tmp_path / "cpu")
    train(on_cpu)
    train(replace(on_cpu, out=str(tmp_path / "untrained"), steps=1, reports=1))
    train_with_a_stop(replace(on_cpu, out=str(tmp_path / "gpu"), device="cuda"))
    begun, ours, theirs = (
        load_arrays(tmp_path / name / PARAMS)[0] for name in ("untrained", "gpu", "cpu")
    )
    for name, array in ours.items():
        learned = np.linalg.norm(theirs[name] - begun[name])
        assert np.linalg.norm(array - theirs[name]) <= 0.1 * learned, name


def train_with_a_stop(settings: TrainConfig) -> None:
    """Trains, is stopped, and goes on."""
    with pytest.raises(Stop):
        train(settings, stop_at(4))
    train(settings)


def test_a_cell_of_figure_2_learns_where_its_budget_says(tmp_path: Path) -> None:
    cell = {"world": "paper", "log": "random", "sessions": 50, "seed": 0}
    cell |= {"training": ADVERSARIAL}
    place = Place(tmp_path, tmp_path, tmp_path / "cell")
    budget = SMOKE | {"pretraining": 1, "discriminator_pretraining": 1, "updates": 3}
    with StandInDevice() as device:
        found = run_cell(cell, budget | {"device": "cuda"}, place)
    assert device.calls > 1000
    assert found == run_cell(cell, budget, place)


def test_what_cannot_learn_there_is_refused(log: str, tmp_path: Path) -> None:
    nowhere = replace(run("reinforce", "offline", {}, log, tmp_path / "run"), device="nowhere")
    with pytest.raises(RecGymError, match="device='nowhere': torch cannot use it"):
        train(nowhere)
    with pytest.raises(RecGymError, match="device='nowhere': torch cannot use it"):
        train(replace(nowhere, agent="sb3-ppo", agent_args={}, loop_args={}, log=None))
    popularity = replace(nowhere, agent="popularity", agent_args={}, loop_args={}, log=None)
    with StandInDevice():
        with pytest.raises(
            RecGymError, match="'cuda': this agent learns no network; leave device out"
        ):
            train(replace(popularity, device="cuda"))
        dqn = run("cascading-dqn-paper", "online", {}, log, tmp_path / "dqn")
        with pytest.raises(RecGymError, match="compile='always': compiles for device='cpu' alone"):
            train(replace(dqn, device="cuda", compile="always"))
    with pytest.raises(RecGymError, match="--device: worlds learns on the CPU; leave it out"):
        reproduce.main("worlds", device="cuda")
    with pytest.raises(RecGymError, match="device='nowhere': torch cannot use it"):
        reproduce.main("irecgan-fig2", paper=True, device="nowhere", out=tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_run_made_before_devices_were_recorded_was_on_the_cpu(log: str, tmp_path: Path) -> None:
    done = run("reinforce", "offline", {}, log, tmp_path)
    train(done)
    record = read_json(tmp_path / CONFIG)
    assert record.pop("device") == "cpu"
    write_json(tmp_path / CONFIG, record)
    (tmp_path / DONE).write_text("")  # nor were digests
    train(done)
    with StandInDevice(), pytest.raises(RecGymError, match="with device='cpu', not 'cuda'"):
        train(replace(done, device="cuda"))


def test_scripts_pass_the_device_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(
        train_command, "train_run", lambda config, watch: given.update(vars(config))
    )
    monkeypatch.setattr(train_command, "describe_end", lambda folder, steps: [])
    train_command.main("reinforce", 1, out=str(tmp_path), device="cuda")
    assert given["device"] == "cuda"

    def write_page(experiment: Any, budget: Budget, outcome: Any, folder: Any, command: str) -> str:
        given.update(budget=budget, command=command)
        return ""

    monkeypatch.setattr(reproduce, "run_cells", lambda *arguments: Outcome([], {}, {}))
    monkeypatch.setattr(reproduce, "write_page", write_page)
    with StandInDevice():
        reproduce.main("irecgan-fig2", smoke=True, device="cuda", out=tmp_path)
    assert given["budget"] == SMOKE | {"device": "cuda"}
    assert given["command"] == "recgym reproduce irecgan-fig2 --smoke --device cuda"


def test_stable_baselines_is_told_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def algorithm(*arguments: Any, **keywords: Any) -> None:
        given.update(keywords)
        raise Stop

    monkeypatch.setattr(stable_baselines_training, "algorithm_of", lambda name: algorithm)
    settings = TrainConfig("SlateMDP-v0", "sb3-a2c", 64, 0, str(tmp_path), device="cuda")
    with StandInDevice(), pytest.raises(Stop):
        train(settings)
    assert given["device"] == "cuda"


def test_recurrent_networks_are_not_rounded_to_tf32_there() -> None:
    before = torch.backends.cudnn.allow_tf32
    with on_device("cpu"):
        assert torch.backends.cudnn.allow_tf32 == before
    with on_device("cuda"):
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before


def test_the_stand_in_keeps_devices_apart() -> None:
    with StandInDevice():
        there, here = torch.ones(2, device="cuda"), torch.ones(2)
        assert there.device.type == "cuda"
        assert (there + 1).device.type == "cuda"
        assert there.cpu().device.type == "cpu"
        with pytest.raises(RuntimeError, match="same device"):
            there + here
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        with pytest.raises(TypeError, match="numpy"):
            np.asarray(there)
        with pytest.raises(RuntimeError, match="same device"):
            there[:1] = here[:1]
        with pytest.raises(RuntimeError, match="same device"):
            here[there.long()]
        assert there[here.long() - 1].device.type == "cuda"
        np.testing.assert_array_equal(there.numpy(force=True), [1.0, 1.0])
