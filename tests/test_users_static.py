"""The choice model without a history: its likelihood by hand, and the fit that starts at it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from recgym.collection import as_dataset, collect, slate_mdp_policy
from recgym.errors import RecGymError
from recgym.users.fitting import fit_user_model
from recgym.users.item_table import ItemTable
from recgym.users.likelihood import BestSoFar, initial_params
from recgym.users.page_arrays import Pages, pages_of
from recgym.users.presets import recurrent_preset
from recgym.users.recurrent import RecurrentUserConfig
from recgym.users.scoring import score_choices, session_logits
from recgym.users.static import Choices, fit_static, log_likelihood
from tests.fixtures.user_logs import (
    FIT,
    N_ITEMS,
    SESSIONS,
    event,
    session_dataset,
    sessions_of,
)

NO_RIDGE = 1e-9
CONFIG = RecurrentUserConfig(layers=1, units=3, features=2)


def pages_with(*taken: int) -> Pages:
    """One session a page of items 0 and 1, of which one is clicked, or -1 for none."""
    return Pages.of(
        sessions_of([event(user, [0, 1], click, click) for user, click in enumerate(taken)]),
        window=1,
        n_items=3,
    )


def every(pages: Pages) -> np.ndarray:
    return np.arange(pages.n_pages)


def test_utilities_are_log_odds_by_hand() -> None:
    pages = pages_with(0, 0, 0, 0, 1, -1, -1)
    static = fit_static(CONFIG, pages, every(pages), every(pages), (NO_RIDGE,))
    # odds of item 0, item 1, leaving are 4 : 1 : 2; the prior sets u_0 + u_1 = 0
    log2 = math.log(2.0)
    assert static.utilities.tolist() == pytest.approx([log2, -log2, 0.0], abs=1e-5)
    assert static.outside == pytest.approx(0.0, abs=1e-5)
    # no click was rewarded: (0 + .5) / (5 + 1) of all, then (0 + 1/12) / (clicks + 1)
    rates = np.array([1 / 12 / 5, 1 / 12 / 2, 1 / 12])
    np.testing.assert_allclose(static.rewards, np.log(rates / (1 - rates)))


def test_the_prior_pulls_utilities_together() -> None:
    pages = pages_with(0, 0, 0, 1)
    config = replace(CONFIG, outside=None)
    utility, other, unseen = fit_static(
        config, pages, every(pages), every(pages), (2.0,)
    ).utilities.tolist()
    assert (other, unseen) == pytest.approx((-utility, 0.0), abs=1e-5)
    # the gradient is zero: 3 clicks less 4 expected ones is the ridge times the utility
    assert 3.0 - 4.0 / (1.0 + math.exp(-2.0 * utility)) == pytest.approx(2.0 * utility, abs=1e-5)


def test_where_nobody_left_leaving_is_unlikely_and_possible() -> None:
    pages = pages_with(*[0, 1] * 50, -1)
    static = fit_static(CONFIG, pages, np.arange(100), every(pages), (1e6,))
    # items are worth 0; the gradient of leaving is zero: 100 p = -utility, of precision 1
    p = math.exp(static.outside) / (2.0 + math.exp(static.outside))
    assert 100.0 * p == pytest.approx(-static.outside, abs=1e-4)


@pytest.mark.parametrize(("validated", "expected"), [([0, 0], 0), ([0, 1], 1)])
def test_validation_chooses_the_prior(validated: list[int], expected: int) -> None:
    pages = pages_with(0, 0, 0, 1, *validated)
    config, ridges = replace(CONFIG, outside=None), (0.01, 100.0)
    training, validation = np.arange(4), np.arange(4, 6)
    alone = [fit_static(config, pages, training, validation, (ridge,)) for ridge in ridges]
    chosen = fit_static(config, pages, training, validation, ridges)
    assert torch.equal(chosen.utilities, alone[expected].utilities)
    assert not torch.equal(chosen.utilities, alone[1 - expected].utilities)
    # rewards are of the training pages alone: (0 + .5) / (4 + 1), over clicks + 1
    rates = np.array([0.1 / 4, 0.1 / 2, 0.1])
    np.testing.assert_allclose(chosen.rewards, np.log(rates / (1 - rates)))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_start_says_what_the_static_model_says_whatever_was_clicked(cell: Any) -> None:
    dataset = session_dataset()
    config = replace(SESSIONS, cell=cell)
    pages = pages_of(config, dataset.sessions, N_ITEMS)
    static = fit_static(config, pages, every(pages), every(pages), (1.0,))
    side = np.random.default_rng(1).standard_normal((N_ITEMS, 3))
    table = ItemTable(side, config.features, 0.5, np.random.default_rng(2), torch.float32)
    params = initial_params(config, np.random.default_rng(0))
    static.start(params, table)
    arrays = {name: value.detach().numpy() for name, value in params.items()}
    features = table.forward().detach().numpy()
    logits, rewards = session_logits(config, arrays, features, pages)
    utilities = torch.cat([static.utilities, torch.tensor([static.outside])])
    expected = log_likelihood(utilities, Choices.of(pages, every(pages)), has_outside=True)
    np.testing.assert_allclose(
        score_choices(logits, pages.target).log_likelihood, expected, atol=1e-5
    )
    shown = ~pages.absent
    np.testing.assert_allclose(rewards[shown], static.rewards[pages.slates[shown]], atol=1e-5)


def test_heads_of_frozen_features_say_what_is_nearest_to_their_own_users() -> None:
    dataset = session_dataset()
    pages = pages_of(SESSIONS, dataset.sessions, N_ITEMS)
    static = fit_static(SESSIONS, pages, every(pages), every(pages), (1.0,))
    frozen = torch.randn(N_ITEMS, SESSIONS.features, generator=torch.Generator().manual_seed(0))
    before = frozen.clone()
    params = initial_params(SESSIONS, np.random.default_rng(0))
    static.start(params, frozen)
    assert torch.equal(frozen, before)
    for head, wanted in (("click", static.utilities), ("reward", static.rewards)):
        assert not params[f"{head}.weight"].any()
        left = wanted - frozen.double() @ params[f"{head}.bias"].detach().double()
        # what is left over is at right angles to every feature: no other heads are nearer
        np.testing.assert_allclose(frozen.double().T @ left, 0.0, atol=1e-4)
    leaving = params["outside"] @ params["click.bias"]
    assert float(leaving.detach()) == pytest.approx(static.outside, rel=1e-5)


def test_a_fit_that_gains_nothing_ends_at_its_start() -> None:
    dataset = session_dataset(n_sessions=200)
    fit = replace(FIT, static_ridges=(1.0,), margin=1e9)
    model = fit_user_model(dataset, SESSIONS, fit, test_users=False)
    for head in ("click", "reward"):
        np.testing.assert_array_equal(model.members["train"][f"{head}.weight"], 0.0)
    moved = fit_user_model(dataset, SESSIONS, replace(fit, margin=1.0, epochs=30), test_users=False)
    assert (moved.members["train"]["click.weight"] != 0.0).any()
    assert moved.scores["log_likelihood"] > model.scores["log_likelihood"]


@pytest.mark.parametrize(("margin", "replaced"), [(0.0, True), (1.0, True), (2.0, False)])
def test_the_best_gives_way_by_standard_errors_of_the_paired_difference(
    margin: float, replaced: bool
) -> None:
    best = BestSoFar(patience=2, margin=margin)
    start = np.array([5.0, -3.0, 0.0, 1.0])
    best.stops(start, {}, torch.zeros(1))
    # mean gain .5; the gains' deviation is sqrt(.75), so their standard error is .433
    best.stops(start + np.array([1.0, 1.0, -1.0, 1.0]), {}, torch.ones(1))
    assert bool(best.features == 1.0) == replaced
    assert best.waited == (0 if replaced else 1)


def test_items_of_one_feature_cannot_hold_a_static_model() -> None:
    pages = pages_with(0, 1)
    with pytest.raises(RecGymError, match="features=1: a static start needs 2"):
        fit_static(replace(CONFIG, features=1), pages, every(pages), every(pages), (1.0,))


def test_members_that_gain_nothing_still_differ() -> None:
    fit = replace(FIT, static_ridges=(1.0,), margin=1e9, epochs=1)
    members = fit_user_model(session_dataset(), SESSIONS, fit, bags=2).members
    heads = [params["click.bias"] for params in members.values()]
    assert list(members) == ["train", "test", "bag0", "bag1"]
    for at, one in enumerate(heads):
        assert not any(np.array_equal(one, other) for other in heads[at + 1 :])


def test_the_preset_beats_item_ctr_where_clicks_tell_next_to_nothing() -> None:
    env = gymnasium.make_vec("SlateMDP-v0", num_envs=64, autoreset_mode="disabled")
    log = collect(env, slate_mdp_policy(env.simulator, "max"), sessions=400, seed=1)
    dataset = as_dataset(env, log, "best slates", seed=1)
    config, fit = recurrent_preset("best slates", "irecgan-gru")
    scores = fit_user_model(dataset, config, replace(fit, epochs=12), test_users=False).scores
    assert scores["log_likelihood"] > scores["floors"]["item_ctr"]["log_likelihood"]
    begun_at_random = replace(fit, epochs=12, static_ridges=(), margin=0.0)
    scores = fit_user_model(dataset, config, begun_at_random, test_users=False).scores
    assert scores["log_likelihood"] < scores["floors"]["item_ctr"]["log_likelihood"]


def test_infinite_scores_are_never_the_best() -> None:
    best = BestSoFar(patience=3)
    best.stops(np.array([-np.inf, -1.0]), {}, torch.zeros(1))
    assert best.scores is None
    best.stops(np.array([-1.0, -1.0]), {}, torch.ones(1))
    assert bool(best.features == 1.0)
