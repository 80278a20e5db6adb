"""What M3Rec's policies are made of: a context inferred from support, and a latent variable each.

Wang et al., section 4.1. A user's context c is read from her logged sequences, p_f(c | tau). From
her state s and c follows a latent policy variable, q(z | s, c), and from that what is said of
items. What the paper leaves open is chosen as in the meta-level user model, ``recgym.users.meta``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from recgym_agents.agent import EnvironmentSpec
from recgym_agents.networks.encoders import Inputs, ObservationReader
from recgym_agents.networks.item_towers import ItemTowers
from recgym_agents.networks.preferences import (
    EMBEDDING,
    WEIGHTS,
    WINDOW,
    features_of_slates,
)
from recgym_agents.networks.slate_heads import first_layer, linear

LOG_PRECISION = (-8.0, 4.0)
"""Of what a step tells of a context: from next to nothing, to a standard deviation of .14."""
NARROW = -2.0
"""Logarithm of the standard deviation that latent variables begin with."""


class Normal(NamedTuple):
    """Normal distributions of independent dimensions."""

    mean: Tensor
    """(B, Z)"""
    variance: Tensor
    """(B, Z)"""

    def drawn(self, noise: Tensor) -> Tensor:
        """Returns what standard normal ``noise`` (B, Z) makes of it, with a gradient."""
        return self.mean + self.variance.sqrt() * noise

    @property
    def divergence(self) -> Tensor:
        """KL(self || N(0, I)), (B,)."""
        each = self.mean.square() + self.variance - self.variance.log() - 1.0
        return 0.5 * each.sum(1)


class ContextEncoder(nn.Module):
    """p_f(c | tau): each step is a normal factor over c, and N(0, I) one more (as in PEARL).

    So the order of steps and of sequences does not matter, any number of them can be read, none
    gives the prior, and each one more makes the context surer (Rakelly et al., ICML 2019). A step
    tells the features of the clicked item, how they differ from the mean of what was shown, the
    reward, and whether nothing was clicked.

    Args:
        features: of items' feature vectors.
        units: of the hidden layer.
        context: length of c, C.
        generator: draws the initial weights.
    """

    def __init__(
        self, features: Inputs, units: int, context: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        length = (2.0 * features.length**2 + 1.0) ** 0.5
        into = first_layer(Inputs(2 * features.size + 2, length), units, 1.0, generator)
        self.hidden = nn.Sequential(into, nn.Tanh())
        self.mean = linear(units, context, generator)
        self.log_precision = linear(units, context, generator)

    def forward(self, shown: Tensor, slot: Tensor, reward: Tensor, there: Tensor) -> Normal:
        """Returns the contexts of U users (U, C).

        Args:
            shown: features of what was shown (U, M, K, D).
            slot: clicked slot (U, M), K for none.
            reward: (U, M).
            there: 1 where there is such a step, else 0 (U, M).
        """
        chosen = (slot[:, :, None] == torch.arange(shown.shape[2])).to(shown.dtype)
        vector = (chosen[..., None] * shown).sum(2)
        none = 1.0 - chosen.sum(2, keepdim=True)
        read = torch.cat([vector, vector - shown.mean(2), reward[..., None], none], 2)
        hidden = self.hidden(read)
        precision = self.log_precision(hidden).clamp(*LOG_PRECISION).exp() * there[..., None]
        variance = 1.0 / (1.0 + precision.sum(1))
        return Normal((precision * self.mean(hidden)).sum(1) * variance, variance)


class LatentPolicy(nn.Module):
    """q(z | s, c), what z says of items, and the decoder of the next state, p(s' | z, c).

    Args:
        state: of users' states, S numbers.
        context: length of c, C.
        features: of items' feature vectors.
        latent: length of z, Z.
        hidden: units of each hidden layer that reads z; the layers before have as many as the
            first.
        rank: length of the two vectors whose product scores an item.
        generator: draws the initial weights.
    """

    def __init__(
        self,
        state: Inputs,
        context: int,
        features: Inputs,
        latent: int,
        hidden: Sequence[int],
        rank: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        units = hidden[0]
        self.of_state = first_layer(state, units, 1.0, generator)
        self.of_context = linear(context, units, generator)
        self.mean = linear(units, latent, generator)
        self.log_std = linear(units, latent, generator)
        self.towers = ItemTowers(Inputs(latent, latent**0.5), features, hidden, rank, generator)
        self.decoder = nn.Sequential(
            linear(latent + context, units, generator),
            nn.Tanh(),
            linear(units, state.size, generator),
        )

    def forward(self, state: Tensor, context: Tensor) -> Normal:
        """Returns q(z | s, c) for states (B, S) and contexts (B, C)."""
        hidden = torch.tanh(self.of_state(state) + self.of_context(context))
        return Normal(self.mean(hidden), (2.0 * (self.log_std(hidden) + NARROW)).exp())

    def decoded(self, z: Tensor, context: Tensor) -> Tensor:
        """Returns the mean (B, S) of p(s' | z, c), a normal distribution of variance 1."""
        found: Tensor = self.decoder(torch.cat([z, context], 1))
        return found


class ContextPolicyNetwork(ObservationReader):
    """The context encoder, the recommender's latent policy, and the user's.

    Args:
        spec: the world.
        context: length of c, C.
        latent: length of z_rec and of z_u, Z.
        hidden: units of each hidden layer.
        rank: length of the two vectors whose product scores an item.
        generator: draws the initial weights.
    """

    scale: Tensor | None
    """Mean and deviation of the candidates' features (2, D), where these are new at every step."""

    def __init__(
        self,
        spec: EnvironmentSpec,
        context: int,
        latent: int,
        hidden: Sequence[int],
        rank: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__(spec, WINDOW, WEIGHTS, "elu", EMBEDDING, generator)
        size = spec.candidate_features
        self.register_buffer("scale", None)
        if size:
            scale = np.stack([np.zeros(size), np.ones(size)])
            if spec.candidate_scale is not None:
                mean, deviation = spec.candidate_scale
                scale = np.stack([mean, np.where(deviation > 0.0, deviation, 1.0)])
                self.item_inputs = Inputs(size, size**0.5)
            self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))
        items = self.item_inputs
        self.reader = ContextEncoder(items, hidden[0], context, generator)
        shape = (self.state_inputs, context, items, latent, hidden, rank, generator)
        self.recommender, self.user = LatentPolicy(*shape), LatentPolicy(*shape)

    def features(self, observation: Tensor) -> Tensor:
        """Returns the items' features, those of candidates standardised."""
        found = super().features(observation)
        return found if self.scale is None else (found - self.scale[0]) / self.scale[1]

    def context(
        self, observation: Tensor, slate: Tensor, slot: Tensor, reward: Tensor, there: Tensor
    ) -> Normal:
        """Returns the contexts of U users (U, C), by what M steps of support tell.

        Args:
            observation: (U, M, W).
            slate: (U, M, K).
            slot: clicked slot (U, M), K for none.
            reward: (U, M).
            there: 1 where there is such a step, else 0 (U, M).
        """
        items = self.features(observation.flatten(0, 1))
        shown = features_of_slates(slate.flatten(0, 1), items)
        found: Normal = self.reader(shown.reshape(*slate.shape, -1), slot, reward, there)
        return found
