"""What learning the recurrent user model takes, in torch: its network, and its likelihood."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym.users.gan import Params
from recgym.users.recurrent import RecurrentUserConfig

Reward = Literal["bernoulli", "normal"]
"""What a click's reward is taken for: 1 or 0, or any number, with a variance of 1."""


def torch_network(config: RecurrentUserConfig, **options: Any) -> nn.RNNBase:
    """Returns torch's own network of a model's shape, which reads whole sequences at once.

    Args:
        config: the model's shape.
        **options: of ``nn.LSTM`` and ``nn.GRU``, such as the device.
    """
    kind = nn.LSTM if config.cell == "lstm" else nn.GRU
    return kind(config.features, config.units, config.layers, batch_first=True, **options)


def network_weights(config: RecurrentUserConfig, params: Params) -> Params:
    """Returns a recurrent user model's parameters by the names of nn.LSTM or nn.GRU."""
    weights: Params = {}
    for layer in range(config.layers):
        bias = params[f"layer{layer}.bias"]
        weights[f"weight_ih_l{layer}"] = params[f"layer{layer}.input"]
        weights[f"weight_hh_l{layer}"] = params[f"layer{layer}.recurrent"]
        weights[f"bias_ih_l{layer}"] = bias
        weights[f"bias_hh_l{layer}"] = torch.zeros_like(bias)
        if config.cell == "gru":
            own = params[f"layer{layer}.recurrent_bias"]
            weights[f"bias_hh_l{layer}"] = functional.pad(own, (2 * config.units, 0))
    return weights


def step_log_likelihood(
    logits: Tensor,
    rewards: Tensor,
    target: Tensor,
    clicked: Tensor,
    reward: Tensor,
    reward_weight: float,
    kind: Reward = "bernoulli",
) -> Tensor:
    """Returns ``log p(c | s, a) + lambda_p log p(r | s, c)`` of pages (Bai et al., 2019, Eq. 3).

    Args:
        logits: of choices (C, K + 1), minus infinity in empty slots.
        rewards: logits of rewards, or their means, by ``kind`` (C, K).
        target: what was chosen (C,): a slot, or K for the outside option.
        clicked: whether it was a slot, bool (C,).
        reward: that came of it (C,).
        reward_weight: lambda_p.
        kind: what a click's reward is taken for.

    Returns:
        (C,); a page without a click has no term of a reward.
    """
    click = -functional.cross_entropy(logits, target, reduction="none")
    slot = target.clamp(max=rewards.shape[1] - 1)
    found = rewards.gather(1, slot[:, None])[:, 0]
    if kind == "bernoulli":
        of_reward = -functional.binary_cross_entropy_with_logits(found, reward, reduction="none")
    else:
        of_reward = -0.5 * (reward - found).square()
    return click + reward_weight * torch.where(clicked, of_reward, 0.0)
