"""Infos: the same keys at every reset and step, and Gymnasium's masks beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from recgym.arrays import Array, namespace
from recgym.simulators.base import Simulator, State

AT_RESET = {"click": -1, "item": -1, "repaired": 0}
"""What the shells' own entries are when no slate was shown."""


def of_episode(simulator: Simulator, state: State) -> dict[str, Array]:
    """Returns copies of those entries of the state that the simulator adds to every info."""
    return {
        name: namespace(state[name]).asarray(state[name], copy=True)
        for name in simulator.info_names
    }


def with_masks(info: dict[str, Array], rows: Array) -> dict[str, Any]:
    """Adds to every entry the mask (B,) of the rows that have it, as Gymnasium names them."""
    return info | {f"_{name}": rows for name in info}


def final(observation: Array, info: dict[str, Array], done: Array) -> dict[str, Any]:
    """Returns what a same-step reset keeps of the episodes that ended.

    Args:
        observation: of all rows, before the reset (B, ...).
        info: of all rows, before the reset.
        done: rows whose episode ended, bool (B,).

    Returns:
        "final_obs" and "final_info" with their masks. For NumPy "final_obs" is an object array
        with None in the other rows, as in Gymnasium; for torch, a tensor of all rows.
    """
    xp = namespace(done)
    kept = {name: xp.where(done, values, 0) for name, values in info.items()}
    if isinstance(observation, np.ndarray):
        final_observation = np.full(len(done), None, dtype=object)
        for row in np.flatnonzero(done):
            final_observation[row] = observation[row].copy()
    else:
        final_observation = xp.asarray(observation, copy=True)
    final_info = with_masks(kept, done)
    return with_masks({"final_obs": final_observation, "final_info": final_info}, done)
