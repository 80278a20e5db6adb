"""The Gymnasium environment around a simulator, one episode at a time."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from recgym.envs import actions, infos
from recgym.envs.backends import draw
from recgym.envs.options import check_options, users_of
from recgym.envs.pictures import Pictures
from recgym.envs.shared_arguments import METADATA, build_world, masks_of
from recgym.errors import RecGymError
from recgym.simulators.base import State


class SlateEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """One user who is shown slates of items; all of her behaviour is the simulator's.

    Args:
        simulator: name of the simulator, see ``recgym.simulators.SIMULATORS``.
        view: another way to give slates, see ``recgym.simulators.views.VIEWS``; None for item ids.
        render_mode: "ansi" (text), "rgb_array" (an image), or None.
        titles: folder of a prepared dataset, or "movielens" for MovieLens 100K (downloaded the
            first time), whose titles are shown in renders.
        max_episode_steps: another name of the simulator's ``horizon``.
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
        render_mode: str | None = None,
        titles: str | None = None,
        max_episode_steps: int | None = None,
        **arguments: Any,
    ) -> None:
        self.simulator = build_world(simulator, arguments, render_mode, max_episode_steps, view)
        self.render_mode = render_mode
        self._pictures = (
            None if render_mode is None else Pictures(self.simulator, titles, render_mode)
        )
        self.observation_space = self.simulator.observation_space
        self.action_space = self.simulator.action_space
        self._state: State | None = None
        self._over = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
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
        if self._pictures is not None:
            self._pictures.begin(np.array([True]))
        return self.simulator.observe(self._state)[0], self._info(self._state, infos.AT_RESET)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
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
        info = {"click": click.item(), "item": item.item(), "repaired": replaced.item()}
        if self._pictures is not None:
            self._pictures.note(self._state, state, slate, click, reward, terminated)
        self._state, self._over = state, leaves or truncated
        observation = simulator.observe(state)[0]
        return observation, pay, leaves, truncated, self._info(state, info)

    def action_masks(self) -> np.ndarray:
        """Returns which actions would not repeat an item, bool (N,), for view="item-by-item".

        Raises:
            RecGymError: another view, or no episode has begun.
        """
        masks = masks_of(self.simulator, self._state)
        return np.asarray(masks[0])

    def render(self) -> Any:
        """Returns a picture of the last slate: text, or an image (height, width, 3)."""
        if self._pictures is None or self._state is None:
            return None
        return self._pictures.draw(self._state)[0]

    def _info(self, state: State, info: dict[str, int]) -> dict[str, Any]:
        """Adds to the shell's own info what the simulator's state says of the episode."""
        return info | {name: state[name].item() for name in self.simulator.info_names}
