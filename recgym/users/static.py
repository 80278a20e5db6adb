"""The choice model without a history: what a fit of a recurrent user model can start at.

Every item has one utility, whoever looks at it, and so has leaving: a multinomial logit, fitted by
maximum likelihood under a normal prior around zero. A recurrent model contains it (Bai et al.,
NeurIPS 2019, Eqs. 1 and 2, with W = 0), so that a fit which starts there, and moves only where
validation pages gain, is seldom below it, however little clicks tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.users.item_table import ItemTable
from recgym.users.page_arrays import Pages
from recgym.users.recurrent import RecurrentUserConfig
from recgym.users.scoring import reward_rates

ITERATIONS = 100
"""Of L-BFGS at most; the problem is convex."""
TOLERANCE = 1e-7
"""Largest gradient, in nats a page, at which it ends."""
UTILITY, REWARD = 0, 1
"""Features of an item: its utility, and the log-odds of its reward."""
TINY = 1e-12
"""What no length is taken to be below, where something is divided by it."""


def reads_clicks(params: Mapping[str, Array]) -> bool:
    """Returns whether a recurrent user model has left a static start: whether W_c is not zero."""
    return bool((params["click.weight"] != 0.0).any())


@dataclass(frozen=True, eq=False)
class StaticModel:
    """A choice model without a history."""

    utilities: Tensor
    """(N,) float64"""
    outside: float
    """utility of the outside option; 0 where there is none"""
    rewards: Tensor
    """(N,) float64 log-odds of each item's reward"""

    @torch.no_grad()
    def start(self, params: dict[str, Tensor], table: ItemTable | Tensor) -> None:
        """Makes a recurrent user model say this, whatever was clicked; in place.

        Of features that are learned two are set for each item, and the heads multiply with one
        each. Frozen features, which were fitted on other users, stay as they are: the heads say
        what is nearest by least squares over the items.

        Args:
            params: of the recurrent model.
            table: its item features, two at least.
        """
        wanted = torch.stack([self.utilities, self.rewards], dim=1)
        if isinstance(table, ItemTable):
            table.embedding[:, :2] += wanted - table.forward()[:, :2]
            heads = np.eye(table.embedding.shape[1], 2)
        else:
            heads = np.linalg.lstsq(table.double().numpy(), wanted.numpy())[0]
        for head, column in (("click", UTILITY), ("reward", REWARD)):
            params[f"{head}.weight"].zero_()
            params[f"{head}.bias"].copy_(torch.from_numpy(heads[:, column]))
        if "outside" in params:
            bias = heads[:, UTILITY]
            of_leaving = self.outside / max(float(bias @ bias), TINY) * bias
            params["outside"].copy_(torch.from_numpy(of_leaving))


class Choices(NamedTuple):
    """What happened on C pages."""

    slates: Tensor
    """(C, K) item ids"""
    absent: Tensor
    """(C, K) slots without an item"""
    target: Tensor
    """(C,) slot, or K for the outside option"""

    @staticmethod
    def of(pages: Pages, chosen: Array) -> Choices:
        """Takes the pages of these numbers."""
        pages = pages.select(chosen)
        arrays = (pages.slates, pages.absent, pages.target)
        return Choices(*(torch.from_numpy(array) for array in arrays))


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
    learned, held_out = Choices.of(pages, training), Choices.of(pages, validation)
    found = [_most_likely(learned, pages.n_items, ridge, has_outside) for ridge in ridges]
    scores = [float(log_likelihood(one, held_out, has_outside).mean()) for one in found]
    chosen = found[int(np.argmax(scores))]
    _, rates = reward_rates(pages.select(training))
    return StaticModel(
        utilities=chosen[: pages.n_items],
        outside=float(chosen[-1]),
        rewards=torch.from_numpy(np.log(rates) - np.log1p(-rates)),
    )


def log_likelihood(utilities: Tensor, choices: Choices, has_outside: bool) -> Tensor:
    """Returns the log probability (C,) of what happened.

    Args:
        utilities: (N + 1,) of the items, and of the outside option.
        choices: C pages.
        has_outside: whether there is that option.
    """
    items = utilities[choices.slates].masked_fill(choices.absent, -torch.inf)
    outside = utilities[-1:] if has_outside else torch.full_like(utilities[-1:], -torch.inf)
    logits = torch.cat([items, outside.expand(len(items), 1)], dim=1)
    return -functional.cross_entropy(logits, choices.target, reduction="none")


def _most_likely(choices: Choices, n_items: int, ridge: float, has_outside: bool) -> Tensor:
    """Returns the utilities (N + 1,) of the highest posterior density.

    The outside option's prior has the precision 1: it matters where hardly anybody, or nearly
    everybody, left.
    """
    utilities = torch.zeros(n_items + 1, dtype=torch.float64, requires_grad=True)
    precision = torch.full_like(utilities, ridge)
    precision[-1] = 1.0
    optimizer = torch.optim.LBFGS(
        [utilities],
        max_iter=ITERATIONS,
        tolerance_grad=TOLERANCE,
        tolerance_change=TOLERANCE**2,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        prior = 0.5 * (precision * utilities.square()).sum() / len(choices.target)
        likelihood = log_likelihood(utilities, choices, has_outside).mean()
        torch.autograd.backward(prior - likelihood)
        return prior - likelihood

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return utilities.detach()
