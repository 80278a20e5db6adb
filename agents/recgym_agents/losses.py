"""Targets and losses as pure functions; ``tm1`` is the step acted in, ``t`` the one after it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid


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


def logit_loss(attraction: Tensor, none: Tensor, slot: Tensor) -> Tensor:
    """The negative log-likelihood of clicks under a conditional logit (Ie et al., 2019, section 4).

    ``P(i) = exp(v_i) / (exp(v_0) + sum_j exp(v_j))`` for the items shown; a mean over rows.

    Args:
        attraction: v of the items shown (B, K).
        none: v_0 (B,).
        slot: what was clicked (B,), K for nothing.
    """
    return cross_entropy(torch.cat([attraction, none[:, None]], 1), slot)


def hesitation_loss(attraction: Tensor, clicking: Tensor, slot: Tensor) -> Tensor:
    """The negative log-likelihood of clicks of users whom an item attracts, and who may not click.

    ``P(i) = c_i exp(v_i) / sum_j exp(v_j)`` for the items shown; a mean over rows.

    Args:
        attraction: v of the items shown (B, K).
        clicking: logits of c (B, K).
        slot: what was clicked (B,), K for nothing.
    """
    attracted = attraction.log_softmax(1)
    nothing = (attracted + logsigmoid(-clicking)).logsumexp(1, keepdim=True)
    likely = torch.cat([attracted + logsigmoid(clicking), nothing], 1)
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
