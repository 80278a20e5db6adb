"""The tables of user models: every row fits, is kept whole, and is a user only if it can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym.simulators.learned_user import learned_user
from recgym.users import FittedUserModel, gan, recurrent, scoring
from recgym.users.fitting import fit_user_model
from recgym.users.gru4rec import GRU4RecConfig
from recgym.users.kinds import KINDS, Kind, functions_of, kind_of, name_of
from recgym.users.likelihood import initial_params
from recgym.users.neighbours import NeighbourConfig
from recgym.users.page_arrays import pages_of
from recgym.users.page_tensors import PageTensors
from recgym.users.presets import MODELS
from recgym.users.session_blend import SessionBlendConfig, both
from recgym.users.wide_deep import WideDeepUserConfig
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.baselines import UserGreedy, UserGreedyConfig
from tests.fixtures.user_logs import FIT, N_ITEMS, small_dataset

SMALL: dict[str, dict[str, Any]] = {
    "gan": {"window": 3, "weights": 2, "hidden": (4,), "features": 4},
    "recurrent": {"layers": 1, "units": 4, "features": 4},
    "wide-deep": {"hidden": (4,), "features": 4, "factors": 2},
    "gru4rec": {"units": 4, "features": 4},
    "neighbours": {"neighbours": 5},
    "session-blend": {"units": 4, "features": 4},
    "meta": {"context": 2, "latent": 2, "hidden": (4,), "units": 4, "features": 4, "steps": 3},
    "trees": {"neighbours": 5, "depth": 2},
}
"""Of every kind, settings that are quick to fit."""


def fitted(kind: str, **settings: Any) -> FittedUserModel:
    if kind == "trees":
        pytest.importorskip("xgboost")
    config = KINDS.find(kind).config(**SMALL[kind] | settings)
    return fit_user_model(small_dataset(), config, FIT)


def make(folder: Path) -> gymnasium.Env[Any, Any]:
    return gymnasium.make(
        "RecGAN-v0", user_model=str(folder), slate_size=3, observe="items", window=5
    )


def test_every_kind_is_tried_here() -> None:
    assert set(SMALL) == set(KINDS)


def test_a_configuration_finds_its_kind() -> None:
    assert name_of(gan.GANUserConfig()) == "gan"
    assert functions_of(recurrent.RecurrentUserConfig()) is recurrent
    assert kind_of(GRU4RecConfig()).chooses is False


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_preset_of_a_kind(name: str) -> None:
    config, fit = MODELS.find(name).preset("any log")
    assert name_of(config) in KINDS
    assert fit.epochs >= 1
    assert MODELS.find(name).about


@pytest.mark.parametrize("kind", SMALL)
def test_every_kind_is_fitted_and_kept_whole(kind: str, tmp_path: Path) -> None:
    model = fitted(kind)
    model.save(tmp_path / "model")
    again = FittedUserModel.load(tmp_path / "model")
    assert again.config == model.config
    assert again.scores == model.scores
    assert ("log_likelihood" in model.scores) == KINDS.find(kind).chooses
    pages = pages_of(model.config, small_dataset().pages("test"), N_ITEMS)
    np.testing.assert_array_equal(
        scoring.choice_logits(again, pages), scoring.choice_logits(model, pages)
    )


@pytest.mark.parametrize("kind", [kind for kind in SMALL if KINDS.find(kind).chooses])
def test_what_says_probabilities_is_an_environments_user(kind: str, tmp_path: Path) -> None:
    fitted(kind).save(tmp_path)
    env = make(tmp_path)
    env.reset(seed=0)
    clicks = 0
    for _ in range(20):
        _, reward, _, over, info = env.step(env.action_space.sample())
        clicks += info["click"] >= 0
        assert np.isfinite(reward)
        if over:
            env.reset()
    assert clicks > 0
    if KINDS.find(kind).rewards == "utility":
        agent = UserGreedy(UserGreedyConfig(), EnvironmentSpec.of(env), seed=0)
        slate = agent.act(env.reset(seed=1)[0][None])
        assert len(set(slate[0].tolist())) == 3


@pytest.mark.parametrize("kind", [kind for kind in SMALL if not KINDS.find(kind).chooses])
def test_what_only_ranks_is_nobodys_user(kind: str) -> None:
    with pytest.raises(RecGymError, match=f"kind '{kind}' ranks items and says no choice"):
        learned_user(fitted(kind))


def test_greedy_shows_the_items_of_the_highest_utility(tmp_path: Path) -> None:
    model = fitted("wide-deep")
    model.save(tmp_path)
    env = make(tmp_path)
    agent = UserGreedy(UserGreedyConfig(), EnvironmentSpec.of(env), seed=0)
    nothing = np.full((1, 5), N_ITEMS)
    functions = functions_of(model.config)
    tables = functions.prepare(model.config, model.members["train"], model.features)
    every = np.arange(N_ITEMS)[None, :]
    utility = functions.respond(model.config, tables, {"history": nothing}, every)[1][0, :-1]
    assert agent.act(nothing)[0].tolist() == np.argsort(-utility)[:3].tolist()


def test_ones_own_kind_is_registered_and_kept(tmp_path: Path, monkeypatch) -> None:
    class OwnConfig(WideDeepUserConfig):
        pass

    row = replace(KINDS.find("wide-deep"), config=OwnConfig)
    monkeypatch.setattr(KINDS, "entries", {**KINDS.entries})
    KINDS.register("own", row)
    assert isinstance(KINDS.find("own"), Kind)
    model = fit_user_model(small_dataset(), OwnConfig(hidden=(), features=2), FIT)
    model.save(tmp_path / "own")
    assert name_of(FittedUserModel.load(tmp_path / "own").config) == "own"


def test_the_network_that_ranks_is_torchs_gru() -> None:
    config = GRU4RecConfig(units=6, features=4)
    pages = pages_of(config, small_dataset().sessions, N_ITEMS)
    params = initial_params(config, np.random.default_rng(0))
    features = torch.randn(N_ITEMS, config.features)
    with torch.no_grad():
        every = torch.arange(pages.n_pages)
        trained, _ = PageTensors(config, pages).respond(params, features, every)
    arrays = {name: value.detach().numpy() for name, value in params.items()}
    simulated, _ = scoring.page_logits(config, arrays, features.numpy(), pages)
    np.testing.assert_allclose(trained.numpy(), simulated, atol=1e-5)


def test_a_fit_ranks_above_what_needs_none() -> None:
    dataset = small_dataset(n_users=96)
    fit = replace(FIT, epochs=30, patience=10, learning_rate=3e-2)
    for config in (GRU4RecConfig(units=8, features=8), SessionBlendConfig(units=8, features=8)):
        scores = fit_user_model(dataset, config, fit, test_users=False).scores
        assert scores["precision_at_1"] > scores["floors"]["item_ctr"]["precision_at_1"]


@pytest.mark.parametrize("combine", ["weighted", "cascade"])
def test_two_rankings_become_one_by_hand(combine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from recgym.users import session_blend

    network = np.array([[0.0, 1.0, 0.25, 0.5]], np.float32)
    sessions = np.array([[1.0, 0.0, 0.5, 0.25]], np.float32)
    monkeypatch.setattr(session_blend, "both", lambda *given: (network, sessions))
    config = SessionBlendConfig(combine)
    tables = {"click_rate": np.zeros(9), "weight": np.array([0.25], np.float32)}
    found, _ = session_blend.respond(config, tables, {}, np.array([[0, 1, 2, 3]]))
    # The better half of the sessions' ranking are slots 0 and 2; of these the network prefers 2.
    by_hand = {"weighted": [0.75, 0.25, 0.4375, 0.3125], "cascade": [2.0, 1.0, 2.25, 0.5]}
    np.testing.assert_allclose(found[0, :-1], by_hand[combine])


def test_rankings_are_brought_to_one_scale_within_the_page() -> None:
    model = fitted("session-blend")
    tables = functions_of(model.config).prepare(
        model.config, model.members["train"], model.features
    )
    state = functions_of(model.config).initial(model.config, tables, np.array([[1, 3, 5]]))
    slate = np.array([[0, 2, 4, 7, N_ITEMS]])
    for scores in both(model.config, tables, state, slate):
        assert scores[0, :-1].min() == 0.0
        assert scores[0, :-1].max() == 1.0
        assert scores[0, -1] == 0.0


def test_neighbours_of_a_log_without_a_click_are_one_line() -> None:
    dataset = small_dataset()
    nothing = np.full(dataset.sessions.n_pages, -1)
    silent = replace(dataset.sessions, click=nothing, item=nothing)
    with pytest.raises(RecGymError, match="nothing is clicked on the training pages"):
        fit_user_model(replace(dataset, sessions=silent), NeighbourConfig(), FIT)
