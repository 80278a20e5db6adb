"""What a policy adds to the scores of items that were clicked lately, by how many clicks ago."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym_agents.networks.item_scores import (
    Scores,
    expected_value,
    log_normaliser,
    log_softmax_of,
)

START, UNIT = 4.0, 8.0
"""The bonus of all clicks at first; and what a step of the parameter is in bonus, because Adam's
steps are as long for it as for numbers of an item's vector, and it has further to go."""


class Repeats(NamedTuple):
    """Clicked items and what they gain, of S states."""

    item: Tensor
    """(S, W), 0 where nothing was clicked, or the item once more later."""
    bonus: Tensor
    """(S, W), at least 0, and 0 there."""

    def added_to(self, scores: Tensor) -> Tensor:
        """Returns the scores of all items (S, N) with the bonus."""
        return scores.scatter_add(1, self.item, self.bonus)

    def of(self, item: Tensor) -> Tensor:
        """Returns the bonus (S,) of an item (S,)."""
        return (self.bonus * (self.item == item[:, None])).sum(1)

    def odds(self, state: Tensor, scores: Scores, log_normaliser: Tensor) -> Tensor:
        """Returns how much each click adds to the sum of all items' exponentials, as its share.

        Args:
            state: (S, H).
            scores: of the items, without the bonus.
            log_normaliser: the log of their sum (S,).

        Returns:
            ``p_i (exp(bonus_i) - 1)`` (S, W), where p_i is i's probability without the bonus.
        """
        likely = (scores.of(state, self.item) - log_normaliser[:, None]).exp()
        return likely * self.bonus.expm1()


class RepeatBonus(nn.Module):
    """A number for each of the last W clicks, which is learned with the policy.

    Args:
        window: clicked items observed, W.
    """

    def __init__(self, window: int) -> None:
        super().__init__()
        start = np.log(np.expm1(START)) / UNIT
        self.by_click = nn.Parameter(torch.full((window,), start, dtype=torch.float32))

    def forward(self, history: np.ndarray, n_items: int) -> Repeats:
        """Returns what the clicks (S, W), the last one last, add; N where there is none."""
        same = history[:, :, None] == history[:, None, :]
        again = np.triu(same, 1).any(axis=2)
        counts = (history < n_items) & ~again
        bonus = functional.softplus(UNIT * self.by_click) * torch.as_tensor(counts)
        return Repeats(torch.as_tensor(np.where(counts, history, 0)), bonus)


def log_probability(
    state: Tensor, scores: Scores, item: Tensor, repeats: Repeats | None = None
) -> Tensor:
    """Returns the log-probability (S,) of an item (S,) in the softmax over all, bonus included."""
    found = log_softmax_of(state, scores, item)
    if repeats is None:
        return found
    normaliser = scores.of(state, item[:, None])[:, 0] - found
    odds = repeats.odds(state, scores, normaliser).sum(1)
    return found + repeats.of(item) - odds.log1p()


@torch.no_grad()
def expected_under(
    state: Tensor, scores: Scores, values: Scores, repeats: Repeats | None = None
) -> Tensor:
    """Returns the mean value (S,) of the items of that softmax; see ``expected_value``."""
    found = expected_value(state, scores, values)
    if repeats is None:
        return found
    odds = repeats.odds(state, scores, log_normaliser(state, scores))
    mean: Tensor = found + (odds * values.of(state, repeats.item)).sum(1)
    return mean / (1.0 + odds.sum(1))
