"""Which actions are left: in infos, and as a part of observations that a library names."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import Space, spaces

from recgym.arrays import Array, namespace
from recgym.errors import RecGymError
from recgym.simulators.base import Simulator, State
from recgym.simulators.views import ACTION_MASK, ItemByItem

MaskKeys = tuple[str, str]
"""Names of the observation and of its mask."""


def has_masks(simulator: Simulator) -> bool:
    """Returns whether some actions can be left out: item by item, those that would repeat one."""
    return isinstance(simulator, ItemByItem)


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


def infos_of(simulator: Simulator, state: State) -> dict[str, Array]:
    """Returns the masks as an entry of infos, int8 (B, N); nothing where there are none."""
    if not isinstance(simulator, ItemByItem):
        return {}
    masks = simulator.action_masks(state)
    return {ACTION_MASK: namespace(masks).asarray(masks, dtype=namespace(masks).int8)}


def keys_of(mask_keys: Any, simulator: Simulator) -> MaskKeys | None:
    """Checks the argument ``mask_keys`` of an environment.

    Raises:
        RecGymError: not two different names, or the simulator has no masks.
    """
    if mask_keys is None:
        return None
    listed = isinstance(mask_keys, list | tuple)
    names = tuple(mask_keys) if listed else ()
    if len(set(names)) != 2 or len(names) != 2 or not all(isinstance(n, str) for n in names):
        raise RecGymError(
            f"mask_keys={mask_keys!r}: must be two names, the observation's and the mask's, such as"
            ' ["observations", "action_mask"]'
        )
    if not has_masks(simulator):
        raise RecGymError("mask_keys: only view='item-by-item' has masks")
    return names[0], names[1]


def observation_space(simulator: Simulator, keys: MaskKeys | None) -> Space[Any]:
    """Returns the space of one row's observation, with its mask where ``keys`` ask for it.

    A mask is a ``MultiBinary``: 0 and 1 and nothing else, in the type that Gymnasium's own
    ``Discrete.sample(mask)`` takes.
    """
    if keys is None:
        return simulator.observation_space
    mask = spaces.MultiBinary(simulator.n_items)
    return spaces.Dict({keys[0]: simulator.observation_space, keys[1]: mask})


def beside(observation: Array, info: dict[str, Any], keys: MaskKeys | None) -> Any:
    """Returns observations as environments give them: as they are, or in a dict with their mask.

    Args:
        observation: of one row or of many.
        info: of the same rows.
        keys: names of the observation and of the mask; None for no mask.
    """
    if keys is None:
        return observation
    mask = info[ACTION_MASK]
    return {keys[0]: observation, keys[1]: namespace(mask).asarray(mask, copy=True)}


def row_of(observation: Any, row: int) -> Any:
    """Returns a copy of one row of observations, which may be a dict of them."""
    if isinstance(observation, dict):
        return {name: np.array(values[row]) for name, values in observation.items()}
    return observation[row].copy()
