"""The choice model without a history: what a fit of a recurrent user model can start at.

Every item has one utility, whoever looks at it, and so has leaving: a multinomial logit, fitted by
maximum likelihood under a normal prior around zero. A recurrent model contains it (Bai et al.,
NeurIPS 2019, Eqs. 1 and 2, with W = 0), so that a fit which starts there and moves only where
validation users gain is never much below it, however little their clicks tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.users.item_table import ItemTable
from recgym.users.pages import Pages
from recgym.users.recurrent import RecurrentUserConfig
from recgym.users.scoring import reward_rates

ITERATIONS = 100
"""Of L-BFGS at most; the problem is convex."""
UTILITY, REWARD = 0, 1
"""Features of an item: its utility, and the log-odds of its reward."""


@dataclass(frozen=True, eq=False)
class StaticModel:
    """A choice model without a history."""

    utilities: Tensor
    """(N,) float64"""
    outside: float
    """utility of the outside option; minus infinity where there is none"""
    rewards: Tensor
    """(N,) float64 log-odds of each item's reward"""

    @torch.no_grad()
    def start(self, params: dict[str, Tensor], table: ItemTable | Tensor) -> None:
        """Makes a recurrent user model say this, whatever was clicked; in place.

        Two features of each item are set, and the heads multiply with one each. Frozen features
        stay: they hold the utilities of the users they were fitted on.

        Args:
            params: of the recurrent model.
            table: its item features, two at least.
        """
        if isinstance(table, ItemTable):
            shift = torch.stack([self.utilities, self.rewards], dim=1) - table.forward()[:, :2]
            table.embedding[:, :2] += shift
        for head, feature in (("click", UTILITY), ("reward", REWARD)):
            params[f"{head}.weight"].zero_()
            params[f"{head}.bias"].zero_()[feature] = 1.0
        if "outside" in params:
            params["outside"].zero_()[UTILITY] = self.outside


def fit_static(
    config: RecurrentUserConfig,
    pages: Pages,
    training: Array,
    validation: Array,
    ridges: tuple[float, ...],
) -> StaticModel:
    """Fits the choice model without a history.

    Args:
        config: whether there is an outside option.
        pages: the log.
        training: numbers of the pages to learn from.
        validation: numbers of the pages that choose among ``ridges``, by log-likelihood.
        ridges: precisions of the prior of an item's utility.

    Raises:
        RecGymError: items have fewer than two features.
    """
    if config.features < 2:
        raise RecGymError(f"features={config.features}: a static start needs 2 at least")
    has_outside = config.outside is not None
    found = [_most_likely(pages, training, ridge, has_outside) for ridge in ridges]
    scores = [
        float(log_likelihood(utilities, pages, validation, has_outside).mean())
        for utilities in found
    ]
    chosen = found[int(np.argmax(scores))]
    _, rates = reward_rates(pages.select(training))
    return StaticModel(
        utilities=chosen[: pages.n_items],
        outside=float(chosen[-1]) if has_outside else -float("inf"),
        rewards=torch.from_numpy(np.log(rates) - np.log1p(-rates)),
    )


def log_likelihood(utilities: Tensor, pages: Pages, chosen: Array, has_outside: bool) -> Tensor:
    """Returns the log probability (C,) of what happened on the chosen pages.

    Args:
        utilities: (N + 1,) of the items, and of the outside option.
        pages: the log.
        chosen: (C,) numbers of pages.
        has_outside: whether there is that option.
    """
    absent = torch.from_numpy(pages.absent[chosen])
    items = utilities[torch.from_numpy(pages.slates[chosen])].masked_fill(absent, -torch.inf)
    outside = utilities[-1:] if has_outside else torch.full_like(utilities[-1:], -torch.inf)
    logits = torch.cat([items, outside.expand(len(chosen), 1)], dim=1)
    target = torch.from_numpy(pages.target[chosen])
    return -functional.cross_entropy(logits, target, reduction="none")


def _most_likely(pages: Pages, training: Array, ridge: float, has_outside: bool) -> Tensor:
    """Returns the utilities (N + 1,) of the highest posterior density."""
    utilities = torch.zeros(pages.n_items + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([utilities], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        likelihood = log_likelihood(utilities, pages, training, has_outside).mean()
        prior = 0.5 * ridge * utilities[:-1].square().sum() / len(training)
        torch.autograd.backward(prior - likelihood)
        return prior - likelihood

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return utilities.detach()
