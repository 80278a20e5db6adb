"""A network that says something of every item and a user: the product of two towers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recgym_agents.networks.encoders import Inputs, features_of
from recgym_agents.networks.slate_heads import first_layer, item_tower, linear

FEW = 16
"""With up to so many items for each slot, one product of all is faster than those of slates."""


class ItemTowers(nn.Module):
    """A number ``u(s) . psi(f_i) + b(s)`` of each item, and one of clicking none.

    u, b and the number of none are what hidden layers make of the user's state s; psi is what a
    tower makes of an item's features, see ``SharedHead``.

    Args:
        state: of users' states, S numbers.
        features: of items' feature vectors, D numbers.
        hidden: units of each hidden layer of the state's tower; psi's has as many as the first.
        rank: length of u and psi, R.
        generator: draws the initial weights.
    """

    def __init__(
        self,
        state: Inputs,
        features: Inputs,
        hidden: Sequence[int],
        rank: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [first_layer(state, hidden[0], 1.0, generator), nn.ReLU()]
        for size, following in itertools.pairwise(hidden):
            layers += [linear(size, following, generator), nn.ReLU()]
        self.context = nn.Sequential(*layers, linear(hidden[-1], rank + 2, generator))
        self.psi = item_tower(features, hidden[0], rank, generator)

    def forward(
        self, state: Tensor, features: Tensor, slate: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns the numbers of all items (B, N) or of those in slates (B, K), and of none (B,).

        Args:
            state: (B, S).
            features: (N, D), or (B, N, D) where every row has candidates of its own.
            slate: item ids (B, K), or None for all items.
        """
        context, psi = self.context(state), self.psi(features)
        u, bias, none = context[:, :-2], context[:, -2:-1], context[:, -1]
        if psi.ndim == 3 or (slate is not None and len(psi) > FEW * slate.shape[1]):
            shown = psi if slate is None else features_of(slate, psi)
            return (u[:, None] * shown).sum(-1) + bias, none
        numbers = u @ psi.T + bias
        return (numbers if slate is None else numbers.gather(1, slate)), none
