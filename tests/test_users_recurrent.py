"""The recurrent user model's functions: by hand, against torch's networks, and their properties."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from recgym.users import recurrent
from recgym.users.gan import Params
from recgym.users.recurrent import RecurrentUserConfig
from recgym.users.recurrent_learning import network_weights
from tests.fixtures.user_arrays import (
    N_ITEMS,
    random_batch,
    random_features,
    random_params,
    tensors,
)

SMALL = RecurrentUserConfig(layers=2, units=6, features=4, window=3)
CONFIGS = [
    SMALL,
    replace(SMALL, cell="gru"),
    replace(SMALL, layers=1, outside=None),
    replace(SMALL, cell="gru", layers=3, outside="no_click"),
]


ONE_UNIT = RecurrentUserConfig(layers=1, units=1, features=2)
"""Small enough to compute by hand."""
HEADS = {
    "click.weight": np.array([[2.0], [-1.0]], np.float32),
    "click.bias": np.array([0.5, 1.0], np.float32),
    "reward.weight": np.array([[4.0], [0.0]], np.float32),
    "reward.bias": np.array([0.0, -3.0], np.float32),
    "outside": np.array([1.0, 2.0], np.float32),
}
ITEMS = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]], np.float32)


def params_of_one_unit(gates: int) -> Params:
    no_cell = {
        "layer0.input": np.zeros((gates, 2), np.float32),
        "layer0.recurrent": np.zeros((gates, 1), np.float32),
        "layer0.bias": np.zeros(gates, np.float32),
    }
    return no_cell | HEADS


def test_clicks_are_equation_1_and_rewards_equation_2_by_hand() -> None:
    tables = recurrent.prepare(ONE_UNIT, params_of_one_unit(gates=4), ITEMS)
    state = recurrent.initial(ONE_UNIT, tables, np.full((2, 1), 3))
    state["hidden0"] = np.array([[0.5], [0.0]], np.float32)
    logits, rewards = recurrent.respond(ONE_UNIT, tables, state, np.array([[0, 1], [2, 0]]))
    # s = 0.5: W_c s + b_c = (1.5, 0.5); items (1, 0) and (0, 1), and leaving, (1, 2)
    # s = 0: W_c s + b_c = (0.5, 1); items (2, 1) and (1, 0), and leaving
    np.testing.assert_allclose(logits, [[1.5, 0.5, 2.5], [2.0, 0.5, 2.5]], rtol=1e-6)
    # s = 0.5: W_r s + b_r = (2, -3); s = 0: (0, -3)
    of = [[2.0, -3.0], [-3.0, 0.0]]
    expected = [[1.0 / (1.0 + math.exp(-logit)) for logit in row] + [0.0] for row in of]
    np.testing.assert_allclose(rewards, expected, rtol=1e-6)


def test_an_lstm_is_read_by_hand() -> None:
    params = params_of_one_unit(gates=4)
    params["layer0.input"][:, 0] = [1.0, 0.0, 0.5, 0.0]  # of (1, 0): input gate, candidate
    params["layer0.recurrent"][:, 0] = [0.0, 2.0, 0.0, 0.0]
    params["layer0.bias"] += np.array([0.0, 0.0, 0.0, 3.0], np.float32)  # output gate
    tables = recurrent.prepare(ONE_UNIT, params, ITEMS)
    state = recurrent.initial(ONE_UNIT, tables, np.array([[0]]))

    def gate(x: float) -> float:
        return 1.0 / (1.0 + math.exp(-x))

    cell = gate(1.0) * math.tanh(0.5)
    hidden = gate(3.0) * math.tanh(cell)
    assert state["hidden0"][0, 0] == pytest.approx(hidden, rel=1e-6)
    after = recurrent.advance(ONE_UNIT, tables, state, np.array([1]))
    kept = gate(2.0 * hidden) * cell  # item (0, 1) adds nothing: the forget gate alone
    assert after["cell0"][0, 0] == pytest.approx(kept, rel=1e-6)
    assert after["hidden0"][0, 0] == pytest.approx(gate(3.0) * math.tanh(kept), rel=1e-6)


def test_a_gru_is_read_by_hand() -> None:
    config = replace(ONE_UNIT, cell="gru")
    params = params_of_one_unit(gates=3) | {"layer0.recurrent_bias": np.ones(1, np.float32)}
    params["layer0.input"][:, 0] = [0.0, 1.0, 0.5]  # of (1, 0): update gate, candidate
    params["layer0.recurrent"][:, 0] = [0.0, 0.0, 2.0]
    tables = recurrent.prepare(config, params, ITEMS)
    state = recurrent.initial(config, tables, np.array([[0]]))
    kept = 1.0 / (1.0 + math.exp(-1.0))
    hidden = (1.0 - kept) * math.tanh(0.5 + 0.5 * 1.0)  # the reset gate is half open
    assert state["hidden0"][0, 0] == pytest.approx(hidden, rel=1e-6)
    after = recurrent.advance(config, tables, state, np.array([1]))
    candidate = math.tanh(0.5 * (2.0 * hidden + 1.0))
    assert after["hidden0"][0, 0] == pytest.approx((candidate + hidden) / 2.0, rel=1e-6)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_simulated_cells_are_torchs_networks(config: RecurrentUserConfig) -> None:
    params, features = random_params(config), random_features(config)
    make = nn.LSTM if config.cell == "lstm" else nn.GRU
    network = make(config.features, config.units, config.layers, batch_first=True)
    weights = network_weights(config, tensors(params))
    network.load_state_dict(weights)
    items = np.random.default_rng(3).integers(N_ITEMS, size=(4, 30))
    with torch.no_grad():
        expected = network(torch.from_numpy(features[items]))[0].numpy()
    tables = recurrent.prepare(config, params, features)
    state = recurrent.initial(config, tables, np.full((4, 3), N_ITEMS))
    top = f"hidden{config.layers - 1}"
    np.testing.assert_array_equal(state[top], 0.0)
    for step in range(30):
        state = recurrent.advance(config, tables, state, np.full(4, -1))  # nothing clicked
        state = recurrent.advance(config, tables, state, items[:, step])
        np.testing.assert_allclose(state[top], expected[:, step], atol=1e-5)
    padded = np.pad(items, ((0, 0), (2, 0)), constant_values=N_ITEMS)
    started = recurrent.initial(config, tables, padded)
    np.testing.assert_allclose(started[top], expected[:, -1], atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_numpy_and_torch_agree(config: RecurrentUserConfig) -> None:
    params, features = random_params(config), random_features(config)
    histories, slates, items = random_batch(8)
    tables = recurrent.prepare(config, params, features)
    state = recurrent.initial(config, tables, histories)
    ours = recurrent.respond(
        config, tables, recurrent.advance(config, tables, state, items), slates
    )
    in_torch = recurrent.prepare(config, tensors(params), torch.from_numpy(features))
    state = recurrent.initial(config, in_torch, torch.from_numpy(histories))
    state = recurrent.advance(config, in_torch, state, torch.from_numpy(items))
    theirs = recurrent.respond(config, in_torch, state, torch.from_numpy(slates))
    for our, their in zip(ours, theirs, strict=True):
        assert our.dtype == np.float32
        assert our.shape == (8, 5)
        np.testing.assert_allclose(their.numpy(), our, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_rows_do_not_see_one_another(config: RecurrentUserConfig) -> None:
    tables = recurrent.prepare(config, random_params(config), random_features(config))
    histories, slates, items = random_batch(6)
    state = recurrent.initial(config, tables, histories)
    together = recurrent.respond(
        config, tables, recurrent.advance(config, tables, state, items), slates
    )
    for row in range(6):
        one = slice(row, row + 1)
        alone = recurrent.initial(config, tables, histories[one])
        alone = recurrent.advance(config, tables, alone, items[one])
        answers = recurrent.respond(config, tables, alone, slates[one])
        for answer, all_rows in zip(answers, together, strict=True):
            np.testing.assert_allclose(answer[0], all_rows[row], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_an_items_answer_does_not_depend_on_its_slot(config: RecurrentUserConfig) -> None:
    tables = recurrent.prepare(config, random_params(config), random_features(config))
    histories, slates, _ = random_batch(6)
    state = recurrent.initial(config, tables, histories)
    forward = recurrent.respond(config, tables, state, slates)
    backward = recurrent.respond(config, tables, state, slates[:, ::-1])
    for one, other in zip(forward, backward, strict=True):
        np.testing.assert_allclose(one[:, :-1], other[:, -2::-1], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(one[:, -1], other[:, -1])
    assert (forward[1][:, :-1] > 0).all()
    assert (forward[1][:, :-1] < 1).all()
    assert (forward[1][:, -1] == 0).all()
    assert np.isfinite(forward[0][:, -1]).all() == (config.outside is not None)


@pytest.mark.parametrize("config", CONFIGS)
def test_responding_changes_nothing_and_only_clicks_are_read(config: RecurrentUserConfig) -> None:
    tables = recurrent.prepare(config, random_params(config), random_features(config))
    histories, slates, items = random_batch(6)
    items[2:4] = -1
    state = recurrent.initial(config, tables, histories)
    before = {name: array.copy() for name, array in (tables | state).items()}
    first = recurrent.respond(config, tables, state, slates)[0].copy()
    after = recurrent.advance(config, tables, state, items)
    np.testing.assert_array_equal(recurrent.respond(config, tables, state, slates)[0], first)
    for name, array in (tables | state).items():
        np.testing.assert_array_equal(array, before[name])
    left = items < 0
    for name in state:
        np.testing.assert_array_equal(after[name][left], state[name][left])
        assert (after[name][~left] != state[name][~left]).any(axis=1).all()


@pytest.mark.parametrize("config", CONFIGS)
def test_every_parameter_and_the_features_have_a_gradient(config: RecurrentUserConfig) -> None:
    params = {
        name: value.requires_grad_() for name, value in tensors(random_params(config)).items()
    }
    features = torch.from_numpy(random_features(config)).requires_grad_()
    histories, slates, _ = map(torch.from_numpy, random_batch(8))
    tables = recurrent.prepare(config, params, features)
    state = recurrent.initial(config, tables, histories)
    logits, rewards = recurrent.respond(config, tables, state, slates)
    (logits[logits.isfinite()].square().sum() + rewards.square().sum()).backward()
    for value in (*params.values(), features):
        assert value.grad is not None
        assert float(value.grad.abs().sum()) > 0.0
