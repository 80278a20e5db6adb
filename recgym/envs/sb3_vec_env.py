"""The vector environment as Stable-Baselines3 wants one (needs stable-baselines3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from recgym.arrays import Array
from recgym.envs import infos
from recgym.envs.slate_vector_env import SlateVectorEnv
from recgym.errors import RecGymError


class SB3VecEnv(VecEnv):
    """A ``SlateVectorEnv`` that Stable-Baselines3 trains in, without an environment for each row.

    Args:
        name: environment id.
        num_envs: rows, B.
        seed: of the first reset.
        **arguments: those of the environment; its autoreset mode is this class's own.

    Raises:
        RecGymError: what the environment raises, or ``autoreset_mode`` is given.
    """

    def __init__(
        self, name: str, num_envs: int, *, seed: int | None = None, **arguments: Any
    ) -> None:
        if "autoreset_mode" in arguments:
            raise RecGymError("SB3VecEnv: autoreset_mode is its own, leave it out")
        env = gymnasium.make_vec(name, num_envs, autoreset_mode="same-step", **arguments)
        assert isinstance(env, SlateVectorEnv)
        self.env = env
        super().__init__(num_envs, env.single_observation_space, env.single_action_space)
        self._seeds: list[int | None] = [seed]
        self._actions: Array = np.empty(0)

    def reset(self) -> Array:
        """Starts an episode in every row; returns observations (B, ...)."""
        observation, info = self.env.reset(seed=self._seeds[0])
        self.reset_infos = infos.by_row(info)
        self._seeds = [None]
        return observation

    def step_async(self, actions: Array) -> None:
        """Keeps the actions (B, ...) for ``step_wait``."""
        self._actions = actions

    def step_wait(self) -> tuple[Array, Array, Array, list[dict[str, Any]]]:
        """Steps all rows; those that are done go on with a new episode.

        Returns:
            Observations, rewards (B,), which rows are done (B,), and an info for each row, with
            Stable-Baselines3's "TimeLimit.truncated" and, if done, "terminal_observation".
        """
        observation, reward, terminated, truncated, info = self.env.step(self._actions)
        done = terminated | truncated
        last: Any = info.get("final_obs")
        ended: Any = info.get("final_info")
        rows = infos.by_row(info)
        for row in np.flatnonzero(done):
            own = {
                key: ended[key][row].item() if ended[key].ndim == 1 else ended[key][row]
                for key in rows[row]
            }
            rows[row] = own | {
                "terminal_observation": last[row],
                "TimeLimit.truncated": bool(truncated[row] and not terminated[row]),
            }
        return observation, reward, done, rows

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seeds the next reset; all rows share one generator."""
        self._seeds = [seed]
        return [seed] * self.num_envs

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Returns an attribute of the environment, once for each row."""
        return [getattr(self.env, attr_name) for _ in self._indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Sets an attribute of the environment, for all rows at once."""
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Calls a method of the environment, and returns its result row by row."""
        found = getattr(self.env, method_name)(*args, **kwargs)
        return [found[row] for row in self._indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No row is wrapped."""
        return [False for _ in self._indices(indices)]

    def _indices(self, indices: Any) -> Iterable[int]:
        return self._get_indices(indices)
