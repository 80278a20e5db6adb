"""Episodes as batches, the clicks before each step, and the store that is learned from again."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from recgym.collection import collect, uniform_policy
from recgym.data import Sessions
from recgym.errors import RecGymError
from recgym_agents.learning.episode_loop import EpisodeLoopConfig
from recgym_agents.learning.episode_memory import EpisodeMemory
from recgym_agents.learning.episodes import EpisodeLog, click_sequences, observed

NONE = 9
"""N, the id of "no item"."""


def logged() -> Sessions:
    """User 0 has two sessions, of two pages and one; user 1 has one page; slates vary in size."""
    return Sessions(
        user=np.array([0, 0, 0, 1]),
        session=np.array([0, 0, 1, 0]),
        step=np.array([0, 1, 0, 0]),
        slate_offsets=np.array([0, 2, 4, 4, 7]),
        slate_items=np.array([3, 4, 5, 3, 0, 1, 3]),
        click=np.array([1, 0, -1, -1]),
        item=np.array([4, 5, 7, -1]),
        reward=np.array([1.0, 2.0, 3.0, 4.0], np.float32),
        slot_propensities=np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], np.float32),
    )


def test_sessions_become_episodes() -> None:
    log = EpisodeLog.of_sessions(logged(), window=3, n_items=NONE)
    assert len(log) == 3
    batch = log.batch(np.array([1, 0, 2]))
    assert batch.history.tolist() == [[NONE, 4, 5], [NONE] * 3, [NONE] * 3]
    assert batch.steps.tolist() == [[True, False], [True, True], [True, False]]
    assert batch.item.tolist() == [[7, -1], [4, 5], [-1, -1]]
    assert batch.reward.tolist() == [[3.0, 0.0], [1.0, 2.0], [4.0, 0.0]]
    nothing = [-1, -1, -1]
    shown = [[nothing, nothing], [[3, 4, -1], [5, 3, -1]], [[0, 1, 3], nothing]]
    assert batch.slate.tolist() == shown
    assert batch.propensity is not None
    np.testing.assert_allclose(batch.propensity, [[1.0, 1.0], [0.2, 0.3], [1.0, 1.0]])
    assert batch.terminated.all()


def test_joined_episodes_stand_one_after_the_other() -> None:
    first = EpisodeLog.of_sessions(logged(), window=3, n_items=NONE)
    later = EpisodeLog(
        history=np.array([[1, 2, 3]]),
        offsets=np.array([0, 2]),
        terminated=np.array([False]),
        slate=np.array([[1, 2], [2, 3]]),
        item=np.array([2, -1]),
        reward=np.array([5.0, 6.0], np.float32),
    )
    joined = first.joined(later)
    assert joined.offsets.tolist() == [0, 2, 3, 4, 6]
    batch = joined.batch(np.array([3, 0]))
    assert batch.slate[0].tolist() == [[1, 2, -1], [2, 3, -1]]
    assert batch.item.tolist() == [[2, -1], [4, 5]]
    assert batch.terminated.tolist() == [False, True]
    assert batch.propensity is None


def test_clicks_are_put_in_order_and_counted() -> None:
    history = np.array([[NONE, 1, 2], [NONE, NONE, NONE]])
    item = np.array([[5, -1, 6], [-1, -1, 3]])
    clicks, before = click_sequences(history, item, NONE)
    assert clicks.tolist() == [[1, 2, 5, 6], [3, NONE, NONE, NONE]]
    assert before.tolist() == [[2, 3, 3, 4], [0, 0, 0, 1]]
    seen = observed(clicks, before[:, :-1], 2, NONE)
    assert seen[0].tolist() == [[1, 2], [2, 5], [2, 5]]
    assert seen[1].tolist() == [[NONE, NONE]] * 3


def test_nobody_clicked_anything() -> None:
    clicks, before = click_sequences(np.full((2, 3), NONE), np.full((2, 0), -1), NONE)
    assert clicks.tolist() == [[NONE], [NONE]]
    assert before.tolist() == [[0], [0]]


def store(log: EpisodeLog | None = None) -> EpisodeMemory:
    return EpisodeMemory(log, 20, 4, "frequency", np.random.default_rng(0))


@pytest.fixture(scope="module")
def log() -> EpisodeLog:
    env: Any = gymnasium.make_vec(
        "SlateMDP-v0", 8, autoreset_mode="disabled", n_items=20, slate_size=4, horizon=5
    )
    sessions = collect(env, uniform_policy(20, 4), sessions=10)
    return EpisodeLog.of_sessions(sessions, window=5, n_items=20)


def test_a_pass_draws_every_episode_once_in_an_order_of_its_own(log: EpisodeLog) -> None:
    episodes = store(log)
    lengths = np.diff(log.offsets)
    passes = []
    for _ in range(2):
        batches = [episodes.draw() for _ in range(episodes.batches)]
        assert [len(batch.steps) for batch in batches] == [4, 4, 2]
        passes.append(np.concatenate([batch.steps.sum(axis=1) for batch in batches]))
        assert sorted(passes[-1]) == sorted(lengths)
    assert passes[0].tolist() != passes[1].tolist()


def test_frequencies_are_shares_of_all_slots() -> None:
    own = EpisodeLog.of_sessions(logged(), 3, NONE)
    episodes = EpisodeMemory(own, NONE, 64, "frequency", np.random.default_rng(0))
    shares = np.array([2, 2, 1, 4, 2, 2, 1, 1, 1]) / 16
    np.testing.assert_allclose(episodes.share, shares)
    batch = episodes.with_propensity(episodes.log.batch(np.array([0])))
    np.testing.assert_allclose(batch.propensity, [[2 / 16, 2 / 16]])
    told = EpisodeMemory(own, NONE, 64, "propensity", np.random.default_rng(0))
    batch = told.with_propensity(told.log.batch(np.array([0])))
    np.testing.assert_allclose(batch.propensity, [[0.2, 0.3]])


@pytest.mark.parametrize("given", [True, False])
def test_a_store_goes_on_from_its_state(given: bool, log: EpisodeLog) -> None:
    first, second = (store(log if given else None) for _ in range(2))
    for _ in range(2):
        first.add(log)
    first.draw()
    second.set_state(*first.state())
    assert second.batches == first.batches == (8 if given else 5)
    for _ in range(first.batches + 2):
        for ours, theirs in zip(first.draw(), second.draw(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_envs": 0}, "num_envs=0: must be at least 1"),
        ({"sessions": 0}, "sessions=0"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"patience": -1}, "patience=-1: must be at least 0"),
        ({"logging_policy": "propensity"}, "logging_policy=propensity: only a log knows them"),
    ],
)
def test_settings_of_the_loops_have_ranges(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecGymError, match=message):
        EpisodeLoopConfig(**settings)
