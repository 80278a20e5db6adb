"""Users who are seen once: their contexts, and what their logs tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym.simulators.base import Noise
from recgym.simulators.learned_user import LearnedUser
from recgym.simulators.meta_user import MetaUser
from recgym.spaces import draw_slates
from recgym.users import FittedUserModel, meta
from recgym.users.meta_scoring import context_of
from tests.fixtures.user_model import random_user_model

ITEMS, STEPS = 16, 4


def model_of(outside: str | None = "no_click", **config: Any) -> FittedUserModel:
    return random_user_model(
        ITEMS, kind="meta", context=3, latent=4, hidden=(8,), steps=STEPS, outside=outside, **config
    )


def starts(world: MetaUser) -> Any:
    users = np.arange(world.n_users)
    return world.reset(Noise(np.zeros((len(users), 1)), np.empty((len(users), 0))), users)


def test_a_user_has_her_context_and_her_support_in_every_episode() -> None:
    model = model_of()
    env = gymnasium.make("M3Rec-v0", user_model=model, slate_size=3, support=2, split="test")
    again = gymnasium.make("M3Rec-v0", user_model=model, slate_size=3, support=2, split="test")
    _, info = env.reset(seed=0, options={"user": 7})
    assert info["user"] == 7
    assert (info["support"].dtype, info["support"].shape) == (np.int64, (2, STEPS, 4))
    assert (info["support_reward"].dtype, info["support_reward"].shape) == (np.float32, (2, STEPS))
    _, other = again.reset(seed=5, options={"user": 7})
    assert (other["support"] == info["support"]).all()
    assert (other["support_reward"] == info["support_reward"]).all()
    _, _, _, _, later = env.step(np.arange(3))
    assert (later["support"] == info["support"]).all()
    _, stranger = again.reset(options={"user": 8})
    assert (stranger["support"] != info["support"]).any()
    assert "context" not in info
    with pytest.raises(RecGymError, match=r"out of range 0\.\.19"):
        env.reset(options={"user": 20})


def test_support_is_pages_of_distinct_items_and_what_they_were_worth() -> None:
    for outside in ("no_click", "end", None):
        model = model_of(outside)
        world = MetaUser(model, slate_size=3, support=3)
        state = starts(world)
        support, reward = state["support"], state["support_reward"]
        slate, click = support[..., :-1], support[..., -1]
        there = slate[..., 0] >= 0
        assert there.all() == (outside != "end")
        assert there[:, :, 0].all()
        assert (support[~there] == -1).all()
        assert (reward[~there] == 0.0).all()
        assert all(len(set(page)) == 3 for page in slate[there].tolist())
        assert (click >= 0).all() == (outside is None)
        assert (reward[click < 0] == 0.0).all()
        if outside == "end":  # nothing follows a page without a click
            assert not there[:, :, 1:][click[:, :, :-1] < 0].any()
        first = {"history": np.full((20, 10), ITEMS), "context": state["context"]}
        _, expected = world.score(first, slate[:, 0, 0])
        clicked = click[:, 0, 0] >= 0
        found = np.take_along_axis(expected, click[:, 0, :1], axis=1)[:, 0]
        np.testing.assert_allclose(reward[clicked, 0, 0], found[clicked], atol=1e-5)
        items = np.take_along_axis(slate, np.maximum(click, 0)[..., None], axis=-1)[..., 0]
        for sequence, made in zip(items.reshape(-1, STEPS), click.reshape(-1, STEPS), strict=True):
            spent = sequence[made >= 0].tolist()
            assert len(set(spent)) == len(spent)


def test_support_tells_of_the_context() -> None:
    """Users who click by a taste that is their context, told by the clicks of one sequence."""
    model = model_of()
    params = {name: 0.0 * array for name, array in model.members["train"].items()}
    params["latent.weight"][0, -3] = params["latent.mean"][0, 0] = 1.0
    params["choice.state"][0, 0], params["choice.item"][0, 0] = 8.0, 8.0
    params["choice.state"][1, 0], params["choice.item"][1, 0] = -8.0, -8.0
    params["choice.output"][:2] = 1.0
    params["encoder.weight"][0, 0] = params["encoder.mean"][0, 0] = 1.0
    told = replace(model, members={"train": params}, config=replace(model.config, steps=10))
    world = MetaUser(told, slate_size=5)
    state = starts(world)
    inferred = context_of(told, state["support"]).mean[:, 0]
    assert np.corrcoef(inferred, state["context"][:, 0])[0, 1] > 0.5


def test_identified_rewards_differ_from_raw_ones_by_the_level_alone() -> None:
    model = model_of()
    scored = replace(model, scores={"agreement": {"levels": 0.25}})
    raw, identified = (
        MetaUser(scored, slate_size=3, reward=name) for name in ("raw", "identified")
    )
    state = starts(raw)
    slate = np.tile(np.arange(3), (raw.n_users, 1))
    chance, expected = raw.score(state, slate)
    same, found = identified.score(state, slate)
    np.testing.assert_array_equal(chance, same)
    level = meta.levels(model.config, raw._tables, state)
    dropped = 0.75 * (level - level.mean())
    np.testing.assert_allclose(
        expected[:, :-1] - found[:, :-1], dropped[:, None] + 0 * slate, atol=1e-5
    )
    assert (found[:, -1] == 0.0).all()
    plain = LearnedUser(scored, "train", "train", 3, 20, "features", None)
    np.testing.assert_array_equal(plain.score(state, slate)[1], found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"user_model": random_user_model(ITEMS)}, "must be a meta-level user model's folder"),
        ({"user_model": "recgan"}, "must be a meta-level user model's folder"),
        ({"user_model": 3}, "must be a meta-level user model's folder"),
        ({"support": 0}, r"support=0: must be a whole number in 1\.\."),
        ({"split": "bag0"}, "split='bag0': must be one of train, test"),
        ({"reward": "clicks"}, "reward='clicks': must be one of identified, raw"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(arguments: Any, message: str) -> None:
    with pytest.raises(RecGymError, match=message) as error:
        MetaUser(**({"user_model": model_of(), "slate_size": 3} | arguments))
    assert "\n" not in str(error.value)


def test_a_click_can_be_worth_1() -> None:
    world = MetaUser(reward="click")
    rng = np.random.default_rng(0)
    state = world.reset(Noise(rng.random((200, 1)), np.empty((200, 0))))
    assert set(np.unique(state["support_reward"])) == {0.0, 1.0}
    np.testing.assert_array_equal(state["support_reward"], state["support"][..., -1] >= 0)
    slate = draw_slates(world.n_items, 200, world.slate_size, rng)
    uniform = rng.random((200, world.step_noise[0]))
    _, response = world.step(state, slate, Noise(uniform, uniform[:, :0]))
    np.testing.assert_array_equal(response.reward, response.item >= 0)
    _, recovered = MetaUser().step(state, slate, Noise(uniform, uniform[:, :0]))
    np.testing.assert_array_equal(response.item, recovered.item)
    assert 0 < (response.item >= 0).sum() < 200
