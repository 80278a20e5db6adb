"""Where networks learn: on the CPU or on a device such as a GPU, and with how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from recgym.errors import RecGymError

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


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Within it, torch computes with so many threads.

    Raises:
        RecGymError: fewer than one.
    """
    if count < 1:
        raise RecGymError(f"threads={count}: at least 1 is needed")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
