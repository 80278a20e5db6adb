"""Actions as agents give them: read, checked, and for slates repaired."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import Space, spaces

from recgym.arrays import Array, namespace
from recgym.envs.slate_repair import repaired
from recgym.errors import RecGymError
from recgym.spaces import SlateSpace

TOLERANCE = 1e-6
"""How far rounding may put a number outside of its box."""


def as_array(action: Any, space: Space[Any], rows: tuple[int, ...]) -> np.ndarray:
    """Returns an action as an array (*rows, *space.shape): int64, or float32 for a box.

    Raises:
        RecGymError: another shape, or another kind of number.
    """
    try:
        array = np.asarray(action)
    except ValueError:
        array = np.empty(0, dtype=object)
    kind = array.dtype.kind
    if array.shape != rows + (space.shape or ()) or kind not in _kinds(space):
        raise refusal(array.shape, array.dtype, space, rows)
    if kind == "u":  # what int64 cannot hold is out of range all the same
        array = np.minimum(array.astype(np.uint64), np.uint64(2**63 - 1))
    return array.astype(np.float32 if isinstance(space, spaces.Box) else np.int64, copy=False)


def refusal(
    found: tuple[int, ...], dtype: Any, space: Space[Any], rows: tuple[int, ...]
) -> RecGymError:
    """Returns the error for an array of another shape or kind than the space asks for.

    Args:
        found: its shape.
        dtype: its type.
        space: of one action.
        rows: shape of the rows of actions.
    """
    shape = rows + (space.shape or ())
    if str(dtype) == "object":
        return RecGymError(f"action of uneven rows: must be {shape}, {_meaning(space)}")
    if found != shape:
        return RecGymError(f"action of shape {found}: must be {shape}, {_meaning(space)}")
    wanted = "must be numbers" if isinstance(space, spaces.Box) else "item ids must be integers"
    return RecGymError(f"action of type {dtype}: {wanted}")


def _kinds(space: Space[Any]) -> str:
    """Returns the kinds of NumPy types that actions of a space may have."""
    return "iuf" if isinstance(space, spaces.Box) else "iu"


def check(space: Space[Any], actions: Array) -> tuple[Array, Array]:
    """Checks the range of actions, and repairs slates.

    Args:
        space: of one action.
        actions: of B rows, as ``as_array`` gives them; NumPy or torch.

    Returns:
        The actions, and how many ids were replaced in each, int64 (B,).

    Raises:
        RecGymError: an id out of range, or a number that is not in the box.
    """
    if isinstance(space, SlateSpace):
        return repaired(actions, space.n_items)
    xp = namespace(actions)
    if isinstance(space, spaces.Discrete):
        wrong, bounds = (actions < 0) | (actions >= int(space.n)), f"0..{int(space.n) - 1}"
    else:
        assert isinstance(space, spaces.Box)
        low, high = float(space.low.min()), float(space.high.max())
        wrong = ~((actions >= low - TOLERANCE) & (actions <= high + TOLERANCE))  # NaN too
        bounds = f"{low:g}..{high:g}"
    if xp.any(wrong):
        where = np.argwhere(np.asarray(wrong.cpu() if hasattr(wrong, "cpu") else wrong))[0]
        value = actions[tuple(int(i) for i in where)]
        raise RecGymError(
            f"action: {value.item()} in row {where[0]} is not in {bounds}{_remedy(space)}"
        )
    return actions, xp.zeros(len(actions), dtype=xp.int64, device=actions.device)


def _remedy(space: Space[Any]) -> str:
    if isinstance(space, spaces.Discrete):
        return ""
    return "; gymnasium.wrappers.ClipAction (for many rows, vector.ClipAction) brings it there"


def _meaning(space: Space[Any]) -> str:
    if isinstance(space, SlateSpace):
        return "one item id a slot"
    return "one whole number" if isinstance(space, spaces.Discrete) else "one number a dimension"
