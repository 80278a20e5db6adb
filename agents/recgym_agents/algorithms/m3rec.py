"""M3Rec's recommender: a variational policy given a context that support tells of."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, AT_LEAST_1, POSITIVE, SHARE, check_ranges
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.adaptation import AdaptingAgent, UserData
from recgym_agents.algorithms.meta_policy_gradient import clicked_items_loss, ranked
from recgym_agents.learning.user_steps import UserBatch, UserSteps, support_of_steps
from recgym_agents.networks.context_policy import ContextPolicyNetwork, LatentPolicy, Normal
from recgym_agents.networks.meta_user_latent import MetaUserLatent
from recgym_agents.networks.pair_statistic import PairStatistic
from recgym_agents.networks.per_user import Params
from recgym_agents.networks.preferences import shown_alone, without
from recgym_agents.policy_losses import information_bound


@dataclass(frozen=True)
class M3RecConfig:
    """Configuration of ``m3rec`` and of what it is without one of its parts."""

    adapts: bool = True
    """Whether support is read; otherwise every user has the context of one who is not known."""
    item_features: Literal["given", "learned"] = "given"
    """What describes items: the environment's features, where it has any, or an embedding that the
    agent learns, as it always does where there are none."""
    reads_rewards: bool = True
    """Whether the rewards of support are read; not where those of the users served are of another
    kind than those of training, as in M3Rec-v0, which pays what it recovered."""
    information: float = 0.01
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
    learning_rate: float = 5e-3
    """Adam's step size."""
    weight_decay: float = 0.3
    """How much of all parameters, times the step size, goes at an update, beside Adam's step.
    Without it the context learns whose support it reads, in place of what that tells of her."""
    averaging: float = 0.99
    """What acts is a running mean of the parameters: this much of it is kept at an update."""
    clip_norm: float = 5.0
    """The longest gradient: longer ones are cut to it."""
    remove_clicked: bool = True
    """Items in the observed history are no candidates."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        at_least_1 = dict.fromkeys(("context", "latent", "hidden", "rank"), AT_LEAST_1)
        weights = ("information", "likelihood", "context_divergence", "latent_divergence")
        positive = dict.fromkeys(("learning_rate", "clip_norm"), POSITIVE)
        at_least_0 = dict.fromkeys((*weights, "decoder", "entropy", "weight_decay"), AT_LEAST_0)
        shares = dict.fromkeys(("discount", "averaging"), SHARE)
        check_ranges(self, at_least_1 | at_least_0 | positive | shares)


class M3Rec(AdaptingAgent):
    """A policy whose latent variable follows from the user's state and from her context.

    A user's context c is read from her support: each step is a normal factor over c, in any order,
    and without support c is 0. From her state s and c follows z_rec, q(z_rec | s, c), and from
    z_rec a softmax over items. All parts learn together, in one gradient step: the policy by
    REINFORCE on what was clicked in slates that it drew; z_rec by the bound of Eq. 4; and c by
    both, and by the likelihood of what users chose, as in the meta-level user model. What acts is a
    running mean of what was learned.

    Adapting is reading c. No code of the authors is public. What the paper leaves open:

    - c is read by an encoder of the agent's own, so that it acts in any environment that hands over
      support. Contexts and latent variables are drawn in training; acting takes their means.
    - p(s' | z, c) has variance 1, and s' is scaled to a length of about 1; p(z | c) is N(0, I).
    - z_u is that of the environment's user model, where that is a meta-level one (M3Rec-v0) and
      item ids are observed; it then stands still, and the bound of Eq. 7 moves z_rec alone. In any
      other environment it is of a user policy that the agent learns beside its own, pi(x | z_u, A),
      by likelihood and Eq. 1. That policy is learned in either case, since c is learned from it.
    - Eq. 7 compares z_rec with z_u of the same step, and with that of another user.
    - From a log (the loop's ``schedule``) the same losses are taken of what was logged: Eq. 5 with
      the logged rewards and no correction for who logged them, Eqs. 4 and 7 at the logged states.
      A session is cut in two: a context is read from what came before, for what followed.
    - Steps are learned from more than once, and recovered rewards can be negative, where Eq. 5 has
      no bound: a negative return pushes an item down to a thousandth of an even probability at
      most.
    - The environment is the user model. What the paper trains in the recovered reward is trained in
      M3Rec-v0 with a model that `recgym fit --model m3rec` fitted. Without the adversary, that is
      a fit with `rounds=0` of the game, and no agent of its own.

    References:
        - Wang, Ge, Li, Chen and Xu: M3Rec: an offline meta-level model-based reinforcement learning
          approach for cold-start recommendation. 2022, section 4.1.
    """

    kept = ("network", "learner", "statistic", "optimizer", "rng")

    def __init__(self, config: M3RecConfig, spec: EnvironmentSpec, seed: int) -> None:
        spec.check_candidates(config.remove_clicked)
        read = spec
        if config.item_features == "learned":
            if spec.candidate_features:
                raise RecGymError(
                    "item_features='learned': items are others at every step here, and known by"
                    " their features alone; leave it out"
                )
            read = replace(spec, features=None)
        self.config, self.spec = config, spec
        self.rng = np.random.default_rng(seed)
        generator = torch.Generator().manual_seed(seed)
        self.network = ContextPolicyNetwork(
            read, config.context, config.latent, config.hidden, config.rank, generator
        )
        self.learner = copy.deepcopy(self.network)
        self.meta_user = MetaUserLatent.of(spec)
        known = config.latent if self.meta_user is None else self.meta_user.config.latent
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            self.statistic = PairStatistic(known, config.latent)
        trained = [*self.learner.parameters(), *self.statistic.parameters()]
        self.parameters = [p for p in trained if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, config.learning_rate, weight_decay=config.weight_decay, fused=True
        )

    @torch.no_grad()
    def knowledge(self, steps: UserSteps) -> Params:
        """Returns the mean of p_f(c | tau)."""
        return {"context": self._context(self.network, steps).mean}

    @torch.no_grad()
    def act_for(self, knowledge: Params, observation: np.ndarray, explore: float) -> np.ndarray:
        """Returns the K likeliest items given the mean of z_rec, or, exploring, slates drawn."""
        network = self.network
        context = knowledge["context"].expand(len(observation), -1)
        observed = torch.as_tensor(observation)
        items = network.features(observed)
        z = network.recommender(network.encode(observed, items), context).mean
        logits = self._logits(network, z, items, torch.tensor(self.excluded(observation)))
        return ranked(logits, self.spec.slate_size, self.rng if explore > 0.0 else None)

    @torch.no_grad()
    def scores_for(self, knowledge: Params, observation: Tensor, slate: Tensor) -> Tensor:
        """Returns the policy's logits of the items of pages (B, K), given the mean of z_rec."""
        network = self.network
        context = knowledge["context"].expand(len(observation), -1)
        items = network.features(observation)
        z = network.recommender(network.encode(observation, items), context).mean
        scores, _ = network.recommender.towers(z, items, slate)
        found: Tensor = scores
        return found

    def update(self, batch: UserBatch) -> dict[str, float]:
        """Takes one gradient step on the rewards of drawn or logged slates, and on the bounds."""
        config, network, query = self.config, self.learner, batch.query
        data = self.data(query, torch.as_tensor(query.reward), query.there)
        users, steps = data.slot.shape
        told = self._context(network, batch.support)
        known = torch.as_tensor(batch.support.there.any((1, 2)) & config.adapts)[:, None]
        drawn = torch.where(known, told.drawn(self._normal(told.mean)), told.mean)
        context = drawn.repeat_interleave(steps, 0)
        observation, there = data.observation.flatten(0, 1), data.weight.flatten()
        items = network.features(observation)
        state = network.encode(observation, items)
        reached = self._reached(query)
        z_rec, rec_loss = self._latent(network.recommender, state, context, reached, there)
        z_user, user_loss = self._latent(network.user, state, context, reached, there)
        logits = self._logits(network, z_rec, items, data.excluded.flatten(0, 1))
        logits = logits.reshape(users, steps, -1)
        loss, report = clicked_items_loss(logits, data, config.discount, config.entropy)
        unlikely = self._unlikely(z_user, items, data)
        if self.meta_user is not None:
            z_user = self._known_latent(batch.support, observation)
        here = there > 0.0
        both = here & here.roll(steps, 0)  # as are the steps of the user before
        information = torch.zeros(())
        if users > 1 and both.any():
            joint = self.statistic(z_user[here], z_rec[here])
            apart = self.statistic(z_user[both], z_rec.roll(steps, 0)[both])
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
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.parameters, config.clip_norm)
        self.optimizer.step()
        with torch.no_grad():
            for average, value in zip(self.network.parameters(), network.parameters(), strict=True):
                average.lerp_(value, 1.0 - config.averaging)
        return report | {
            "loss": loss.item(),
            "gradient_norm": norm.item(),
            "information": information.item(),
            "log_likelihood": -unlikely.item(),
        }

    def _context(self, network: ContextPolicyNetwork, steps: UserSteps) -> Normal:
        """Returns p_f(c | tau) of U users, the prior's for all if support is not read."""
        there = steps.there if self.config.adapts else np.zeros_like(steps.there)
        reward = torch.as_tensor(steps.reward) * self.config.reads_rewards
        data = self.data(steps, reward, there, support=True)
        return network.context(data.observation, data.slate, data.slot, data.value, data.weight)

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

    def _known_latent(self, support: UserSteps, observation: Tensor) -> Tensor:
        """Returns z_u (B, Z) of the environment's meta-level user model, at U times M steps."""
        assert self.meta_user is not None
        told = support_of_steps(support, self.spec.n_items)
        pages = np.concatenate([told.slate, told.click[..., None]], axis=3)
        users = torch.arange(len(pages)).repeat_interleave(len(observation) // len(pages))
        found: Tensor = self.meta_user(observation, torch.as_tensor(pages), users)
        return found

    def _unlikely(self, z: Tensor, items: Tensor, data: UserData) -> Tensor:
        """Returns minus the mean log-likelihood of what users chose, pi(x | z_u, A)."""
        slate, slot, there = (x.flatten(0, 1) for x in (data.slate, data.slot, data.weight))
        scores, none = self.learner.user.towers(z, items, slate)
        shown = shown_alone(scores, slate, self.spec.n_items)
        options = torch.cat([shown, none[:, None]], 1)
        each = functional.cross_entropy(options, slot, reduction="none")
        return (each * there).sum() / there.sum().clamp(min=1.0)

    @torch.no_grad()
    def _reached(self, query: UserSteps) -> Tensor:
        """Returns the next states (B, S), of length 1."""
        observed = np.int64 if self.spec.ids else np.float32
        after = torch.tensor(query.next_observation.astype(observed, copy=False)).flatten(0, 2)
        state = self.learner.encode(after, self.learner.features(after))
        reached: Tensor = state / self.network.state_inputs.length
        return reached

    def _logits(
        self, network: ContextPolicyNetwork, z: Tensor, items: Tensor, excluded: Tensor
    ) -> Tensor:
        """Returns the policy's logits (B, N + 1) given z_rec (B, Z)."""
        scores, _ = network.recommender.towers(z, items[..., :-1, :])
        return without(functional.pad(scores, (0, 1)), excluded)

    def _normal(self, like: Tensor) -> Tensor:
        return torch.as_tensor(self.rng.standard_normal(like.shape, np.float32))
