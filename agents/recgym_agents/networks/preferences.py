"""A network that ranks all items for a user: from what is observed, and from what is known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from recgym_agents.agent import EnvironmentSpec
from recgym_agents.networks.encoders import Inputs, ObservationReader, features_of
from recgym_agents.networks.item_towers import ItemTowers

WINDOW, WEIGHTS, EMBEDDING = 10, 4, 16
"""What the encoder of clicks reads, see ``ObservationReader``."""


class PreferenceNetwork(ObservationReader):
    """Logits of all items, given an observation and what else is known of the user.

    Args:
        spec: the world.
        context: numbers that are known of a user beside the observation, C.
        hidden: units of each hidden layer.
        rank: length of the two vectors whose product ranks an item.
        generator: draws the initial weights.
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        context: int,
        hidden: Sequence[int],
        rank: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__(spec, WINDOW, WEIGHTS, "elu", EMBEDDING, generator)
        read = self.state_inputs
        length = (read.length**2 + context) ** 0.5
        state = Inputs(read.size + context, length)
        self.towers = ItemTowers(state, self.item_inputs, hidden, rank, generator)

    def forward(self, observation: Tensor, excluded: Tensor, context: Tensor) -> Tensor:
        """Returns logits (B, N + 1), minus infinity for what cannot be shown.

        Args:
            observation: (B, W).
            excluded: items that are no candidates (B, X); N is ignored.
            context: (B, C).
        """
        items = self.features(observation)
        state = torch.cat([self.encode(observation, items), context], 1)
        logits, _ = self.towers(state, items[..., :-1, :])
        return without(functional.pad(logits, (0, 1)), excluded)

    def of_slate(self, observation: Tensor, slate: Tensor, context: Tensor) -> Tensor:
        """Returns the logits of the items in slates (B, K) alone."""
        items = self.features(observation)
        state = torch.cat([self.encode(observation, items), context], 1)
        logits, _ = self.towers(state, features_of(slate, items))
        found: Tensor = logits
        return found


def features_of_slates(slates: Tensor, features: Tensor) -> Tensor:
    """Returns the feature vectors (B, K, D) of slates (B, K), whose mean is that of what is shown.

    A slot that shows nothing, N, has the mean of the others.

    Args:
        slates: item ids.
        features: (N + 1, D), or (B, N + 1, D) where every row has candidates of its own.
    """
    found = features_of(slates, features)
    shown = (slates < features.shape[-2] - 1)[..., None]
    count = shown.sum(-2, keepdim=True).clamp(min=1)
    mean = (found * shown).sum(-2, keepdim=True) / count
    return torch.where(shown, found, mean)


def shown_alone(scores: Tensor, slate: Tensor, n_items: int) -> Tensor:
    """Returns the scores (B, K) of slates, minus infinity in slots that show nothing, N."""
    return torch.where(slate < n_items, scores, -torch.inf)


def without(scores: Tensor, items: Tensor) -> Tensor:
    """Returns scores (B, N + 1), minus infinity for ``items`` (B, X) and for N, "no item"."""
    gone = functional.pad(items, (0, 1), value=scores.shape[1] - 1)
    return scores.scatter(1, gone, -torch.inf)
