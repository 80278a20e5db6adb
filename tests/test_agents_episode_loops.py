"""The rollout loop and the log loop: what they play, what is learned, and how runs go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.data import Dataset, as_dataset, collect, split_users, uniform_policy
from recgym.errors import RecGymError
from recgym.files import load_arrays
from recgym_agents import evaluate, load_agent
from recgym_agents.checkpoints import PARAMS
from recgym_agents.episodes import Episodes
from recgym_agents.evaluation import make_vector_env, run_episodes
from recgym_agents.loops import World
from recgym_agents.policy_gradient import PolicyGradient, PolicyGradientConfig
from recgym_agents.rollout import roll_out
from recgym_agents.schedules import loop_of
from recgym_agents.table import entry_of
from recgym_agents.training import CHECKPOINT, DONE, METRICS, TrainConfig, Watch, train
from tests import small_world
from tests.test_training import SUICIDE

WORLD = {"n_items": 12, "slate_size": 3, "horizon": 6, "window": 6, "n_states": 3}
LEARNING = {"remove_clicked": False, "learning_rate": 0.01, "hidden": 32}


class Stop(Exception):
    """What a test stops a training with."""


def slate_mdp(rows: int = 64, **changes: Any) -> Any:
    return make_vector_env("SlateMDP-v0", WORLD | changes, rows, "disabled")


def random_log(sessions: int, **changes: Any) -> Dataset:
    """A log of random slates; a tenth of its users are for validation, the others for training."""
    env = slate_mdp(**changes)
    policy = uniform_policy(env.simulator.n_items, env.simulator.slate_size)
    dataset = as_dataset(env, collect(env, policy, sessions), name="random")
    return replace(dataset, split=split_users(dataset.n_users, 0, (0.9, 0.1, 0.0)))


@pytest.mark.parametrize("rows", [3, 8, 20])
def test_rollouts_are_whole_episodes_and_none_is_favoured(rows: int) -> None:
    env = slate_mdp(rows)
    agent = PolicyGradient(PolicyGradientConfig(remove_clicked=False), World.of(env), 0)
    with torch.no_grad():  # a policy that is uniform, whose worth is known
        agent.network.head.weight.zero_()
    env.reset(seed=1)
    worth = []
    for _ in range(100):
        played = roll_out(agent, env, 10)
        ends = np.zeros(len(played.item), np.bool_)
        ends[played.offsets[1:] - 1] = True
        assert len(played) == 10
        assert ((played.item < 0) <= ends).all()
        assert (played.terminated == (played.item[ends] < 0)).all()
        assert (np.diff(played.offsets)[~played.terminated] == WORLD["horizon"]).all()
        assert (played.history == WORLD["n_items"]).all()
        worth += np.add.reduceat(played.reward, played.offsets[:-1]).tolist()
    log = collect(env, uniform_policy(12, 3), 2_000)
    expected = np.bincount(log.session, log.reward)
    error = np.hypot(np.std(worth) / len(worth) ** 0.5, expected.std() / len(expected) ** 0.5)
    assert abs(np.mean(worth) - expected.mean()) < 4 * error


class Recorder:
    """An agent that shows two items in turn, and remembers what it was given to learn from."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.batches: list[Episodes] = []

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        assert explore == 1.0
        return np.tile([0, 1], (len(observation), 1))

    def update(self, batch: Episodes) -> dict[str, float]:
        self.batches.append(batch)
        return {"loss": float("nan") if len(self.batches) == 9 else 1.0}

    def score(self, batch: Episodes) -> np.ndarray:
        return batch.reward.sum(axis=1)


def recorded(**changes: Any) -> tuple[Recorder, Any]:
    env = make_vector_env("SlateMDP-v0", WORLD | {"slate_size": 2}, 4, "disabled")
    agent = Recorder(World.of(env))
    schedule = replace(entry_of("reinforce", {}, changes).loop, num_envs=4, sessions=6)
    log = random_log(40) if schedule.schedule == "offline" else None
    return agent, loop_of(agent, env, schedule, 1_000, (0, 1), log)


def test_a_round_online_is_learned_from_once() -> None:
    agent, loop = recorded(schedule="online")
    steps = 0
    for _ in range(3):
        metrics = loop.iterate()
        batch = agent.batches[-1]
        steps += batch.steps.sum()
        assert metrics["reward"] == pytest.approx(batch.reward[batch.steps].mean())
        assert batch.propensity is None
    assert loop.steps_done == steps
    assert loop.updates_done == len(agent.batches) == 3


def test_online_and_offline_goes_through_all_that_was_played() -> None:
    agent, loop = recorded(schedule="online-offline", batch_size=4, epochs=1)
    for rounds in (1, 2):
        agent.batches.clear()
        before = loop.steps_done
        loop.iterate()
        fresh, *stored = agent.batches
        assert fresh.steps.sum() == loop.steps_done - before
        assert sum(len(batch.steps) for batch in stored) == 6 * rounds
        assert sum(batch.steps.sum() for batch in stored) == loop.steps_done
        assert all(batch.propensity is not None for batch in stored)


def test_a_log_is_gone_through_and_no_environment_is_met() -> None:
    agent, loop = recorded(schedule="offline", batch_size=16)
    for _ in range(3):
        loop.iterate()
    assert [len(batch.steps) for batch in agent.batches] == [16, 16, 4]
    assert loop.steps_done == sum(batch.steps.sum() for batch in agent.batches)
    held_out = loop.store.log
    rewards = np.add.reduceat(held_out.reward, held_out.offsets[:-1])
    assert loop.validate(held_out) == pytest.approx(rewards.mean())


@pytest.mark.parametrize("schedule", ["online", "offline", "online-offline"])
def test_a_loss_that_is_not_finite_stops_the_training(schedule: str) -> None:
    agent, loop = recorded(schedule=schedule)

    def run() -> None:
        while True:
            loop.iterate()

    with pytest.raises(RecGymError, match="loss is nan at update 9, step") as stopped:
        run()
    assert f"step {loop.steps_done};" in str(stopped.value)


def session_rewards(agent: Any, arguments: dict[str, Any]) -> np.ndarray:
    return evaluate(agent, "SlateMDP-v0", arguments, 1_500, seed=5).session_reward


def learned_online(arguments: dict[str, Any], rounds: int, seed: int, **changes: Any) -> float:
    """The reward a session after some rounds, as a share of what the best policy earns."""
    env = make_vector_env("SlateMDP-v0", arguments, 64, "disabled")
    entry = entry_of("reinforce", LEARNING | changes, {})
    agent = entry.builder(entry.config, World.of(env), seed)
    loop = loop_of(agent, env, entry.loop, 100_000, (seed, seed))
    for _ in range(rounds):
        loop.iterate()
    optimum = env.simulator.optimal_policy(1.0, arguments["horizon"]).values[0, 0]
    return float(session_rewards(agent, arguments).mean() / optimum)


def fixed_share(arguments: dict[str, Any]) -> float:
    """The best fixed slate's share of what the best policy earns."""
    world = make_vector_env("SlateMDP-v0", arguments, 1, "disabled").simulator
    optimum = world.optimal_policy(1.0, arguments["horizon"]).values[0, 0]
    return float(world.best_fixed_slate(1.0, arguments["horizon"]).values[0] / optimum)


CERTAIN = {"n_states": 2, "horizon": 10, "window": 10, "concentration": 0.02}
"""Transitions are nearly certain, so that the clicks observed tell the state."""


@pytest.mark.parametrize("seed", [0, 1])
def test_online_it_learns_more_than_the_best_fixed_slate(seed: int) -> None:
    arguments = CERTAIN | {"n_items": 12, "slate_size": 3, "concentration": 0.1, "mdp_seed": 4}
    found = learned_online(arguments, 120, seed, learning_rate=0.003)
    assert found > 1.01 * fixed_share(arguments)


EXACT = {"log_probability": "slate", "advantage": "centred", "learning_rate": 0.003}


def test_online_with_the_slates_own_probability_it_mostly_finds_the_optimum() -> None:
    """Of three seeds; one that settles too early is better than the best fixed slate still."""
    arguments = CERTAIN | {"n_items": 6, "slate_size": 1}
    fixed = fixed_share(arguments)
    assert fixed < 0.6
    lowest, middle, _ = sorted(learned_online(arguments, 160, seed, **EXACT) for seed in range(3))
    assert lowest > 1.05 * fixed
    assert middle > 0.95


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_slates_own_probability_finds_the_slate_that_the_clicked_item_does_not(
    seed: int,
) -> None:
    """Here the items of the highest rewards make a slate that is far from the best."""
    arguments = CERTAIN | {"n_items": 6, "slate_size": 2}
    assert learned_online(arguments, 120, seed, **EXACT) > 0.93
    assert learned_online(arguments, 60, seed) < 0.85


@pytest.mark.parametrize("name", ["reinforce", "reinforce-is", "reinforce-top-k", "actor-critic"])
def test_offline_it_beats_the_logging_policy(name: str) -> None:
    arguments = {"concentration": 0.05, "mdp_seed": 2}
    log = random_log(2_500, **arguments)
    logged = np.bincount(log.sessions.user, log.sessions.reward)
    entry = entry_of(name, LEARNING, {"schedule": "offline"})
    env = slate_mdp(**arguments)
    agent = entry.builder(entry.config, World.of(env), 0)
    loop = loop_of(agent, env, entry.loop, 100_000, (0, 1), log)
    for _ in range(2 * loop.store.batches):
        loop.iterate()
    found = session_rewards(agent, WORLD | arguments)
    error = np.hypot(found.std() / len(found) ** 0.5, logged.std() / len(logged) ** 0.5)
    assert found.mean() - logged.mean() > 5 * error
    assert found.mean() > env.simulator.best_fixed_slate(1.0, 6).values[0]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("log")
    random_log(200).save(folder)
    return str(folder)


SCHEDULES = ["online", "offline", "online-offline"]


def config(schedule: str, folder: str, out: Path, **changes: Any) -> TrainConfig:
    small = TrainConfig(
        env="SlateMDP-v0",
        agent="reinforce-is",
        steps=300 if schedule == "online-offline" else 900,
        seed=3,
        out=str(out),
        env_args=dict(WORLD),
        agent_args={"hidden": 6, "embedding": 4, "remove_clicked": False},
        loop_args={"schedule": schedule, "num_envs": 4, "sessions": 10, "batch_size": 16},
        log=None if schedule == "online" else folder,
        reports=6,
        validation_episodes=10,
    )
    return replace(small, **changes)


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def stop_at(calls: int) -> Watch:
    count = 0

    def watch(steps_done: int, metrics: dict[str, float]) -> None:
        nonlocal count
        count += 1
        if count == calls:
            raise Stop

    return watch


def assert_same_run(one: Path, other: Path) -> None:
    """Both runs are done, with the same parameters, bit for bit, and the same metrics."""
    assert (one / DONE).exists()
    assert (one / METRICS).read_text() == (other / METRICS).read_text()
    ours, theirs = load_arrays(one / PARAMS), load_arrays(other / PARAMS)
    assert ours[1] == theirs[1]
    for name, array in ours[0].items():
        np.testing.assert_array_equal(array, theirs[0][name])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_stopped_run_ends_as_one_that_was_not(schedule: str, log: str, tmp_path: Path) -> None:
    calls = 0

    def watch(steps_done: int, metrics: dict[str, float]) -> None:
        nonlocal calls
        calls += 1

    whole = config(schedule, log, tmp_path / "whole")
    train(whole, watch)
    found = lines(tmp_path / "whole")
    assert {"loss", "gradient_norm", "return", "effective_sample_size"} <= set(found[-1])
    score = "validation_score" if schedule == "offline" else "validation_session_reward"
    assert all(score in line for line in found)
    for number in (2, calls // 2, calls):
        out = tmp_path / str(number)
        with pytest.raises(Stop):
            train(replace(whole, out=str(out)), stop_at(number))
        assert not (out / DONE).exists()
        with open(out / METRICS, "a", encoding="utf-8") as file:
            file.write('{"half a li')
        train(replace(whole, out=str(out)))
        assert_same_run(out, tmp_path / "whole")


@pytest.mark.parametrize(
    ("schedule", "where", "count"),
    [("online", "step", 12), ("offline", "checkpoint", 3), ("online-offline", "checkpoint", 2)],
)
def test_a_killed_run_ends_as_one_that_was_not(
    schedule: str, where: str, count: int, log: str, tmp_path: Path, repository: Path
) -> None:
    killed = config(schedule, log, tmp_path / "killed")
    command = [sys.executable, "-c", SUICIDE, json.dumps(asdict(killed)), where, str(count)]
    paths = os.pathsep.join(str(repository / folder) for folder in (".", "agents"))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert not (tmp_path / "killed" / DONE).exists()
    train(killed)
    train(replace(killed, out=str(tmp_path / "whole")))
    assert_same_run(tmp_path / "killed", tmp_path / "whole")


def test_another_seed_gives_another_run(log: str, tmp_path: Path) -> None:
    for seed in (3, 4):
        train(config("offline", log, tmp_path / str(seed), seed=seed))
    assert lines(tmp_path / "3") != lines(tmp_path / "4")


@pytest.mark.parametrize("schedule", ["online", "offline"])
def test_training_ends_when_validation_stalls_and_the_best_policy_is_kept(
    schedule: str, log: str, tmp_path: Path
) -> None:
    wild = config(schedule, log, tmp_path, steps=20_000, reports=100)
    settings = wild.loop_args | {"patience": 3}
    wild = replace(wild, agent_args=wild.agent_args | {"learning_rate": 1.0}, loop_args=settings)
    train(wild)
    score = "validation_score" if schedule == "offline" else "validation_session_reward"
    found = [line[score] for line in lines(tmp_path)]
    assert len(found) < 100
    assert max(found) == max(found[:-3])
    assert len(found) == 1 + int(np.argmax(found)) + 3
    agent, _ = load_agent(tmp_path)
    if schedule == "online":
        env = make_vector_env("SlateMDP-v0", WORLD, 10, "next-step")
        seed = int(np.random.SeedSequence(3).generate_state(4)[3])
        again = run_episodes(agent, env, 10, seed).session_reward.mean()
        assert again == pytest.approx(max(found))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_diverging_run_stops_and_keeps_its_checkpoint(
    schedule: str, log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reinforce_loss(log_pi: torch.Tensor, advantage: torch.Tensor) -> torch.Tensor:
        losses.append(0)
        return log_pi.sum() * (float("nan") if len(losses) == stop else 1.0)

    losses: list[int] = []
    stop = 100 if schedule == "online-offline" else 20
    monkeypatch.setattr("recgym_agents.policy_gradient.reinforce_loss", reinforce_loss)
    settings = config(schedule, log, tmp_path).loop_args | {"patience": 0}
    with pytest.raises(RecGymError, match=f"loss is nan at update {stop}, step"):
        train(config(schedule, log, tmp_path, loop_args=settings))
    arrays, info = load_arrays(tmp_path / CHECKPOINT)
    assert 0 < info["loop"]["updates"] < stop
    assert all(np.isfinite(a).all() for n, a in arrays.items() if n.startswith("agent."))
    assert not (tmp_path / PARAMS).exists()


def test_wrong_logs_are_refused_and_leave_nothing_behind(log: str, tmp_path: Path) -> None:
    random_log(5, n_items=13).save(tmp_path / "other")
    small = random_log(20)
    everyone = np.zeros(small.n_users, np.int8)
    replace(small, split=everyone).save(tmp_path / "undivided")
    sessions = replace(small.sessions, slot_propensities=None)
    replace(small, sessions=sessions).save(tmp_path / "unknown")
    offline = {"schedule": "offline"}
    for changes, message in (
        ({"log": None}, "schedule=offline: needs a log"),
        ({"log": log, "loop_args": {}}, "not read with schedule=online; set the loop"),
        ({"log": log, "agent": "popularity", "agent_args": {}, "loop_args": {}}, "popularity does"),
        ({"log": log, "agent": "sb3-ppo", "agent_args": {}, "loop_args": {}}, "sb3-ppo does not"),
        ({"log": str(tmp_path / "none")}, "no prepared data here"),
        ({"log": str(tmp_path / "other")}, "13 items, the environment has 12"),
        ({"log": str(tmp_path / "undivided")}, "no validation users; divide its users again"),
        (
            {
                "log": str(tmp_path / "unknown"),
                "loop_args": offline | {"logging_policy": "propensity"},
            },
            "has no propensities; set logging_policy=frequency",
        ),
    ):
        out = tmp_path / "run"
        wrong = replace(config("offline", log, out, loop_args=offline), **changes)
        with pytest.raises(RecGymError, match=message):
            train(wrong)
        assert not out.exists()


def test_a_run_on_another_log_is_refused(log: str, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    random_log(50).save(folder)
    settings = config("offline", str(folder), tmp_path / "run")
    with pytest.raises(Stop):
        train(settings, stop_at(2))
    random_log(51).save(folder)
    with pytest.raises(RecGymError, match="holds a run with log_sha256='[0-9a-f]{64}', not '"):
        train(settings)
    both = config("online-offline", log, tmp_path / "both", steps=50, log=None)
    train(both)
    with pytest.raises(RecGymError, match="holds a run with log=None, not"):
        train(replace(both, log=log))


def test_histories_from_before_an_episode_are_read() -> None:
    """Users of a learned world come with clicks of their own."""
    model = small_world.random_user_model()
    env = make_vector_env("RecGAN-v0", {"slate_size": 3, "horizon": 4}, 5, "disabled")
    assert model.n_items != env.simulator.n_items
    agent = PolicyGradient(PolicyGradientConfig(hidden=4), World.of(env), 0)
    first, _ = env.reset(seed=2)
    env.reset(seed=2)
    state = env.get_state()
    played = roll_out(agent, env, 5)
    env.set_state(*state)
    again, _ = env.reset()
    np.testing.assert_array_equal(played.history, again)
    assert (played.history < env.simulator.n_items).any()
