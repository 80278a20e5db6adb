"""M3Rec's recommender: a variational policy given a context that support tells of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym.settings import AT_LEAST_0, AT_LEAST_1, POSITIVE, SHARE, check_ranges
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.adaptation import AdaptingAgent, UserData
from recgym_agents.algorithms.meta_policy_gradient import clicked_items_loss, ranked
from recgym_agents.learning.user_steps import UserBatch, UserSteps
from recgym_agents.networks.context_policy import ContextPolicyNetwork, LatentPolicy, Normal
from recgym_agents.networks.pair_statistic import PairStatistic
from recgym_agents.networks.per_user import Params
from recgym_agents.networks.preferences import without
from recgym_agents.policy_losses import information_bound


@dataclass(frozen=True)
class M3RecConfig:
    """Configuration of ``m3rec`` and of what it is without one of its parts."""

    adapts: bool = True
    """Whether support is read; otherwise every user has the context of one who is not known."""
    information: float = 0.1
    """Weight of the bound on the mutual information of z_u and z_rec (Eq. 7)."""
    likelihood: float = 1.0
    """Weight of the likelihood of what users chose, of which the context and z_u are learned."""
    context_divergence: float = 0.001
    """Weight of the divergence of contexts from N(0, I)."""
    latent_divergence: float = 0.001
    """Weight of the divergence of latent variables from N(0, I), beta in Eq. 4."""
    decoder: float = 0.1
    """Weight of the next state's log-likelihood (Eq. 4), a number of the state."""
    context: int = 16
    """Length of a user's context, C."""
    latent: int = 32
    """Length of the latent variables z_rec and z_u."""
    hidden: tuple[int, ...] = (64,)
    """Units of each hidden layer."""
    rank: int = 32
    """Length of the two vectors whose product ranks an item."""
    discount: float = 0.0
    """Discount of later rewards, gamma; 0 where what is shown changes nothing of what follows."""
    entropy: float = 0.01
    """Weight of the policy's entropy over items, which keeps it drawing."""
    learning_rate: float = 3e-3
    """Adam's step size."""
    clip_norm: float = 5.0
    """The longest gradient: longer ones are cut to it."""
    remove_clicked: bool = True
    """Items in the observed history are no candidates."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        at_least_1 = dict.fromkeys(("context", "latent", "hidden", "rank"), AT_LEAST_1)
        weights = ("information", "likelihood", "context_divergence", "latent_divergence")
        positive = dict.fromkeys(("learning_rate", "clip_norm"), POSITIVE)
        at_least_0 = dict.fromkeys((*weights, "decoder", "entropy"), AT_LEAST_0)
        check_ranges(self, at_least_1 | at_least_0 | positive | {"discount": SHARE})


class M3Rec(AdaptingAgent):
    """A policy whose latent variable follows from the user's state and from her context.

    References:
        - Wang, Ge, Li, Chen and Xu: M3Rec: an offline meta-level model-based reinforcement learning
          approach for cold-start recommendation. 2022, section 4.1.
    """

    kept = ("network", "statistic", "optimizer", "rng")

    def __init__(self, config: M3RecConfig, spec: EnvironmentSpec, seed: int) -> None:
        spec.check_candidates(config.remove_clicked)
        self.config, self.spec = config, spec
        self.rng = np.random.default_rng(seed)
        generator = torch.Generator().manual_seed(seed)
        self.network = ContextPolicyNetwork(
            spec, config.context, config.latent, config.hidden, config.rank, generator
        )
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            self.statistic = PairStatistic(config.latent, config.latent)
        trained = [*self.network.parameters(), *self.statistic.parameters()]
        self.parameters = [p for p in trained if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, lr=config.learning_rate, fused=True)

    @torch.no_grad()
    def knowledge(self, steps: UserSteps) -> Params:
        """Returns the mean of p_f(c | tau)."""
        return {"context": self._context(steps).mean}

    @torch.no_grad()
    def act_for(self, knowledge: Params, observation: np.ndarray, explore: float) -> np.ndarray:
        """Returns the K likeliest items given the mean of z_rec, or, exploring, slates drawn."""
        network = self.network
        context = knowledge["context"].expand(len(observation), -1)
        observed = torch.as_tensor(observation)
        items = network.features(observed)
        z = network.recommender(network.encode(observed, items), context).mean
        logits = self._logits(z, items, torch.tensor(self.excluded(observation)))
        return ranked(logits, self.spec.slate_size, self.rng if explore > 0.0 else None)

    def update(self, batch: UserBatch) -> dict[str, float]:
        """Takes one gradient step on the rewards of drawn slates, and on the bounds."""
        config, network, query = self.config, self.network, batch.query
        data = self.data(query, torch.as_tensor(query.reward), query.there)
        users, steps = data.slot.shape
        told = self._context(batch.support)
        context = told.drawn(self._normal(told.mean)).repeat_interleave(steps, 0)
        observation, there = data.observation.flatten(0, 1), data.weight.flatten()
        items = network.features(observation)
        state = network.encode(observation, items)
        reached = self._reached(query)
        z_rec, rec_loss = self._latent(network.recommender, state, context, reached, there)
        z_user, user_loss = self._latent(network.user, state, context, reached, there)
        logits = self._logits(z_rec, items, data.excluded.flatten(0, 1))
        logits = logits.reshape(users, steps, -1)
        loss, report = clicked_items_loss(logits, data, config.discount, config.entropy)
        unlikely = self._unlikely(z_user, items, data)
        joint = self.statistic(z_user, z_rec)[there > 0.0]
        apart = self.statistic(z_user, z_rec.roll(steps, 0))[there > 0.0]
        information = information_bound(joint, apart)
        loss = (
            loss
            + rec_loss
            + user_loss
            + config.likelihood * unlikely
            + config.context_divergence * told.divergence.mean()
            - config.information * information
        )
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.parameters, config.clip_norm)
        self.optimizer.step()
        return report | {
            "loss": loss.item(),
            "gradient_norm": norm.item(),
            "information": information.item(),
            "log_likelihood": -unlikely.item(),
        }

    def _context(self, steps: UserSteps) -> Normal:
        """Returns p_f(c | tau) of U users, the prior's for all if support is not read."""
        there = steps.there if self.config.adapts else np.zeros_like(steps.there)
        data = self.data(steps, torch.as_tensor(steps.reward), there, support=True)
        return self.network.context(
            data.observation, data.slate, data.slot, data.value, data.weight
        )

    def _latent(
        self, policy: LatentPolicy, state: Tensor, context: Tensor, reached: Tensor, there: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns drawn z (B, Z), and minus the bound of Eqs. 1 and 4, a mean over steps."""
        config = self.config
        found = policy(state, context)
        z = found.drawn(self._normal(found.mean))
        missed = 0.5 * (policy.decoded(z, context) - reached).square().mean(1)
        each = config.decoder * missed + config.latent_divergence * found.divergence
        return z, (each * there).sum() / there.sum().clamp(min=1.0)

    def _unlikely(self, z: Tensor, items: Tensor, data: UserData) -> Tensor:
        """Returns minus the mean log-likelihood of what users chose, pi(x | z_u, A)."""
        slate, there = data.slate.flatten(0, 1), data.weight.flatten()
        shown, none = self.network.user.towers(z, items, slate)
        options = torch.cat([shown, none[:, None]], 1)
        each = functional.cross_entropy(options, data.slot.flatten(), reduction="none")
        return (each * there).sum() / there.sum().clamp(min=1.0)

    @torch.no_grad()
    def _reached(self, query: UserSteps) -> Tensor:
        """Returns the next states (B, S), of length 1."""
        observed = np.int64 if self.spec.ids else np.float32
        after = torch.tensor(query.next_observation.astype(observed, copy=False)).flatten(0, 2)
        state = self.network.encode(after, self.network.features(after))
        return state / self.network.state_inputs.length

    def _logits(self, z: Tensor, items: Tensor, excluded: Tensor) -> Tensor:
        """Returns the policy's logits (B, N + 1) given z_rec (B, Z)."""
        scores, _ = self.network.recommender.towers(z, items[..., :-1, :])
        return without(functional.pad(scores, (0, 1)), excluded)

    def _normal(self, like: Tensor) -> Tensor:
        return torch.as_tensor(self.rng.standard_normal(like.shape, np.float32))
