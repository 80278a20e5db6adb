"""What agents have in common that adapt to each user: gradient steps on what is known of her."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, POSITIVE, check_ranges
from recgym.spaces import random_slates
from recgym_agents.agent import BaseAgent, EnvironmentSpec
from recgym_agents.learning.user_steps import UserBatch, UserSteps, steps_of_support
from recgym_agents.networks.per_user import Descent, Params
from recgym_agents.networks.preferences import shown_alone
from recgym_agents.user_support import Support, recommend


@dataclass(frozen=True)
class InnerSteps:
    """Settings of the gradient steps on a user's support."""

    inner_rate: float = 0.1
    """Step size of the gradient steps on a user's support, alpha."""
    inner_steps: int = 1
    """How many of them."""
    inner_clip: float = 10.0
    """The longest gradient of these steps: longer ones are cut to it."""
    second_order: bool = True
    """Whether the meta-gradient goes through these steps' own gradients; otherwise they count as
    constants (first-order MAML)."""
    learning_rate: float = 1e-3
    """Adam's step size, of the parameters that users begin with."""
    clip_norm: float = 5.0
    """The longest gradient: longer ones are cut to it."""
    remove_clicked: bool = True
    """Items in the observed history are no candidates."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        rates = dict.fromkeys(("inner_rate", "inner_clip", "learning_rate", "clip_norm"), POSITIVE)
        check_ranges(self, rates | {"inner_steps": AT_LEAST_0})


class UserData(NamedTuple):
    """A user's M steps as a loss reads them; with a dimension in front, those of U users."""

    observation: Tensor
    """(M, W)"""
    excluded: Tensor
    """Items that were no candidates (M, X); N is ignored."""
    slate: Tensor
    """(M, K)"""
    slot: Tensor
    """Clicked slot (M,), K for none."""
    value: Tensor
    """What the step was worth (M,): a target, or a return."""
    weight: Tensor
    """1 where the step counts, else 0 (M,)."""


class ActsFor(Protocol):
    """An agent that can act on what it knows of users."""

    spec: EnvironmentSpec

    def act_for(self, knowledge: Params, observation: np.ndarray, explore: float) -> np.ndarray:
        """Returns slates (B, K) for observations (B, W), with knowledge of B users or of one."""

    def scores_for(self, knowledge: Params, observation: Tensor, slate: Tensor) -> Tensor:
        """Returns what items of pages (B, K) are ranked by; see ``AdaptingAgent.scores_for``."""

    def adapt(self, support: Support) -> Any:
        """Returns the agent as it acts for the users of a support; see ``BaseAgent.adapt``."""


class AdaptedAgent:
    """An agent as it acts for users whom it adapted to.

    Args:
        agent: the agent; what it learns later does not change how it acts here.
        knowledge: what it knows of the users: tensors (U, ...) by name.
    """

    def __init__(self, agent: ActsFor, knowledge: Params) -> None:
        self.agent, self.knowledge, self.spec = agent, knowledge, agent.spec

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns slates (B, K), of B = U users in their order, or all of a single user.

        Raises:
            RecGymError: as many observations as neither.
        """
        self._check("act", len(observation))
        return self.agent.act_for(self.knowledge, observation, explore)

    def scores(self, observation: np.ndarray, slate: np.ndarray) -> np.ndarray:
        """Returns what items on a page are ranked by (B, K), minus infinity where there is none.

        Args:
            observation: (B, W), of B = U users in their order, or all of a single user.
            slate: items of each page (B, K), N in slots that show nothing; as many as a slate has,
                or fewer, or more.

        Raises:
            RecGymError: as many observations as neither, or an item that is not in 0..N.
        """
        self._check("scores", len(observation))
        n_items = self.spec.n_items
        read_as_ids = {"slate": slate} | ({"observation": observation} if self.spec.ids else {})
        for name, items in read_as_ids.items():
            wrong = items[(items < 0) | (items > n_items)]
            if wrong.size:
                raise RecGymError(
                    f"scores: {name} has item {wrong[0]}; items are 0..{n_items - 1}, and"
                    f" {n_items} where there is none"
                )
        observed = np.int64 if self.spec.ids else np.float32
        read = torch.as_tensor(observation.astype(observed, copy=False))
        shown = torch.as_tensor(slate)
        found = self.agent.scores_for(self.knowledge, read, shown)
        scores: np.ndarray = shown_alone(found, shown, n_items).numpy()
        return scores

    def adapt(self, support: Support) -> AdaptedAgent:
        """Returns the agent adapted to other users, from the start."""
        found: AdaptedAgent = self.agent.adapt(support)
        return found

    def recommend(self, history: Sequence[int], support: Support | None = None) -> list[int]:
        """Returns a slate for the single user it adapted to; see ``Policy.recommend``."""
        return recommend(self, history, support)

    def _check(self, method: str, observations: int) -> None:
        """Raises RecGymError for so many observations of a method, if they are not of its users."""
        users = len(next(iter(self.knowledge.values())))
        if users not in (1, observations):
            raise RecGymError(
                f"{method}: {observations} observations, but adapted to {users} users; give one of"
                " each, in their order"
            )


class AdaptingAgent(BaseAgent, ABC):
    """An agent that knows something of each user: how it is found, and how it acts on it."""

    config: Any
    """Among its settings is ``remove_clicked``."""
    rng: np.random.Generator

    @abstractmethod
    def knowledge(self, steps: UserSteps) -> Params:
        """Returns what it learns of U users from their support: tensors (U, ...) by name."""

    @abstractmethod
    def act_for(self, knowledge: Params, observation: np.ndarray, explore: float) -> np.ndarray:
        """Returns slates (B, K) for observations (B, W), with knowledge of B users or of one."""

    @abstractmethod
    def scores_for(self, knowledge: Params, observation: Tensor, slate: Tensor) -> Tensor:
        """Returns what the items of pages (B, K) are ranked by, with knowledge of B users or one.

        Args:
            knowledge: tensors (U, ...) by name.
            observation: (B, W).
            slate: (B, K), N in slots that show nothing, whose scores do not matter.
        """

    def adapt(self, support: Support) -> AdaptedAgent:
        """Returns the agent as it acts for the users of a support; see ``BaseAgent.adapt``."""
        super().adapt(support)
        return AdaptedAgent(self, self.knowledge(steps_of_support(support, self.spec)))

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns slates (B, K) for users of whom nothing is known but the observation."""
        return self.nobody.act(observation, explore)

    @property
    def nobody(self) -> AdaptedAgent:
        """The agent adapted to a user of whom nothing is known."""
        spec = self.spec
        return self.adapt(Support.none(1, spec.slate_size, spec.candidate_features))

    def excluded(self, observation: np.ndarray, support: bool = False) -> np.ndarray:
        """Returns the items that are no candidates (..., X).

        These are the clicked ones, where ids are observed, and where candidates are new at every
        step those that ``support`` does not tell of.

        Args:
            observation: (..., W).
            support: whether the observation is one of a support.
        """
        spec = self.spec
        if spec.ids and self.config.remove_clicked:
            return observation
        few = support and spec.candidate_features > 0
        beyond = np.arange(spec.slate_size if few else spec.n_items, spec.n_items)
        return np.broadcast_to(beyond, (*observation.shape[:-1], len(beyond)))

    def data(
        self, steps: UserSteps, value: Any, weight: np.ndarray, support: bool = False
    ) -> UserData:
        """Returns the steps of U users as tensors (U, M, ...), one sequence after the other.

        Args:
            steps: of the users.
            value: what each step was worth (U, S, T).
            weight: whether each step counts (U, S, T).
            support: whether they are those of a support.
        """
        observed = np.int64 if self.spec.ids else np.float32
        parts = (
            steps.observation.astype(observed, copy=False),
            self.excluded(steps.observation, support).astype(np.int64, copy=False),
            steps.slate.astype(np.int64, copy=False),
            steps.slot.astype(np.int64, copy=False),
            weight.astype(np.float32),
        )
        observation, excluded, slate, slot, counts = (
            torch.tensor(part).flatten(1, 2) for part in parts
        )
        worth = torch.as_tensor(value).flatten(1, 2)
        return UserData(observation, excluded, slate, slot, worth, counts)

    def random_items(self, observation: np.ndarray, excluded: np.ndarray, share: float) -> Tensor:
        """Returns random items (B, K), -1 where none is to be shown: a ``share`` of them is."""
        spec, rows = self.spec, len(observation)
        items = random_slates(self.rng, spec.n_items, spec.slate_size, rows, excluded)
        items[self.rng.random(items.shape) >= share] = -1
        return torch.as_tensor(items)


class MetaGradientAgent(AdaptingAgent):
    """Learns where to begin, so that a few gradient steps on a user's support suit her (MAML).

    Args:
        config: of the gradient steps.
        spec: the world.
        network: whose parameters adapt, all but item embeddings, unless ``adapts`` says otherwise.
        seed: of its random numbers.

    Raises:
        RecGymError: too few items to fill a slate.
    """

    kept: ClassVar[tuple[str, ...]] = ("network", "optimizer", "rng")

    def __init__(
        self, config: InnerSteps, spec: EnvironmentSpec, network: nn.Module, seed: int
    ) -> None:
        spec.check_candidates(config.remove_clicked)
        self.config, self.spec, self.network = config, spec, network
        self.rng = np.random.default_rng(seed)
        trained = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=config.learning_rate, fused=True)

    @abstractmethod
    def loss(self, network: Any, params: Params, data: UserData) -> Tensor:
        """Returns what a user's gradient steps descend, of her parameters of a network."""

    @abstractmethod
    def support_data(self, steps: UserSteps) -> UserData:
        """Returns the support of U users as ``loss`` reads it."""

    @abstractmethod
    def outer_loss(self, batch: UserBatch) -> tuple[Tensor, dict[str, float]]:
        """Returns the loss of adapted parameters on what followed, and a report."""

    def adapts(self, name: str) -> bool:
        """Returns whether a parameter of the network adapts to users."""
        return not name.startswith("items.")

    def start(self, network: nn.Module) -> Params:
        """Returns the parameters that users begin with, of those that adapt."""
        return {name: p for name, p in network.named_parameters() if self.adapts(name)}

    def descended(self, network: nn.Module, data: UserData) -> Params:
        """Returns the parameters of U users (U, ...), after the steps on their support."""
        config = self.config
        steps = Descent(
            config.inner_rate, config.inner_steps, config.inner_clip, config.second_order
        )
        return steps.of_each(partial(self.loss, network), self.start(network), data)

    @torch.no_grad()
    def knowledge(self, steps: UserSteps) -> Params:
        """Returns the users' parameters."""
        return self.descended(self.acting, self.support_data(steps))

    @property
    def nobody(self) -> AdaptedAgent:
        """The agent with the parameters that users begin with."""
        start = {name: value.detach()[None] for name, value in self.start(self.acting).items()}
        return AdaptedAgent(self, start)

    @property
    def acting(self) -> nn.Module:
        """The network that chooses slates."""
        found: nn.Module = self.network
        return found

    def update(self, batch: UserBatch) -> dict[str, float]:
        """Takes one gradient step on what the adapted parameters lose on the users' next slates."""
        loss, report = self.outer_loss(batch)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.optimizer.step()
        return report | {"loss": loss.item(), "gradient_norm": norm.item()}


def by_user(values: np.ndarray, users: int) -> Tensor:
    """Returns rows (B, ...) as those of users (U, B / U, ...)."""
    shape = (users, len(values) // users, *values.shape[1:])
    return torch.tensor(values).reshape(shape)
