"""Targets and losses as pure functions; ``tm1`` is the step acted in, ``t`` the one after it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def q_target(r_t: Tensor, discount_t: Tensor, q_t: Tensor) -> Tensor:
    """The one-step target ``y = r + gamma Q(s', a*)`` (Chen et al., 2019, Eq. 11).

    Args:
        r_t: rewards (B,).
        discount_t: gamma, or 0 where the user has left (B,). A truncated episode is not over.
        q_t: the target network's value of the greedy slate in the next state (B,).

    Returns:
        (B,), without gradient.
    """
    return (r_t + discount_t * q_t).detach()


def cascade_loss(q_tm1: Tensor, y_t: Tensor) -> Tensor:
    """``sum_j (y - Q^j)^2``, averaged over rows: all Q^j fit one target (Chen et al., Eq. 11).

    Args:
        q_tm1: Q^j(s, a_1 .. a_j) for every slot (B, K); one column for an additive network.
        y_t: targets (B,).
    """
    return (y_t[:, None] - q_tm1).square().sum(1).mean()


def choice_loss(attraction: Tensor, none: Tensor, clicking: Tensor | None, slot: Tensor) -> Tensor:
    """The mean negative log-likelihood of what users clicked.

    The user is attracted by one of the items shown, or none, with the probabilities of a softmax,
    and clicks it with a probability of its own: ``P(i) = c_i exp(v_i) / (exp(v_0) + sum_j
    exp(v_j))``. Without that second step it is the conditional logit (Ie et al., 2019, Eq. 6).

    Args:
        attraction: v of the items shown (B, K).
        none: v_0 (B,).
        clicking: logits of c (B, K), or None where an attracted user always clicks.
        slot: what was clicked (B,), K for nothing.
    """
    options = torch.cat([attraction, none[:, None]], 1)
    likely = options - options.logsumexp(1, keepdim=True)
    if clicking is not None:
        left = torch.cat([likely[:, :-1] + logsigmoid(-clicking), likely[:, -1:]], 1)
        nothing = left.logsumexp(1, keepdim=True)
        likely = torch.cat([likely[:, :-1] + logsigmoid(clicking), nothing], 1)
    return -likely.gather(1, slot[:, None]).mean()


def td_error(r_t: Tensor, discount_t: Tensor, v_t: Tensor, v_tm1: Tensor) -> Tensor:
    """The advantage ``r + gamma V(s') - V(s)`` of one step (Sutton and Barto, 2018, section 13.5).

    Args:
        r_t: rewards.
        discount_t: gamma, or 0 where the user has left.
        v_t: values of the states after the step; without gradient.
        v_tm1: values of the states before it. All of one shape.
    """
    return r_t + discount_t * v_t.detach() - v_tm1


def value_loss(td_error_t: Tensor, steps: Tensor) -> Tensor:
    """``sum_t (r + gamma V(s') - V(s))^2 / 2`` over the ``steps`` there are, a mean over episodes.

    Arguments are (B, T).
    """
    return 0.5 * (td_error_t.square() * steps).sum(1).mean()
