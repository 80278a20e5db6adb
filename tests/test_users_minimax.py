"""The minimax game: its value, its start, its candidates, and who moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from recgym.users import gan, minimax
from recgym.users.fitting import fit_user_model
from recgym.users.likelihood import initial_params
from recgym.users.page_arrays import Pages
from recgym.users.page_tensors import PageTensors, Select
from tests.fixtures.user_logs import (
    CONFIG,
    FIT,
    N_ITEMS,
    small_dataset,
)


def sparsemax(scores: torch.Tensor) -> torch.Tensor:
    """The nearest point of the simplex (Martins and Astudillo, 2016)."""
    ordered = scores.sort(descending=True).values
    excess = ordered.cumsum(0) - 1.0
    support = int((ordered * torch.arange(1, len(scores) + 1) > excess).sum())
    return (scores - excess[support - 1] / support).clamp(min=0.0)


@pytest.mark.parametrize("eta", [1.0, 3.0])
def test_for_a_fixed_reward_l2_behaviour_approaches_sparsemax(eta: float) -> None:
    rewards = torch.tensor([[1.0, 0.6, -0.4, 0.1]], dtype=torch.float64)
    logits = (eta * rewards).clone().requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.05)
    for _ in range(800):
        value = minimax.user_value(logits.softmax(1), rewards, minimax.squared_l2, eta)
        (logits.grad,) = torch.autograd.grad(-value.sum(), logits)
        optimizer.step()
    expected = sparsemax(eta * rewards[0] / 2)
    torch.testing.assert_close(logits.softmax(1)[0].detach(), expected, atol=2e-3, rtol=0.0)


def test_the_game_starts_from_the_entropy_solution() -> None:
    config = replace(CONFIG, eta=2.0)
    params = initial_params(config, np.random.default_rng(0))
    started = minimax.warm_start(config, params)
    l2 = replace(config, regularizer="l2")
    assert started.keys() == gan.shapes(l2).keys()
    pages = Pages.of(small_dataset().sessions, config.window, N_ITEMS)
    features, every = torch.randn(N_ITEMS, 4), torch.arange(pages.n_pages)
    with torch.no_grad():
        ours = PageTensors(l2, pages).respond(started, features, every)
        entropy = PageTensors(config, pages).respond(params, features, every)
    for our, theirs in zip(ours, entropy, strict=True):
        torch.testing.assert_close(our, theirs)


def say_scores(monkeypatch: pytest.MonkeyPatch, *scores: float) -> list[str]:
    """Lets the game read these validation scores in turn; returns where it notes which it asks."""
    told, asked = iter(scores), []

    def validation_scores(*arguments: object) -> np.ndarray:
        asked.append(str(arguments[-1]))
        return np.array([next(told)])

    monkeypatch.setattr(minimax, "validation_scores", validation_scores)
    return asked


@pytest.mark.parametrize("select", [None, "log_likelihood", "precision_at_1"])
def test_the_start_of_the_game_is_its_first_candidate(
    select: Select | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, l2 = small_dataset(), replace(CONFIG, regularizer="l2")
    fit = replace(FIT, select=select, patience=2)
    start = fit_user_model(dataset, CONFIG, fit, test_users=False).members["train"]
    asked = say_scores(monkeypatch, 0.3, 0.3, 0.2)  # the second epoch no better: it stops
    end = fit_user_model(dataset, l2, fit, test_users=False).members["train"]
    assert asked == [select or "precision_at_1"] * 3
    for name, value in start.items():
        np.testing.assert_array_equal(end[name], value)
    np.testing.assert_array_equal(end["behaviour.output"], start["reward.output"])


@pytest.mark.parametrize("frozen", [True, False])
def test_both_players_move_unless_the_reward_is_frozen(
    frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = small_dataset()
    say_scores(monkeypatch, 0.1, 0.2)
    fit = replace(FIT, frozen_reward=frozen, epochs=1)
    entropy = fit_user_model(dataset, CONFIG, fit, test_users=False)
    l2 = fit_user_model(dataset, replace(CONFIG, regularizer="l2"), fit, test_users=False)
    np.testing.assert_array_equal(l2.features, entropy.features)
    start, end = entropy.members["train"], l2.members["train"]
    assert not np.array_equal(end["behaviour.output"], start["reward.output"])
    for name, value in start.items():
        assert np.array_equal(end[name], value) == frozen


def test_the_game_moves_by_the_margin_alone() -> None:
    dataset, l2 = small_dataset(), replace(CONFIG, regularizer="l2")
    fit = replace(FIT, margin=1e9)
    start = fit_user_model(dataset, CONFIG, fit, test_users=False).members["train"]
    end = fit_user_model(dataset, l2, fit, test_users=False).members["train"]
    for name, value in start.items():
        np.testing.assert_array_equal(end[name], value)
