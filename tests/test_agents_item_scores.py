"""Scores in blocks: what they say is what all scores at once say, gradients too."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from recgym_agents.networks import item_scores
from recgym_agents.networks.item_scores import (
    Scores,
    best_items,
    best_supported,
    expected_value,
    log_normaliser,
    log_softmax_of,
    sampled_log_softmax_of,
)

STATES, ITEMS, SIZE = 7, 23, 4


@pytest.fixture(params=[1, 3, 10, 1000], ids=lambda size: f"blocks of {size} items")
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_scores, "HELD", request.param * STATES)


def drawn(seed: int, scale: float = 1.0) -> tuple[Tensor, Scores]:
    generator = torch.Generator().manual_seed(seed)
    state = torch.randn(STATES, SIZE, generator=generator, dtype=torch.float64) * scale
    weight = torch.randn(ITEMS, SIZE, generator=generator, dtype=torch.float64)
    bias = torch.randn(ITEMS, generator=generator, dtype=torch.float64)
    return state, Scores(weight, bias)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_the_normaliser_and_its_gradients_are_those_of_all_scores_at_once(scale: float) -> None:
    state, scores = drawn(0, scale)
    outer = torch.randn(STATES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    parts = [part.clone().requires_grad_() for part in (state, *scores)]
    found = log_normaliser(parts[0], Scores(*parts[1:]))
    (found * outer).sum().backward()
    dense = [part.clone().requires_grad_() for part in (state, *scores)]
    expected = Scores(*dense[1:]).of_all(dense[0]).logsumexp(1)
    (expected * outer).sum().backward()
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(parts, dense, strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_float32_is_within_a_hundred_thousandth() -> None:
    generator = torch.Generator().manual_seed(0)
    state, weight = (torch.randn(n, 64, generator=generator) for n in (300, 5_000))
    scores = Scores(weight, torch.zeros(5_000))
    torch.testing.assert_close(
        log_normaliser(state, scores), scores.of_all(state).logsumexp(1), rtol=1e-5, atol=1e-5
    )


def test_the_normaliser_never_holds_all_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_scores, "HELD", 5 * STATES)
    state, scores = drawn(0)
    sizes = [block.numel() for _, block in scores.blocks(state)]
    assert max(sizes) <= 5 * STATES
    assert sum(sizes) == STATES * ITEMS


def test_scores_of_some_items_by_hand() -> None:
    scores = Scores(torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), torch.tensor([0.0, 1, 2]))
    state = torch.tensor([[3.0, 5.0], [1.0, 1.0]])
    assert scores.of(state, torch.tensor([[0, 2], [1, 1]])).tolist() == [[3.0, 10.0], [3.0, 3.0]]
    # the first state scores 3, 11 and 10
    log_pi = log_softmax_of(state[:1], scores, torch.tensor([1]))
    total = np.exp(3.0 - 11.0) + 1.0 + np.exp(10.0 - 11.0)
    assert log_pi.item() == pytest.approx(-np.log(total), rel=1e-5)


@pytest.mark.usefixtures("blocks")
def test_the_best_items_and_those_that_a_policy_supports() -> None:
    state, values = drawn(0)
    policy_state, policy = drawn(1)
    dense, likely = values.of_all(state), policy.of_all(policy_state).softmax(1)
    highest, item = best_items(state, values)
    torch.testing.assert_close(highest, dense.max(1).values)
    assert torch.equal(item, dense.argmax(1))
    for support in (0.0, 0.3, 1.0):
        bound = support * likely.amax(1, keepdim=True)
        allowed = dense.masked_fill(likely < bound * (1.0 - 1e-12), -torch.inf)
        highest, item = best_supported(state, values, policy_state, policy, support)
        torch.testing.assert_close(highest, allowed.max(1).values)
        assert torch.equal(item, allowed.argmax(1))


@pytest.mark.usefixtures("blocks")
def test_an_expected_value_weighs_by_the_policy() -> None:
    state, policy = drawn(0)
    _, values = drawn(1)
    expected = (policy.of_all(state).softmax(1) * values.of_all(state)).sum(1)
    torch.testing.assert_close(expected_value(state, policy, values), expected)


def test_a_sample_of_every_item_once_is_no_approximation() -> None:
    state, scores = drawn(0)
    item = torch.arange(STATES)
    share = torch.full((ITEMS,), 1.0 / ITEMS, dtype=torch.float64)
    found = sampled_log_softmax_of(state, scores, item, torch.arange(ITEMS), share.log())
    torch.testing.assert_close(found, log_softmax_of(state, scores, item))


def test_samples_by_popularity_are_corrected() -> None:
    """The mean over many samples of ``exp`` of the estimated sum is the sum itself."""
    state, scores = drawn(0)
    state, item = state[:1], torch.tensor([2])
    share = torch.arange(1.0, ITEMS + 1, dtype=torch.float64)
    share = share / share.sum()
    drawn_items = torch.multinomial(
        share, 40_000, replacement=True, generator=torch.Generator().manual_seed(0)
    )
    found = sampled_log_softmax_of(state, scores, item, drawn_items, share.log())
    logits = scores.of_all(state)[0] - share.log()
    others = logits[drawn_items[drawn_items != 2]].exp().sum()
    expected = logits[2] - (logits[2].exp() + others).log()
    torch.testing.assert_close(found[0], expected)
    exact = scores.of_all(state)[0].exp()
    torch.testing.assert_close(others / 40_000, exact.sum() - exact[2], rtol=0.03, atol=0.0)


def test_no_states_are_no_scores() -> None:
    _, scores = drawn(0)
    nothing = torch.zeros(0, SIZE, dtype=torch.float64)
    assert log_normaliser(nothing, scores).shape == (0,)
    assert best_items(nothing, scores)[1].shape == (0,)
