"""MeLU: estimated preferences whose decision layers alone adapt to a user (Lee et al., 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym.settings import AT_LEAST_1, check_ranges
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.adaptation import (
    InnerSteps,
    MetaGradientAgent,
    UserData,
    by_user,
)
from recgym_agents.learning.user_steps import UserBatch, UserSteps
from recgym_agents.networks.encoders import ObservationReader, features_of
from recgym_agents.networks.per_user import Params, call, call_each
from recgym_agents.networks.preferences import EMBEDDING, WEIGHTS, WINDOW, without
from recgym_agents.networks.slate_heads import linear, with_forced


@dataclass(frozen=True)
class MeLUConfig(InnerSteps):
    """Configuration of ``melu``."""

    inner_rate: float = 0.5
    """Step size of the gradient steps on a user's support; the authors' code has 5e-6."""
    inner_steps: int = 5
    """How many of them; the authors' code takes one."""
    learning_rate: float = 3e-3
    """Adam's step size, of the parameters that users begin with; the authors' code has 5e-5."""
    embedding: int = 32
    """Units that a user's state and an item's features are each embedded in."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of the decision layers, which adapt."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        super().__post_init__()
        check_ranges(self, dict.fromkeys(("embedding", "hidden"), AT_LEAST_1))


class PreferenceEstimator(ObservationReader):
    """Logits that a user clicks each item that she is shown: embeddings, then decision layers."""

    def __init__(
        self, config: MeLUConfig, spec: EnvironmentSpec, generator: torch.Generator
    ) -> None:
        super().__init__(spec, WINDOW, WEIGHTS, "elu", EMBEDDING, generator)
        self.user_embedding = linear(max(self.state_inputs.size, 1), config.embedding, generator)
        self.item_embedding = linear(self.item_inputs.size, config.embedding, generator)
        sizes = (2 * config.embedding, *config.hidden)
        layers: list[nn.Module] = []
        for size, units in zip(sizes, sizes[1:], strict=False):
            layers += [linear(size, units, generator), nn.ReLU()]
        self.decision = nn.Sequential(*layers, linear(sizes[-1], 1, generator))

    def forward(self, observation: Tensor, slate: Tensor) -> Tensor:
        """Returns the logits of items (B, K)."""
        items = self.features(observation)
        user = torch.relu(self.user_embedding(self.encode(observation, items)))
        shown = torch.relu(self.item_embedding(features_of(slate, items)))
        pair = torch.cat([user[:, None].expand(*shown.shape[:2], -1), shown], 2)
        logits: Tensor = self.decision(pair)[..., 0]
        return logits


class MeLU(MetaGradientAgent):
    """Estimates which items a user would click, and shows the likeliest.

    A few gradient steps on the user's support change the decision layers; how items and users are
    embedded is the same for all. Both the steps and the meta-gradient descend the cross-entropy of
    the items that were shown: clicked, or not. There is no reinforcement learning in it.

    References:
        Lee et al.: MeLU: meta-learned user preference estimator for cold-start recommendation.
        KDD 2019.
    """

    config: MeLUConfig

    def __init__(self, config: MeLUConfig, spec: EnvironmentSpec, seed: int) -> None:
        network = PreferenceEstimator(config, spec, torch.Generator().manual_seed(seed))
        super().__init__(config, spec, network, seed)

    def adapts(self, name: str) -> bool:
        """Returns whether a parameter is one of the decision layers."""
        return name.startswith("decision.")

    def loss(self, network: Any, params: Params, data: UserData) -> Tensor:
        """Returns the cross-entropy of what was shown, a mean over items."""
        logits = call(network, "forward", params, data.observation, data.slate)
        return shown_loss(logits, data, self.spec.n_items)

    def support_data(self, steps: UserSteps) -> UserData:
        """Returns the support of U users."""
        reward = torch.as_tensor(steps.reward)
        return self.data(steps, reward, steps.there, support=True)

    def outer_loss(self, batch: UserBatch) -> tuple[Tensor, dict[str, float]]:
        """Returns the cross-entropy of the slates that followed, by adapted decision layers."""
        query = batch.query
        adapted = self.descended(self.network, self.support_data(batch.support))
        data = self.data(query, torch.as_tensor(query.reward), query.there)
        logits = call_each(self.network, "forward", adapted, data.observation, data.slate)
        return shown_loss(logits, data, self.spec.n_items), {}

    @torch.no_grad()
    def act_for(self, knowledge: Params, observation: np.ndarray, explore: float) -> np.ndarray:
        """Returns the K items of the highest estimates; a slot is random with ``explore``."""
        users, spec = len(next(iter(knowledge.values()))), self.spec
        every = np.tile(np.arange(spec.n_items), (len(observation), 1))
        excluded = self.excluded(observation)
        rows = [by_user(values, users) for values in (observation, every)]
        logits = call_each(self.network, "forward", knowledge, *rows).flatten(0, 1)
        left = without(functional.pad(logits, (0, 1)), torch.tensor(excluded))
        slate = left.topk(spec.slate_size, 1).indices
        if explore > 0.0:
            slate = with_forced(slate, self.random_items(observation, excluded, explore))
        found: np.ndarray = slate.numpy()
        return found

    @torch.no_grad()
    def scores_for(self, knowledge: Params, observation: Tensor, slate: Tensor) -> Tensor:
        """Returns the adapted estimates of the items of pages (B, K)."""
        users = len(next(iter(knowledge.values())))
        rows = [values.reshape(users, -1, values.shape[1]) for values in (observation, slate)]
        found: Tensor = call_each(self.network, "forward", knowledge, *rows).flatten(0, 1)
        return found


def shown_loss(logits: Tensor, data: UserData, n_items: int) -> Tensor:
    """Returns the cross-entropy of items shown (..., M, K), clicked or not, at steps that count.

    A mean over the items that a step shows, then over steps; a slot that shows nothing, which has
    N = ``n_items``, does not count.
    """
    slots = torch.arange(logits.shape[-1])
    clicked = (data.slot[..., None] == slots).to(logits.dtype)
    each = functional.binary_cross_entropy_with_logits(logits, clicked, reduction="none")
    shown = data.slate < n_items
    of_step = (each * shown).sum(-1) / shown.sum(-1)
    mean: Tensor = (of_step * data.weight).sum() / data.weight.sum().clamp(min=1.0)
    return mean
