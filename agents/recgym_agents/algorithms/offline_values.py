"""How heads learn what items are worth: Q-learning of logged steps, in all its forms here."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recgym_agents.algorithms.offline_config import OfflinePolicyConfig
from recgym_agents.algorithms.offline_steps import LoggedSteps
from recgym_agents.losses import q_target
from recgym_agents.networks.item_scores import (
    Scores,
    best_items,
    best_supported,
    log_normaliser,
)
from recgym_agents.networks.sequence_policy import SequencePolicy
from recgym_agents.offline_losses import conservative_penalty, squared_loss


class Draws(NamedTuple):
    """The random numbers of one update."""

    mixture: Tensor | None
    """Weights of the members (M,), where mixtures of them are fitted."""
    negatives: Tensor
    """Items (S, n)."""


class Valued(NamedTuple):
    """What the heads say of a batch, and how wrong they are."""

    loss: Tensor
    """To be descended, a scalar."""
    logged: Tensor
    """Values of what was done (S,), the mean of the members; with gradient."""
    sampled: Tensor
    """Values of the negatives (S, n); without."""


def q_learning(
    config: OfflinePolicyConfig,
    network: SequencePolicy,
    states: Tensor,
    target: SequencePolicy,
    target_states: Tensor,
    steps: LoggedSteps,
    draws: Draws,
) -> Valued:
    """Fits ``Q(s, a)`` to ``r + gamma max_a' Q(s', a')`` (Liang and Vlassis, 2022, Eq. 11).

    The network chooses a' and the target network values it (van Hasselt et al., AAAI 2016). A
    negative has no reward, and leaves the state as it is (Xin et al., WSDM 2022, section 3.2); what
    was shown and passed over is worth 0, and ends what is counted.

    Args:
        config: of the agent.
        network: what learns.
        states: of all steps, in rows (B * (T + 1), H).
        target: an older copy of the network.
        target_states: its states, in the same rows.
        steps: what was done.
        draws: random numbers.
    """
    heads, targets = _heads(network, draws), _heads(target, draws)
    now = states[steps.now]
    ahead = _Ahead(config, network, states.detach(), target_states)
    loss, found, sampled = torch.zeros(()), [], []
    for own, older in zip(heads, targets, strict=True):
        value = own.of(now, steps.item[:, None])[:, 0]
        y_t = q_target(steps.reward, steps.discount, ahead.best(steps.now + 1, own, older))
        loss = loss + squared_loss(value, y_t)
        if config.negatives:
            drawn = own.of(now, draws.negatives)
            staying = config.discount * ahead.best(steps.now, own, older)
            loss = loss + squared_loss(drawn, staying[:, None].expand_as(drawn))
            sampled.append(drawn.detach())
        if config.shown and len(steps.showing):
            there = steps.passed >= 0
            passed = own.of(states[steps.showing], steps.passed.clamp(min=0)) * there
            loss = loss + passed.square().sum() / max(len(value), 1)
        if config.conservative:
            penalty = conservative_penalty(log_normaliser(now, own), value)
            loss = loss + config.conservative * penalty
        found.append(value)
    nothing = states.new_zeros(len(now), 0)
    return Valued(
        loss / len(heads),
        torch.stack(found).mean(0),
        torch.stack(sampled).mean(0) if sampled else nothing,
    )


def history_learning(network: SequencePolicy, states: Tensor, steps: LoggedSteps) -> Valued:
    """Fits the item's value to how much had been clicked before: no reward, no later step.

    The auxiliary task of Silva et al. (On the unexpected effectiveness of reinforcement learning
    for sequential recommendation, ICML 2024), which asks how many items the user met.
    """
    (head,) = network.values
    now = states[steps.now]
    value = head.of(now, steps.item[:, None])[:, 0]
    return Valued(squared_loss(value, steps.history), value, states.new_zeros(len(now), 0))


def _heads(network: SequencePolicy, draws: Draws) -> list[Scores]:
    """Returns the values that are fitted: of each member, or of one mixture of all."""
    return network.values if draws.mixture is None else [network.mixed_values(draws.mixture)]


class _Ahead:
    """The values of the best items of states."""

    def __init__(
        self,
        config: OfflinePolicyConfig,
        network: SequencePolicy,
        states: Tensor,
        target_states: Tensor,
    ) -> None:
        self.config, self.network = config, network
        self.states, self.target_states = states, target_states

    @torch.no_grad()
    def best(self, rows: Tensor, own: Scores, older: Scores) -> Tensor:
        """Returns values (S,) of states in these rows, by a head and its older copy."""
        state = self.states[rows]
        if self.config.support > 0.0:
            _, item = best_supported(state, own, state, self.network.policy, self.config.support)
        else:
            _, item = best_items(state, own)
        return older.of(self.target_states[rows], item[:, None])[:, 0]
