"""Arguments that the single and the vector environment share."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Mapping
from typing import Any

from gymnasium.envs.registration import EnvSpec

from recgym.errors import RecGymError
from recgym.rendering import FRAME_SIZE
from recgym.simulators import build
from recgym.simulators.base import Simulator
from recgym.simulators.views import actions_a_slate, view_of

RENDER_MODES = ["ansi", "rgb_array"]
METADATA: dict[str, Any] = {
    "render_modes": RENDER_MODES,
    "render_fps": 2,
    "render_size": list(FRAME_SIZE),
}
"""``render_size`` is the width and the height in pixels of every "rgb_array" frame."""


def build_world(
    simulator: str,
    arguments: Mapping[str, Any],
    render_mode: str | None,
    max_episode_steps: int | None,
    view: str | None,
) -> Simulator:
    """Builds the simulator of an environment from the environment's arguments.

    Args:
        simulator: name of the simulator.
        arguments: the simulator's arguments by name.
        render_mode: checked against the modes there are.
        max_episode_steps: actions in an episode, from which follows the simulator's ``horizon``;
            None to leave that as it is.
        view: name of a view around the simulator, or None.

    Raises:
        RecGymError: an unknown argument, or one out of its range.
    """
    check_render_mode(render_mode)
    also_known = ("view", "mask_keys", "render_mode", "titles", "max_episode_steps")
    world = view_of(build(simulator, arguments, also_known), view)
    if max_episode_steps is None or max_episode_steps == _steps(world):
        return world
    if "horizon" in arguments:
        raise RecGymError(
            f"max_episode_steps={max_episode_steps!r} and horizon={arguments['horizon']!r} mean"
            " different episodes: give one of them"
        )
    actions = actions_a_slate(world)
    if not isinstance(max_episode_steps, int) or max_episode_steps % actions:
        raise RecGymError(
            f"max_episode_steps={max_episode_steps!r}: must be a multiple of the {actions} actions"
            " that one slate takes"
        )
    arguments = {**arguments, "horizon": max_episode_steps // actions}
    return view_of(build(simulator, arguments, also_known), view)


def check_render_mode(mode: str | None) -> None:
    """Raises a RecGymError unless there is such a mode, with all that it needs."""
    if mode is not None and mode not in RENDER_MODES:
        raise RecGymError(f"render_mode={mode!r}: must be one of {', '.join(RENDER_MODES)}")
    if mode == "rgb_array" and importlib.util.find_spec("PIL") is None:
        raise RecGymError('render_mode="rgb_array" needs Pillow: pip install "recgym[render]"')


def with_episode_length(spec: EnvSpec | None, world: Simulator) -> EnvSpec | None:
    """Returns a spec that says how many actions an episode lasts, as libraries read it there.

    Gymnasium sets an environment's spec once it is made, so that it adds no ``TimeLimit``.
    """
    if spec is None:
        return None
    spec = copy.copy(spec)
    spec.max_episode_steps = _steps(world)
    return spec


def _steps(world: Simulator) -> int:
    """Returns how many actions an episode lasts, unless its user leaves earlier."""
    return world.horizon * actions_a_slate(world)
