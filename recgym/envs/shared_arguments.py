"""Arguments that the single and the vector environment share."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.rendering import FRAME_SIZE
from recgym.simulators import build
from recgym.simulators.base import Simulator, State
from recgym.simulators.views import ItemByItem, view_of

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
        max_episode_steps: given to the simulator as its ``horizon`` unless None.
        view: name of a view around the simulator, or None.

    Raises:
        RecGymError: an unknown argument, or one out of its range.
    """
    check_render_mode(render_mode)
    if max_episode_steps is not None:
        if arguments.get("horizon", max_episode_steps) != max_episode_steps:
            raise RecGymError("max_episode_steps is another name of horizon: give one of them")
        arguments = {**arguments, "horizon": max_episode_steps}
    also_known = ("view", "render_mode", "titles", "max_episode_steps")
    return view_of(build(simulator, arguments, also_known), view)


def check_render_mode(mode: str | None) -> None:
    """Raises a RecGymError unless there is such a mode, with all that it needs."""
    if mode is not None and mode not in RENDER_MODES:
        raise RecGymError(f"render_mode={mode!r}: must be one of {', '.join(RENDER_MODES)}")
    if mode == "rgb_array" and importlib.util.find_spec("PIL") is None:
        raise RecGymError("render_mode='rgb_array' needs Pillow: pip install recgym[render]")


def masks_of(simulator: Simulator, state: State | None) -> Array:
    """Returns which actions are left to each row, bool (B, N).

    Raises:
        RecGymError: the simulator has no such masks, or no episode has begun.
    """
    if not isinstance(simulator, ItemByItem):
        raise RecGymError("action_masks: only view='item-by-item' has them")
    if state is None:
        raise RecGymError("action_masks: no episode has begun; call reset first")
    return simulator.action_masks(state)
