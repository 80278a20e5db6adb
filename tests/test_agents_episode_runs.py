"""Runs of agents that learn from episodes: stopped, killed, ended early, refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym.files import load_arrays, read_json
from recgym_agents import evaluate, load_agent
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.policy_gradient import PolicyGradient, PolicyGradientConfig
from recgym_agents.learning.rollout_loop import roll_out
from recgym_agents.runs.evaluation import make_vector_env, run_episodes
from recgym_agents.runs.saved_agents import PARAMS
from recgym_agents.runs.training import CHECKPOINT, DONE, METRICS, TrainConfig, train
from tests import small_world
from tests.fixtures.killed_runs import train_until_killed
from tests.fixtures.slate_mdp_runs import (
    WORLD,
    Stop,
    assert_same_run,
    config,
    lines,
    random_log,
    stop_at,
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("log")
    random_log(200).save(folder)
    return str(folder)


SCHEDULES = ["online", "offline", "online-offline"]


class Whole(NamedTuple):
    """A run that nothing stopped, and how often it told its progress."""

    schedule: str
    config: TrainConfig
    calls: int


@pytest.fixture(scope="module", params=SCHEDULES)
def whole(
    request: pytest.FixtureRequest, log: str, tmp_path_factory: pytest.TempPathFactory
) -> Whole:
    told: list[int] = []
    settings = config(request.param, log, tmp_path_factory.mktemp("whole") / "run")
    train(settings, lambda steps_done, metrics: told.append(steps_done))
    return Whole(request.param, settings, len(told))


def test_a_stopped_run_ends_as_one_that_was_not(whole: Whole, tmp_path: Path) -> None:
    schedule, settings, calls = whole
    found = lines(Path(settings.out))
    assert {"loss", "gradient_norm", "return", "effective_sample_size"} <= set(found[-1])
    score = "validation_score" if schedule == "offline" else "validation_session_reward"
    assert all(score in line for line in found)
    for number in (2, calls // 2, calls):
        out = tmp_path / str(number)
        with pytest.raises(Stop):
            train(replace(settings, out=str(out)), stop_at(number))
        assert not (out / DONE).exists()
        with open(out / METRICS, "a", encoding="utf-8") as file:
            file.write('{"half a li')
        train(replace(settings, out=str(out)))
        assert_same_run(out, Path(settings.out))


KILLED = {
    "online": ("step", 12),
    "offline": ("checkpoint", 3),
    "online-offline": ("checkpoint", 2),
}


def test_a_killed_run_ends_as_one_that_was_not(whole: Whole, tmp_path: Path) -> None:
    killed = replace(whole.config, out=str(tmp_path / "killed"))
    train_until_killed(killed, *KILLED[whole.schedule])
    assert not (tmp_path / "killed" / DONE).exists()
    train(killed)
    assert_same_run(tmp_path / "killed", Path(whole.config.out))


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
    monkeypatch.setattr("recgym_agents.algorithms.policy_gradient.reinforce_loss", reinforce_loss)
    settings = config(schedule, log, tmp_path).loop_args | {"patience": 0}
    with pytest.raises(RecGymError, match=f"loss is nan at update {stop}, step"):
        train(config(schedule, log, tmp_path, loop_args=settings))
    arrays, info = load_arrays(tmp_path / CHECKPOINT)
    assert 0 < info["loop"]["updates_done"] < stop
    assert all(np.isfinite(a).all() for n, a in arrays.items() if n.startswith("agent."))
    assert not (tmp_path / PARAMS).exists()


def test_wrong_logs_are_refused_and_leave_nothing_behind(log: str, tmp_path: Path) -> None:
    random_log(5, n_items=13).save(tmp_path / "other")
    small = random_log(20)
    everyone = np.zeros(small.n_users, np.int8)
    replace(small, split=everyone).save(tmp_path / "undivided")
    sessions = replace(small.sessions, slot_propensities=None)
    replace(small, sessions=sessions).save(tmp_path / "unknown")
    pages = small.sessions.n_pages
    clicks = replace(
        sessions,
        slate_items=sessions.slate_items[:0],
        slate_offsets=np.zeros(pages + 1, np.int64),
        click=np.full(pages, -1),
        slate_propensities=None,
    )
    replace(small, sessions=clicks).save(tmp_path / "clicks")
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
            {"log": str(tmp_path / "clicks")},
            "no page of a train user has a slate; reinforce-is learns",
        ),
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


@pytest.mark.parametrize("agent", ["reinforce-is", "irecgan"])
def test_an_agent_learns_from_a_log_alone_as_it_does_beside_an_environment(
    agent: str, log: str, tmp_path: Path
) -> None:
    shape = {"slate_size": WORLD["slate_size"], "window": WORLD["window"]}
    for name, env, arguments in (("with", "SlateMDP-v0", WORLD), ("without", None, shape)):
        chosen = {"env": env, "agent": agent, "env_args": dict(arguments)}
        train(config("offline", log, tmp_path / name, **chosen))
    (ours, about), (theirs, _) = (load_agent(tmp_path / name) for name in ("without", "with"))
    assert about["env"] is None
    assert lines(tmp_path / "without") == lines(tmp_path / "with")
    for history in ([], [3], [0, 1, 2, 3, 4, 5, 6, 7]):
        assert ours.recommend(history) == theirs.recommend(history)
    earned = [evaluate(one, "SlateMDP-v0", WORLD, 20, seed=1).reward for one in (ours, theirs)]
    np.testing.assert_array_equal(*earned)
    with pytest.raises(RecGymError, match="n_items=13, the agent was trained for 12"):
        evaluate(ours, "SlateMDP-v0", WORLD | {"n_items": 13}, 20, seed=1)


def test_what_a_log_alone_cannot_do_is_refused_and_leaves_nothing_behind(
    log: str, tmp_path: Path
) -> None:
    shape = {"slate_size": 3, "window": 6}
    bare: dict[str, Any] = {"agent_args": {}, "loop_args": {}, "log": None}
    ours = "needs an environment, env; it learns without one only from a log"
    theirs = "needs an environment, env; it does not learn from logs"
    for changes, message in (
        ({"loop_args": {"schedule": "online"}, "log": None}, f"reinforce-is: {ours}"),
        ({"loop_args": {"schedule": "online-offline"}}, f"reinforce-is: {ours}"),
        (bare | {"agent": "cascading-dqn"}, f"cascading-dqn: {theirs}"),
        (bare | {"agent": "random"}, f"random: {theirs}"),
        (bare | {"agent": "sb3-ppo"}, f"sb3-ppo: {theirs}"),
        ({"log": None}, "schedule=offline: needs a log"),
        ({"env_args": {"window": 6}}, "without an environment: slate_size must be given"),
        ({"env_args": shape | {"window": 0}}, "window must be given, and at least 1"),
        ({"env_args": shape | {"n_items": 3}}, "without an environment: no setting 'n_items'"),
        ({"env_args": shape | {"slate_size": 13}}, "12 items are too few for slates of 13"),
    ):
        settings = {"env": None, "env_args": shape} | changes
        with pytest.raises(RecGymError, match=message):
            train(config("offline", log, tmp_path / "run", **settings))
        assert not (tmp_path / "run").exists()


def test_an_agent_of_a_log_alone_is_evaluated_where_one_says(log: str, tmp_path: Path) -> None:
    from recgym_agents.commands import evaluate as command

    shape = {"slate_size": 3, "window": 6}
    train(config("offline", log, tmp_path, env=None, env_args=shape))
    with pytest.raises(RecGymError, match="a log alone; name an environment with --env"):
        command.main(tmp_path)
    settings = tuple(f"{name}={value}" for name, value in WORLD.items())
    command.main(tmp_path, episodes=5, env="SlateMDP-v0", env_args=settings)
    assert read_json(tmp_path / "evaluation-SlateMDP-v0.json")["env"] == "SlateMDP-v0"


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
    agent = PolicyGradient(PolicyGradientConfig(hidden=4), EnvironmentSpec.of(env), 0)
    first, _ = env.reset(seed=2)
    env.reset(seed=2)
    state = env.get_state()
    played = roll_out(agent, env, 5)
    env.set_state(*state)
    again, _ = env.reset()
    np.testing.assert_array_equal(played.history, again)
    assert (played.history < env.simulator.n_items).any()
