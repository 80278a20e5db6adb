"""Parameters and optimiser moments as named arrays, for policies and checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recgym_agents.agent import Arrays


def arrays_of(module: nn.Module) -> Arrays:
    """Returns copies of a module's parameters."""
    return {name: value.numpy(force=True).copy() for name, value in module.state_dict().items()}


def load_arrays_into(module: nn.Module, arrays: Arrays) -> None:
    """Copies ``arrays`` into a module's parameters."""
    module.load_state_dict({name: torch.as_tensor(array) for name, array in arrays.items()})


def moments_of(optimizer: torch.optim.Optimizer) -> Arrays:
    """Returns copies of an optimiser's moments, named "parameter.moment"."""
    return {
        f"{index}.{name}": value.numpy(force=True).copy()
        for index, moments in optimizer.state_dict()["state"].items()
        for name, value in moments.items()
    }


def load_moments_into(optimizer: torch.optim.Optimizer, arrays: Arrays) -> None:
    """Sets the moments that ``moments_of`` returned."""
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in arrays.items():
        index, _, moment = name.partition(".")
        moments.setdefault(int(index), {})[moment] = torch.as_tensor(value.copy())
    optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
