"""A trained agent as its user meets it: it reads one observation or many, and has a world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.checkpointing import Arrays
from recgym_agents.protocols import Policy
from recgym_agents.runs.environment_arguments import arguments_for, find_environment
from recgym_agents.user_support import Support


class TrainedAgent:
    """What ``load_agent`` returns, of whichever family.

    Args:
        inner: the agent itself, with its networks.
        about: what was saved of its training: "env" and "env_args" among it.
    """

    def __init__(self, inner: Policy, about: dict[str, Any]) -> None:
        self.inner, self.about = inner, about
        self.spec: EnvironmentSpec = inner.spec

    def act(self, observation: Any) -> np.ndarray:
        """Returns the slate (K,) for one observation (W,), or slates (B, K) for many (B, W).

        Args:
            observation: from ``make_env``, or from any environment made with the same arguments;
                an array, a tensor on the CPU, or lists.

        Raises:
            RecGymError: an observation of another shape, of another kind of numbers, or with an id
                that is not in the catalog.
        """
        array = self._read(observation)
        rows = np.atleast_2d(array)
        if not len(rows):
            return np.empty((0, self.spec.slate_size), np.int64)
        slates = self.inner.act(rows)
        return slates[0] if array.ndim == 1 else slates

    def adapt(self, support: Support) -> TrainedAgent:
        """Returns the agent as it acts for the users of a support; see ``BaseAgent.adapt``.

        Args:
            support: of U users, such as ``Support.of(info)`` of an environment's first info.
        """
        return TrainedAgent(self.inner.adapt(support), self.about)

    def recommend(self, history: Sequence[int], support: Support | None = None) -> list[int]:
        """Returns a slate for a user who clicked ``history``; see ``Policy.recommend``."""
        return self.inner.recommend(history, support)

    def policy(self) -> tuple[Arrays, Any]:
        """Returns all that its slates depend on; see ``Policy``."""
        return self.inner.policy()

    def make_env(
        self, *, render_mode: str | None = None, **env_args: Any
    ) -> gymnasium.Env[Any, Any]:
        """Makes the environment that it was trained in, with the observations that it reads.

        Args:
            render_mode: as the environment's.
            **env_args: arguments of the environment that differ from those of training, such as
                split="test" for the model of other users.

        Raises:
            RecGymError: it learned from a log alone, or the environment refuses an argument.
        """
        name = self.about.get("env")
        if name is None:
            raise RecGymError("make_env: this agent learned from a log alone; make one yourself")
        spec = find_environment(name)
        given = in_world(self.about["env_args"], env_args)
        arguments = arguments_for(spec, given, self.spec.ids)
        return gymnasium.make(spec, render_mode=render_mode, **arguments)

    def _read(self, observation: Any) -> np.ndarray:
        """Returns an observation, or many, as the agent's family reads them."""
        try:
            array = np.asarray(observation)
        except (TypeError, ValueError):
            array = np.empty(0, dtype=object)
        spec = self.spec
        if array.ndim not in (1, 2) or array.shape[-1] != spec.window:
            raise self._refusal(f"of shape {array.shape}")
        if array.dtype.kind not in ("iu" if spec.ids else "iuf"):
            raise self._refusal(f"of type {array.dtype}")
        if not spec.ids:
            return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array
        ids = array.astype(np.int64, copy=False)
        if ids.size and not 0 <= ids.min() <= ids.max() <= spec.n_items:
            raise self._refusal(f"with the id {ids.max() if ids.min() >= 0 else ids.min()}")
        return ids

    def _refusal(self, found: str) -> RecGymError:
        """Returns the error for an observation that it does not read."""
        spec = self.spec
        wanted = f"{spec.window} numbers"
        if spec.ids:
            wanted = f"{spec.window} item ids, {spec.n_items} where there is none (observe='items')"
        else_ = "" if self.about.get("env") is None else "; agent.make_env() has such observations"
        return RecGymError(f"observation {found}: this agent reads {wanted}{else_}")


def in_world(trained: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of training with some changed, for an agent to be scored or watched.

    The test users' model is one model: it has no ensemble, and none of what goes with one.
    """
    if changed.get("split") == "test":
        several = ("ensemble", "pessimism", "entropy_bonus")
        trained = {name: value for name, value in trained.items() if name not in several}
    return {**trained, **changed}
