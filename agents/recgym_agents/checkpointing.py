"""What a stopped training goes on from: the parts of an object, as named arrays and plain JSON."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from recgym.envs import SlateVectorEnv
from recgym.errors import RecGymError

Arrays = dict[str, np.ndarray]
"""Arrays by name."""


class Checkpointed:
    """An object that training can go on from: it names the attributes that change in training."""

    kept: ClassVar[tuple[str, ...]] = ()
    """Names of those attributes: networks, optimisers, random generators, environments, arrays,
    numbers, or objects that are ``Checkpointed`` themselves."""

    def state(self) -> tuple[Arrays, Any]:
        """Returns all that training goes on from: copies of arrays, and plain JSON."""
        arrays: Arrays = {}
        info: dict[str, Any] = {}
        for name in self.kept:
            own, info[name] = state_of(getattr(self, name))
            arrays |= {f"{name}.{key}": array for key, array in own.items()}
        return arrays, info

    def set_state(self, arrays: Arrays, info: Any) -> None:
        """Goes on from what ``state`` returned.

        Raises:
            RecGymError: it is the state of something else.
        """
        for name in self.kept:
            if name not in info:
                raise RecGymError(
                    f"the checkpoint has no {name!r}: another version of RecGym wrote it; remove"
                    " the run's folder and train again"
                )
            own = within(arrays, f"{name}.")
            setattr(self, name, restored(getattr(self, name), own, info[name]))


@singledispatch
def state_of(part: Any) -> tuple[Arrays, Any]:
    """Returns the state of one part: copies of arrays, and plain JSON."""
    return {}, part  # a number, a text, or None


@singledispatch
def restored(part: Any, arrays: Arrays, info: Any) -> Any:
    """Returns a part as it was when ``state_of`` returned this: changed in place where it can."""
    return info


@state_of.register
def _(part: Checkpointed) -> tuple[Arrays, Any]:
    return part.state()


@restored.register
def _(part: Checkpointed, arrays: Arrays, info: Any) -> Checkpointed:
    part.set_state(arrays, info)
    return part


@state_of.register
def _(part: np.ndarray) -> tuple[Arrays, Any]:
    return {"array": part.copy()}, None


@restored.register
def _(part: np.ndarray, arrays: Arrays, info: Any) -> np.ndarray:
    return arrays["array"]


@state_of.register
def _(part: np.random.Generator) -> tuple[Arrays, Any]:
    return {}, part.bit_generator.state


@restored.register
def _(part: np.random.Generator, arrays: Arrays, info: Any) -> np.random.Generator:
    part.bit_generator.state = info
    return part


@state_of.register
def _(part: SlateVectorEnv) -> tuple[Arrays, Any]:
    return part.get_state()


@restored.register
def _(part: SlateVectorEnv, arrays: Arrays, info: Any) -> SlateVectorEnv:
    part.set_state(arrays, info)
    return part


@state_of.register
def _(part: nn.Module) -> tuple[Arrays, Any]:
    return arrays_of(part), None


@restored.register
def _(part: nn.Module, arrays: Arrays, info: Any) -> nn.Module:
    load_arrays_into(part, arrays)
    return part


@state_of.register
def _(part: torch.optim.Optimizer) -> tuple[Arrays, Any]:
    moments = {
        f"{index}.{name}": value.numpy(force=True).copy()
        for index, own in part.state_dict()["state"].items()
        for name, value in own.items()
    }
    return moments, None


@restored.register
def _(part: torch.optim.Optimizer, arrays: Arrays, info: Any) -> torch.optim.Optimizer:
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in arrays.items():
        index, _, moment = name.partition(".")
        moments.setdefault(int(index), {})[moment] = torch.as_tensor(value.copy())
    part.load_state_dict(part.state_dict() | {"state": moments})
    return part


def arrays_of(module: nn.Module) -> Arrays:
    """Returns copies of a module's parameters."""
    return {name: value.numpy(force=True).copy() for name, value in module.state_dict().items()}


def load_arrays_into(module: nn.Module, arrays: Arrays) -> None:
    """Copies ``arrays`` into a module's parameters."""
    module.load_state_dict({name: torch.as_tensor(array) for name, array in arrays.items()})


def within(arrays: Arrays, prefix: str) -> Arrays:
    """Returns the arrays whose names begin with ``prefix``, without it."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
