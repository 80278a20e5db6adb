"""Slates as agents give them: checked, and repaired where they repeat an item."""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array, contiguous, namespace
from recgym.errors import RecGymError


def repaired(slate: Array, n_items: int) -> tuple[Array, Array]:
    """Checks the range of slates, and repairs those rows that repeat an item.

    Args:
        slate: item ids, int64 (B, K), NumPy or torch.
        n_items: ids must be in 0..n_items - 1.

    Returns:
        The slates, and how many ids were replaced in each row, int64 (B,).

    Raises:
        RecGymError: an id out of range.
    """
    if isinstance(slate, np.ndarray) and len(slate) == 1 and _is_plain(slate[0].tolist(), n_items):
        return slate, np.zeros(1, np.int64)
    xp = namespace(slate)
    replaced = xp.zeros(len(slate), dtype=xp.int64, device=slate.device)
    by_slot = contiguous(slate.T)
    if xp.any((by_slot | (n_items - 1 - by_slot)) < 0):  # the sign of either
        raise _out_of_range(slate, n_items)
    repeats = xp.zeros_like(replaced, dtype=xp.bool)
    for distance in range(1, slate.shape[1]):
        equal = by_slot[distance:] == by_slot[:-distance]
        if xp.any(equal):
            repeats |= xp.any(equal, axis=0)
    if xp.any(repeats):
        slate = xp.asarray(slate, copy=True)
        slate[repeats], replaced[repeats] = repair(slate[repeats])
    return slate, replaced


def repair(slate: Array) -> tuple[Array, Array]:
    """Replaces each repeated id of a row by the lowest id that is not in its slate.

    The first of equal ids stays. K slots hold at most K - r distinct ids when r are repeats, so
    that the r lowest absent ids are below K, and the j-th repeat takes the j-th of them.

    Args:
        slate: item ids, int64 (B, K), NumPy or torch.

    Returns:
        Slates of distinct ids (B, K), and how many were replaced in each row, int64 (B,).
    """
    xp = namespace(slate)
    slot = xp.arange(slate.shape[1], device=slate.device)
    equal = slate[:, :, None] == slate[:, None, :]
    repeated = xp.any(equal & (slot < slot[:, None]), axis=2)
    absent = ~xp.any(slate[:, :, None] == slot, axis=1)
    repeat_number = repeated.cumsum(axis=1)
    absent_number = absent.cumsum(axis=1)
    takes = absent[:, None, :] & (repeat_number[:, :, None] == absent_number[:, None, :])
    filler = xp.sum(takes * slot, axis=2)
    return xp.where(repeated, filler, slate), repeat_number[:, -1]


def _is_plain(ids: list[int], n_items: int) -> bool:
    """Whether one slate needs no repair and no error; for a single one, faster than arrays."""
    return len({item for item in ids if 0 <= item < n_items}) == len(ids)


def _out_of_range(slate: Array, n_items: int) -> RecGymError:
    """Returns the error that names the first id of ``slate`` that is no item."""
    ids = np.asarray(slate if isinstance(slate, np.ndarray) else slate.cpu())
    row, slot = np.argwhere((ids < 0) | (ids >= n_items))[0]
    where = f"slot {slot}" if len(ids) == 1 else f"row {row}, slot {slot}"
    return RecGymError(
        f"action: item id {ids[row, slot]} in {where} is out of range; ids are 0..{n_items - 1}"
    )
