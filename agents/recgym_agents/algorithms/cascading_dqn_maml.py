"""Cascading Q-networks that adapt to a user by gradient steps (Chen et al., 2019, section 6.3)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recgym.settings import AT_LEAST_1, SHARE, check_ranges
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.adaptation import (
    InnerSteps,
    MetaGradientAgent,
    UserData,
    by_user,
)
from recgym_agents.checkpointing import Arrays, arrays_of, load_arrays_into
from recgym_agents.learning.user_steps import UserBatch, UserSteps
from recgym_agents.losses import q_target
from recgym_agents.networks.encoders import Activation, ObservationReader, features_of
from recgym_agents.networks.per_user import Params, call, call_each
from recgym_agents.networks.slate_heads import SharedHead, slot_by_slot

USERS = 64
"""Users whose slates are found at once, which bounds the memory that their tables take."""


@dataclass(frozen=True)
class CascadingDQNMAMLConfig(InnerSteps):
    """Configuration of ``cascading-dqn-maml``."""

    inner_rate: float = 0.1
    """Step size of the gradient steps on a user's support, alpha."""
    inner_steps: int = 3
    """How many of them."""
    inner_clip: float = 1.0
    """The longest gradient of these steps: longer ones are cut to it."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of each hidden layer."""
    rank: int = 32
    """Length of the two vectors whose product values an item."""
    window: int = 10
    """Last clicked items that the history encoder reads, m; fewer if fewer are observed."""
    weights: int = 4
    """Sets of position weights in the history encoder, n."""
    activation: Activation = "elu"
    """The history encoder's activation."""
    embedding: int = 16
    """Length of the learned item embedding, where the environment gives no features."""
    discount: float = 0.9
    """Discount of the next step's value, gamma."""
    target_rate: float = 0.02
    """How far the target network moves after each update; it averages the networks of many."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        super().__post_init__()
        counts = ("hidden", "rank", "window", "weights", "embedding")
        shares = dict.fromkeys(("discount", "target_rate"), SHARE)
        check_ranges(self, dict.fromkeys(counts, AT_LEAST_1) | shares)


class AdaptingQNetwork(ObservationReader):
    """The Q-network of ``cascading-dqn``, with what can be asked of it for one user."""

    def __init__(
        self, config: CascadingDQNMAMLConfig, spec: EnvironmentSpec, generator: torch.Generator
    ) -> None:
        read = (config.window, config.weights, config.activation, config.embedding)
        super().__init__(spec, *read, generator)
        sizes = (self.state_inputs, self.item_inputs, config.hidden, config.rank)
        self.head = SharedHead(spec.slate_size, *sizes, generator)

    def forward(self, observation: Tensor, slate: Tensor) -> Tensor:
        """Returns Q^j(s, a_1 .. a_j) for every slot (B, K); the last column is Q(s, A)."""
        items = self.features(observation)
        shown, places = features_of(slate, items), torch.arange(slate.shape[1])
        state = self.encode(observation, items)
        values: Tensor = self.head(state, places.expand(slate.shape), shown)
        return values

    def begin(self, observation: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns the first slot's share of the state (B, H), and the candidates' tables."""
        candidates = self.head.candidates(self.features(observation))
        return self.head.state(self.encode(observation, candidates.features)), candidates.tables

    def scores(self, base: Tensor, slot: Tensor, psi: Tensor) -> Tensor:
        """Returns the candidates' values (B, N + 1) in a slot, but for what all have in common."""
        u = self.head.context(base + self.head.slot[slot])[:, :-1]
        values: Tensor = u @ psi.T if psi.ndim == 2 else (u[:, None] * psi).sum(-1)
        return values


def greedy_each(
    network: AdaptingQNetwork, params: Params, observation: Tensor, excluded: Tensor, forced: Tensor
) -> Tensor:
    """Returns the greedy slates (U, M, K) of U users' own Q-networks; see ``SharedHead.greedy``.

    Args:
        network: whose other parameters all share.
        params: of the users (U, ...).
        observation: (U, M, W).
        excluded: items that are no candidates (U, M, X).
        forced: items to show in place of the greedy ones (U, M, K), -1 for none.
    """
    users, rows = observation.shape[:2]
    base, (psi, shares) = call_each(network, "begin", params, observation)
    every = torch.arange(users)[:, None]

    def scores(j: int) -> Tensor:
        slot = torch.full((users,), j)
        found: Tensor = call_each(network, "scores", params, base, slot, psi).flatten(0, 1)
        return found

    def show(j: int, item: Tensor) -> None:
        shown = item.reshape(users, rows)
        own = (every, shown) if shares.ndim == 3 else (every, torch.arange(rows), shown)
        base.add_(shares[own])

    flat = (excluded.flatten(0, 1), forced.flatten(0, 1))
    slate = slot_by_slot(network.head.slate_size, *flat, scores, show)
    return slate.reshape(users, rows, -1)


class CascadingDQNMAML(MetaGradientAgent):
    """Q-learning over slates that learns where to begin, and adapts to a user by gradient steps.

    The steps descend the squared errors of all Q^j, ``(y - Q^j)^2``, on the user's support.
    What followed a step there is valued at the slate that was shown next, by the target network
    that all users share: greedy slates would take a scan of all candidates for every step. The
    meta-gradient is that of the same error on the slates she was shown next, by the parameters that
    the steps led to; there what followed is valued by a target network that took the same steps.

    Where candidates are new at every step, the support tells those that were shown and no others: a
    step there has no more candidates.

    Pages of a log may show fewer items than slates have slots. Their empty slots are learned as
    slots that show an item whose features are all zero.

    References:
        - Chen et al.: Generative adversarial user model for reinforcement learning based
          recommendation system. ICML 2019, section 6.3 ("CDQN with GAN").
        - Finn, Abbeel and Levine: Model-agnostic meta-learning for fast adaptation of deep
          networks. ICML 2017.
    """

    kept = (*MetaGradientAgent.kept, "target")
    config: CascadingDQNMAMLConfig

    def __init__(self, config: CascadingDQNMAMLConfig, spec: EnvironmentSpec, seed: int) -> None:
        network = AdaptingQNetwork(config, spec, torch.Generator().manual_seed(seed))
        super().__init__(config, spec, network, seed)
        self.target: AdaptingQNetwork = copy.deepcopy(network).requires_grad_(False)

    def loss(self, network: Any, params: Params, data: UserData) -> Tensor:
        """Returns ``(y - Q^j)^2``, a mean over slots and a user's steps (Chen et al., Eq. 11)."""
        q = call(network, "forward", params, data.observation, data.slate)
        error = (data.value[:, None] - q).square().mean(1)
        mean: Tensor = (error * data.weight).sum() / data.weight.sum().clamp(min=1.0)
        return mean

    @torch.no_grad()
    def best_value(self, params: Params, observation: Tensor, excluded: Tensor) -> Tensor:
        """Returns the values (U, M) of greedy slates, by the target networks of U users."""
        nothing = torch.full((*observation.shape[:2], self.spec.slate_size), -1)
        slate = greedy_each(self.target, params, observation, excluded, nothing)
        value: Tensor = call_each(self.target, "forward", params, observation, slate)[..., -1]
        return value

    @torch.no_grad()
    def support_data(self, steps: UserSteps) -> UserData:
        """Returns the support of U users, with the targets y that all users share."""
        ahead = torch.as_tensor(steps.next_observation).flatten(0, 2)
        shown_next = np.concatenate([steps.slate[:, :, 1:], steps.slate[:, :, :1]], axis=2)
        value = self.target(ahead, torch.as_tensor(shown_next).flatten(0, 2))[:, -1]
        y = self._targets(steps, value.reshape(steps.reward.shape))
        return self.data(steps, y, steps.there & steps.goes_on, support=True)

    def outer_loss(self, batch: UserBatch) -> tuple[Tensor, dict[str, float]]:
        """Returns the error of adapted Q-networks on the slates that followed."""
        support, query = self.support_data(batch.support), batch.query
        with torch.no_grad():
            own = self.descended(self.target, support)
            value = self.best_value(own, *self._next(query))
            y = self._targets(query, value.reshape(query.reward.shape))
        data = self.data(query, y, query.there)
        adapted = self.descended(self.network, support)
        q = call_each(self.network, "forward", adapted, data.observation, data.slate)
        error = (data.value[:, :, None] - q).square().mean(2)
        loss = (error * data.weight).sum() / data.weight.sum().clamp(min=1.0)
        return loss, {"q": q[:, :, -1].mean().item()}

    def update(self, batch: UserBatch) -> dict[str, float]:
        """Takes one meta-gradient step, and moves the target network."""
        report = super().update(batch)
        pairs = zip(self.target.parameters(), self.network.parameters(), strict=True)
        for averaged, current in pairs:
            averaged.lerp_(current.detach(), self.config.target_rate)
        return report

    @torch.no_grad()
    def act_for(self, knowledge: Params, observation: np.ndarray, explore: float) -> np.ndarray:
        """Returns greedy slates (B, K); each slot is random with probability ``explore``."""
        users = len(next(iter(knowledge.values())))
        excluded = self.excluded(observation)
        forced = torch.full((len(observation), self.spec.slate_size), -1)
        if explore > 0.0:
            forced = self.random_items(observation, excluded, explore)
        rows = [by_user(values, users) for values in (observation, excluded, forced.numpy())]
        slates = []
        for i in range(0, users, USERS):
            own = {name: value[i : i + USERS] for name, value in knowledge.items()}
            slates.append(greedy_each(self.target, own, *(part[i : i + USERS] for part in rows)))
        found: np.ndarray = torch.cat(slates).flatten(0, 1).numpy()
        return found

    @torch.no_grad()
    def scores_for(self, knowledge: Params, observation: Tensor, slate: Tensor) -> Tensor:
        """Returns Q^1 of the items of pages (B, K): what each is worth in the first slot."""
        users, size = len(next(iter(knowledge.values()))), slate.shape[1]
        each = (observation.repeat_interleave(size, 0), slate.reshape(-1, 1))
        rows = [values.reshape(users, -1, values.shape[1]) for values in each]
        found: Tensor = call_each(self.target, "forward", knowledge, *rows)[..., 0]
        return found.reshape(slate.shape)

    @property
    def acting(self) -> AdaptingQNetwork:
        """The target network, which averages those of many updates."""
        return self.target

    def policy(self) -> tuple[Arrays, Any]:
        """Returns all that adapting and acting depend on: copies of the target's parameters."""
        return arrays_of(self.target), {}

    def load_policy(self, arrays: Arrays, info: Any) -> None:
        """Adapts and acts with the parameters ``arrays``."""
        load_arrays_into(self.target, arrays)

    def _next(self, steps: UserSteps) -> tuple[Tensor, Tensor]:
        """Returns what was observed next (U, M, W), and what was no candidate there (U, M, X)."""
        excluded = self.excluded(steps.next_observation).astype(np.int64)
        observed = steps.next_observation.astype(np.int64 if self.spec.ids else np.float32)
        return torch.as_tensor(observed).flatten(1, 2), torch.as_tensor(excluded).flatten(1, 2)

    def _targets(self, steps: UserSteps, value: Tensor) -> Tensor:
        """Returns y (U, S, T), given what follows."""
        discount = np.where(steps.goes_on, self.config.discount, 0.0).astype(np.float32)
        return q_target(torch.as_tensor(steps.reward), torch.as_tensor(discount), value)
