"""The bound on mutual information: by hand, and on Gaussians whose divergence is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from recgym_agents.networks.pair_statistic import PairStatistic
from recgym_agents.policy_losses import information_bound

FRESH = 40_000


def gaussians(correlation: float, rows: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    first, noise = rng.standard_normal((2, rows, 1)).astype(np.float32)
    second = correlation * first + (1.0 - correlation**2) ** 0.5 * noise
    return torch.from_numpy(first), torch.from_numpy(second)


def divergence(correlation: float) -> float:
    """The Jensen-Shannon divergence of correlated from independent Gaussians, by quadrature."""
    grid = np.linspace(-7.0, 7.0, 701)
    x, y = np.meshgrid(grid, grid)
    rest = 1.0 - correlation**2
    joint = np.exp(-(x**2 - 2 * correlation * x * y + y**2) / (2 * rest)) / (
        2 * math.pi * rest**0.5
    )
    product = np.exp(-(x**2 + y**2) / 2) / (2 * math.pi)
    middle = (joint + product) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.where(p > 0, p * np.log(p / middle), 0.0) for p in (joint, product)]
    return float(0.5 * sum(terms).sum() * (grid[1] - grid[0]) ** 2)  # type: ignore[union-attr]


def trained_bound(correlation: float) -> tuple[float, float]:
    """Returns the bound on fresh pairs of a statistic that was trained, and its standard error."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    statistic = PairStatistic(1, 1, units=32)
    optimizer = torch.optim.Adam(statistic.parameters(), lr=3e-3)
    for _ in range(500):
        first, second = gaussians(correlation, 512, rng)
        joint, product = statistic(first, second), statistic(first, second.roll(1, 0))
        optimizer.zero_grad()
        (-information_bound(joint, product)).backward()
        optimizer.step()
    first, second = gaussians(correlation, FRESH, rng)
    with torch.no_grad():
        joint, product = statistic(first, second), statistic(first, second.roll(1, 0))
    terms = 0.5 * (torch.nn.functional.softplus(-joint) + torch.nn.functional.softplus(product))
    return float(information_bound(joint, product)), float(terms.std() / FRESH**0.5)


def test_the_bound_by_hand() -> None:
    joint, product = torch.tensor([0.0, math.log(3.0)]), torch.tensor([-math.log(3.0)])
    of_joint = (math.log(1 / 2) + math.log(3 / 4)) / 2
    expected = (of_joint + math.log(3 / 4) + math.log(4)) / 2
    assert float(information_bound(joint, product)) == pytest.approx(expected, rel=1e-6)
    none = torch.zeros(7)
    assert float(information_bound(none, none)) == pytest.approx(0.0, abs=1e-7)
    sure = torch.full((7,), 50.0)
    assert float(information_bound(sure, -sure)) == pytest.approx(math.log(2.0), rel=1e-6)


def test_it_is_zero_within_its_error_for_independent_gaussians() -> None:
    bound, error = trained_bound(0.0)
    assert abs(bound) < 2.0 * error + 1e-3
    assert error < 1e-3


@pytest.mark.parametrize("correlation", [0.6, 0.9])
def test_it_is_the_divergence_of_correlated_gaussians_within_a_tenth(correlation: float) -> None:
    bound, _ = trained_bound(correlation)
    assert bound == pytest.approx(divergence(correlation), rel=0.1)
