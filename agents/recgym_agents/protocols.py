"""What may be asked of whatever recommends slates: to act, to be saved, and to learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from recgym_agents.agent import Compile, EnvironmentSpec
from recgym_agents.checkpointing import Arrays

if TYPE_CHECKING:
    from recgym_agents.user_support import Support

Batch = TypeVar("Batch", contravariant=True)
"""What an agent learns from at once: transitions, or whole episodes."""


class Actor(Protocol):
    """Whatever answers observations with slates."""

    spec: EnvironmentSpec

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Returns slates (B, K) for histories (B, W), or for other observations (B, ...)."""

    def adapt(self, support: Support) -> Any:
        """Returns what acts for users of whom this is known; see ``BaseAgent.adapt``."""


class Policy(Actor, Protocol):
    """A slate recommender that somebody trained."""

    def recommend(self, history: Sequence[int], support: Support | None = None) -> list[int]:
        """Returns a slate for a user who clicked ``history``, oldest first, of any length.

        Args:
            history: item ids.
            support: what was shown to her before, and what she clicked, for an agent that adapts.
        """

    def policy(self) -> tuple[Arrays, Any]:
        """Returns all that greedy slates depend on: copies of arrays, and plain JSON."""


class Agent(Policy, Protocol[Batch]):
    """One that learns here. Its random numbers come from generators that it owns and saves."""

    @property
    def ready(self) -> bool:
        """Whether its policy may be kept: not while it is still being prepared (pre-trained)."""

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns slates (B, K) for histories (B, W); a slot is random with chance ``explore``."""

    def update(self, batch: Batch) -> dict[str, float]:
        """Learns from a batch, and returns what is worth plotting."""

    def load_policy(self, arrays: Arrays, info: Any) -> None:
        """Acts as the agent did that gave this ``policy``."""

    def state(self) -> tuple[Arrays, Any]:
        """Returns all that training goes on from: arrays, and plain JSON."""

    def set_state(self, arrays: Arrays, info: Any) -> None:
        """Goes on from what ``state`` returned."""

    def to(self, device: str) -> None:
        """Moves its networks, before they learn; see ``BaseAgent.to``."""

    def compile(self, mode: Compile, device: str, rows: float) -> None:
        """Decides whether its work is compiled; see ``BaseAgent.compile``."""
