"""What a network reads of an observation: the items' features, and the user's state."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from recgym_agents.agent import EnvironmentSpec, usual_length
from recgym_agents.networks.encoders import (
    Activation,
    ItemFeatures,
    PositionWeightEncoder,
    features_of,
    with_no_item,
)
from recgym_agents.networks.slate_heads import Inputs


class ObservationReader(nn.Module):
    """Item features, and what is known of the user: what every network of a Q-learner begins with.

    Where item ids are observed, an encoder reads the last clicks. Any other observation is the
    user's state as it stands, but for its first N * D numbers where they are the candidates.

    Args:
        spec: the world.
        window: last clicked items that the encoder reads, if as many are observed.
        weights: sets of position weights in the encoder.
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
        if spec.ids:
            self.window = min(window, spec.window)
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
