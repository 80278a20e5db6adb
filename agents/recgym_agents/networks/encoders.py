"""What an agent knows of items and of a user: feature vectors, and an encoded click history."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["elu", "relu", "linear"]


class ItemFeatures(nn.Module):
    """The items' feature vectors: those of the environment, frozen, or else a learned embedding.

    Args:
        n_items: number of items, N.
        features: (N, D) from the environment, or None.
        size: D, where the features are learned.
        generator: draws the initial embedding.
    """

    def __init__(
        self, n_items: int, features: np.ndarray | None, size: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        if features is None:
            table = torch.randn(n_items, size, generator=generator)
        else:
            table = torch.as_tensor(features, dtype=torch.float32)
        self.size = table.shape[1]
        self.table = nn.Parameter(table.clone(), requires_grad=features is None)


def with_no_item(features: Tensor) -> Tensor:
    """Returns features (..., N, D) with a last row of zeros, for the id N of "no item"."""
    return torch.cat([features, torch.zeros_like(features[..., :1, :])], -2)


def features_of(items: Tensor, features: Tensor) -> Tensor:
    """Returns the feature vectors (B, X, D) of items (B, X).

    Args:
        items: ids.
        features: (N, D), or (B, N, D) where every row has candidates of its own.
    """
    if features.ndim == 2:
        return functional.embedding(items, features)
    return features.take_along_dim(items[:, :, None], 1)


class PositionWeightEncoder(nn.Module):
    """A user's state as position-weighted clicks: ``s = vec(sigma(F W + B))`` (Chen et al., Eq. 4).

    Args:
        window: clicked items read, m.
        features: length of a feature vector, D.
        weights: sets of position weights, n.
        activation: sigma; "linear" applies neither it nor the bias, as the authors' code does.
        generator: draws the initial weights.
    """

    def __init__(
        self,
        window: int,
        features: int,
        weights: int,
        activation: Activation,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.state_size = weights * features
        self.activation = activation
        scale = window**-0.5
        self.weight = nn.Parameter(torch.randn(weights, window, generator=generator) * scale)
        self.bias = nn.Parameter(torch.zeros(weights, features))

    def forward(self, history: Tensor) -> Tensor:
        """Encodes the feature vectors of the last clicks (B, m, D), oldest first, as (B, n * D)."""
        state = self.weight @ history
        if self.activation != "linear":
            state = getattr(functional, self.activation)(state + self.bias)
        return state.flatten(1)
