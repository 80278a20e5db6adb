from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from recgym.envs import SlateVectorEnv
from recgym.errors import RecGymError
from recgym.spaces import random_slates
from recgym_agents.agent import EnvironmentSpec, Transitions
from recgym_agents.learning.replay_loop import LoopConfig, ReplayLoop
from recgym_agents.learning.replay_memory import Replay
from recgym_agents.user_support import recommend
from tests.small_world import WINDOW

WORLD = EnvironmentSpec(n_items=6, slate_size=2, window=3, features=None)


class Recorder:
    """An agent that shows items 0 and 1, and remembers what it was given."""

    spec = WORLD

    def __init__(self, loss: float = 1.0) -> None:
        self.batches: list[Transitions] = []
        self.explored: list[float] = []
        self.seen: list[np.ndarray] = []
        self.loss = loss

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        self.explored.append(explore)
        self.seen.append(observation)
        return np.tile([0, 1], (len(observation), 1))

    def update(self, batch: Transitions) -> dict[str, float]:
        self.batches.append(batch)
        return {"loss": self.loss}

    def recommend(self, history: Any) -> Any: ...
    def policy(self) -> Any: ...
    def load_policy(self, arrays: Any, info: Any) -> None: ...
    def state(self) -> Any: ...
    def set_state(self, arrays: Any, info: Any) -> None: ...


class Alternating(Recorder):
    """Shows another slate at each step."""

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        return super().act(observation, explore) + len(self.seen) % 5


def transitions(*rewards: float) -> Transitions:
    rows = len(rewards)
    return Transitions(
        observation=np.zeros((rows, 3), np.int64),
        slate=np.zeros((rows, 2), np.int64),
        item=np.zeros(rows, np.int64),
        reward=np.array(rewards, np.float32),
        terminated=np.zeros(rows, np.bool_),
        next_observation=np.ones((rows, 3), np.int64),
    )


def small_loop(agent: Recorder, steps: int = 100, **config: Any) -> ReplayLoop:
    settings = {"num_envs": 4, "warm_up": 0, "updates": 1} | config
    env = SlateVectorEnv("tests.small_world:SmallWorld", 4, autoreset_mode="disabled", horizon=3)
    agent.spec = EnvironmentSpec.of(env)
    return ReplayLoop(agent, env, LoopConfig(**settings), steps, np.random.default_rng(0), seed=0)


def test_replay_tells_what_was_shown_next() -> None:
    replay = Replay(5, WORLD)
    replay.follow(np.array([[8, 9]]))  # nothing was stored yet
    replay.add(transitions(1, 2, 3))
    replay.follow(np.array([[1, 2], [-1, -1], [3, 4]]))
    replay.add(transitions(4, 5, 6))
    following = replay.memory.next_slate[:, 0].tolist()
    assert dict(zip(replay.memory.reward.tolist(), following, strict=True)) == {
        6: -1,
        2: -1,
        3: 3,
        4: -1,
        5: -1,
    }


def test_the_loop_remembers_the_slate_that_followed_within_an_episode() -> None:
    loop = small_loop(Alternating(), capacity=100)
    for _ in range(7):
        loop.iterate()
    memory = loop.replay.memory
    steps = [memory.slate[4 * t : 4 * t + 4].tolist() for t in range(7)]
    following = [memory.next_slate[4 * t : 4 * t + 4].tolist() for t in range(7)]
    nothing = [[-1, -1]] * 4  # episodes of three steps end, cut off by the horizon
    assert following == [*steps[1:3], nothing, *steps[4:6], nothing, nothing]


def test_replay_overwrites_the_oldest() -> None:
    replay = Replay(5, WORLD)
    replay.add(transitions(1, 2, 3))
    assert len(replay) == 3
    assert set(replay.sample(np.random.default_rng(0), 100).reward) == {1, 2, 3}
    replay.add(transitions(4, 5, 6, 7))
    assert len(replay) == 5
    assert replay.memory.reward.tolist() == [6, 7, 3, 4, 5]
    sample = replay.sample(np.random.default_rng(0), 200)
    assert set(sample.reward) == {3, 4, 5, 6, 7}
    assert (sample.next_observation == 1).all()


def test_random_slates_are_uniform_over_distinct_items_that_are_not_excluded() -> None:
    excluded = np.tile([0, 4, 6], (3000, 1))
    slates = random_slates(
        np.random.default_rng(0), WORLD.n_items, WORLD.slate_size, 3000, excluded
    )
    counts = Counter(map(tuple, slates.tolist()))
    assert set(counts) == {(a, b) for a in (1, 2, 3, 5) for b in (1, 2, 3, 5) if a != b}
    assert max(abs(count - 250) for count in counts.values()) < 5 * 250**0.5


@pytest.mark.parametrize("n_items", [7, 40])
def test_random_slates_are_whole_however_few_candidates_are_left(n_items: int) -> None:
    world = EnvironmentSpec(n_items=n_items, slate_size=n_items - 2, window=2, features=None)
    excluded = np.tile([n_items, 1], (50, 1))
    slates = random_slates(np.random.default_rng(0), world.n_items, world.slate_size, 50, excluded)
    for slate in slates.tolist():
        assert len(set(slate)) == n_items - 2
        assert set(slate) < set(range(n_items)) - {1}
    with pytest.raises(RecGymError, match=f"fewer than {n_items - 2} items are left"):
        random_slates(
            np.random.default_rng(0), world.n_items, world.slate_size, 1, np.array([[0, 1, 2]])
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_envs": 0}, "num_envs=0: must be at least 1"),
        ({"updates": 0}, "updates=0"),
        ({"batch_size": -1}, "batch_size=-1"),
        ({"capacity": 0}, "capacity=0"),
        ({"warm_up": -1}, "warm_up=-1: must be at least 0"),
        ({"explore_start": 1.5}, r"explore_start=1.5: must be in 0\.\.1"),
        ({"explore_end": float("nan")}, "explore_end=nan"),
        ({"explore_share": -0.1}, "explore_share=-0.1"),
    ],
)
def test_settings_of_the_loop_have_ranges(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecGymError, match=message):
        LoopConfig(**settings)


def test_exploration_falls_linearly_after_the_warm_up() -> None:
    loop = small_loop(Recorder(), warm_up=20, explore_start=0.8, explore_end=0.2, explore_share=0.5)
    schedule = []
    for loop.steps_done in (0, 19, 20, 35, 50, 99):
        schedule.append(loop.explore())
    assert schedule == pytest.approx([1.0, 1.0, 0.8, 0.5, 0.2, 0.2])


def test_what_follows_the_last_step_of_an_episode_is_not_the_next_episode() -> None:
    agent = Recorder()
    loop = small_loop(agent, fresh=True)
    for _ in range(5):
        loop.iterate()
    nothing = loop.agent.spec.n_items
    for before, step, after in zip(agent.seen, agent.batches, agent.seen[1:], strict=False):
        np.testing.assert_array_equal(step.observation, before)
        clicked = step.item >= 0
        np.testing.assert_array_equal(step.next_observation[clicked, -1], step.item[clicked])
        np.testing.assert_array_equal(step.next_observation[~clicked], step.observation[~clicked])
        assert not step.terminated.any()
        if before is not agent.seen[2]:  # the third step is the last of its episode
            np.testing.assert_array_equal(after, step.next_observation)
    assert (agent.seen[3] == nothing).all()
    assert (agent.batches[2].next_observation != nothing).any()


def test_updates_begin_after_the_warm_up_and_are_counted() -> None:
    agent = Recorder()
    loop = small_loop(agent, warm_up=12, updates=3, batch_size=5)
    metrics = [loop.iterate() for _ in range(4)]
    assert [("loss" in report) for report in metrics] == [False, False, True, True]
    assert loop.updates_done == len(agent.batches) == 6
    assert all(len(batch.reward) == 5 for batch in agent.batches)


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    loop = small_loop(Recorder(loss=float("nan")))
    with pytest.raises(RecGymError, match="loss is nan at update 1, step 4"):
        loop.iterate()


def test_the_loop_goes_on_from_its_state() -> None:
    first, second = small_loop(Recorder()), small_loop(Recorder())
    for _ in range(4):
        first.iterate()
    second.set_state(*first.state())
    for _ in range(4):
        assert first.iterate() == second.iterate()
    ours, theirs = first.state(), second.state()
    assert ours[1] == theirs[1]
    for name, array in ours[0].items():
        np.testing.assert_array_equal(array, theirs[0][name])


def test_recommend_pads_and_cuts_the_history() -> None:
    agent = Recorder()
    assert recommend(agent, [5]) == [0, 1]
    assert recommend(agent, [1, 2, 3, 4]) == [0, 1]
    assert recommend(agent, []) == [0, 1]
    assert [seen.tolist() for seen in agent.seen] == [[[6, 6, 5]], [[2, 3, 4]], [[6, 6, 6]]]


@pytest.mark.parametrize("item", [-1, 6])
def test_recommend_names_an_unknown_item(item: int) -> None:
    with pytest.raises(RecGymError, match=rf"item {item} is not in 0\.\.5"):
        recommend(Recorder(), [0, item])


@pytest.mark.parametrize("item", [1.5, 1.0, "1", None])
def test_recommend_refuses_what_is_no_item_id(item: Any) -> None:
    agent = Recorder()
    with pytest.raises(RecGymError, match=r"is no item id; ids are integers"):
        recommend(agent, [0, item])
    assert agent.seen == []
    assert recommend(agent, np.array([0, 5], np.int32)) == [0, 1]


def test_what_an_agent_is_told_of_observations() -> None:
    history = EnvironmentSpec.of(SlateVectorEnv("tests.small_world:SmallWorld", 1))
    assert (history.ids, history.window) == (True, WINDOW)
    clicked = np.array([[0, 3]])
    assert history.excluded(clicked, remove_clicked=True) is clicked
    assert history.excluded(clicked, remove_clicked=False).shape == (1, 0)
    state = EnvironmentSpec.of(SlateVectorEnv("slate-mdp", 1, n_states=4, observe="state"))
    assert (state.ids, state.window, state.candidate_features) == (False, 4, 0)
    excluded = state.excluded(np.ones((2, 4), np.float32), remove_clicked=True)
    assert (excluded.shape, excluded.dtype) == ((2, 0), np.int64)
    state.check_candidates(remove_clicked=True)
