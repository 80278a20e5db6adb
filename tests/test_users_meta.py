"""The meta-level user model's functions: by hand, against torch, and their properties."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.users import meta
from recgym.users.meta import MetaUserConfig
from recgym.users.meta_context import infer
from recgym.users.meta_scoring import context_of
from tests.fixtures.user_arrays import (
    N_ITEMS,
    random_batch,
    random_features,
    random_params,
    tensors,
)
from tests.fixtures.user_model import random_user_model

SMALL = MetaUserConfig(
    context=3, latent=4, window=3, weights=2, hidden=(5, 6), units=7, features=4, steps=3
)
CONFIGS = [
    SMALL,
    replace(SMALL, outside=None, hidden=(5,), activation="elu"),
    replace(SMALL, similarity=True),
]
each_config = pytest.mark.parametrize("config", CONFIGS)


def random_support(users: int, sequences: int = 2, steps: int = 3, slots: int = 4) -> Array:
    """Slates of distinct items, clicks or none, and steps and slots that are not there."""
    rng = np.random.default_rng(4)
    shape = (users, sequences, steps)
    slates = rng.random((*shape, N_ITEMS)).argsort(axis=-1)[..., :slots]
    slates[..., -1] = np.where(rng.random(shape) < 0.3, -1, slates[..., -1])
    click = rng.integers(-1, slots - 1, size=shape)
    support = np.concatenate([slates, click[..., None]], axis=-1)
    support[:, -1, -1] = -1
    return support


def state_of(config: MetaUserConfig, tables: Any, histories: Array) -> Any:
    state = meta.initial(config, tables, histories)
    return state | {"context": 0.5 + 0.0 * state["context"]}


def test_a_model_of_one_unit_by_hand() -> None:
    config = MetaUserConfig(
        context=1, latent=1, window=1, weights=1, hidden=(1,), units=1, features=1, steps=1
    )
    params = {name: np.zeros(shape, np.float32) for name, shape in meta.shapes(config).items()}
    ones = ("position.weight", "latent.mean", "choice.item", "choice.output", "reward.output")
    params |= {name: np.ones_like(params[name]) for name in (*ones, "reward.item")}
    params["latent.weight"][:] = [[1.0, 2.0]]
    params["latent.log_std_bias"][:] = -3.0
    params["choice.state"][:] = 2.0
    params["reward.state"][:] = [[0.0, 4.0]]
    tables = meta.prepare(config, params, np.array([[1.0], [3.0]], np.float32))
    state = {"history": np.array([[1]]), "context": np.array([[0.25]], np.float32)}
    logits, rewards = meta.respond(config, tables, state, np.array([[0, 1]]))
    s = np.tanh(3.0)  # the last click has the feature 3
    z = np.tanh(s + 2.0 * 0.25)
    np.testing.assert_allclose(logits, [[2.0 * z + 1.0, 2.0 * z + 3.0, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(rewards, [[4.0 * 0.25 + 1.0, 4.0 * 0.25 + 3.0, 0.0]], rtol=1e-6)
    mean, log_std = meta.latent(tables, meta.situations(tables, state))
    np.testing.assert_allclose((mean[0, 0], log_std[0, 0]), (z, -3.0), rtol=1e-6)
    without = replace(config, outside=None)
    tables = meta.prepare(without, params, np.array([[1.0], [3.0]], np.float32))
    logits, rewards = meta.respond(without, tables, state, np.array([[0, 1]]))
    assert logits[0, -1] == -np.inf
    np.testing.assert_allclose(rewards, [[-1.0, 1.0, 0.0]], rtol=1e-6)  # the mean item: feature 2
    np.testing.assert_allclose(meta.levels(config, tables, state), 4.0 * 0.25 + 2.0, rtol=1e-6)
    kept = meta.with_level(tables, held=5.0, share=0.25)
    _, rewards = meta.respond(config, kept, state, np.array([[0, 1]]))
    np.testing.assert_allclose(rewards, [[2.0 + 1.5, 4.0 + 1.5, 0.0]], rtol=1e-6)  # .75 (3 - 5)


def test_similarity_to_clicked_items_is_added_to_choices() -> None:
    """Nothing but similarity: what is learned is added to .1, of the older click and the later."""
    config = replace(SMALL, window=2, similarity=True)
    params = {name: np.zeros(shape, np.float32) for name, shape in meta.shapes(config).items()}
    params["similarity.weight"][:] = [[0.4, -0.3]]
    features = np.array([[1.0, 0, 0, 0], [0, 3.0, 0, 0], [2.0, 3.0, 0, 0]], np.float32)
    tables = meta.prepare(config, params, features)
    state = state_of(config, tables, np.array([[0, 1]]))
    logits, rewards = meta.respond(config, tables, state, np.array([[0, 1, 2]]))
    # .5 (1, 0) - .2 (0, 3) with what items have more than the mean one's (1, 2)
    by_hand = [-0.6 * -2.0, 0.5 * -1.0 - 0.6, 0.5 - 0.6, 0.0]
    np.testing.assert_allclose(logits, [by_hand], rtol=1e-5)
    np.testing.assert_array_equal(rewards, 0.0)


@each_config
def test_numpy_and_torch_agree(config: MetaUserConfig) -> None:
    params, features = random_params(config), random_features(config)
    histories, slates, items = random_batch(8)
    support = random_support(8)
    reward = (support[..., -1] >= 0).astype(np.float32)
    found: list[list[Array]] = []
    for to in (np.asarray, torch.from_numpy):
        own = params if to is np.asarray else tensors(params)
        tables = meta.prepare(config, own, to(features))
        mean, variance = infer(tables, to(support), to(reward))
        state = meta.initial(config, tables, to(histories)) | {"context": mean}
        state = meta.advance(config, tables, state, to(items))
        found.append([mean, variance, *meta.respond(config, tables, state, to(slates))])
    for our, their in zip(*found, strict=True):
        assert our.dtype == np.float32
        np.testing.assert_allclose(their.numpy(), our, rtol=1e-4, atol=1e-5)
    assert found[0][0].shape == (8, 3)
    assert found[0][2].shape == found[0][3].shape == (8, 5)


@each_config
def test_rows_do_not_see_one_another_and_slots_do_not_matter(config: MetaUserConfig) -> None:
    tables = meta.prepare(config, random_params(config), random_features(config))
    histories, slates, _ = random_batch(6)
    together = meta.respond(config, tables, state_of(config, tables, histories), slates)
    backward = meta.respond(config, tables, state_of(config, tables, histories), slates[:, ::-1])
    for row in range(6):
        one = slice(row, row + 1)
        state = state_of(config, tables, histories[one])
        for answer, rows in zip(
            meta.respond(config, tables, state, slates[one]), together, strict=True
        ):
            np.testing.assert_allclose(answer[0], rows[row], rtol=1e-4, atol=1e-5)
    for forward, back in zip(together, backward, strict=True):
        np.testing.assert_allclose(forward[:, :-1], back[:, -2::-1], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(forward[:, -1], back[:, -1])


def test_a_context_changes_choices_and_rewards_and_stays() -> None:
    tables = meta.prepare(SMALL, random_params(SMALL), random_features(SMALL))
    histories, slates, items = random_batch(6)
    nobody = meta.initial(SMALL, tables, histories)
    assert (nobody["context"] == 0.0).all()
    somebody = state_of(SMALL, tables, histories)
    for one, other in zip(
        meta.respond(SMALL, tables, nobody, slates),
        meta.respond(SMALL, tables, somebody, slates),
        strict=True,
    ):
        assert (one[:, :-1] != other[:, :-1]).all()
    after = meta.advance(SMALL, tables, somebody, items)
    assert (after["context"] == 0.5).all()
    clicked = items >= 0
    assert (after["history"][clicked, -1] == items[clicked]).all()
    assert (after["history"][~clicked] == histories[~clicked]).all()


def test_every_parameter_and_the_features_have_a_gradient() -> None:
    params = {name: value.requires_grad_() for name, value in tensors(random_params(SMALL)).items()}
    features = torch.from_numpy(random_features(SMALL)).requires_grad_()
    histories, slates, _ = map(torch.from_numpy, random_batch(8))
    support = torch.from_numpy(random_support(8))
    tables = meta.prepare(SMALL, params, features)
    mean, variance = infer(tables, support, (support[..., -1] >= 0).float())
    state = meta.initial(SMALL, tables, histories) | {"context": mean}
    logits, rewards = meta.respond(SMALL, tables, state, slates)
    _, log_std = meta.latent(tables, meta.situations(tables, state))
    terms = (logits.square(), rewards.square(), variance, log_std.square())
    torch.stack([term.sum() for term in terms]).sum().backward()
    for name, value in (params | {"features": features}).items():
        assert value.grad is not None, name
        assert float(value.grad.abs().sum()) > 0.0, name


def test_a_context_is_the_product_of_the_steps_and_the_prior() -> None:
    """Of one step, by hand: what was clicked, less the mean of what was shown, and its reward."""
    config = replace(SMALL, features=1, units=1, context=1)
    params = {name: np.zeros(shape, np.float32) for name, shape in meta.shapes(config).items()}
    params["encoder.weight"][:] = [[1.0, 0.5, 0.25, -0.75]]
    params["encoder.mean"][:] = 2.0
    params["encoder.log_precision_bias"][:] = np.log(3.0)
    params["encoder.reward"][:] = [1.0, 2.0]
    tables = meta.prepare(config, params, np.array([[1.0], [4.0], [-2.0]], np.float32))
    clicked = np.array([[[[0, 1, 2, 1]]]])  # the feature is 4, the mean 1, the reward 3
    nothing = np.array([[[[0, 2, -1, -1]]]])  # the feature is 0, the mean -1/2
    by_hand = np.array([2.0 * np.tanh(4.0 + 1.5 + 1.0), 2.0 * np.tanh(0.25 - 0.75)])
    for support, reward, factor in ((clicked, 3.0, by_hand[0]), (nothing, 0.0, by_hand[1])):
        mean, variance = infer(tables, support, np.full((1, 1, 1), reward))
        np.testing.assert_allclose(variance, 0.25, rtol=1e-6)  # 1 / (1 + 3)
        np.testing.assert_allclose(mean, 0.75 * factor, rtol=1e-6)
    both = np.concatenate([clicked, nothing], axis=2)
    mean, variance = infer(tables, both, np.array([[[3.0, 0.0]]]))
    np.testing.assert_allclose(variance, 1.0 / 7.0, rtol=1e-6)
    np.testing.assert_allclose(mean, 3.0 * by_hand.sum() / 7.0, rtol=1e-6)


def test_the_order_of_sequences_steps_and_slots_does_not_matter() -> None:
    tables = meta.prepare(SMALL, random_params(SMALL), random_features(SMALL))
    support = random_support(5)
    reward = np.random.default_rng(0).random(support.shape[:-1])
    expected = infer(tables, support, reward)
    slots = support[..., -2::-1]
    click = np.where(support[..., -1:] >= 0, slots.shape[-1] - 1 - support[..., -1:], -1)
    for changed, paid in (
        (support[:, ::-1], reward[:, ::-1]),
        (support[:, :, ::-1], reward[:, :, ::-1]),
        (support.reshape(5, 1, 6, -1), reward.reshape(5, 1, 6)),
        (np.concatenate([slots, click], axis=-1), reward),
        (
            np.pad(support, [(0, 0), (0, 2), (0, 0), (0, 0)], constant_values=-1),
            np.pad(reward, [(0, 0), (0, 2), (0, 0)]),
        ),
    ):
        for one, other in zip(infer(tables, changed, paid), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_more_sequences_narrow_a_context_and_none_is_the_prior() -> None:
    model = random_user_model(N_ITEMS, kind="meta", context=3, features=4, units=6)
    support = random_support(5)
    one, two = context_of(model, support[:, :1]), context_of(model, support)
    assert (two.deviation < one.deviation).all()
    assert (one.deviation < 1.0).all()
    none = context_of(model, support[:, :0])
    assert (none.mean == 0.0).all()
    assert (none.deviation == 1.0).all()
    assert (context_of(model, support, member="test").mean != two.mean).all()


def test_without_rewards_a_click_is_worth_the_logs_mean() -> None:
    model = random_user_model(N_ITEMS, kind="meta", context=3, features=4, units=6)
    model.members["train"]["encoder.reward"] = np.array([3.5, 0.9], np.float32)
    support = random_support(5)
    mean_ones = np.where(support[..., -1] >= 0, 3.5, 0.0)
    found, expected = context_of(model, support), context_of(model, support, mean_ones)
    np.testing.assert_array_equal(found.mean, expected.mean)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda support: {"support": support[0]}, "must be whole numbers"),
        (lambda support: {"support": support + 0.5}, "must be whole numbers"),
        (lambda support: {"support": support + N_ITEMS}, r"of this catalog are 0\.\.11"),
        (
            lambda support: {
                "support": np.where(support == 4, 9, support)[..., [0, 1, -1]] * 0 + 2
            },
            "a click is on a slot without an item",
        ),
        (lambda support: {"support": support, "reward": np.zeros((1, 2))}, "5 x 2 x 3 finite"),
        (lambda support: {"support": support, "reward": np.full((5, 2, 3), np.nan)}, "finite"),
        (lambda support: {"support": support, "member": "bag9"}, "no member 'bag9'"),
    ],
)
def test_support_that_does_not_fit_is_refused_in_one_line(change: Any, message: str) -> None:
    model = random_user_model(N_ITEMS, kind="meta", context=3, features=4, units=6)
    with pytest.raises(RecGymError, match=message) as error:
        context_of(model, **change(random_support(5)))
    assert "\n" not in str(error.value)


def test_only_a_meta_level_model_has_contexts() -> None:
    with pytest.raises(RecGymError, match="only a meta-level user model"):
        context_of(random_user_model(N_ITEMS), random_support(5))
