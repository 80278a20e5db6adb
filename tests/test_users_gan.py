"""The GAN user model's functions: by hand, against torch, and the paper's two lemmas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from recgym.errors import RecGymError
from recgym.users import gan
from recgym.users.gan import GANUserConfig
from recgym.users.minimax import game_value, negative_entropy, user_value
from recgym.users.similarity import similarity
from tests.fixtures.gan_configs import CONFIGS, DEEP, ONE_UNIT, ONE_UNIT_PARAMS, SMALL
from tests.fixtures.user_arrays import (
    N_ITEMS,
    random_batch,
    random_features,
    random_params,
    tensors,
)


def test_a_model_of_one_unit_by_hand() -> None:
    config, params = ONE_UNIT, ONE_UNIT_PARAMS
    tables = gan.prepare(config, params, np.array([[1.0], [-20.0], [0.1]], np.float32))
    state = gan.initial(config, tables, np.array([[0, 2]]))
    logits, rewards = gan.respond(config, tables, state, np.array([[0, 1]]))
    # s = relu(1 * 1 + 0.1 * 10 + 0.5) = 2.5; r(item 0) = 0.5 relu(2 * 2.5 + 3 - 1); r(1) = 0
    np.testing.assert_allclose(rewards, [[3.5, 0.0, 0.0]], rtol=1e-6)
    np.testing.assert_array_equal(logits, rewards)


@pytest.mark.parametrize("activation", ["relu", "elu", "linear"])
def test_position_weights_are_equation_4(activation) -> None:
    config = replace(SMALL, state_activation=activation)
    params, features = random_params(config), random_features(config)
    tables = gan.prepare(config, params, features)
    history = np.array([[3, 7, 1, 4, N_ITEMS], [0, 1, 2, 3, 4]])
    encoding = gan.encode(config, tables, gan.initial(config, tables, history))
    padded = np.concatenate([features, np.zeros((1, 4), np.float32)])
    for row in range(2):
        clicked = padded[history[row, -3:]].T  # F: d x m
        columns = clicked @ params["position.weight"] + params["position.bias"].T  # d x n
        sigma = {"relu": 0.0 * columns, "elu": np.expm1(columns), "linear": columns}[activation]
        expected = np.where(columns > 0, columns, sigma)
        np.testing.assert_allclose(encoding[row], expected.T.reshape(-1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("config", [SMALL, DEEP])
def test_the_reward_is_a_network_of_state_and_item_side_by_side(config: GANUserConfig) -> None:
    params, features = random_params(config), random_features(config)
    tables = gan.prepare(config, params, features)
    histories, slates, _ = random_batch(2)
    state = gan.initial(config, tables, histories)
    encoding = gan.encode(config, tables, state)
    _, rewards = gan.respond(config, tables, state, slates)
    weight = np.concatenate([params["reward.state"], params["reward.item"]], axis=1)
    activate = {"relu": torch.relu, "elu": nn.functional.elu}[config.activation]
    for row in range(2):
        for slot, item in enumerate(slates[row]):
            pair = np.concatenate([encoding[row], features[item]])
            hidden = activate(torch.from_numpy(weight @ pair + params["reward.bias0"]))
            if len(config.hidden) > 1:
                second = torch.from_numpy(params["reward.weight1"]) @ hidden
                hidden = activate(second + torch.from_numpy(params["reward.bias1"]))
            expected = float(hidden @ torch.from_numpy(params["reward.output"]))
            assert rewards[row, slot] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_similarity_to_clicked_items_by_hand() -> None:
    """What is learned is added to .1, of the older of two clicks and the later one."""
    config = replace(ONE_UNIT, similarity=True)
    params = ONE_UNIT_PARAMS | {"similarity.weight": np.array([[0.3, -0.2]], np.float32)}
    tables = gan.prepare(config, params, np.array([[1.0], [-20.0], [4.0]], np.float32))
    state = gan.initial(config, tables, np.array([[1, 1, 0, 2]]))
    _, rewards = gan.respond(config, tables, state, np.array([[0, 1, 2]]))
    # s = relu(1 + 40 + .5) = 41.5; the sum of clicked features is .4 * 1 - .1 * 4 = 0
    by_hand = [0.5 * 85.0, 0.5 * 22.0, 0.5 * 94.0, 0.0]
    np.testing.assert_allclose(rewards, [by_hand], rtol=1e-6)
    state = gan.initial(config, tables, np.array([[0, 2, 3, 1]]))  # no item, and -.1 * -20 = 2
    _, rewards = gan.respond(config, tables, state, np.array([[0, 1, 2]]))
    # s = relu(-199.5) = 0; the mean item has -5
    by_hand = [0.5 * 2.0 + 2.0 * 6.0, 2.0 * -15.0, 0.5 * 11.0 + 2.0 * 9.0, 0.0]
    np.testing.assert_allclose(rewards, [by_hand], rtol=1e-6)


def test_similarity_says_nothing_of_the_level() -> None:
    config = replace(SMALL, similarity=True)
    histories, _, _ = random_batch(5)
    params, features = random_params(config), random_features(config)
    tables = gan.prepare(config, params, features)
    every = np.tile(np.arange(N_ITEMS), (5, 1))
    found = similarity(tables, histories, every)
    assert (np.abs(found).max(axis=1) > 0.01).all()
    np.testing.assert_allclose(found.mean(axis=1), 0.0, atol=1e-6)
    nothing = similarity(tables, histories, np.full((5, 2), [N_ITEMS, N_ITEMS + 1]))
    np.testing.assert_array_equal(nothing, 0.0)


def test_similarity_is_for_the_entropy_regularizer() -> None:
    with pytest.raises(RecGymError, match="similarity: is for users of the entropy regularizer"):
        replace(SMALL, similarity=True, regularizer="l2")


def test_the_outside_option_has_utility_0_or_does_not_exist() -> None:
    histories, slates, _ = random_batch(3)
    for config in (SMALL, replace(SMALL, eta=2.0), replace(SMALL, eta=2.0, no_click=False)):
        tables = gan.prepare(config, random_params(config), random_features(config))
        state = gan.initial(config, tables, histories)
        logits, rewards = gan.respond(config, tables, state, slates)
        np.testing.assert_array_equal(rewards[:, -1], 0.0)
        np.testing.assert_array_equal(logits[:, -1], 0.0 if config.no_click else -np.inf)
        np.testing.assert_allclose(logits[:, :-1], config.eta * rewards[:, :-1], rtol=1e-6)


@pytest.mark.parametrize("config", CONFIGS)
def test_numpy_and_torch_agree(config: GANUserConfig) -> None:
    params, features = random_params(config), random_features(config)
    histories, slates, items = random_batch(8)
    tables = gan.prepare(config, params, features)
    state = gan.advance(config, tables, gan.initial(config, tables, histories), items)
    torch_tables = gan.prepare(config, tensors(params), torch.from_numpy(features))
    torch_state = gan.initial(config, torch_tables, torch.from_numpy(histories))
    torch_state = gan.advance(config, torch_tables, torch_state, torch.from_numpy(items))
    assert state.keys() == torch_state.keys()
    for name, array in state.items():
        np.testing.assert_allclose(torch_state[name].numpy(), array, rtol=1e-5, atol=1e-6)
    ours = gan.respond(config, tables, state, slates)
    theirs = gan.respond(config, torch_tables, torch_state, torch.from_numpy(slates))
    for our, their in zip(ours, theirs, strict=True):
        assert our.dtype == np.float32
        assert our.shape == (8, 5)
        np.testing.assert_allclose(their.numpy(), our, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(("n_rows", "blocks"), [(4_000, 2), (7_000, 4), (20_000, 4)])
def test_a_batch_beyond_the_cache_is_scored_in_blocks(
    config: GANUserConfig, n_rows: int, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four slots three at once, or one, or one that is itself too large."""
    tables = gan.prepare(config, random_params(config), random_features(config))
    histories, slates, _ = random_batch(n_rows)
    state = gan.initial(config, tables, histories)
    encoding = gan.encode(config, tables, state)
    scored: list[int] = []
    values_of = gan._values
    monkeypatch.setattr(
        gan, "_values", lambda *read: (scored.append(len(read[4])), values_of(*read))[1]
    )
    whole = gan.utilities(config, tables, "reward", encoding, slates)
    assert len(scored) == blocks
    for start in range(0, n_rows, 1_000):
        part = slice(start, start + 1_000)
        values = gan.utilities(config, tables, "reward", encoding[part], slates[part])
        np.testing.assert_allclose(whole[part], values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_rows_do_not_see_one_another(config: GANUserConfig) -> None:
    tables = gan.prepare(config, random_params(config), random_features(config))
    histories, slates, items = random_batch(6)
    state = gan.advance(config, tables, gan.initial(config, tables, histories), items)
    together = gan.respond(config, tables, state, slates)[0]
    for row in range(6):
        one = slice(row, row + 1)
        alone = gan.advance(config, tables, gan.initial(config, tables, histories[one]), items[one])
        logits = gan.respond(config, tables, alone, slates[one])[0]
        np.testing.assert_allclose(logits[0], together[row], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_responding_changes_nothing(config: GANUserConfig) -> None:
    params, features = random_params(config), random_features(config)
    histories, slates, items = random_batch(6)
    tables = gan.prepare(config, params, features)
    state = gan.initial(config, tables, histories)
    before = {name: array.copy() for name, array in (tables | state).items()}
    first = gan.respond(config, tables, state, slates)[0].copy()
    gan.advance(config, tables, state, items)
    np.testing.assert_array_equal(gan.respond(config, tables, state, slates)[0], first)
    for name, array in (tables | state).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("config", CONFIGS[:2])
def test_a_click_enters_the_history_and_no_click_does_not(config: GANUserConfig) -> None:
    tables = gan.prepare(config, random_params(config), random_features(config))
    history = np.array([[N_ITEMS, 1, 2], [3, 4, 5]])
    state = gan.initial(config, tables, history)
    after = gan.advance(config, tables, state, np.array([7, -1]))
    np.testing.assert_array_equal(after["history"], [[1, 2, 7], [3, 4, 5]])
    for name in state:
        np.testing.assert_array_equal(after[name][1], state[name][1])


def test_the_simulated_cell_is_torchs_lstm() -> None:
    config = replace(SMALL, history="lstm")
    params, features = random_params(config), random_features(config)
    lstm = nn.LSTM(config.features, config.units, batch_first=True)
    weights = {
        "weight_ih_l0": torch.from_numpy(params["lstm.input"]),
        "weight_hh_l0": torch.from_numpy(params["lstm.recurrent"]),
        "bias_ih_l0": torch.from_numpy(params["lstm.bias"]),
        "bias_hh_l0": torch.zeros(4 * config.units),
    }
    lstm.load_state_dict(weights)
    items = np.random.default_rng(3).integers(N_ITEMS, size=(4, 30))
    with torch.no_grad():
        expected = lstm(torch.from_numpy(features[items]))[0].numpy()
    tables = gan.prepare(config, params, features)
    state = gan.initial(config, tables, np.full((4, 3), N_ITEMS))
    for step in range(30):
        state = gan.advance(config, tables, state, np.full(4, -1))  # nothing clicked in between
        state = gan.advance(config, tables, state, items[:, step])
        np.testing.assert_allclose(state["hidden"], expected[:, step], atol=1e-5)
    started = gan.initial(config, tables, np.pad(items, ((0, 0), (2, 0)), constant_values=N_ITEMS))
    np.testing.assert_allclose(started["hidden"], expected[:, -1], atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_every_parameter_and_the_features_have_a_gradient(config: GANUserConfig) -> None:
    params = {
        name: value.requires_grad_() for name, value in tensors(random_params(config)).items()
    }
    features = torch.from_numpy(random_features(config)).requires_grad_()
    histories, slates, _ = map(torch.from_numpy, random_batch(8))
    tables = gan.prepare(config, params, features)
    state = gan.initial(config, tables, histories)
    logits, rewards = gan.respond(config, tables, state, slates)
    (logits[:, :-1].square().sum() + rewards.square().sum()).backward()
    for value in (*params.values(), features):
        assert value.grad is not None
        assert float(value.grad.abs().sum()) > 0.0


def project(points: torch.Tensor) -> torch.Tensor:
    """The nearest points (P, K) of the probability simplex."""
    ordered = points.sort(dim=1, descending=True).values
    excess = ordered.cumsum(1) - 1.0
    rank = torch.arange(1, points.shape[1] + 1)
    support = (ordered * rank > excess).sum(1, keepdim=True)
    return (points - excess.gather(1, support - 1) / support).clamp(min=0.0)


def best_behaviour(rewards: torch.Tensor, eta: float) -> torch.Tensor:
    """Maximises Eq. 2 with entropy over the simplex itself, by projected gradient."""
    behaviour = torch.full_like(rewards, 1.0 / rewards.shape[1])
    for _ in range(1_500):
        behaviour = behaviour.clamp(min=1e-9).requires_grad_()
        value = user_value(behaviour, rewards, negative_entropy, eta).sum()
        (gradient,) = torch.autograd.grad(value, behaviour)
        behaviour = project(behaviour.detach() + 0.01 * eta * gradient)
    return behaviour


@pytest.mark.parametrize("eta", [0.5, 1.0, 2.0])
def test_lemma_1_the_closed_form_maximises_the_users_value(eta: float) -> None:
    generator = torch.Generator().manual_seed(0)
    rewards = torch.rand(3, 4, generator=generator, dtype=torch.float64)
    numeric = best_behaviour(rewards, eta)
    torch.testing.assert_close(numeric, (eta * rewards).softmax(1), atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("eta", [0.5, 1.0, 2.0])
def test_lemma_2_the_game_is_maximum_likelihood(eta: float) -> None:
    generator = torch.Generator().manual_seed(1)
    rewards = torch.rand(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 3, 1])
    behaviour = best_behaviour(rewards.detach(), eta)
    game = game_value(behaviour, rewards, target, negative_entropy, eta)
    likelihood = nn.functional.cross_entropy(eta * rewards, target, reduction="none") / eta
    torch.testing.assert_close(game, likelihood, atol=1e-6, rtol=0.0)
    (of_game,) = torch.autograd.grad(game.sum(), rewards)
    (of_likelihood,) = torch.autograd.grad(likelihood.sum(), rewards)
    torch.testing.assert_close(of_game, of_likelihood, atol=1e-4, rtol=0.0)
