"""What a log fixes of rewards: by hand, and whatever function of the state is added to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from recgym.users import gan
from recgym.users.gan import GANUserConfig
from recgym.users.identified import level_to_hold, respond_identified, with_level
from tests.fixtures.gan_configs import CONFIGS, DEEP, ONE_UNIT, ONE_UNIT_PARAMS, SMALL
from tests.fixtures.user_arrays import random_batch, random_features, random_params


def test_the_identified_reward_of_one_unit_by_hand() -> None:
    config, params = ONE_UNIT, ONE_UNIT_PARAMS
    features = np.array([[1.0], [3.0], [0.0]], np.float32)
    tables = with_level(gan.prepare(config, params, features), held=1.0)
    state = gan.initial(config, tables, np.array([[0, 2]]))
    logits, rewards = respond_identified(config, tables, state, np.array([[0, 1]]))
    # s = relu(1 * 1 + 0 * 10 + 0.5) = 1.5. The mean item is 4/3, and its reward, the level,
    # 0.5 relu(2 * 1.5 + 3 * 4/3 - 1) = 3. r(0) = 0.5 (3 + 3 - 1) = 2.5; r(1) = 0.5 (3 + 9 - 1).
    np.testing.assert_allclose(logits, [[2.5, 5.5, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(rewards, [[2.5 - 3 + 1, 5.5 - 3 + 1, 0.0]], rtol=1e-6)

    # With a fourth of how the level differs from 1 kept, 3/4 of it goes.
    tables = with_level(gan.prepare(config, params, features), held=1.0, share=0.25)
    _, rewards = respond_identified(config, tables, state, np.array([[0, 1]]))
    np.testing.assert_allclose(rewards, [[2.5 - 1.5, 5.5 - 1.5, 0.0]], rtol=1e-6)

    # Who clicked nothing has s = 0.5, and the level 0.5 (2 * 0.5 + 3 * 4/3 - 1) = 2.
    histories = np.array([[0, 2], [3, 3]])
    assert level_to_hold(config, params, features, histories) == pytest.approx(2.5)
    assert level_to_hold(replace(config, no_click=False), params, features, histories) == 0.0


@pytest.mark.parametrize("config", CONFIGS)
def test_identified_rewards_differ_from_raw_ones_by_a_function_of_the_state(
    config: GANUserConfig,
) -> None:
    params, features = random_params(config), random_features(config)
    tables = gan.prepare(config, params, features)
    histories, slates, _ = random_batch(20)
    state = gan.initial(config, tables, histories)
    logits, raw = gan.respond(config, tables, state, slates)
    identified = respond_identified(config, with_level(tables), state, slates)
    np.testing.assert_allclose(identified[0], logits, rtol=1e-5, atol=1e-6)
    apart = (raw - identified[1])[:, :-1]
    np.testing.assert_allclose(apart, np.repeat(apart[:, :1], slates.shape[1], axis=1), atol=1e-5)
    assert apart[:, 0].std() > 0.01
    assert (identified[1][:, -1] == 0.0).all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("config", [replace(SMALL, no_click=False), replace(DEEP, no_click=False)])
def test_a_function_of_the_state_in_the_reward_changes_neither_choices_nor_what_is_identified(
    config: GANUserConfig, seed: int
) -> None:
    params, features = random_params(config), random_features(config)
    more, shifted = _with_units_of_the_state(config, params, np.random.default_rng(seed))
    histories, slates, _ = random_batch(20)
    found = []
    for shape, own in ((config, params), (more, shifted)):
        tables = gan.prepare(shape, own, features)
        state = gan.initial(shape, tables, histories)
        raw = gan.respond(shape, tables, state, slates)[1][:, :-1]
        logits, rewards = respond_identified(shape, with_level(tables), state, slates)
        found.append((raw, torch.softmax(torch.from_numpy(logits), 1).numpy(), rewards))
    (raw, chances, rewards), (raw_shifted, chances_shifted, rewards_shifted) = found
    assert (raw_shifted - raw).std() > 0.1
    np.testing.assert_allclose(chances_shifted, chances, atol=1e-5)
    np.testing.assert_allclose(rewards_shifted, rewards, atol=1e-4)


def _with_units_of_the_state(
    config: GANUserConfig, params: gan.Params, rng: np.random.Generator
) -> tuple[GANUserConfig, gan.Params]:
    """Adds three units to each hidden layer that read the state and each other, but no item."""
    more = replace(config, hidden=tuple(units + 3 for units in config.hidden))
    shifted = dict(params)
    for name, shape in gan.shapes(more).items():
        old = params[name]
        if old.shape == shape:
            continue
        new = rng.standard_normal(shape).astype(np.float32)
        if name == "reward.item":
            new[:] = 0.0
        elif name.startswith("reward.weight"):  # apart from the units that were there
            new[: old.shape[0], old.shape[1] :] = 0.0
            new[old.shape[0] :, : old.shape[1]] = 0.0
        new[tuple(slice(length) for length in old.shape)] = old
        shifted[name] = new
    return more, shifted
