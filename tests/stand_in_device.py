"""A second device where there is only a CPU: tensors there are marked, and kept apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

NAME = "cuda"
ACROSS = ("to", "cpu", "copy_", "__set__", "_has_compatible_shallow_copy_type")
"""What takes tensors of two devices."""
INDEXING = ("__getitem__", "__setitem__")
"""What takes an index of the CPU for a tensor of any device."""


class StandInDevice(TorchFunctionMode):
    """Within it, "cuda" is a device whose tensors are marked ones of the CPU.

    A tensor is there that was made or moved there, or computed from one that is. As on a GPU, it
    cannot be computed with beside tensors of the CPU (single numbers apart), nor be read by NumPy
    without ``force=True``. Gradients and what is written in C++ are not watched.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        """Functions that had a tensor of this device."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = dict(kwargs or {}), func.__name__
        given = list(_tensors((args, kwargs)))
        there = any(map(is_there, given))
        self.calls += there
        if there and func == Tensor.device.__get__:
            return torch.device(NAME)
        if there and (name == "__array__" or name == "numpy" and not kwargs.get("force")):
            raise TypeError("can't convert cuda tensor to numpy")
        if there and name not in ACROSS:
            beside = [args[0], *args[2:]] if name in INDEXING else given
            if not all(is_there(t) or t.ndim == 0 for t in _tensors(beside)):
                raise RuntimeError(f"{name}: expected all tensors to be on the same device")
        if name in ("to", "cpu"):
            return self._moved(func, args, kwargs)
        asked = kwargs.get("device")
        if asked is not None:
            there = torch.device(asked).type == NAME
            kwargs["device"] = "cpu"
        result = func(*args, **kwargs)
        if there:
            for tensor in _tensors((result, args[:1] if name == "__set__" else ())):
                _mark(tensor)
        return result

    def _moved(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Tensor:
        """What ``Tensor.to`` and ``Tensor.cpu`` return; a move is always a copy."""
        given, goes, others = args[0], is_there(args[0]), []
        for argument in (*args[1:], *kwargs.values()):
            if isinstance(argument, str | torch.device):
                goes = torch.device(argument).type == NAME
            elif isinstance(argument, torch.dtype):
                others.append(argument)
        result = given.to("cpu", *others, copy=True)
        if goes and func != Tensor.cpu:
            _mark(result)
        return result


def is_there(tensor: Tensor) -> bool:
    """Whether a tensor is on the stand-in device."""
    return hasattr(tensor, "_on_stand_in")


def _mark(tensor: Tensor) -> None:
    tensor._on_stand_in = True  # type: ignore[attr-defined]


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yields the tensors in nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _tensors(inner)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
