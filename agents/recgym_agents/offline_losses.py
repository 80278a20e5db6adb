"""Weights, targets and losses of learning from logs, as pure functions.

``tm1`` is the step acted in, ``t`` the one after it; S steps of many episodes stand in one row.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def mean_of(values: Tensor) -> Tensor:
    """Returns the mean of values (S,); 0 where there are none, as in a batch without a click."""
    return values.sum() / max(len(values), 1)


def weighted_log_loss(log_pi_tm1: Tensor, weight_tm1: Tensor) -> Tensor:
    """``-(1 / S) sum w log pi(a | s)`` (Liang and Vlassis, 2022, Eqs. 6, 8 and 9).

    With weights of 1 it is the cross-entropy of which the logging policy is estimated.

    Args:
        log_pi_tm1: log-probabilities of what was done (S,).
        weight_tm1: what weighs them (S,); no gradient flows into it.
    """
    return -mean_of(weight_tm1.detach() * log_pi_tm1)


def improvement_weights(advantage_tm1: Tensor, beta: float, cap: float) -> Tensor:
    """``c exp(A(s, a) / beta)`` (Liang and Vlassis, 2022, Eq. 8), where c keeps them below a cap.

    c is 1 where no weight of the batch is above the cap, and otherwise makes the highest one the
    cap, so that the weights of two steps keep their ratio. The smaller beta, the further the policy
    may move from the one that logged.

    Args:
        advantage_tm1: of what was done (S,).
        beta: the multiplier of the divergence between the two policies.
        cap: the highest weight.
    """
    if not len(advantage_tm1):
        return advantage_tm1.detach()
    logits = (advantage_tm1 / beta).detach()
    highest = logits.amax()  # taken off first, which keeps the digits of large logits
    return (logits - highest + highest.clamp(max=math.log(cap))).exp()


def ratio_weights(log_pi_tm1: Tensor, log_mu_tm1: Tensor, smoothing: float, cap: float) -> Tensor:
    """``min(pi(a | s) / mu(a | s)^smoothing, cap)`` (Liang and Vlassis, 2022, Eq. 9).

    The power below 1 keeps rare items from large weights (Aouali et al., ICML 2023).

    Args:
        log_pi_tm1: log-probabilities of the policy that learns (S,).
        log_mu_tm1: of the one that logged (S,).
        smoothing: the power; 1 is the importance weight itself.
        cap: the highest weight.
    """
    return (log_pi_tm1 - smoothing * log_mu_tm1).exp().clamp(max=cap).detach()


def advantage_over_samples(q_tm1: Tensor, q_sampled_tm1: Tensor, cap: float) -> Tensor:
    """``Q(s, a)`` less the mean over it and sampled items, from 0 to ``cap`` (Xin et al., 2022).

    The weight of SA2C (WSDM 2022, section 3.3).

    Args:
        q_tm1: values of what was done (S,).
        q_sampled_tm1: of the sampled items (S, M).
        cap: the highest weight.
    """
    mean = torch.cat([q_tm1[:, None], q_sampled_tm1], 1).mean(1)
    return (q_tm1 - mean).clamp(0.0, cap).detach()


def squared_loss(q_tm1: Tensor, y_t: Tensor) -> Tensor:
    """``(1 / S) sum (Q(s, a) - y)^2`` (Liang and Vlassis, 2022, Eq. 11).

    Args:
        q_tm1: values (S,), or of several networks (S, M), whose losses are added up.
        y_t: targets of the same shape; no gradient flows into them.
    """
    return (q_tm1 - y_t.detach()).square().sum() / max(len(q_tm1), 1)


def conservative_penalty(log_sum_exp_q_tm1: Tensor, q_tm1: Tensor) -> Tensor:
    """``(1 / S) sum (log sum_a exp Q(s, a) - Q(s, a_logged))`` (Kumar et al., 2020, Eq. 4).

    It pushes down the values of what was not done: CQL(H).

    Args:
        log_sum_exp_q_tm1: over all items (S,).
        q_tm1: values of what was done (S,).
    """
    return mean_of(log_sum_exp_q_tm1 - q_tm1)


def random_mixture(uniform: Tensor) -> Tensor:
    """``u / sum u``: weights of the members of an ensemble (Agarwal et al., ICML 2020, section 4).

    Args:
        uniform: draws from 0 to 1 (M,).
    """
    return uniform / uniform.sum()


def optimistic(value: Tensor, bonus: float) -> Tensor:
    """``mean + bonus * standard deviation`` over the members of an ensemble.

    Where members disagree an item is tried; a bonus below 0 keeps to what they agree on.

    Args:
        value: of each member (M, ...).
        bonus: how many standard deviations are added.
    """
    return value.mean(0) + bonus * value.std(0, unbiased=False)
