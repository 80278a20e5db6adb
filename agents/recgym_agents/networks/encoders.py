"""What an agent knows of items and of a user: feature vectors, and an encoded click history."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym_agents.agent import EnvironmentSpec, usual_length

Activation = Literal["elu", "relu", "linear"]


class Inputs(NamedTuple):
    """What a first layer reads."""

    size: int
    """Numbers in a vector."""
    length: float
    """The Euclidean norm that a vector usually has."""
    one_hot: bool = False
    """Whether every vector has a single number that is not zero."""


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


class ObservationReader(nn.Module):
    """Item features, and what is known of the user: what every network of a Q-learner begins with.

    Where item ids are observed, an encoder reads the last clicks. Any other observation is the
    user's state as it stands, but for its first N * D numbers where they are the candidates.

    Args:
        spec: the world.
        window: last clicked items that the encoder reads, if as many are observed.
        weights: sets of position weights in the encoder; 0 where a subclass reads the clicks.
        activation: the encoder's.
        embedding: length of the learned item embedding, where the environment gives no features.
        generator: draws the initial weights.
    """

    state_inputs: Inputs
    """What ``encode`` returns."""
    item_inputs: Inputs
    """What ``features`` returns."""

    def __init__(
        self,
        spec: EnvironmentSpec,
        window: int,
        weights: int,
        activation: Activation,
        embedding: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.candidates, size = (spec.n_items, spec.candidate_features), spec.candidate_features
        self.state_inputs = Inputs(spec.window - spec.n_items * size, spec.state_length)
        self.item_inputs = Inputs(size, spec.candidate_length)
        if not size:
            self.items = ItemFeatures(spec.n_items, spec.features, embedding, generator)
            table = self.items.table.numpy(force=True)
            plain = spec.features is None or bool((np.count_nonzero(table, axis=1) <= 1).all())
            self.item_inputs = Inputs(self.items.size, usual_length(table), plain)
        self.encoder: PositionWeightEncoder | None = None
        self.window = min(window, spec.window)
        if spec.ids and weights:
            self.encoder = PositionWeightEncoder(
                self.window, self.item_inputs.size, weights, activation, generator
            )
            length = self.item_inputs.length * weights**0.5
            self.state_inputs = Inputs(self.encoder.state_size, length)

    def features(self, observation: Tensor) -> Tensor:
        """Returns the items' features, (N + 1, D) or each row's own; the last is "no item"."""
        n_items, size = self.candidates
        if not size:
            return with_no_item(self.items.table)
        return with_no_item(observation[:, : n_items * size].reshape(-1, n_items, size))

    def encode(self, observation: Tensor, items: Tensor) -> Tensor:
        """Returns the users' states (B, S), given the items' features (N + 1, D)."""
        if self.encoder is None:
            n_items, size = self.candidates
            return observation[:, n_items * size :]
        state: Tensor = self.encoder(features_of(observation[:, -self.window :], items))
        return state
