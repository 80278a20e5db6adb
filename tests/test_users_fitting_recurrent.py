"""Fitting recurrent user models to sessions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.users import FittedUserModel, likelihood, recurrent, scoring
from recgym.users.fitting import fit_user_model
from recgym.users.likelihood import initial_params
from recgym.users.page_arrays import outside_option, pages_of
from recgym.users.page_tensors import SessionTensors
from tests.fixtures.user_logs import (
    FIT,
    N_ITEMS,
    SESSIONS,
    event,
    session_dataset,
    sessions_of,
)


def test_what_is_trained_and_simulated_of_sessions_is_equation_3_page_by_page() -> None:
    dataset = session_dataset()
    for config in (SESSIONS, replace(SESSIONS, cell="gru", layers=1)):
        pages = pages_of(config, dataset.sessions, N_ITEMS)
        params = initial_params(config, np.random.default_rng(0))
        features = torch.randn(N_ITEMS, config.features)
        tensors = SessionTensors(config, pages, reward_weight=2.5)
        order = np.random.default_rng(1).permutation(pages.n_pages)
        with torch.no_grad():
            trained, _ = tensors.respond(params, features, torch.from_numpy(order))
            terms = tensors.log_likelihood(params, features, torch.from_numpy(order)).numpy()
        arrays = {name: value.detach().numpy() for name, value in params.items()}
        logits, rewards = scoring.session_logits(config, arrays, features.numpy(), pages)
        np.testing.assert_allclose(trained.numpy(), logits[order], atol=1e-5)

        tables = recurrent.prepare(config, arrays, features.numpy())
        state: dict[str, Array] = {}
        by_hand = []
        log = dataset.sessions
        for page, slate in enumerate(log.padded_slates()):
            if log.step[page] == 0:
                state = recurrent.initial(config, tables, np.full((1, 1), N_ITEMS))
            shown = slate[slate >= 0]
            if len(shown):
                utility, expected = recurrent.respond(config, tables, state, shown[None])
                odds = np.exp(utility[0].astype(np.float64))
                click = log.click[page]
                term = np.log(odds[click if click >= 0 else -1] / odds.sum())
                if click >= 0:
                    likely = expected[0, click] if log.reward[page] else 1 - expected[0, click]
                    term += 2.5 * np.log(likely)
                by_hand.append(term)
            state = recurrent.advance(config, tables, state, log.item[page : page + 1])
        np.testing.assert_allclose(terms, np.array(by_hand)[order], atol=1e-4)
        model = FittedUserModel(config, features.numpy(), {"train": arrays}, {}, {}, {})
        np.testing.assert_array_equal(scoring.choice_logits(model, pages), logits)


def test_what_users_do_instead_of_clicking() -> None:
    click, left = event(0, [1, 2], 0, 1), event(0, [1, 2], -1, -1)
    opened = event(0, [], -1, 5)  # from elsewhere: no page
    assert outside_option(sessions_of([click, click])) is None
    assert outside_option(sessions_of([click, opened])) is None
    assert outside_option(sessions_of([click, left])) == "end"
    assert outside_option(sessions_of([click, left, click])) == "no_click"
    several = sessions_of([left, click, left])
    assert outside_option(replace(several, session=np.array([0, 1, 1]))) == "end"
    assert outside_option(replace(several, user=np.array([0, 1, 1]))) == "end"


def test_a_fitted_recurrent_model_beats_what_needs_none() -> None:
    dataset = session_dataset(n_sessions=300)
    fit = replace(FIT, epochs=15, learning_rate=3e-2, embedding_scale=1.0)
    model = fit_user_model(dataset, SESSIONS, fit, test_users=False)
    floors = model.scores["floors"]
    for name in ("random", "item_ctr"):
        for score in ("log_likelihood", "precision_at_1", "reward_log_likelihood"):
            assert model.scores[score] > floors[name][score] + 0.05, (name, score)


def test_a_recurrent_model_has_members_sessions_that_start_empty_and_one_seed() -> None:
    dataset = session_dataset()
    model, again = (fit_user_model(dataset, SESSIONS, FIT, bags=1, seed=7) for _ in range(2))
    assert model.config == replace(SESSIONS, outside="end")  # as the log shows
    assert list(model.members) == ["train", "test", "bag0"]
    for name, params in model.members.items():
        for key, value in params.items():
            np.testing.assert_array_equal(value, again.members[name][key])
    for split in ("train", "test"):
        np.testing.assert_array_equal(model.histories[split], np.full((1, 3), N_ITEMS))
        assert 0.0 < model.info["random_click_rate"][split] < 1.0
    assert again.scores == model.scores
    other = fit_user_model(dataset, SESSIONS, replace(FIT, reward_weight=0.0), seed=7)
    drawn = initial_params(SESSIONS, likelihood.stream(7, "train: parameters"))
    decayed = other.members["train"]["reward.weight"] / drawn["reward.weight"].detach().numpy()
    assert np.ptp(decayed) < 1e-4  # rewards count for nothing: nothing but decay has moved it
    assert (
        np.ptp(model.members["train"]["reward.weight"] / drawn["reward.weight"].detach().numpy())
        > 0.1
    )


def test_rewards_that_are_no_probabilities_are_refused() -> None:
    dataset = session_dataset()
    bad = replace(dataset, sessions=replace(dataset.sessions, reward=2 * dataset.sessions.reward))
    with pytest.raises(RecGymError, match=r"must lie in 0\.\.1, .* there are 0 to 2"):
        fit_user_model(bad, SESSIONS, FIT)
