from __future__ import annotations

import math

import pytest
import torch

from recgym_agents.offline_losses import (
    advantage_over_samples,
    conservative_penalty,
    improvement_weights,
    mean_of,
    optimistic,
    random_mixture,
    ratio_weights,
    squared_loss,
    weighted_log_loss,
)


def test_weighted_likelihood_by_hand() -> None:
    log_pi = torch.tensor([-1.0, -2.0], requires_grad=True)
    weight = torch.tensor([0.2, 1.0], requires_grad=True)
    loss = weighted_log_loss(log_pi, weight)
    assert loss.item() == pytest.approx((0.2 + 2.0) / 2)
    loss.backward()
    assert log_pi.grad is not None
    assert log_pi.grad.tolist() == pytest.approx([-0.1, -0.5])
    assert weight.grad is None


def test_improvement_by_hand() -> None:
    advantage = torch.tensor([0.0, math.log(2.0), 100.0], requires_grad=True)
    weight = improvement_weights(advantage[:2], 1.0, 30.0)
    assert weight.tolist() == pytest.approx([1.0, 2.0])
    assert not weight.requires_grad
    assert improvement_weights(advantage[:2], 0.5, 30.0).tolist() == pytest.approx([1.0, 4.0])
    assert improvement_weights(advantage, 1e6, 30.0).tolist() == pytest.approx([1, 1, 1], abs=1e-3)


def test_the_cap_keeps_the_ratios_of_improvement_weights() -> None:
    advantage = torch.tensor([0.0, math.log(2.0), math.log(10.0)])
    assert improvement_weights(advantage, 1.0, 5.0).tolist() == pytest.approx([0.5, 1.0, 5.0])
    # squared they are 1, 4 and 100
    assert improvement_weights(advantage, 0.5, 5.0).tolist() == pytest.approx([0.05, 0.2, 5.0])
    # a small beta leaves the best step alone, however far above the cap the weights would be
    assert improvement_weights(advantage, 1e-3, 5.0).tolist() == pytest.approx([0.0, 0.0, 5.0])
    assert improvement_weights(torch.zeros(0), 1.0, 5.0).tolist() == []


def test_ratios_are_smoothed_and_capped() -> None:
    log_pi, log_mu = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.25, 0.01]).log()
    assert ratio_weights(log_pi, log_mu, 1.0, 30.0).tolist() == pytest.approx([2.0, 30.0])
    assert ratio_weights(log_pi, log_mu, 0.5, 30.0).tolist() == pytest.approx([1.0, 5.0])


def test_advantages_over_samples_by_hand() -> None:
    q, sampled = torch.tensor([4.0, 0.0, 99.0]), torch.tensor([[1.0, 1.0], [1.0, 2.0], [0.0, 0.0]])
    # 4 - 6 / 3; 0 - 1, which is cut to 0; 99 - 33, which is cut to the cap
    assert advantage_over_samples(q, sampled, 10.0).tolist() == [2.0, 0.0, 10.0]


def test_squared_loss_adds_up_the_members() -> None:
    q, y = torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([[0.0, 2.0], [1.0, 1.0]])
    assert squared_loss(q, y).item() == pytest.approx((1.0 + 0.0 + 4.0 + 1.0) / 2)
    assert squared_loss(q[:, 0], y[:, 0]).item() == pytest.approx((1.0 + 4.0) / 2)


def test_the_conservative_penalty_by_hand() -> None:
    q = torch.tensor([[0.0, math.log(3.0)]])
    assert conservative_penalty(q.logsumexp(1), q[:, 1]).item() == pytest.approx(math.log(4 / 3))


def test_mixtures_and_optimism() -> None:
    assert random_mixture(torch.tensor([0.1, 0.3])).tolist() == pytest.approx([0.25, 0.75])
    members = torch.tensor([[1.0, 2.0], [3.0, 2.0]])
    assert optimistic(members, 1.0).tolist() == [3.0, 2.0]
    assert optimistic(members, -1.0).tolist() == [1.0, 2.0]
    assert optimistic(members[:1], 5.0).tolist() == [1.0, 2.0]


def test_nothing_is_no_loss() -> None:
    nothing = torch.zeros(0)
    assert mean_of(nothing).item() == 0.0
    assert squared_loss(nothing, nothing).item() == 0.0
