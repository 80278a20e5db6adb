"""Q-learning's target and loss as pure functions; ``tm1`` is the step acted in, ``t`` the next."""

from __future__ import annotations

from torch import Tensor


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
