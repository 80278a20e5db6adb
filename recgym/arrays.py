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
