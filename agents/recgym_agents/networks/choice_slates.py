"""The best slates for a user who chooses one item of a slate, or none (Ie et al., 2019, section 5).

The user is attracted by item i of slate A with probability ``w_i / (w_0 + sum_{j in A} w_j)``, w_0
being the weight of none, and clicks it then with probability c_i. If a click on i is worth q_i, and
no click q_0, then the slate is worth ``(w_0 q_0 + sum w_i g_i) / (w_0 + sum w_i)``, where
``g_i = c_i q_i + (1 - c_i) q_0``: a ratio of sums over its items. With every c_i = 1 this is the
paper's general conditional choice model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from recgym_agents.networks.slate_heads import exclude

Search = Literal["top-k", "greedy", "exact"]


class Appraisal(NamedTuple):
    """What decides the worth of slates, for B users and all items; the last column is "no item"."""

    weight: Tensor
    """w_i, (B, N + 1)."""
    click: Tensor
    """c_i, (B, N + 1)."""
    value: Tensor
    """q_i, (B, N + 1)."""
    none_weight: Tensor
    """w_0, (B,)."""
    none_value: Tensor
    """q_0, (B,)."""

    @property
    def worth(self) -> Tensor:
        """g_i, (B, N + 1)."""
        none = self.none_value[:, None]
        return none + self.click * (self.value - none)


def slate_value(appraisal: Appraisal, slate: Tensor) -> Tensor:
    """Returns what slates (B, K) are worth, (B,)."""
    weight, worth = (x.gather(1, slate) for x in (appraisal.weight, appraisal.worth))
    total = (weight * worth).sum(1) + appraisal.none_weight * appraisal.none_value
    return total / (weight.sum(1) + appraisal.none_weight)


def top_slates(appraisal: Appraisal, slate_size: int, excluded: Tensor) -> Tensor:
    """Returns the items of the K highest ``w_i c_i q_i``, as if slates were worth their sum.

    Args:
        appraisal: of the items.
        slate_size: K.
        excluded: items that are no candidates (B, X); N is ignored.

    Returns:
        Distinct item ids (B, K), best first.
    """
    score = appraisal.weight * appraisal.click * appraisal.value
    return exclude(score, excluded).topk(slate_size, 1).indices


def greedy_slates(appraisal: Appraisal, slate_size: int, excluded: Tensor) -> Tensor:
    """Adds one item after the other, each time the one after which the slate is worth most.

    Arguments as in ``top_slates``.
    """
    gain = appraisal.weight * appraisal.worth
    above = (appraisal.none_weight * appraisal.none_value)[:, None]
    below = appraisal.none_weight[:, None]
    for _ in range(slate_size):
        score = exclude((above + gain) / (below + appraisal.weight), excluded)
        item = score.argmax(1, keepdim=True)
        above, below = above + gain.gather(1, item), below + appraisal.weight.gather(1, item)
        excluded = torch.cat([excluded, item], 1)
    return excluded[:, -slate_size:]


def exact_slates(appraisal: Appraisal, slate_size: int, excluded: Tensor) -> Tensor:
    """Returns the slates that are worth most of all, by Dinkelbach's method.

    The K highest ``w_i (g_i - v)``, where v is the value of some slate, are a better slate as long
    as there is one. The paper solves a linear program instead. Arguments as in ``top_slates``.

    References:
        Dinkelbach: On nonlinear fractional programming. Management Science 13 (1967).
    """
    worth = appraisal.worth
    slate = top_slates(appraisal, slate_size, excluded)
    value = slate_value(appraisal, slate)
    while True:
        score = exclude(appraisal.weight * (worth - value[:, None]), excluded)
        found = score.topk(slate_size, 1).indices
        reached = slate_value(appraisal, found)
        better = reached > value
        if not better.any():
            return slate
        slate = torch.where(better[:, None], found, slate)
        value = torch.where(better, reached, value)


SEARCHES: dict[Search, Callable[[Appraisal, int, Tensor], Tensor]] = {
    "top-k": top_slates,
    "greedy": greedy_slates,
    "exact": exact_slates,
}
