"""Returns, weights and losses of policy gradients and of adversaries, as pure functions.

And the bound on how much two policies tell of each other.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def discounted_returns(r_t: Tensor, discount: float) -> Tensor:
    """Each step's return ``R_t = sum_{t' >= t} gamma^(t' - t) r_t'`` (Bai et al., 2019, Eq. 9).

    A matrix product; as in the corrected equation, r is that of t', not of t.

    Args:
        r_t: rewards of episodes (B, T), 0 after their end.
        discount: gamma.
    """
    step = torch.arange(r_t.shape[1])
    ahead = step[:, None] - step  # from t (columns) to t' (rows)
    weight = torch.where(ahead >= 0, discount ** ahead.clamp(min=0), 0.0)
    return r_t @ weight.to(r_t.dtype)


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


def centred(return_tm1: Tensor, steps: Tensor) -> Tensor:
    """Returns less a baseline (B, T): their mean over the episodes that have the step.

    A baseline that does not depend on the slate leaves the expected gradient of the slate's
    log-probability as it is (Williams, 1992); not so that of the clicked item alone, whose expected
    log-probability gradient is not zero.

    Args:
        return_tm1: (B, T).
        steps: whether the episode has the step, bool (B, T).
    """
    baseline = (return_tm1 * steps).sum(0) / steps.sum(0).clamp(min=1)
    return (return_tm1 - baseline) * steps


def reinforce_loss(log_pi_tm1: Tensor, advantage_tm1: Tensor) -> Tensor:
    """``-sum_t A_t log pi(a_t | s_t)``, averaged over episodes (Williams, 1992).

    With the returns for A and the clicked item for a_t it is Eq. 9 of Bai et al. (2019) on logged
    episodes.

    Args:
        log_pi_tm1: log-probabilities of what was shown (B, T), 0 where no step is.
        advantage_tm1: what weighs them (B, T): returns, with or without a baseline, or
            ``td_error``, times importance weights; no gradient flows into it.
    """
    return -(advantage_tm1.detach() * log_pi_tm1).sum(1).mean()


def importance_weights(log_pi_tm1: Tensor, mu_tm1: Tensor, cap: float) -> Tensor:
    """``min(pi(a | s) / mu(a | s), cap)``, without gradient (Chen et al., WSDM 2019, section 4).

    The first-order approximation: the ratio of a step, not the product of those before it.

    Args:
        log_pi_tm1: log-probabilities of the policy that learns.
        mu_tm1: probabilities of the logging policy, positive; of the same shape.
        cap: bounds the weights, and with them the variance.
    """
    return (log_pi_tm1.exp() / mu_tm1).clamp(max=cap).detach()


def effective_sample_size(weight: Tensor) -> Tensor:
    """``(sum w)^2 / sum w^2``: as many equal weights would be as precise (Kong, 1992)."""
    return weight.sum().square() / weight.square().sum().clamp(min=torch.finfo(weight.dtype).tiny)


def top_k_multiplier(log_pi_tm1: Tensor, slate_size: int) -> Tensor:
    """``lambda_K = K (1 - pi(a | s))^(K - 1)``, without gradient (Chen et al., WSDM 2019).

    An item is in a slate of K independent draws with probability ``alpha = 1 - (1 - pi)^K``, and
    lambda_K is the derivative of alpha by pi: a gradient of log pi, times pi lambda_K, is one of
    alpha. It vanishes once an item is in nearly all slates, and so leaves room for others.
    """
    return (slate_size * (-log_pi_tm1.expm1()) ** (slate_size - 1)).detach()


def discriminator_loss(logit_real: Tensor, logit_generated: Tensor) -> Tensor:
    """``-E_data log D - E_g log(1 - D)`` (Bai et al., 2019, Eq. 5).

    Args:
        logit_real: D's logits of real episodes (B,).
        logit_generated: of generated ones (M,).
    """
    return functional.softplus(-logit_real).mean() + functional.softplus(logit_generated).mean()


def scored_reward(score_t: Tensor, r_t: Tensor, reward_weight: float) -> Tensor:
    """The agent's reward of a step, ``q_D(tau_0:t) (1 + lambda_r r_t)`` (Bai et al., Eq. 10).

    Its ``discounted_returns`` are R^a_t, in which, as corrected, score and reward are those of t'.

    Args:
        score_t: q_D (B, T), 1 for real episodes, and 0 where an episode has no step.
        r_t: rewards (B, T).
        reward_weight: lambda_r.
    """
    return score_t * (1.0 + reward_weight * r_t)


def user_loss(log_likelihood_t: Tensor, score_t: Tensor) -> Tensor:
    """``-sum_t q_D(tau_0:t) (log p(c_t) + lambda_p log p(r_t))``, averaged (Bai et al., Eq. 7).

    With scores of 1 it is minus the log-likelihood of Eq. 3.

    Args:
        log_likelihood_t: the steps' terms (B, T), 0 where no step is.
        score_t: q_D (B, T); no gradient flows into it.
    """
    return -(score_t.detach() * log_likelihood_t).sum(1).mean()


def information_bound(joint: Tensor, product: Tensor) -> Tensor:
    """The bound on mutual information (Wang et al., M3Rec, Eq. 7), as a Jensen-Shannon divergence.

    ``E_joint[-sp(-T)] - E_product[sp(T)]``, with sp(x) = log(1 + e^x), is at most twice the
    divergence of the joint distribution from the product of its margins, less log 4: so here log 4
    is added and the sum halved. What is returned is 0 at best for independent variables, and at
    most log 2; it is to be maximised over T and over what the variables depend on.

    Args:
        joint: T(z_u, z_rec) of pairs as they come together (B,).
        product: T of pairs from different draws (C,).
    """
    bound = -functional.softplus(-joint).mean() - functional.softplus(product).mean()
    return 0.5 * (bound + math.log(4.0))
