"""The discriminator of IRecGAN: whether an episode looks like one of real users."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym_agents.learning.episodes import Episodes, click_sequences
from recgym_agents.networks.encoders import features_of
from recgym_agents.networks.recurrent_encoder import Cell, RecurrentEncoder

TEMPERATURE = 0.1
"""Of the softmax that stands for the user's favourite item of a slate (appendix 1)."""
UNLIMITED = 1 << 30
"""Clicks that it reads: all of them."""


class Discriminator(nn.Module):
    """``D(tau) = sigmoid(mean_t e(c_max)^T e(c_t) (W^p r_t + b^p))`` (Bai et al., appendix 1).

    ``c_max`` is the favourite among what the user might have done, ``argmax (W^d s_t + b^d)^T e``,
    as a mean of embeddings weighed by a softmax at temperature 0.1. Not to click is one of the
    options, with an embedding of its own. The T + 1 terms are divided by T + 1.

    Args:
        n_items: N.
        size: length of its own item embedding, D.
        cell: of the recurrent network that reads the clicks.
        layers: networks one on top of the other.
        hidden: units of each.
        generator: draws the initial weights.
    """

    def __init__(
        self,
        n_items: int,
        size: int,
        cell: Cell,
        layers: int,
        hidden: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_items = n_items
        table = torch.randn(n_items + 1, size, generator=generator) * size**-0.5
        self.items = nn.Parameter(table)  # the last one is not to click
        self.encoder = RecurrentEncoder(UNLIMITED, size, cell, layers, hidden, generator)
        weight = (torch.rand(size, hidden, generator=generator) * 2 - 1) * hidden**-0.5
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(size))
        self.of_reward = nn.Parameter(torch.zeros(()))
        self.of_step = nn.Parameter(torch.ones(()))

    def forward(self, batch: Episodes) -> Tensor:
        """Returns the logits of D (B,): that the episodes are of real users."""
        clicks, before = click_sequences(batch.history, batch.item, self.n_items)
        states = self.encoder(features_of(torch.as_tensor(clicks), self.items))
        state = states.take_along_dim(torch.as_tensor(before[:, :-1, None]), 1)
        shown = torch.as_tensor(batch.slate[:, :, 0] >= 0)
        agreement = self._agreement(
            state[shown],
            torch.as_tensor(batch.slate)[shown],
            torch.as_tensor(batch.item)[shown],
        )
        reward = torch.as_tensor(batch.reward)[shown]
        term = agreement * (self.of_reward * reward + self.of_step)
        whole = torch.zeros(shown.shape).masked_scatter(shown, term)
        return whole.sum(1) / shown.sum(1).clamp(min=1)

    def _agreement(self, state: Tensor, slate: Tensor, item: Tensor) -> Tensor:
        """Returns ``e(c_max)^T e(c_t)`` (C,) of states (C, H), slates (C, K) and clicks (C,)."""
        options = functional.pad(slate, (0, 1), value=self.n_items)
        vectors = functional.embedding(options.where(options >= 0, self.n_items), self.items)
        query = functional.linear(state, self.weight, self.bias)
        liking = (vectors @ query[:, :, None])[:, :, 0].masked_fill(options < 0, -torch.inf)
        favourite = ((liking / TEMPERATURE).softmax(1)[:, None] @ vectors)[:, 0]
        happened = functional.embedding(item.where(item >= 0, self.n_items), self.items)
        return (favourite * happened).sum(1)
