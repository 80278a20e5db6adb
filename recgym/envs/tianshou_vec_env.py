"""The vector environment as Tianshou wants one (needs tianshou)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from tianshou.env import BaseVectorEnv

from recgym.arrays import Array
from recgym.envs import infos, masks
from recgym.envs.slate_vector_env import SlateVectorEnv
from recgym.errors import RecGymError

Rows = int | Sequence[int] | np.ndarray | None
"""Numbers of rows as Tianshou gives them; None for all."""


class TianshouVecEnv(BaseVectorEnv):  # type: ignore[misc]
    """A ``SlateVectorEnv`` that Tianshou's collectors step, without an environment for each row.

    For masked algorithms: ``view="item-by-item", mask_keys=["obs", "mask"]``.

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
    ) -> None:  # not the base's, which makes a worker for each row
        if "autoreset_mode" in arguments:
            raise RecGymError("TianshouVecEnv: autoreset_mode is its own, leave it out")
        env = gymnasium.make_vec(name, num_envs, autoreset_mode="disabled", **arguments)
        assert isinstance(env, SlateVectorEnv)
        self.env = env
        self.env_num = self.wait_num = num_envs
        self.is_async, self.is_closed = False, False
        self.waiting_id: list[int] = []
        self.ready_id = list(range(num_envs))
        self._seed: Any = seed
        self._begun = False

    def get_env_attr(self, key: str, id: Rows = None) -> list[Any]:
        """Returns an attribute of some rows, of one of them each."""
        values = self.env.get_attr(key)
        return [values[row] for row in self._wrap_id(id)]

    def set_env_attr(self, key: str, value: Any, id: Rows = None) -> None:
        """Sets an attribute of the environment, for all rows at once."""
        self.env.set_attr(key, value)

    def reset(
        self, env_id: Rows = None, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Starts an episode in some rows.

        Args:
            env_id: the rows.
            seed: of the generator that all rows share, see ``SlateVectorEnv.reset``.
            options: {"user": i} to meet user i in these rows.

        Returns:
            Observations (R, ...) and infos (R,) of these rows.
        """
        rows = np.asarray(self._wrap_id(env_id))
        mask = np.zeros(self.env_num, np.bool_)
        mask[rows] = True
        seed = self._seed if seed is None else seed
        if not self._begun and not mask.all():
            self.env.reset(seed=seed)
        observation, info = self.env.reset(
            seed=seed, options=(options or {}) | {"reset_mask": mask}
        )
        self._seed, self._begun = None, True
        if isinstance(observation, dict):
            observation = {name: values[rows] for name, values in observation.items()}
        else:
            observation = observation[rows]
        picked = {name: values[rows] for name, values in info.items()}
        return _rows(observation), np.array(infos.by_row(picked))

    def step(
        self, action: Any, id: Rows = None
    ) -> tuple[np.ndarray, Array, Array, Array, np.ndarray]:
        """Steps some rows at once; those that are done wait for ``reset``.

        Args:
            action: of these rows.
            id: the rows.

        Returns:
            Observations (R, ...), rewards (R,), which episodes terminated and which were truncated
            (R,), and infos (R,), with Tianshou's "env_id".
        """
        rows = np.asarray(self._wrap_id(id))
        if np.array_equal(rows, self.ready_id):
            observation, reward, terminated, truncated, info = self.env.step(action)
        else:
            observation, reward, terminated, truncated, info = self.env.step_rows(rows, action)
        listed = infos.by_row(info)
        for row, own in zip(rows.tolist(), listed, strict=True):
            own["env_id"] = row
        return _rows(observation), reward, terminated, truncated, np.array(listed)

    def seed(self, seed: Any = None) -> list[Any]:
        """Seeds the next reset; all rows share one generator."""
        self._seed = seed
        return list(seed) if isinstance(seed, list | tuple) else [seed] * self.env_num

    def render(self) -> list[Any]:
        """Returns a picture of each row's last slate."""
        return list(self.env.call("render"))

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()
        self.is_closed = True


def _rows(observation: Any) -> np.ndarray:
    """Returns observations as Tianshou has them: those that are dicts as an array of dicts."""
    if not isinstance(observation, dict):
        return np.asarray(observation)
    n_rows = len(next(iter(observation.values())))
    return np.array([masks.row_of(observation, row) for row in range(n_rows)])
