"""SlateQ: the value of a slate from those of its items (Ie et al., IJCAI 2019)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, AT_LEAST_1, POSITIVE, SHARE, check_ranges
from recgym.spaces import random_slates
from recgym_agents.agent import BaseAgent, EnvironmentSpec, Transitions
from recgym_agents.checkpointing import Arrays, arrays_of, load_arrays_into, within
from recgym_agents.choice_losses import hesitation_loss, logit_loss
from recgym_agents.losses import q_target
from recgym_agents.networks.belief_encoder import BeliefEncoder
from recgym_agents.networks.choice_slates import SEARCHES, Appraisal, Search, slate_value
from recgym_agents.networks.encoders import Activation, Inputs, ObservationReader
from recgym_agents.networks.item_towers import ItemTowers
from recgym_agents.networks.known_user import (
    AgreedUser,
    KnownUser,
    known_user_info,
    known_user_of,
    stored_known_user,
)
from recgym_agents.networks.slate_heads import with_forced


@dataclass(frozen=True)
class SlateQConfig:
    """Configuration of ``slateq`` and its variants."""

    target: Literal["q", "sarsa"] = "q"
    """What follows a step: the best slate in the next state, or the slate that was shown there."""
    slates: Search = "exact"
    """How slates are found: the K highest products of weight and value; one item after the other;
    or those of the highest value there is."""
    choice: Literal["hesitation", "logit", "user-model"] = "hesitation"
    """Why a user does not click: she is attracted by an item, and clicks it with a probability that
    depends on how attractive it is; or clicking none is one more option (the paper's conditional
    logit). Both are learned. Or what users choose, and what a click is worth now, is read off the
    environment's user model, so that what comes later is all that is left to learn; of an ensemble,
    off what its members say in the mean, rewards less ``pessimism`` standard deviations."""
    no_click: Literal["valued", "worthless"] = "valued"
    """Whether what follows a slate without a click has a value of its own, or none, as in the code
    of the paper's authors."""
    hidden: tuple[int, ...] = (128, 128)
    """Units of each hidden layer."""
    rank: int = 64
    """Length of the two vectors whose product values an item."""
    window: int = 10
    """Last clicked items that the history encoder reads, m; fewer if fewer are observed."""
    weights: int = 4
    """Sets of position weights in the history encoder, n."""
    activation: Activation = "elu"
    """The history encoder's activation."""
    beliefs: int = 0
    """Hidden states of a learned belief about the user, which reads the last ``window`` clicks in
    place of position weights; 0 for none. Let the environment's window hold all of an episode."""
    embedding: int = 16
    """Length of the learned item embedding, where the environment gives no features."""
    discount: float = 0.95
    """Discount of the next step's value, gamma; 0 is the myopic policy."""
    learning_rate: float = 5e-3
    """Adam's step size at first."""
    slowing: int = 1_000
    """Updates after which the step size has halved; it is the first one over 1 + updates / slowing;
    0 keeps it."""
    target_rate: float = 0.005
    """How far the target network moves after each update; it averages the networks of many."""
    remove_clicked: bool = True
    """Items in the observed history are no candidates."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        counts = ("hidden", "rank", "window", "weights", "embedding")
        ranges = dict.fromkeys(counts, AT_LEAST_1)
        shares = dict.fromkeys(("discount", "target_rate"), SHARE)
        check_ranges(
            self,
            ranges
            | shares
            | {"learning_rate": POSITIVE, "slowing": AT_LEAST_0, "beliefs": AT_LEAST_0},
        )
        if not self.hidden:
            raise RecGymError("hidden=(): must be one or more sizes")


class SlateQNetwork(ObservationReader):
    """What is read of an observation, the values of items, and what users choose."""

    def __init__(
        self, config: SlateQConfig, spec: EnvironmentSpec, generator: torch.Generator
    ) -> None:
        weights = 0 if config.beliefs else config.weights
        read = (config.window, weights, config.activation, config.embedding)
        super().__init__(spec, *read, generator)
        self.belief: BeliefEncoder | None = None
        if config.beliefs:
            self.belief = BeliefEncoder(spec.n_items, config.beliefs, generator)
            self.state_inputs = Inputs(config.beliefs, 1.0)
        sizes = (self.state_inputs, self.item_inputs, config.hidden, config.rank)
        self.value = ItemTowers(*sizes, generator)
        self.known: KnownUser | AgreedUser | None = None
        if config.choice == "user-model":
            self.known = known_user_of(spec)
        else:
            self.choice = ItemTowers(*sizes, generator)
        self.valued = config.no_click == "valued"
        self.link: nn.Parameter | None = None
        if config.choice == "hesitation":
            self.link = nn.Parameter(torch.tensor([1.0, 0.0, 0.5]))

    def forward(self, observation: Tensor, slate: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """Returns Q(s, i) of what was clicked, an item or none (-1), (B,), and the choice loss.

        With a known user model it is what Q(s, i) adds to the reward of the click.
        """
        items = self.features(observation)
        state = self.encode(observation, items)
        slot = (slate == item[:, None]).to(torch.int64).argmax(1)
        slot = torch.where(item < 0, slate.shape[1], slot)
        values, none = self.value(state, items, slate)
        none = none if self.valued else torch.zeros_like(none)
        q = torch.cat([values, none[:, None]], 1).gather(1, slot[:, None])[:, 0]
        if self.known is not None:
            return q, q.new_zeros(())
        liking, none = self.choice(state, items, slate)
        if self.link is None:
            return q, logit_loss(liking, none, slot)
        return q, hesitation_loss(*self.hesitation(liking), slot)

    def encode(self, observation: Tensor, items: Tensor) -> Tensor:
        """Returns the users' states (B, S), given the items' features (N + 1, D)."""
        if self.belief is None:
            return super().encode(observation, items)
        state: Tensor = self.belief(observation[:, -self.window :])
        return state

    def hesitation(self, liking: Tensor) -> tuple[Tensor, Tensor]:
        """Returns how much items attract, and the logits of the chance that they are clicked then.

        Args:
            liking: x (B, X); items attract by ``x - l_2 softplus(x)`` and are clicked with the
                chance ``sigmoid(l_0 x + l_1)``. With l = (1, 0, 1) the two are in proportion.
        """
        assert self.link is not None
        slope, level, saturation = self.link
        return liking - saturation * softplus(liking), slope * liking + level

    def appraise(self, observation: Tensor) -> Appraisal:
        """Returns what decides the worth of slates in the users' states."""
        items = self.features(observation)
        state = self.encode(observation, items)
        value, none_value = self.value(state, items)
        none_value = none_value if self.valued else torch.zeros_like(none_value)
        click = torch.ones_like(value)
        if self.known is not None:
            attraction, rewards = self.known(observation)
            value, none = value + rewards, torch.full_like(none_value, self.known.none)
        else:
            attraction, none = self.choice(state, items)
        if self.link is not None:
            attraction, clicking = self.hesitation(attraction)
            click, none = clicking.sigmoid(), torch.full_like(none, -torch.inf)
        most = torch.maximum(attraction.amax(1), none)
        weight = (attraction - most[:, None]).clamp(min=LEAST).exp()
        return Appraisal(weight, click, value, (none - most).exp(), none_value)


LEAST = -30.0
"""Logarithm of the least weight in a choice, where the greatest is 1."""


class SlateQ(BaseAgent):
    """Q-learning of single items, under a model of which item of a slate a user clicks.

    A slate's value is the sum of its items' values Q(s, i), and that of no click, each times the
    probability that the user chooses it. Only what was chosen is updated with what followed. The
    choice model is learned from the same slates, by its likelihood.

    With ``beliefs`` the user's state is a distribution over hidden states, which every click moves
    by a matrix of the clicked item: what a click tells depends on the clicks before it.

    While exploring, each slot shows a random item with probability ``explore``.

    References:
        - Ie et al.: SlateQ: a tractable decomposition for reinforcement learning with
          recommendation sets. IJCAI 2019.
        - Jaeger: Observable operator models for discrete stochastic time series. Neural Computation
          12 (2000): the belief that reads clicks with ``beliefs``.
    """

    kept = ("network", "averaged", "optimizer", "rng", "updates")

    def __init__(self, config: SlateQConfig, spec: EnvironmentSpec, seed: int) -> None:
        spec.check_candidates(config.remove_clicked)
        if config.beliefs:
            spec.check_ids("an agent with a belief that clicks move")
        self.config, self.spec = config, spec
        self.rng = np.random.default_rng(seed)
        self.network = SlateQNetwork(config, spec, torch.Generator().manual_seed(seed))
        self.averaged: SlateQNetwork = copy.deepcopy(self.network).requires_grad_(False)
        trained = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=config.learning_rate, fused=True)
        self.updates = 0

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns the best slates (B, K); each slot is random with probability ``explore``."""
        slate = self.best(torch.as_tensor(observation))[0]
        if explore > 0.0:
            excluded = self.spec.excluded(observation, self.config.remove_clicked)
            items = random_slates(
                self.rng, self.spec.n_items, self.spec.slate_size, len(observation), excluded
            )
            items[self.rng.random(items.shape) >= explore] = -1
            slate = with_forced(slate, torch.as_tensor(items))
        found: np.ndarray = slate.numpy(force=True)
        return found

    def update(self, batch: Transitions) -> dict[str, float]:
        """Takes one gradient step on ``(y - Q(s, i))^2`` of what was chosen, and on the choice."""
        discount = np.where(batch.terminated, 0.0, self.config.discount).astype(np.float32)
        observed = np.int64 if self.spec.ids else np.float32
        observation = torch.as_tensor(batch.observation.astype(observed))
        slate, item = (torch.as_tensor(x.astype(np.int64)) for x in (batch.slate, batch.item))
        reward, next_value = torch.as_tensor(batch.reward), self.next_value(batch)
        if self.network.known is not None:
            reward = reward - self.network.known.reward_of(observation, item)
        y = q_target(reward, torch.as_tensor(discount), next_value)
        q, choice = self.network(observation, slate, item)
        loss = (y - q).square().mean()
        if self.config.slowing:
            slower = 1.0 + self.updates / self.config.slowing
            self.optimizer.param_groups[0]["lr"] = self.config.learning_rate / slower
        self.optimizer.zero_grad()
        (loss + choice).backward()
        self.optimizer.step()
        self.updates += 1
        for averaged, current in zip(
            self.averaged.parameters(), self.network.parameters(), strict=True
        ):
            averaged.lerp_(current.detach(), self.config.target_rate)
        return {"loss": loss.item(), "choice": choice.item(), "q": q.mean().item()}

    def next_value(self, batch: Transitions) -> Tensor:
        """Returns what the slates in the *next* states are worth (B,), by the averaged network."""
        observed = np.int64 if self.spec.ids else np.float32
        slate, appraisal = self.best(torch.as_tensor(batch.next_observation.astype(observed)))
        if self.config.target == "sarsa":
            if not batch.next_slate.size:
                raise RecGymError("target='sarsa': the slates that followed are not known here")
            shown = torch.as_tensor(batch.next_slate.astype(np.int64))
            slate = torch.where(shown < 0, slate, shown)
        return slate_value(appraisal, slate)

    @torch.no_grad()
    def best(self, observation: Tensor) -> tuple[Tensor, Appraisal]:
        """Returns the averaged network's best slates (B, K), and what they were chosen by."""
        appraisal = self.averaged.appraise(observation)
        excluded = self.spec.excluded(observation, self.config.remove_clicked)
        find = SEARCHES[self.config.slates]
        return find(appraisal, self.spec.slate_size, excluded), appraisal

    def policy(self) -> tuple[Arrays, Any]:
        """Returns all that the best slates depend on: copies of the averaged parameters.

        Raises:
            RecGymError: the user model is to be known, and the environment has none.
        """
        known = self.averaged.known
        if known is not None:
            self.spec.check_ids("slateq with choice='user-model'")
            return arrays_of(self.averaged), known_user_info(known)
        if self.config.choice == "user-model":
            raise RecGymError(
                "choice='user-model': the environment has no user model of the GAN kind to know"
            )
        return arrays_of(self.averaged), {}

    def load_policy(self, arrays: Arrays, info: Any) -> None:
        """Acts with the parameters ``arrays``."""
        if "user_model" in info:
            self.averaged.known = stored_known_user(info, within(arrays, "known."))
        load_arrays_into(self.averaged, arrays)
