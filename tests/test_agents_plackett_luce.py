from __future__ import annotations

import math
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import torch

from recgym_agents.networks.plackett_luce import (
    PlackettLuceHead,
    gumbel_top_k,
    item_log_prob,
    slate_log_prob,
)

NOTHING = -math.inf
ODDS = torch.tensor([1.0, 2.0, 3.0, 4.0])


def logits(odds: torch.Tensor = ODDS) -> torch.Tensor:
    """The head's logits (1, N + 1) of these odds."""
    return torch.cat([odds.log(), torch.tensor([NOTHING])])[None]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_probabilities_sum_to_one_over_all_ordered_slates(size: int) -> None:
    slates = torch.tensor(list(permutations(range(4), size)))
    log_prob = slate_log_prob(logits().expand(len(slates), -1), slates)
    assert log_prob.exp().sum().item() == pytest.approx(1.0, abs=1e-6)


def test_a_slot_draws_from_the_items_that_are_left() -> None:
    slates = torch.tensor([[3, 1], [1, 3]])
    probability = slate_log_prob(logits().expand(2, -1), slates).exp()
    assert probability.tolist() == pytest.approx([4 / 10 * 2 / 6, 2 / 10 * 4 / 8])
    whole = slate_log_prob(logits(), torch.tensor([[0, 1, 2, 3]])).exp()
    assert whole.item() == pytest.approx(1 / 10 * 2 / 9 * 3 / 7 * 1)


def test_slots_that_show_nothing_have_no_part() -> None:
    slates = torch.tensor([[3, 1, -1], [2, -1, -1], [-1, -1, -1]])
    probability = slate_log_prob(logits().expand(3, -1), slates).exp()
    assert probability.tolist() == pytest.approx([4 / 10 * 2 / 6, 3 / 10, 1.0])


def test_the_estimate_is_the_softmax_of_one_item_over_the_catalogue() -> None:
    item = torch.tensor([0, 3])
    assert item_log_prob(logits().expand(2, -1), item).exp().tolist() == pytest.approx([0.1, 0.4])
    first = slate_log_prob(logits().expand(2, -1), item[:, None])
    torch.testing.assert_close(first, item_log_prob(logits().expand(2, -1), item))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_gumbel_top_k_draws_with_these_probabilities(size: int) -> None:
    draws = 20_000
    noise = torch.as_tensor(np.random.default_rng(0).gumbel(size=(draws, 5)))
    slates = gumbel_top_k(logits().double(), noise, size)
    counts = Counter(map(tuple, slates.tolist()))
    assert set(counts) <= set(permutations(range(4), size))
    for slate in permutations(range(4), size):
        chance = slate_log_prob(logits(), torch.tensor([slate])).exp().item()
        error = (chance * (1 - chance) / draws) ** 0.5
        assert abs(counts[slate] / draws - chance) < 4.5 * error


def test_without_noise_it_is_the_likeliest_slate() -> None:
    every = torch.tensor(list(permutations(range(4), 2)))
    likeliest = every[slate_log_prob(logits().expand(len(every), -1), every).argmax()]
    assert gumbel_top_k(logits(), torch.zeros(1, 5), 2)[0].tolist() == likeliest.tolist() == [3, 2]


@pytest.mark.parametrize("size", [1, 2, 4])
def test_gradients_are_those_of_finite_differences(size: int) -> None:
    scores = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    slates = torch.tensor([[0, 1, 2, 3], [3, 1, 0, 2], [2, 0, 3, 1]])[:, :size]

    def log_prob(scores: torch.Tensor) -> torch.Tensor:
        return slate_log_prob(torch.nn.functional.pad(scores, (0, 1), value=NOTHING), slates)

    assert torch.autograd.gradcheck(log_prob, scores.requires_grad_())


def test_a_policy_that_is_nearly_certain_loses_no_digits() -> None:
    sure = torch.tensor([[0.0, -60.0, -61.0, NOTHING]], dtype=torch.float64)
    log_prob = slate_log_prob(sure, torch.tensor([[0, 1]]))
    assert log_prob.item() == pytest.approx(-math.log1p(math.exp(-1.0)), abs=1e-12)


def test_the_head_is_linear_and_shows_no_excluded_item() -> None:
    head = PlackettLuceHead(3, 2, torch.Generator().manual_seed(0))
    head.load_state_dict(
        {
            "weight": torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]]),
            "bias": torch.tensor([0.5, 0.0, 1.0]),
        }
    )
    state = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    found = head(state, torch.tensor([[3, 3], [1, 3]]))
    assert found.tolist() == [[1.5, 4.0, 2.0, NOTHING], [1.5, NOTHING, 2.0, NOTHING]]
    slates = gumbel_top_k(found, torch.zeros(2, 4), 2)
    assert slates.tolist() == [[1, 2], [2, 0]]
    slate_log_prob(found, slates).sum().backward()
    assert head.weight.grad is not None
    assert head.weight.grad.isfinite().all()
