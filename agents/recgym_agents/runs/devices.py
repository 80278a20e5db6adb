"""Where networks learn: on the CPU, or on another device that torch knows, such as a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

CPU = "cpu"


@contextmanager
def on_device(device: str) -> Iterator[None]:
    """Within it, torch makes its tensors on a device, those of NumPy arrays too.

    Recurrent networks compute in float32 there, as on the CPU, where torch would let cuDNN round to
    TF32. On the CPU it does nothing: torch would ask it before each of its functions.
    """
    if device == CPU:
        yield
        return
    cudnn = torch.backends.cudnn
    rounds, cudnn.allow_tf32 = cudnn.allow_tf32, False
    try:
        with torch.device(device):
            yield
    finally:
        cudnn.allow_tf32 = rounds
