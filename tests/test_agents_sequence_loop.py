"""Learning from a log of events that has no slates: the loop, validation, and whole runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from recgym.collection import as_dataset, collect, slate_mdp_policy
from recgym.data import Catalog, Dataset, Sessions
from recgym.errors import RecGymError
from recgym.files import load_arrays
from recgym_agents import load_agent
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.learning.episodes import EpisodeLog
from recgym_agents.learning.sequence_loop import SequenceLoop, SequenceLoopConfig
from recgym_agents.runs.run_files import METRICS
from recgym_agents.runs.saved_agents import PARAMS
from recgym_agents.runs.training import TrainConfig, train
from recgym_agents.zoo import AGENTS

N_ITEMS = 12


def event_log(users: int = 60, events: int = 5) -> Dataset:
    """Users who click one item after the other, in a circle, and buy the last one."""
    rng = np.random.default_rng(0)
    item = (rng.integers(N_ITEMS, size=(users, 1)) + np.arange(events)) % N_ITEMS
    event = np.tile(np.where(np.arange(events) == events - 1, 2, 0).astype(np.int8), users)
    user = np.repeat(np.arange(users), events)
    sessions = Sessions(
        user=user,
        session=user,
        step=np.tile(np.arange(events), users),
        slate_offsets=np.zeros(users * events + 1, np.int64),
        slate_items=np.zeros(0, np.int64),
        click=np.full(users * events, -1),
        item=item.ravel(),
        reward=np.where(event == 2, 1.0, 0.2).astype(np.float32),
        event=event,
    )
    catalog = Catalog(
        tuple(str(i) for i in range(N_ITEMS)), None, np.zeros((N_ITEMS, 0), np.float32), ()
    )
    info: dict[str, Any] = {"name": "circle", "licence": "none", "sha256": "0" * 64}
    split = np.arange(users).astype(np.int8) % 3
    return Dataset(sessions, catalog, split, info | {"no_click": False, "repeat_clicks": False})


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("log") / "circle"
    event_log().save(folder)
    return str(folder)


def config(log: str, out: Path, agent: str, **changes: Any) -> TrainConfig:
    floors = ("last-item", "item-knn", "v-sknn", "click-count")
    made = TrainConfig(
        env=None,
        agent=agent,
        steps=1_200,
        seed=1,
        out=str(out),
        env_args={"slate_size": 2, "window": 4},
        agent_args={} if agent in floors else {"size": 8, "learning_rate": 0.02},
        loop_args={"batch_size": 5},
        log=log,
        reports=6,
    )
    return replace(made, **changes)


class Stop(Exception):
    """What stops a training."""


@pytest.mark.parametrize(
    "agent", ["lpi-rl", "ips-pg", "rem", "sa2c", "decision-transformer", "v-sknn"]
)
def test_a_stopped_run_ends_as_one_that_was_not(agent: str, log: str, tmp_path: Path) -> None:
    train(config(log, tmp_path / "whole", agent))

    def stop(steps: int, metrics: dict[str, float]) -> None:
        if steps >= 700:
            raise Stop

    with pytest.raises(Stop):
        train(config(log, tmp_path / "stopped", agent), stop)
    train(config(log, tmp_path / "stopped", agent))
    whole, stopped = (load_arrays(tmp_path / name / PARAMS) for name in ("whole", "stopped"))
    for name, array in whole[0].items():
        np.testing.assert_array_equal(array, stopped[0][name])
    metrics = [(tmp_path / name / METRICS).read_text() for name in ("whole", "stopped")]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize("agent", ["logging", "lpi-rl", "sqn", "cql", "item-knn"])
def test_what_follows_is_learned_from_a_log_without_slates(
    agent: str, log: str, tmp_path: Path
) -> None:
    train(config(log, tmp_path, agent, steps=4_000))
    found, _ = load_agent(tmp_path)
    # after 3, 4, 5 comes 6; item-knn knows which items are near, and not which comes next
    assert found.recommend([3, 4, 5])[0] in ((6, 7, 2, 8) if agent == "item-knn" else (6,))


def test_a_diverging_run_says_so_in_one_line(log: str, tmp_path: Path) -> None:
    wild = {"size": 8, "learning_rate": 1e30}
    with pytest.raises(RecGymError, match="training diverged: .* lower the learning rate"):
        train(config(log, tmp_path, "lpi-rl", agent_args=wild))


def test_validation_weighs_kinds_of_events_by_their_reward() -> None:
    class Fixed:
        spec = EnvironmentSpec(N_ITEMS, 2, 4, None)

        def check_rewards(self, reward: np.ndarray) -> None: ...

        def gains(self, batch: Any) -> np.ndarray:
            return np.where(batch.item >= 0, np.where(batch.event == 2, 0.5, 0.1), np.nan)

    dataset = event_log()
    log = EpisodeLog.of_sessions(dataset.sessions, 4, N_ITEMS)
    loop = SequenceLoopConfig(batch_size=7).loop(Fixed(), None, 10, (0, 0), log)
    assert isinstance(loop, SequenceLoop)
    assert loop.score(log) == pytest.approx(0.2 * 0.1 + 1.0 * 0.5, rel=1e-5)
    clicks = EpisodeLog.of_sessions(replace(dataset.sessions, event=None), 4, N_ITEMS)
    assert clicks.batch(np.arange(3)).event is None


def test_validation_leaves_out_what_nothing_was_known_before() -> None:
    class FirstOnly:
        spec = EnvironmentSpec(N_ITEMS, 2, 4, None)

        def check_rewards(self, reward: np.ndarray) -> None: ...

        def gains(self, batch: Any) -> np.ndarray:
            found = np.full(batch.item.shape, 0.25)
            found[:, 0] = 1.0
            return found

    sessions = replace(event_log(users=4).sessions, event=None, reward=np.ones(20, np.float32))
    score = {}
    # the first items of all four users; of two users who come back, the first item of one visit
    for name, user in (("new", sessions.user), ("back", sessions.user // 2)):
        log = EpisodeLog.of_sessions(replace(sessions, user=user), 4, N_ITEMS)
        loop = SequenceLoopConfig().loop(FirstOnly(), None, 10, (0, 0), log)
        assert isinstance(loop, SequenceLoop)
        score[name] = loop.score(log)
    assert score["new"] == pytest.approx(0.25)
    assert score["back"] == pytest.approx((16 * 0.25 + 2 * 1.0) / 18)


def test_what_a_log_taught_is_gone_on_with_by_playing(tmp_path: Path) -> None:
    world = {"n_items": 20, "slate_size": 3, "horizon": 5, "window": 4, "mdp_seed": 1}
    env: Any = gymnasium.make_vec("SlateMDP-v0", num_envs=8, autoreset_mode="disabled", **world)
    sessions = collect(env, slate_mdp_policy(env.unwrapped.simulator, "random"), sessions=40)
    as_dataset(env, sessions, name="played").save(tmp_path / "log")
    loop = {"schedule": "offline-online", "batch_size": 8, "num_envs": 4, "sessions": 4}
    given = config(
        str(tmp_path / "log"),
        tmp_path / "whole",
        "lpi-rl",
        env="SlateMDP-v0",
        env_args=world,
        loop_args=loop | {"log_share": 0.25},
        agent_args={"size": 8, "remove_clicked": False},
        steps=400,
        validation_episodes=4,
    )
    train(given)

    def stop(steps: int, metrics: dict[str, float]) -> None:
        if steps >= 250:
            raise Stop

    stopped = replace(given, out=str(tmp_path / "stopped"))
    with pytest.raises(Stop):
        train(stopped, stop)
    train(stopped)
    whole, again = ((tmp_path / name / METRICS).read_text() for name in ("whole", "stopped"))
    assert whole == again
    assert "validation_session_reward" in whole
    with pytest.raises(RecGymError, match="schedule=offline-online: needs a log"):
        train(replace(given, out=str(tmp_path / "none"), log=None))


def test_agents_that_learn_from_slates_are_refused_such_a_log(log: str, tmp_path: Path) -> None:
    loop = {"schedule": "offline"}
    with pytest.raises(RecGymError, match="reinforce learns from what was shown"):
        train(config(log, tmp_path, "reinforce", agent_args={}, loop_args=loop))


def test_a_sequence_of_one_event_teaches_its_first_item(tmp_path: Path) -> None:
    event_log(events=1).save(tmp_path / "log")
    train(config(str(tmp_path / "log"), tmp_path / "run", "lpi-rl", steps=100))
    assert len(load_agent(tmp_path / "run")[0].recommend([])) == 2


def test_rows_learn_from_logs_by_default() -> None:
    assert AGENTS.find("lpi-rl").schedule.log_use == "must"
    assert not AGENTS.find("lpi-rl").schedule.needs_slates
