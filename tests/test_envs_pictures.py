"""What environments remember for pictures: the last answer, the reward so far, who the user is."""

from __future__ import annotations

import pickle
import re
from typing import Any

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecEnv

from recgym import RecGymError
from recgym.envs import SB3VecEnv, SlateEnv, SlateVectorEnv
from recgym.envs.pictures import MOST_BARS, Pictures
from recgym.rendering import FRAME_SIZE
from recgym.simulators import SIMULATORS, Noise, build
from recgym.simulators.made_up import made_up_title
from tests.fixtures.tiny_world import TinyWorld
from tests.fixtures.user_model import random_user_model


@pytest.fixture(autouse=True)
def _tiny_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIMULATORS.entries, "tiny", TinyWorld)


class Clicks:
    """A generator with which the tiny world's users click these slots, one after another."""

    def __init__(self, rows: list[list[int]]) -> None:
        self.rows = [iter(row) for row in rows]

    def random(self, size: tuple[int, int]) -> np.ndarray:
        return np.array([[(next(row) + 0.5) / 4] for row in self.rows])

    def standard_normal(self, size: tuple[int, int]) -> np.ndarray:
        return np.zeros(size)


def test_an_episode_by_hand() -> None:
    env = SlateEnv("tiny", render_mode="ansi", exit_item=5)
    assert env.render() is None
    env.reset(seed=0, options={"user": 4})
    before = "user 4, step 0 of 3, reward 0.000, 0.000 so far\n  nothing shown yet\n"
    assert env.render() == before
    env.np_random = Clicks([[1, 3, 0, 0]])  # type: ignore[assignment]
    env.step([3, 2, 0])
    assert env.render() == (
        "user 4, step 1 of 3, reward 2.400, 2.400 so far\n"
        "   1 item 3\n>  2 item 2\n   3 item 0\n  clicked slot 2\n"
    )
    env.step([3, 1, 0])
    assert "reward 0.000, 2.400 so far" in env.render()
    assert "nothing clicked" in env.render()
    env.step([5, 1, 0])
    assert "step 3 of 3, reward 5.400, 7.800 so far" in env.render()
    assert "clicked slot 1, and the user left" in env.render()
    env.reset(options={"user": 4})
    assert env.render() == before


def test_an_episode_that_is_over_says_so() -> None:
    env = SlateEnv("tiny", render_mode="ansi", horizon=1)
    env.reset(seed=0)
    env.np_random = Clicks([[3]])  # type: ignore[assignment]
    env.step([3, 1, 0])
    assert "nothing clicked, and the episode is over" in env.render()


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("mode", ["next-step", "same-step", "disabled"])
def test_rows_have_their_own_sums_in_every_autoreset_mode(backend: str, mode: str) -> None:
    env = SlateVectorEnv(
        "slate-mdp", 6, render_mode="ansi", autoreset_mode=mode, backend=backend, horizon=4
    )
    env.reset(seed=0)
    env.action_space.seed(0)
    so_far = np.zeros(6)
    for _ in range(12):
        done = np.asarray(env._done)
        _, reward, *ended, _ = env.step(env.action_space.sample())
        so_far += np.asarray(reward)
        ends = np.asarray(ended[0] | ended[1])
        restarted = {"next-step": done, "same-step": ends, "disabled": np.zeros(6, bool)}[mode]
        so_far[restarted] = 0.0
        pages = env.render()
        assert pages is not None
        for row, page in enumerate(pages):
            assert f"{so_far[row]:.3f} so far" in page
            assert ("nothing shown yet" in page) == restarted[row]
        if mode == "disabled" and ends.any():
            env.reset(options={"reset_mask": ends})
            so_far[ends] = 0.0
            pages = env.render()
            assert pages is not None
            for row, page in enumerate(pages):
                assert ("nothing shown yet" in page) == ends[row]


def test_a_state_that_was_set_says_that_its_last_slate_is_not_known() -> None:
    env = SlateVectorEnv("slate-mdp", 2, render_mode="ansi", horizon=9)
    env.reset(seed=0)
    while not env.step(np.tile(np.arange(10), (2, 1)))[1].all():
        env.reset()
    other = SlateVectorEnv("slate-mdp", 2, render_mode="ansi", horizon=9)
    other.reset(seed=1)
    other.set_state(*env.get_state())
    pages = other.render()
    assert pages is not None
    assert "step 1 of 9" in pages[0]
    assert "the last slate is not known" in pages[0]


def test_of_some_rows_that_were_stepped_alone_only_rewards_are_known() -> None:
    env = SlateVectorEnv("tiny", 2, render_mode="ansi", autoreset_mode="disabled")
    env.reset(seed=0)
    slate = np.array([[4, 1, 2], [4, 1, 2]])
    _, first, *_ = env.step(slate)
    _, second, *_ = env.step_rows(np.array([1]), slate[1:])
    pages = env.render()
    assert pages is not None
    assert "the last slate is not known" not in pages[0]
    assert "step 2 of 3" in pages[1]
    assert f"{first[1] + second[0]:.3f} so far\n  the last slate is not known" in pages[1]


def test_both_shells_show_the_same() -> None:
    """Of the same state and answer."""
    world = build("interest-evolution", {})
    rng = np.random.default_rng(0)

    def noise(counts: tuple[int, int]) -> Noise:
        return Noise(rng.random((3, counts[0])), rng.standard_normal((3, counts[1])))

    before = world.reset(noise(world.reset_noise))
    slate = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    after, response = world.step(before, slate, noise(world.step_noise))
    click, _, reward, left, _ = response

    def drawn(rows: slice) -> tuple[Any, ...]:
        pictures = Pictures(world, None, len(slate[rows]))
        states = [{name: values[rows] for name, values in one.items()} for one in (before, after)]
        pictures.note(*states, slate[rows], click[rows], reward[rows], left[rows])
        return pictures.draw("ansi", states[1])

    assert drawn(slice(3)) == tuple(drawn(slice(row, row + 1))[0] for row in range(3))


def test_items_are_shown_as_they_were_when_they_were_shown() -> None:
    """RecSim's candidates are new at every step: an old slate has the old ones' names."""
    env = gymnasium.make("InterestEvolution-v0", render_mode="ansi")
    env.reset(seed=0)
    for _ in range(3):
        shown = env.unwrapped._state  # type: ignore[attr-defined]
        kinds = env.unwrapped.simulator.kinds(shown)  # type: ignore[attr-defined]
        env.step([4, 0, 7])
        page: Any = env.render()
        for slot, item in enumerate([4, 0, 7]):
            title = made_up_title(kinds.names[kinds.of_items[0, item]], item)
            assert f" {slot + 1} {title} (quality {kinds.measures[0, item]:.2f})" in page


def test_a_slate_that_is_being_chosen_is_shown_as_far_as_it_is() -> None:
    env = SlateEnv("tiny", render_mode="ansi", view="item-by-item")
    env.reset(seed=0)
    env.step(4)
    assert "\n   1 item 4\n  choosing: 1 of 3 slots are filled\n" in env.render()
    env.step(0)
    assert "\n   1 item 4\n   2 item 0\n  choosing: 2 of 3 slots are filled\n" in env.render()
    env.step(2)
    assert "step 1 of 3" in env.render()
    assert "   3 item 2" in env.render().replace(">", " ")
    assert "choosing" not in env.render()


def test_what_an_ensemble_likes_is_what_its_member_likes() -> None:
    model = random_user_model()
    env = SlateEnv("learned-user", user_model=model, ensemble=3, render_mode="ansi")
    env.reset(seed=0)
    state, simulator = env._state, env.simulator
    assert state is not None
    member: Any = simulator.members[state["member"].item()]  # type: ignore[attr-defined]
    liking = member.liking(state)
    highest = max(liking.values[0][column].mean() for column in env._pictures._labels.member.T)
    text = env.render()
    assert f"member {state['member'].item()}, step 0" in text
    assert re.search(rf"shown alone: cluster \d {highest:.2f}", text)


def test_of_many_kinds_those_shown_and_the_most_liked_have_bars() -> None:
    world = build("interest-evolution", {"num_topics": 30, "num_candidates": 12})
    pictures = Pictures(world, None, 1)
    rng = np.random.default_rng(1)
    counts = world.reset_noise
    state = world.reset(Noise(rng.random((1, counts[0])), rng.standard_normal((1, counts[1]))))
    interests = state["user_interests"][0]
    shown = {int(np.argmin(interests))}
    bars = pictures._bars(world, state, shown)
    assert bars is not None
    assert len(bars.names) == MOST_BARS
    assert list(bars.kinds) == sorted(bars.kinds)
    others = np.argsort(-interests)[: MOST_BARS - 1]
    assert set(bars.kinds) == shown | set(others.tolist())
    assert bars.what == "interest in each topic (12 of 30)"


def test_pictures_survive_a_pickle() -> None:
    env = SlateEnv("slate-mdp", render_mode="ansi")
    env.reset(seed=0)
    env.step(np.arange(10))
    assert pickle.loads(pickle.dumps(env)).render() == env.render()


def test_stable_baselines_tiles_the_rows() -> None:
    env: VecEnv = SB3VecEnv("SlateMDP-v0", 4, render_mode="rgb_array")
    env.reset()
    tiled = env.render()
    assert tiled is not None
    assert tiled.shape == (2 * FRAME_SIZE[1], 2 * FRAME_SIZE[0], 3)


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_without_pillow_text_still_works(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RecGymError, match=r'needs Pillow: pip install "recgym\[render\]"'):
        make("SlateMDP-v0", render_mode="rgb_array")
    env = make("SlateMDP-v0", render_mode="ansi")
    env.reset(seed=0)
    assert "nothing shown yet" in "".join(env.render())
