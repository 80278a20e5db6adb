"""T_psi of M3Rec: how much more often two latent variables come together than apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PairStatistic(nn.Module):
    """A network of two hidden layers over a pair; ``policy_losses.information_bound`` trains it.

    At the bound's maximum it is the logarithm of how much likelier a pair is in the joint
    distribution than in the product of the margins.
    """

    def __init__(self, first: int, second: int, units: int = 64) -> None:
        """Draws initial weights.

        Args:
            first: length of one variable.
            second: length of the other.
            units: of each hidden layer.
        """
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(first + second, units),
            nn.ELU(),
            nn.Linear(units, units),
            nn.ELU(),
            nn.Linear(units, 1),
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns T (B,) of pairs (B, first) and (B, second)."""
        found: Tensor = self.layers(torch.cat([first, second], dim=1))[:, 0]
        return found
