"""A network that says something of every item and a user: the product of two towers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recgym_agents.networks.encoders import features_of
from recgym_agents.networks.slate_heads import Inputs, first_layer, item_tower, linear

FEW = 16
"""With up to so many items for each slot, one product of all is faster than those of slates."""


class ItemTowers(nn.Module):
    """Numbers ``u(s) . psi(f_i) + b(s)`` of each item, and one number of clicking none.

    u, b and the number of none are what hidden layers make of the user's state s; psi is what a
    tower makes of an item's features, see ``SharedHead``.

    Args:
        state: of users' states, S numbers.
        features: of items' feature vectors, D numbers.
        hidden: units of each hidden layer of the state's tower; psi's has as many as the first.
        rank: length of u and psi, R.
        outputs: numbers of each item, O.
        generator: draws the initial weights.
    """

    def __init__(
        self,
        state: Inputs,
        features: Inputs,
        hidden: Sequence[int],
        rank: int,
        outputs: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.split = [outputs * rank, outputs, 1]
        layers: list[nn.Module] = [first_layer(state, hidden[0], 1.0, generator), nn.ReLU()]
        for size, following in itertools.pairwise(hidden):
            layers += [linear(size, following, generator), nn.ReLU()]
        self.context = nn.Sequential(*layers, linear(hidden[-1], sum(self.split), generator))
        self.psi = item_tower(features, hidden[0], outputs * rank, generator)

    def forward(self, state: Tensor, psi: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the items' numbers (O, B, N), and those of clicking none (B,).

        Args:
            state: (B, S).
            psi: of N items' features (N, O * R), or (B, N, O * R) where every row has its own.
        """
        u, bias, none = self.context(state).split(self.split, 1)
        parts = (len(state), -1, bias.shape[1], u.shape[1] // bias.shape[1])  # B, N, O, R
        if psi.ndim == 3:
            numbers = (u[:, None] * psi).view(parts).sum(-1).permute(2, 0, 1)
        else:
            product = "bxor,nor->obn"
            numbers = torch.einsum(product, u.view(parts), psi.view(-1, *parts[2:]))
        return numbers + bias.T[:, :, None], none[:, 0]

    def of_slates(self, state: Tensor, features: Tensor, slate: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the numbers of the items of slates (O, B, K), and those of clicking none (B,).

        Args:
            state: (B, S).
            features: (N, D), or (B, N, D) where every row has candidates of its own.
            slate: item ids (B, K).
        """
        psi = self.psi(features)
        if psi.ndim == 3 or len(psi) > FEW * slate.shape[1]:
            return self.forward(state, features_of(slate, psi))
        numbers, none = self.forward(state, psi)
        return numbers.gather(2, slate.expand(len(numbers), -1, -1)), none
