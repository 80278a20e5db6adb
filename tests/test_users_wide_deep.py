"""Wide and deep user models: utilities by hand, and one function for NumPy and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym.users import wide_deep
from recgym.users.likelihood import initial_params
from recgym.users.wide_deep import WideDeepUserConfig
from tests.fixtures.user_arrays import (
    N_ITEMS,
    random_batch,
    random_features,
    random_params,
    tensors,
)

SMALL = WideDeepUserConfig(window=3, features=4, hidden=(5, 3))
CONFIGS = [
    SMALL,
    WideDeepUserConfig(window=3, features=4, hidden=(), factors=2, wide=False),
    WideDeepUserConfig("click", factors=3, window=4, features=4, hidden=(5,), no_click=False),
]
FEATURES = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]], np.float32)
NO_ITEM = 3


def answer(config: WideDeepUserConfig, params: wide_deep.Params, history: list[int]) -> list[float]:
    tables = wide_deep.prepare(config, params, FEATURES)
    state = wide_deep.initial(config, tables, np.array([history]))
    return wide_deep.respond(config, tables, state, np.array([[0, 1]]))[0][0].tolist()


def test_the_wide_part_by_hand() -> None:
    config = WideDeepUserConfig(window=2, features=2, hidden=())
    params = {
        "linear": np.array([1.0, 10.0], np.float32),
        "bias": np.array([0.5], np.float32),
        "wide.products": np.array([100.0, 1000.0], np.float32),
        "wide.clicked": np.array([7.0], np.float32),
    }
    assert answer(config, params, [NO_ITEM, NO_ITEM]) == [1.5, 20.5, 0.0]
    # She clicked items 0 and 2, whose features are (1, .5) in the mean.
    assert answer(config, params, [0, 2]) == [1.5 + 100 + 7, 20.5 + 1000, 0.0]


def test_factors_are_a_product_of_user_and_item_by_hand() -> None:
    config = WideDeepUserConfig(window=2, features=2, hidden=(), wide=False, factors=1)
    params = {
        "linear": np.zeros(2, np.float32),
        "bias": np.zeros(1, np.float32),
        "factors.user": np.array([[3.0, 5.0]], np.float32),
        "factors.item": np.array([[1.0, -1.0]], np.float32),
    }
    assert answer(config, params, [NO_ITEM, 1]) == [1.0 * 10.0, -2.0 * 10.0, 0.0]


def test_the_deep_part_reads_user_and_item_by_hand() -> None:
    config = WideDeepUserConfig(window=1, features=2, hidden=(1,), wide=False)
    params = {
        "linear": np.zeros(2, np.float32),
        "bias": np.zeros(1, np.float32),
        "deep.user": np.array([[1.0, 0.0]], np.float32),
        "deep.item": np.array([[0.0, 1.0]], np.float32),
        "deep.bias0": np.array([-1.5], np.float32),
        "deep.output": np.array([2.0], np.float32),
    }
    assert answer(config, params, [2]) == [0.0, 2 * (1.0 + 2.0 - 1.5), 0.0]


@pytest.mark.parametrize("config", CONFIGS)
def test_numpy_and_torch_agree(config: WideDeepUserConfig) -> None:
    params, features = random_params(config), random_features(config)
    histories, slates, items = random_batch(7)
    tables = wide_deep.prepare(config, params, features)
    state = wide_deep.initial(config, tables, histories)
    state = wide_deep.advance(config, tables, state, items)
    logits, rewards = wide_deep.respond(config, tables, state, slates)
    ours = wide_deep.prepare(config, tensors(params), torch.from_numpy(features))
    in_torch = wide_deep.initial(config, ours, torch.from_numpy(histories))
    in_torch = wide_deep.advance(config, ours, in_torch, torch.from_numpy(items))
    found = wide_deep.respond(config, ours, in_torch, torch.from_numpy(slates))
    np.testing.assert_allclose(found[0].numpy(), logits, atol=1e-4)
    np.testing.assert_allclose(found[1].numpy(), rewards, atol=1e-4)
    assert (rewards[:, -1] == 0.0).all()
    assert np.isneginf(logits[:, -1]).all() == (not config.no_click)


@pytest.mark.parametrize("config", CONFIGS)
def test_every_parameter_and_the_features_have_a_gradient(config: WideDeepUserConfig) -> None:
    histories, slates, _ = (torch.from_numpy(array) for array in random_batch(9))
    histories[0, -1] = slates[0, 0]  # an item that was clicked before
    params = initial_params(config, np.random.default_rng(0))
    features = torch.randn(N_ITEMS, config.features, requires_grad=True)
    tables = wide_deep.prepare(config, params, features)
    _, utility = wide_deep.respond(config, tables, {"history": histories}, slates)
    torch.autograd.backward(utility.square().sum() + utility.sum())
    for name, value in {**params, "features": features}.items():
        assert value.grad is not None, name
        assert value.grad.abs().max() > 0, name


def test_settings_out_of_their_range_are_one_line() -> None:
    with pytest.raises(RecGymError, match="factors=-1: must be in 0"):
        WideDeepUserConfig(factors=-1)
    with pytest.raises(RecGymError, match="too large"):
        WideDeepUserConfig(hidden=(8_000, 8_000, 8_000))
