"""What simulators say of their items' kinds and of what users like, against their own answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recgym.simulators import Noise, Simulator, State, build
from recgym.simulators.made_up import TOPICS, made_up_title, topic_names
from tests.fixtures.user_model import random_user_model

B = 2000


def begun(world: Simulator, rows: int = B, seed: int = 0) -> tuple[State, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return world.reset(drawn(rng, rows, world.reset_noise)), rng


def drawn(rng: np.random.Generator, rows: int, counts: tuple[int, int]) -> Noise:
    return Noise(rng.random((rows, counts[0])), rng.standard_normal((rows, counts[1])))


def same_state(state: State, rows: int = B) -> State:
    """Returns the first row of a state over and over."""
    return {name: np.repeat(values[:1], rows, axis=0) for name, values in state.items()}


@pytest.mark.parametrize("kind", ["gan", "recurrent"])
def test_a_learned_user_clicks_an_item_shown_alone_as_often_as_is_said(kind: str) -> None:
    model = random_user_model(kind=kind, repeat_clicks=True)
    world: Any = build("learned-user", {"user_model": model, "slate_size": 1})
    state, rng = begun(world)
    state = same_state(state)
    liking = world.liking(state)
    assert liking.names == ()
    assert liking.values.shape == (B, world.n_items)
    for item in (0, 7):
        slate = np.full((B, 1), item)
        _, response = world.step(state, slate, drawn(rng, B, world.step_noise))
        clicked = (response.click == 0).mean()
        assert clicked == pytest.approx(liking.values[0, item], abs=4 * 0.5 / np.sqrt(B))


def test_where_something_is_always_clicked_items_are_compared_with_each_other() -> None:
    model = random_user_model(repeat_clicks=True, no_click=False)
    world: Any = build("learned-user", {"user_model": model, "slate_size": 2})
    state, rng = begun(world)
    state = same_state(state)
    values = world.liking(state).values[0]
    assert values.max() == 1.0
    slate = np.tile([3, 8], (B, 1))
    _, response = world.step(state, slate, drawn(rng, B, world.step_noise))
    share = values[3] / (values[3] + values[8])
    assert (response.click == 0).mean() == pytest.approx(share, abs=4 * 0.5 / np.sqrt(B))


def test_spent_items_are_never_clicked() -> None:
    world: Any = build("learned-user", {"user_model": random_user_model(repeat_clicks=False)})
    state, _ = begun(world, 5)
    values = world.liking(state).values
    spent = (state["history"][:, :, None] == np.arange(world.n_items)).any(axis=1)
    assert spent.any()
    assert (values[spent] == 0).all()
    assert (values[~spent] > 0).all()


def test_the_slate_mdp_tells_its_tables() -> None:
    world: Any = build("slate-mdp", {"n_states": 3, "n_items": 7, "slate_size": 2})
    state = {"state": np.array([2, 0]), "step": np.zeros(2, np.int64)}
    assert (world.liking(state).values == world.click_rewards[[2, 0]]).all()
    kinds = world.kinds(state)
    assert kinds.names == TOPICS[:3]
    for item in range(7):
        best = kinds.of_items[0, item]
        assert world.click_rewards[best, item] == world.click_rewards[:, item].max()


@pytest.mark.parametrize("name", ["interest-evolution", "interest-exploration"])
def test_of_two_documents_that_of_the_liked_topic_is_clicked_more(name: str) -> None:
    world: Any = build(name, {"slate_size": 2, "num_candidates": 2})
    state, rng = begun(world)
    state = same_state(state)
    topics = np.arange(2)
    state |= {"topic": np.tile(topics, (B, 1)), "quality": np.ones((B, 2))}
    liking, kinds = world.liking(state), world.kinds(state)
    assert len(liking.names) == len(kinds.names) == world.n_topics
    assert (kinds.of_items[0] == topics).all()
    assert (kinds.measures == 1.0).all()
    assert liking.low <= liking.values.min() <= liking.values.max() <= liking.high
    slate = np.tile(topics, (B, 1))
    _, response = world.step(state, slate, drawn(rng, B, world.step_noise))
    first, second = ((response.click == slot).mean() for slot in (0, 1))
    assert (first > second) == (liking.values[0, 0] > liking.values[0, 1])


def test_long_term_satisfaction_is_what_engagement_is_scaled_by() -> None:
    world: Any = build(
        "long-term-satisfaction", {"sensitivity": 1.0, "kale_stddev": 0.0, "choc_stddev": 0.0}
    )
    state, rng = begun(world, 50)
    liking = world.liking(state)
    satisfaction, exposure, left = liking.values.T
    after, response = world.step(
        state, np.tile([0, 1, 2], (50, 1)), drawn(rng, 50, world.step_noise)
    )
    clickbait = state["clickbait"][:, 0]
    mean = clickbait * 5.0 + (1 - clickbait) * 4.0
    np.testing.assert_allclose(np.log(response.reward), mean * satisfaction, rtol=1e-5)
    assert (abs(exposure) <= 0.5).all()
    assert (left == 1.0).all()
    assert world.liking(after).values[:, 2].tolist() == pytest.approx([59 / 60] * 50)
    kinds = world.kinds(state)
    assert (kinds.of_items == (state["clickbait"] > 0.5)).all()
    assert (kinds.names, kinds.measure) == (("Kale", "Chocolate"), "clickbait")


def test_names_are_made_up_the_same_way_each_time() -> None:
    assert made_up_title("Jazz", 12) == "Jazz in depth 12"
    assert len({made_up_title("Jazz", item) for item in range(500)}) == 500
    assert len(set(TOPICS)) == len(TOPICS)
    assert topic_names(2) == ("Jazz", "Football")
    assert topic_names(len(TOPICS) + 1)[-1] == f"Topic {len(TOPICS) + 1}"
