"""How likely clicks are under models of how users choose from a slate, as pure functions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid


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
