"""What a fit maximises on a page, against numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recgym.users.page_losses import (
    bpr,
    choice_log_likelihood,
    click_log_likelihood,
    top1,
)

LOGITS = torch.tensor([[0.0, math.log(3.0), -torch.inf, 0.0]])
"""Two items of odds 1 and 3, an empty slot, and the outside option."""


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


@pytest.mark.parametrize(("target", "chance"), [(0, 1 / 5), (1, 3 / 5), (3, 1 / 5)])
def test_a_choice_is_one_of_the_page(target: int, chance: float) -> None:
    found = choice_log_likelihood(LOGITS, torch.tensor([target]))
    assert found.item() == pytest.approx(math.log(chance))


@pytest.mark.parametrize(
    ("target", "chance"), [(0, 1 / 2 * 1 / 4), (1, 1 / 2 * 3 / 4), (3, 1 / 2 * 1 / 4)]
)
def test_clicks_are_independent(target: int, chance: float) -> None:
    found = click_log_likelihood(LOGITS, torch.tensor([target]))
    assert found.item() == pytest.approx(math.log(chance))


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=6))
def test_of_at_most_one_click_independent_clicks_are_choices(utilities: list[float]) -> None:
    slots = len(utilities)
    logits = torch.tensor([[*utilities, 0.0]], dtype=torch.float64).expand(slots + 1, -1)
    every = torch.arange(slots + 1)
    clicks = click_log_likelihood(logits, every)
    choices = choice_log_likelihood(logits, every)
    np.testing.assert_allclose(clicks.softmax(0).log(), choices, atol=1e-9)


def test_ranking_losses_by_hand() -> None:
    logits = torch.tensor([[2.0, 1.0, -1.0, -torch.inf, 0.0]])
    target = torch.tensor([0])
    by_hand = (math.log(sigmoid(1.0)) + math.log(sigmoid(3.0))) / 2
    assert bpr(logits, target).item() == pytest.approx(by_hand)
    by_hand = -(sigmoid(-1.0) + sigmoid(1.0) + sigmoid(-3.0) + sigmoid(1.0)) / 2
    assert top1(logits, target).item() == pytest.approx(by_hand)


@pytest.mark.parametrize("loss", [bpr, top1])
def test_pages_without_a_click_or_of_one_item_rank_nothing(loss) -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0], [2.0, -torch.inf, 0.0]], requires_grad=True)
    found = loss(logits, torch.tensor([2, 0]))
    assert found.tolist() == [0.0, 0.0]
    torch.autograd.backward(found.sum())
    assert logits.grad is not None
    assert logits.grad.abs().max().item() == 0.0
