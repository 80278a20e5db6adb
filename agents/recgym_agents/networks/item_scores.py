"""Scores of all items for many states, a block of items at a time.

An item's score is a linear function of the state, ``w_i . s + b_i``. With 70,000 items and 5,000
states, all of them at once would fill more than a gigabyte, and their gradients as much again.
Nothing here holds more than ``HELD`` of them, and nothing is approximate but what says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

HELD = 1 << 19
"""Scores that are held at once, 2 MB: what stays in a cache."""


class Scores(NamedTuple):
    """What items are scored with."""

    weight: Tensor
    """(N, H)"""
    bias: Tensor
    """(N,)"""

    def of_all(self, state: Tensor) -> Tensor:
        """Returns every item's score (S, N) for a few states (S, H)."""
        return functional.linear(state, self.weight, self.bias)

    def of(self, state: Tensor, items: Tensor) -> Tensor:
        """Returns the scores (S, X) of items (S, X) for states (S, H)."""
        vectors = functional.embedding(items, self.weight)
        product = (vectors @ state[:, :, None])[:, :, 0]
        return product + functional.embedding(items, self.bias[:, None])[:, :, 0]

    def blocks(self, state: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yields slices of items, and their scores (S, C) for all states; see ``item_blocks``."""
        for items in item_blocks(state, self.weight):
            yield items, torch.addmm(self.bias[items], state, self.weight[items].T)


def item_blocks(state: Tensor, weight: Tensor) -> Iterator[slice]:
    """Yields slices of the items (N, H), each with at most ``HELD`` scores for all states."""
    size = max(HELD // max(len(state), 1), 1)
    for first in range(0, len(weight), size):
        yield slice(first, min(first + size, len(weight)))


class _LogNormaliser(torch.autograd.Function):
    """``log sum_i exp(w_i . s + b_i)``, whose gradient computes the scores of a block again."""

    @staticmethod
    def forward(ctx: Any, state: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        highest = state.new_full((len(state),), -torch.inf)
        total = torch.zeros_like(highest)
        for _, scores in Scores(weight, bias).blocks(state):
            before, highest = highest, torch.maximum(highest, scores.amax(1))
            own = scores.sub_(highest[:, None]).exp_().sum(1)
            total = total * (before - highest).exp() + own
        found = highest + total.log()
        ctx.save_for_backward(state, weight, bias, found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (gradient,) = gradients
        state, weight, bias, found = ctx.saved_tensors
        # A last number in each vector makes the products normalise and add biases as they go.
        shifted = torch.cat([state, -found[:, None]], 1)
        scaled = torch.cat([state, torch.ones_like(found)[:, None]], 1) * gradient[:, None]
        of_state, of_scores = (
            torch.zeros_like(state),
            weight.new_empty(len(weight), 1 + state.shape[1]),
        )
        for items in item_blocks(state, weight):
            own = torch.cat([weight[items], torch.ones_like(bias[items])[:, None]], 1)
            share = torch.addmm(bias[items], shifted, own.T).exp_()
            of_state.addmm_(share, weight[items])
            torch.mm(share.T, scaled, out=of_scores[items])
        return of_state * gradient[:, None], of_scores[:, :-1], of_scores[:, -1]


def log_normaliser(state: Tensor, scores: Scores) -> Tensor:
    """Returns ``log sum_i exp(score_i)`` (S,) over all items, exactly, with its gradient.

    Args:
        state: (S, H).
        scores: of the items.
    """
    found: Tensor = _LogNormaliser.apply(state, *scores)  # type: ignore[no-untyped-call]
    return found


def log_softmax_of(state: Tensor, scores: Scores, item: Tensor) -> Tensor:
    """Returns the log-probability (S,) of an item (S,) in the softmax over all items."""
    return scores.of(state, item[:, None])[:, 0] - log_normaliser(state, scores)


@torch.no_grad()
def best_items(state: Tensor, scores: Scores) -> tuple[Tensor, Tensor]:
    """Returns the highest score for each state (S,), and its item (S,)."""
    highest = state.new_full((len(state),), -torch.inf)
    item = torch.zeros(len(state), dtype=torch.int64)
    for items, block in scores.blocks(state):
        _raise(highest, item, block, items.start)
    return highest, item


def _raise(highest: Tensor, item: Tensor, block: Tensor, first: int) -> None:
    """Changes, in place, the highest scores so far and their items where a block has higher ones.

    An item is looked for only there: to find where a maximum is costs four times the maximum.
    """
    own = block.amax(1)
    (rows,) = (own > highest).nonzero(as_tuple=True)
    highest[rows] = own[rows]
    item[rows] = block[rows].argmax(1) + first


@torch.no_grad()
def best_supported(
    state: Tensor, values: Scores, policy_state: Tensor, policy: Scores, support: float
) -> tuple[Tensor, Tensor]:
    """Returns the highest value of the items that a policy finds likely, and the item, (S,) each.

    Likely are those of at least ``support`` times the probability of the likeliest item (Fujimoto
    et al., 2019, "Benchmarking batch deep reinforcement learning algorithms", section 4).

    Args:
        state: that values are of (S, H).
        values: of the items.
        policy_state: that the policy acts on (S, H).
        policy: whose softmax it is.
        support: from 0, all items, to 1, the likeliest one.
    """
    likeliest, _ = best_items(policy_state, policy)
    bound = likeliest + torch.tensor(support).log()
    highest = torch.full_like(likeliest, -torch.inf)
    item = torch.zeros(len(state), dtype=torch.int64)
    likelihoods = policy.blocks(policy_state)
    for (items, value), (_, likely) in zip(values.blocks(state), likelihoods, strict=True):
        value.masked_fill_(likely < bound[:, None], -torch.inf)
        _raise(highest, item, value, items.start)
    return highest, item


def supported_first(value: Tensor, likely: Tensor, support: float) -> Tensor:
    """Returns what ranks the supported items by value, and below them the others by likelihood.

    Args:
        value: of items (S, N).
        likely: their logits (S, N).
        support: see ``best_supported``.
    """
    below = likely - likely.amax(1, keepdim=True)
    supported = below >= torch.tensor(support).log()
    lowest = value.masked_fill(~supported, torch.inf).amin(1, keepdim=True)
    return value.where(supported, lowest + below)


@torch.no_grad()
def expected_value(state: Tensor, policy: Scores, values: Scores) -> Tensor:
    """Returns ``sum_i pi(i) value_i`` (S,), where pi is the softmax of the policy's scores."""
    highest = state.new_full((len(state),), -torch.inf)
    total, weighted = torch.zeros_like(highest), torch.zeros_like(highest)
    for (_, likely), (_, value) in zip(policy.blocks(state), values.blocks(state), strict=True):
        before, highest = highest, torch.maximum(highest, likely.amax(1))
        share, kept = likely.sub_(highest[:, None]).exp_(), (before - highest).exp()
        total = total * kept + share.sum(1)
        weighted = weighted * kept + share.mul_(value).sum(1)
    return weighted / total


def sampled_log_softmax_of(
    state: Tensor, scores: Scores, item: Tensor, sampled: Tensor, log_share: Tensor
) -> Tensor:
    """Returns minus the sampled-softmax loss of an item (S,), to learn from, not to weigh by.

    It is the log-probability of the item among itself and the sampled ones, scores being corrected
    by the log of the probability with which an item is sampled; a sample that is the item itself
    does not count (Jean et al., ACL 2015, section 3.1). With more samples its gradient comes nearer
    that of ``log_softmax_of``. Its value is no log-probability over all items: the item's score is
    corrected by its own share, and the sum grows with the number of samples.

    Args:
        state: (S, H).
        scores: of the items.
        item: (S,).
        sampled: items drawn for all states together (M,).
        log_share: the log of each item's probability to be drawn (N,).
    """
    drawn = Scores(scores.weight[sampled], scores.bias[sampled] - log_share[sampled])
    others = drawn.of_all(state).masked_fill(sampled == item[:, None], -torch.inf)
    own = scores.of(state, item[:, None])[:, 0] - log_share[item]
    return own - torch.cat([own[:, None], others], 1).logsumexp(1)
