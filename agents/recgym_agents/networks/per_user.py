"""Networks with parameters of their own for each user, and the gradient steps that lead to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

Params = dict[str, Tensor]
"""Parameters of a network by name; those that are left out are the network's own."""
Loss = Callable[[Params, Any], Tensor]
"""A number of one user's parameters and her steps."""


class _Method(nn.Module):
    """A method of a network as a module, which torch can call with other parameters."""

    def __init__(self, network: nn.Module, method: str) -> None:
        super().__init__()
        self.network, self.method = network, method

    def forward(self, *arguments: Any) -> Any:
        """Returns what the method returns."""
        return getattr(self.network, self.method)(*arguments)


def call(network: nn.Module, method: str, params: Params, *arguments: Any) -> Any:
    """Returns what a method of a network would return with other parameters."""
    named = {f"network.{name}": value for name, value in params.items()}
    return functional_call(_Method(network, method), named, arguments)


def call_each(network: nn.Module, method: str, params: Params, *arguments: Any) -> Any:
    """As ``call``, with the parameters (U, ...) and the arguments (U, ...) of U users."""

    def of_user(own: Params, own_arguments: tuple[Any, ...]) -> Any:
        return call(network, method, own, *own_arguments)

    return vmap(of_user)(params, arguments)


@dataclass(frozen=True)
class Descent:
    """Gradient steps on a user's loss: the inner loop of MAML (Finn et al., ICML 2017)."""

    rate: float
    """Step size, alpha."""
    steps: int
    clip_norm: float
    """The longest gradient of a step: longer ones are cut to it."""
    second_order: bool
    """Whether what is computed from the result has gradients through the steps' own gradients;
    otherwise these count as constants (first-order MAML)."""

    def of_user(self, loss: Loss, params: Params, data: Any) -> Params:
        """Returns the parameters after the steps on a user's ``data``, from ``params``."""
        for _ in range(self.steps):
            gradient = grad(loss)(params, data)
            if not self.second_order:
                gradient = {name: value.detach() for name, value in gradient.items()}
            square = torch.stack([value.square().sum() for value in gradient.values()]).sum()
            rate = self.rate * (self.clip_norm * (square + TINY).rsqrt()).clamp(max=1.0)
            params = {name: value - rate * gradient[name] for name, value in params.items()}
        return params

    def of_each(self, loss: Loss, params: Params, data: Any) -> Params:
        """Returns the parameters (U, ...) of U users after the steps on the data (U, ...)."""
        return vmap(lambda own: self.of_user(loss, params, own))(data)


TINY = 1e-12
"""Added to a squared length, whose root has no derivative at 0."""
