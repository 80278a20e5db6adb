"""What a fit maximises on a page, in torch: likelihoods, and pairwise ranking losses negated."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Objective = Callable[[Tensor, Tensor], Tensor]
"""Of logits (C, K + 1), minus infinity where no option exists, and targets (C,): (C,)."""


def choice_log_likelihood(logits: Tensor, target: Tensor) -> Tensor:
    """Returns the log probability (C,) of the option that was chosen, one of the page's."""
    return -functional.cross_entropy(logits, target, reduction="none")


def click_log_likelihood(logits: Tensor, target: Tensor) -> Tensor:
    """Returns the log probability (C,) that the items were clicked or not, each by itself.

    The outside option has no part in it; the odds of a click are exp(logit).
    """
    items = logits[:, :-1]
    there = items > -torch.inf
    finite = torch.where(there, items, 0.0)
    clicked = functional.one_hot(target, logits.shape[1])[:, :-1].to(items.dtype)
    each = functional.binary_cross_entropy_with_logits(finite, clicked, reduction="none")
    return -torch.where(there, each, 0.0).sum(dim=1)


def bpr(logits: Tensor, target: Tensor) -> Tensor:
    """Returns the mean log-sigmoid of how far the clicked item is above each other (C,).

    Bayesian personalised ranking (Rendle et al., UAI 2009) as GRU4Rec has it. The negatives are the
    other items of the page; of a page without a click, or of one item, there is nothing to learn.
    """
    return _over_negatives(logits, target, lambda lead, other: functional.logsigmoid(lead))


def top1(logits: Tensor, target: Tensor) -> Tensor:
    """Returns the TOP1 loss (Hidasi et al., ICLR 2016, section 3.3), negated, as ``bpr`` (C,)."""
    return _over_negatives(
        logits, target, lambda lead, other: -torch.sigmoid(-lead) - torch.sigmoid(other.square())
    )


OBJECTIVES: dict[str, Objective] = {
    "choice": choice_log_likelihood,
    "click": click_log_likelihood,
    "bpr": bpr,
    "top1": top1,
}
"""By the word that a configuration uses for it."""


def _over_negatives(
    logits: Tensor, target: Tensor, gain: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Returns the mean over the other items of ``gain(lead of the clicked item, other)``."""
    items = logits[:, :-1]
    clicked = functional.one_hot(target, logits.shape[1])[:, :-1].bool()
    others = (items > -torch.inf) & ~clicked & clicked.any(dim=1, keepdim=True)
    finite = torch.where(items > -torch.inf, items, 0.0)
    positive = torch.where(clicked, finite, 0.0).sum(dim=1, keepdim=True)
    total = torch.where(others, gain(positive - finite, finite), 0.0).sum(dim=1)
    return total / others.sum(dim=1).clamp(min=1)
