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


def contiguous(array: Array) -> Array:
    """Returns a NumPy array laid out in rows, where that is faster; others are as they were."""
    return np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array


def keep_freed_memory() -> None:
    """Lets the allocator keep what is freed, rather than fetch it from the system at every step.

    glibc raises the size from which it returns blocks to the system to that of the largest block
    freed so far (``man mallopt``, M_MMAP_THRESHOLD). Until that is above the arrays of a batch,
    each step pays a page fault for every 4 KiB it writes: half of its time on virtual machines.
    The block is never written, so it costs nothing; other allocators do not mind.
    """
    np.empty(1 << 24, np.uint8)
