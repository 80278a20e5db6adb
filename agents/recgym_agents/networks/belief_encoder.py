"""A belief about the hidden state that a user is in, moved by each of her clicks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SPREAD = 2.0
"""Standard deviation of the initial logarithms, large enough that different items move a belief to
different places before anything is learned."""
GAIN = 10.0
"""What a parameter is multiplied by to be a logarithm, so that a step of Adam, which suits weights
near 0, changes it by as much more."""
LIMIT = 80.0
"""The largest logarithm, and minus the smallest: their exponentials are numbers of 32 bits."""


class BeliefEncoder(nn.Module):
    """A user's state as a distribution over M hidden states: a click on i makes b into ``b W_i``.

    The product is divided by its sum. With ``W_i[s, s'] = p(i | s) P(s' | s, i)``, the chance of
    the click in state s times that of moving on to s', this is Bayes' rule, as in a hidden Markov
    model. Here the matrices are learned, for what the beliefs are good for, their entries as
    logarithms. What a click does depends on all clicks before it, and on their order.

    Args:
        n_items: items, N.
        states: hidden states, M.
        generator: draws the initial matrices.

    References:
        Jaeger: Observable operator models for discrete stochastic time series. Neural Computation
        12 (2000).
    """

    def __init__(self, n_items: int, states: int, generator: torch.Generator) -> None:
        super().__init__()
        self.state_size = states
        self.start = nn.Parameter(torch.zeros(states))
        drawn = torch.randn(n_items, states * states, generator=generator)
        self.log_moves = nn.Parameter(SPREAD / GAIN * drawn)

    def forward(self, history: Tensor) -> Tensor:
        """Returns beliefs (B, M) after clicks (B, W), ids in their order; N and more are none."""
        clicked = (history < len(self.log_moves)).T
        column, row = clicked.nonzero(as_tuple=True)  # the first clicks of all, then the second
        moves = functional.embedding(
            history.T[clicked], (GAIN * self.log_moves).clamp(-LIMIT, LIMIT).exp()
        )
        belief = self.start.softmax(0).expand(len(history), -1)
        counts = [count for count in column.bincount().tolist() if count]
        for who, move in zip(torch.split(row, counts), torch.split(moves, counts), strict=True):
            moved = belief[who, None] @ move.reshape(-1, self.state_size, self.state_size)
            belief = belief.index_copy(0, who, (moved / moved.sum(2, keepdim=True))[:, 0])
        return belief
