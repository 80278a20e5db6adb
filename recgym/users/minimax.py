"""The minimax game between reward and behaviour, for any convex regulariser (Eqs. 5 and 6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from recgym.users.gan import GANUserConfig
from recgym.users.item_table import ItemTable
from recgym.users.likelihood import (
    BestSoFar,
    FitConfig,
    Task,
    batches,
    maximise_likelihood,
    validation_scores,
)
from recgym.users.page_tensors import PageTensors


def fit_member(
    config: GANUserConfig,
    fit: FitConfig,
    task: Task,
    items: ItemTable | Tensor,
    on_epoch: Callable[[int, float], None],
) -> tuple[dict[str, Tensor], Tensor]:
    """Fits a GAN user model: maximum likelihood, and for L2 the game that starts from it.

    Args:
        config: the model's shape.
        fit: how.
        task: the pages.
        items: item features to learn, or (N, D) frozen features.
        on_epoch: called with the number of the epoch and its validation score.

    Returns:
        The parameters, and the item features, see ``maximise_likelihood``.
    """
    entropy = replace(config, regularizer="entropy")
    params, features = maximise_likelihood(entropy, fit, task, items, on_epoch)
    if config.regularizer == "l2":
        params = play(config, fit, task, params, features, on_epoch)
    return params, features


def squared_l2(behaviour: Tensor) -> Tensor:
    """Returns R(phi) = ||phi||^2 of choice probabilities (P, K + 1): (P,)."""
    return behaviour.square().sum(dim=1)


def negative_entropy(behaviour: Tensor) -> Tensor:
    """Returns R(phi) = sum of phi log phi, with 0 log 0 = 0 (Lemma 1): (P,)."""
    terms: Tensor = torch.special.xlogy(behaviour, behaviour)
    return terms.sum(dim=1)


REGULARIZERS: dict[str, Callable[[Tensor], Tensor]] = {
    "entropy": negative_entropy,
    "l2": squared_l2,
}
"""Convex functions of choice probabilities, by name."""


def user_value(
    behaviour: Tensor, rewards: Tensor, regularizer: Callable[[Tensor], Tensor], eta: float
) -> Tensor:
    """Returns what the user maximises, E_phi[r] - R(phi) / eta (Eq. 2): (P,).

    Args:
        behaviour: (P, K + 1) choice probabilities phi.
        rewards: (P, K + 1).
        regularizer: R.
        eta: strength of exploitation.
    """
    return (behaviour * rewards).sum(dim=1) - regularizer(behaviour) / eta


def game_value(
    behaviour: Tensor,
    rewards: Tensor,
    target: Tensor,
    regularizer: Callable[[Tensor], Tensor],
    eta: float,
) -> Tensor:
    """Returns Eq. 5's objective, which behaviour maximises and reward minimises: (P,).

    Args:
        behaviour: (P, K + 1) choice probabilities phi.
        rewards: (P, K + 1).
        target: (P,) the option that was taken.
        regularizer: R.
        eta: strength of exploitation.
    """
    taken = rewards.gather(1, target[:, None])[:, 0]
    return user_value(behaviour, rewards, regularizer, eta) - taken


def warm_start(config: GANUserConfig, params: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns parameters with a behaviour net that starts at the entropy solution, eta times r."""
    started = {name: value.detach().clone() for name, value in params.items()}
    for name, value in params.items():
        if name.startswith("reward."):
            started[name.replace("reward.", "behaviour.")] = value.detach().clone()
    started["behaviour.output"] *= config.eta
    return {name: value.requires_grad_() for name, value in started.items()}


def play(
    config: GANUserConfig,
    fit: FitConfig,
    task: Task,
    params: dict[str, Tensor],
    features: Tensor,
    on_epoch: Callable[[int, float], None],
) -> dict[str, Tensor]:
    """Alternates Eq. 6's two gradient steps on every batch, from the entropy solution.

    Behaviour (alpha) owns its net; reward (theta) owns its net and the history encoder; the item
    features stay frozen. With ``fit.frozen_reward`` only behaviour moves, as in the code that the
    authors published.

    Args:
        config: the model; its regulariser is not "entropy".
        fit: how.
        task: the pages.
        params: the entropy solution.
        features: (N, D) frozen item features.
        on_epoch: called with the number of the epoch and its validation score.

    Returns:
        The best parameters in validation, by ``fit.select``, of the start (the first candidate)
        and of every epoch. If it is None they are chosen by precision at 1: likelihood, which the
        start maximises, falls as L2 sharpens choices.
    """
    regularizer = REGULARIZERS[config.regularizer]
    params = warm_start(config, params)
    alpha = [value for name, value in params.items() if name.startswith("behaviour.")]
    theta = [value for name, value in params.items() if not name.startswith("behaviour.")]
    behaviour_step = torch.optim.Adam(alpha, lr=fit.game_learning_rate)
    reward_step = torch.optim.Adam(theta, lr=fit.game_learning_rate)
    tensors = PageTensors(config, task.pages, fit.dtype)
    rng = task.stream("game")
    best = BestSoFar(fit.patience, fit.margin)
    select = fit.select or "precision_at_1"
    scores = validation_scores(tensors, params, features, task.validation, select)
    best.stops(scores, params, features)
    for epoch in range(fit.epochs):
        for batch in batches(config, fit, task, rng):
            logits, rewards = tensors.respond(params, features, batch)
            value = user_value(logits.softmax(1), rewards.detach(), regularizer, config.eta)
            _descend(behaviour_step, alpha, -value.mean())
            if fit.frozen_reward:
                continue
            logits, rewards = tensors.respond(params, features, batch)
            behaviour, target = logits.softmax(1).detach(), tensors.target[batch]
            value = game_value(behaviour, rewards, target, regularizer, config.eta)
            _descend(reward_step, theta, value.mean())
        scores = validation_scores(tensors, params, features, task.validation, select)
        on_epoch(epoch, float(scores.mean()))
        if best.stops(scores, params, features):
            break
    return best.params


def _descend(optimizer: torch.optim.Optimizer, params: list[Tensor], loss: Tensor) -> None:
    """One gradient step on some of the parameters that a loss depends on."""
    for param, gradient in zip(params, torch.autograd.grad(loss, params), strict=True):
        param.grad = gradient
    optimizer.step()
