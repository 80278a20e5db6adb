"""The Gymnasium environment around a simulator, one episode at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from recgym.envs import actions, infos, masks
from recgym.envs.backends import draw
from recgym.envs.options import check_options, users_of
from recgym.envs.pictures import Pictures
from recgym.envs.shared_arguments import METADATA, build_world, with_episode_length
from recgym.errors import RecGymError
from recgym.simulators.base import State


class SlateEnv(gymnasium.Env[Any, np.ndarray]):
    """One user who is shown slates of items; all of her behaviour is the simulator's.

    Args:
        simulator: name of the simulator, see ``recgym.simulators.SIMULATORS``.
        view: another way to give slates, see ``recgym.simulators.views.VIEWS``; None or "slate" for
            item ids.
        mask_keys: names of the observation and of its action mask, such as ["observations",
            "action_mask"], for libraries that read both from a dict; only for view="item-by-item".
        render_mode: "ansi" (text), "rgb_array" (an image), or None.
        titles: folder of a prepared dataset, or "movielens" for MovieLens 100K (downloaded the
            first time), whose titles are shown in renders.
        max_episode_steps: actions in an episode, another way to give the simulator's ``horizon``.
        **arguments: the simulator's own arguments.

    Raises:
        RecGymError: an unknown argument, or one out of its range.
    """

    metadata = METADATA

    def __init__(
        self,
        simulator: str,
        *,
        view: str | None = None,
        mask_keys: Sequence[str] | None = None,
        render_mode: str | None = None,
        titles: str | None = None,
        max_episode_steps: int | None = None,
        **arguments: Any,
    ) -> None:
        self.simulator = build_world(simulator, arguments, render_mode, max_episode_steps, view)
        self.render_mode = render_mode
        self._pictures = Pictures(self.simulator, titles, n_rows=1)
        self._keys = masks.keys_of(mask_keys, self.simulator)
        self._masked = masks.has_masks(self.simulator)
        self.observation_space = masks.observation_space(self.simulator, self._keys)
        self.action_space = self.simulator.action_space
        self._spec: EnvSpec | None = None
        self._state: State | None = None
        self._over = False

    @property
    def spec(self) -> EnvSpec | None:
        """How it was made, None unless by ``gymnasium.make``; with ``max_episode_steps``."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = with_episode_length(spec, self.simulator)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode.

        Args:
            seed: seeds the environment's random numbers.
            options: {"user": i} to meet user i; a user is drawn otherwise.

        Raises:
            RecGymError: an unknown option, or a user out of range.
        """
        super().reset(seed=seed)
        users = users_of(check_options(options, ("user",)), 1, self.simulator.n_users)
        noise = draw(self.np_random, 1, self.simulator.reset_noise)
        self._state = self.simulator.reset(noise, users)
        self._over = False
        if self.render_mode is not None:
            self._pictures.begin(np.array([True]))
        info = self._info(self._state, dict(infos.AT_RESET))
        observation = self.simulator.observe(self._state)[0]
        return masks.beside(observation, info, self._keys), info

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Shows a slate.

        Args:
            action: K item ids by slot, or what the view asks for. A repeated id is replaced by the
                lowest id not in the slate.

        Raises:
            RecGymError: another shape, an id out of range, or the episode is over.
        """
        if self._state is None or self._over:
            raise RecGymError("step: no episode has begun, or it is over; call reset first")
        simulator = self.simulator
        array = actions.as_array(action, simulator.action_space, ())[None]
        checked, replaced = actions.check(simulator.action_space, array)
        noise = draw(self.np_random, 1, simulator.step_noise)
        state, response = simulator.step(self._state, checked, noise)
        click, item, reward, terminated, slate = response
        leaves, pay = terminated.item(), reward.item()
        truncated = not leaves and state["step"].item() >= simulator.horizon
        info = {"click": click[0], "item": item[0], "repaired": replaced[0]}
        if self.render_mode is not None:
            self._pictures.note(self._state, state, slate, click, reward, terminated)
        self._state, self._over = state, leaves or truncated
        info = self._info(state, info)
        observation = masks.beside(simulator.observe(state)[0], info, self._keys)
        return observation, pay, leaves, truncated, info

    def action_masks(self) -> np.ndarray:
        """Returns which actions would not repeat an item, bool (N,), for view="item-by-item".

        Raises:
            RecGymError: another view, or no episode has begun.
        """
        return np.asarray(masks.masks_of(self.simulator, self._state)[0])

    def render(self) -> Any:
        """Returns a picture of the last slate: text, or an image (height, width, 3)."""
        if self.render_mode is None or self._state is None:
            return None
        return self._pictures.draw(self.render_mode, self._state)[0]

    def _info(self, state: State, info: dict[str, Any]) -> dict[str, Any]:
        """Adds to the shell's own info, in place, what the state says of the episode."""
        for name in self.simulator.info_names:
            info[name] = np.array(state[name][0])[()]
        if self._masked:
            rows = masks.infos_of(self.simulator, state)
            info.update((name, values[0]) for name, values in rows.items())
        return info
