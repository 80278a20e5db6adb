"""The array API standard: one function serves NumPy arrays and torch tensors."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

Array = Any
"""An array of any library that follows the array API standard (NumPy, torch)."""


def namespace(array: Array) -> Any:
    """Returns the module whose functions work on ``array``.

    NumPy 2 follows the standard itself; other libraries go through ``array_api_compat``, which is
    imported only when such an array first appears.
    """
    if isinstance(array, np.ndarray):
        return np
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        import array_api_compat.torch

        return array_api_compat.torch
    import array_api_compat

    return array_api_compat.array_namespace(array)


def in_backend(array: Array, backend: str, device: str) -> Array:
    """Returns an array as one of "numpy" or "torch", on a torch device; not a copy if it is one."""
    if backend == "numpy":
        return array if isinstance(array, np.ndarray) else array.numpy(force=True)
    import torch

    return torch.as_tensor(array, device=device)


def contiguous(array: Array) -> Array:
    """Returns a NumPy array laid out in rows, where that is faster; others are as they were."""
    return np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array


def product(x: Array, y: Array) -> Array:
    """Returns ``x @ y`` of matrices, or of a matrix and a vector; NumPy's ``dot`` starts sooner."""
    return x.dot(y) if isinstance(x, np.ndarray) else x @ y


def rows(table: Array, ids: Array, block: Array = None) -> Array:
    """Returns rows ``table[ids]`` of a matrix as a new array, by each library's fastest way.

    With ``block``, of at least as many rows, they are written over its first ones (NumPy only), and
    ids are not checked.
    """
    if block is not None:  # with checks, NumPy would write to a copy first
        return table.take(ids, axis=0, out=block[: len(ids)], mode="wrap")
    if isinstance(table, np.ndarray):
        return table.take(ids, axis=0)
    from torch.nn import functional

    return functional.embedding(ids, table)


def clip(values: Array, low: float, high: float) -> Array:
    """Returns values within low..high; NumPy's own ``clip`` takes longer to start."""
    if isinstance(values, np.ndarray):
        return np.minimum(np.maximum(values, low), high)
    return values.clip(low, high)


def beside(slots: Array, outside: float) -> Array:
    """Returns values of slots (B, K) with that of the outside option beside them (B, K + 1)."""
    n_rows, n_slots = slots.shape
    xp = namespace(slots)
    values = xp.zeros((n_rows, n_slots + 1), dtype=slots.dtype, device=slots.device)
    values[:, :-1] = slots
    if outside:
        values[:, -1] = outside
    return values


def pick(values: Array, columns: Array) -> Array:
    """Returns of each row of values (B, K) those in its columns, as a new array of their shape.

    Args:
        values: of any type.
        columns: (B,) or (B, C); -1 is the last, as in indexing.
    """
    if isinstance(values, np.ndarray) and len(values) == 1:  # sooner than indices of rows
        return values.take(columns)
    row = namespace(columns).arange(len(values), device=columns.device)
    return values[row if columns.ndim == 1 else row[:, None], columns]


def weighted_clicks(features: Array, weight: Array, history: Array) -> Array:
    """Returns n weighted sums of the features of the last clicked items of B users, (B, n, D).

    Args:
        features: (N + 1, D) of the items, zeros last for "no item" N.
        weight: (n, window) of the last clicks, the latest last.
        history: (B, W) item ids, W at least the window.
    """
    n_weights, window = weight.shape
    clicked = rows(features, history[:, -window:].T)  # (window, B, D)
    weighted = product(weight, clicked.reshape(window, -1))  # (n, B * D)
    return weighted.reshape(n_weights, len(history), -1).swapaxes(0, 1)


def remember(history: Array, item: Array) -> Array:
    """Returns histories (B, W) with ``item`` (B,) as the last, the first forgotten.

    An item of -1 leaves a row as it was.
    """
    if isinstance(history, np.ndarray) and len(history) == 1:  # sooner than masks
        after = history.copy()
        if item[0] >= 0:
            after[:, :-1] = history[:, 1:]
            after[:, -1] = item
        return after
    xp = namespace(history)
    moved = xp.empty_like(history)
    moved[:, :-1] = history[:, 1:]
    moved[:, -1] = item
    if isinstance(history, np.ndarray):  # sooner than to choose entry by entry
        stays = np.flatnonzero(item < 0)
        moved[stays] = history[stays]
        return moved
    return xp.where((item >= 0)[:, None], moved, history)


def keep_freed_memory() -> None:
    """Lets the allocator keep what is freed, rather than fetch it from the system at every step.

    glibc raises the size from which it returns blocks to the system to that of the largest block
    freed so far (``man mallopt``, M_MMAP_THRESHOLD). Until that is above the arrays of a batch,
    each step pays a page fault for every 4 KiB it writes, which virtual machines feel most.
    The block is never written, so it costs nothing; other allocators do not mind.
    """
    np.empty(1 << 24, np.uint8)
