"""Gradient steps on one user's loss, and the meta-gradients through them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import vmap

from recgym_agents.networks.per_user import Descent, Params, call, call_each


def quadratic(params: Params, data: Tensor) -> Tensor:
    """``(w - data)^2 / 2``: its gradient is ``w - data``."""
    return (params["w"] - data).square().sum() / 2


def test_a_step_by_hand() -> None:
    """From 3 towards 1, half of the way each time: 2, then 1.5."""
    start = {"w": torch.tensor([3.0])}
    after = Descent(0.5, 2, 100.0, True).of_user(quadratic, start, torch.tensor([1.0]))
    assert after["w"].tolist() == pytest.approx([1.5])


def test_a_long_gradient_is_cut() -> None:
    """The gradient is 10, and counts as 2."""
    start = {"w": torch.tensor([11.0])}
    after = Descent(0.5, 1, 2.0, True).of_user(quadratic, start, torch.tensor([1.0]))
    assert after["w"].tolist() == pytest.approx([10.0])


@pytest.mark.parametrize(("second_order", "expected"), [(True, 0.25), (False, 1.0)])
def test_the_first_order_counts_gradients_as_constants(second_order: bool, expected: float) -> None:
    """Two steps of rate 1/2 keep a quarter of where one begins: dw''/dw = (1 - 1/2)^2."""
    w = torch.tensor([3.0], requires_grad=True)
    after = Descent(0.5, 2, 100.0, second_order).of_user(quadratic, {"w": w}, torch.tensor([1.0]))
    after["w"].sum().backward()  # type: ignore[no-untyped-call]
    assert w.grad is not None
    assert w.grad.item() == pytest.approx(expected)


def test_users_descend_each_on_their_own() -> None:
    start = {"w": torch.tensor([3.0])}
    data = torch.tensor([[1.0], [5.0]])
    after = Descent(0.5, 1, 100.0, True).of_each(quadratic, start, data)
    assert after["w"].tolist() == [pytest.approx([2.0]), pytest.approx([4.0])]


class Bend(nn.Module):
    """A network with a method, whose second parameter is not adapted."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.inner = nn.Parameter(torch.randn(3, 2, generator=generator, dtype=torch.float64))
        self.outer = nn.Parameter(torch.randn(3, generator=generator, dtype=torch.float64))

    def bent(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.inner.T) @ self.outer


@pytest.mark.parametrize("clip_norm", [100.0, 0.05])
def test_meta_gradients_are_those_of_finite_differences(clip_norm: float) -> None:
    """Of all parameters, adapted and not, through three steps, cut and not."""
    network = Bend()
    generator = torch.Generator().manual_seed(1)
    support, query = (torch.randn(4, 5, 2, generator=generator, dtype=torch.float64) for _ in "ab")
    steps = Descent(0.3, 3, clip_norm, True)

    def loss(params: Params, x: Tensor) -> Tensor:
        return (call(network, "bent", params, x) - x[:, 0] * x[:, 1]).square().mean()

    def outer() -> Tensor:
        own = steps.of_each(loss, {"inner": network.inner}, support)
        return vmap(loss)(own, query).mean()

    outer().backward()  # type: ignore[no-untyped-call]
    for parameter in network.parameters():
        assert parameter.grad is not None
        expected = differences(parameter, lambda: outer().item())
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-5, atol=1e-8)


def differences(parameter: Tensor, value: Callable[[], float], by: float = 1e-5) -> Tensor:
    """Returns central differences of a value by each number of a parameter."""
    flat, found = parameter.data.view(-1), []
    for index in range(len(flat)):
        ends = []
        for sign in (1, -1):
            flat[index] += sign * by
            ends.append(value())
            flat[index] -= sign * by
        found.append((ends[0] - ends[1]) / (2 * by))
    return torch.tensor(found, dtype=parameter.dtype).reshape(parameter.shape)


def test_a_method_is_called_with_other_parameters() -> None:
    network, x = Bend(), torch.ones(1, 2, dtype=torch.float64)
    own = {"inner": torch.zeros(2, 3, 2, dtype=torch.float64)}
    own["inner"][1] = network.inner.detach()
    found = call_each(network, "bent", own, torch.stack([x, x]))
    assert found[:, 0].tolist() == pytest.approx([0.0, network.bent(x).item()])
