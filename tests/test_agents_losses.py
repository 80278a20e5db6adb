from __future__ import annotations

import torch

from recgym_agents.losses import cascade_loss, q_target


def test_target_is_reward_plus_discounted_value() -> None:
    y = q_target(
        r_t=torch.tensor([1.0, 2.0]),
        discount_t=torch.tensor([0.5, 0.0]),
        q_t=torch.tensor([4.0, 100.0], requires_grad=True),
    )
    assert y.tolist() == [3.0, 2.0]
    assert not y.requires_grad


def test_every_slot_fits_the_same_target() -> None:
    q = torch.tensor([[1.0, 3.0], [2.0, 0.0]], requires_grad=True)
    loss = cascade_loss(q, torch.tensor([2.0, 1.0]))
    assert loss.item() == ((1 + 1) + (1 + 1)) / 2
    loss.backward()
    assert q.grad is not None
    assert q.grad.tolist() == [[-1.0, 1.0], [1.0, -1.0]]
