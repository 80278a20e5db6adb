"""The item features that a user model learns, and that agents then see."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from recgym.arrays import Array


class ItemTable(nn.Module):
    """Item features (N, D): a learned embedding plus a projection of the catalog's features."""

    def __init__(
        self,
        side: Array,
        features: int,
        scale: float,
        rng: np.random.Generator,
        dtype: torch.dtype,
        projection_scale: float = 1.0,
    ) -> None:
        """Draws initial values.

        Args:
            side: (N, F) catalog features; F may be 0.
            features: D.
            scale: standard deviation of the embeddings.
            rng: draws the initial values.
            dtype: of all values.
            projection_scale: of the projection, where 1 keeps the spread of the features.
        """
        super().__init__()
        scaled = standardised(side)
        embedding = scale * rng.standard_normal((len(side), features))
        projection = rng.standard_normal((side.shape[1], features)) / max(1, side.shape[1]) ** 0.5
        self.side = torch.tensor(scaled, dtype=dtype)
        self.embedding = nn.Parameter(torch.tensor(embedding, dtype=dtype))
        self.projection = nn.Parameter(torch.tensor(projection_scale * projection, dtype=dtype))

    def forward(self, seen: Tensor | None = None) -> Tensor:
        """Returns (N, D) features; where ``seen`` (N, 1) is False, the embedding is hidden."""
        embedding = self.embedding if seen is None else self.embedding * seen
        return embedding + self.side @ self.projection if self.side.shape[1] else embedding


def standardised(side: Array) -> Array:
    """Returns catalog features (N, F) of mean 0 and spread 1, those that do not vary all 0."""
    spread = side.std(axis=0) if len(side) else np.ones(0)
    scaled: Array = (side - side.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scaled
