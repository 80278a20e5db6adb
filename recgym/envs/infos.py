"""Infos: the same keys at every reset and step, and Gymnasium's masks beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from recgym.arrays import Array, namespace
from recgym.envs import masks
from recgym.simulators.base import Simulator, State

AT_RESET = {"click": np.int64(-1), "item": np.int64(-1), "repaired": np.int64(0)}
"""What the shells' own entries are when no slate was shown."""


def of_episode(simulator: Simulator, state: State) -> dict[str, Array]:
    """Returns what a simulator adds to every info: copies of entries of its state, and masks."""
    return {
        name: namespace(state[name]).asarray(state[name], copy=True)
        for name in simulator.info_names
    } | masks.infos_of(simulator, state)


def with_masks(info: dict[str, Array], rows: Array) -> dict[str, Any]:
    """Adds to every entry the mask (B,) of the rows that have it, as Gymnasium names them."""
    return info | {f"_{name}": rows for name in info}


def by_row(info: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns an info for each row, from arrays (B, ...) by name with their masks.

    Numbers are Python's own, which are made faster than NumPy's.
    """
    names = [name for name in info if f"_{name}" in info and not name.startswith("final_")]
    columns = [info[name].tolist() if info[name].ndim == 1 else list(info[name]) for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def final(observation: Any, info: dict[str, Array], done: Array) -> dict[str, Any]:
    """Returns what a same-step reset keeps of the episodes that ended.

    Args:
        observation: of all rows, before the reset (B, ...), or a dict of them.
        info: of all rows, before the reset.
        done: rows whose episode ended, bool (B,).

    Returns:
        "final_obs" and "final_info" with their masks. For NumPy "final_obs" is an object array
        with None in the other rows, as in Gymnasium; for torch, as it was given.
    """
    xp = namespace(done)
    kept = {name: xp.where(_like(done, values), values, 0) for name, values in info.items()}
    if isinstance(done, np.ndarray):
        final_observation: Any = np.full(len(done), None, dtype=object)
        for row in np.flatnonzero(done).tolist():
            final_observation[row] = masks.row_of(observation, row)
    elif isinstance(observation, dict):
        final_observation = {name: values.clone() for name, values in observation.items()}
    else:
        final_observation = observation.clone()
    final_info = with_masks(kept, done)
    return with_masks({"final_obs": final_observation, "final_info": final_info}, done)


def _like(rows: Array, values: Array) -> Array:
    """Returns a mask (B,) that broadcasts with values (B, ...)."""
    return rows.reshape(-1, *[1] * (values.ndim - 1))
