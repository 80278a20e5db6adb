"""The slate head: a network that values slates, and how the greedy slate is found in it.

Every item's share of a value is computed once for a network, as a row of a table (N, R). The share
of the user, the slot and the items in the slots before is computed once for a slot, as a row
(B, R). What is left for a slot is one matrix product of the two.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recgym_agents.networks.encoders import Inputs, features_of


class Candidates(NamedTuple):
    """What a head computes once from its parameters, to scan the candidates with."""

    features: Tensor
    """Item feature vectors (N + 1, D), or (B, N + 1, D) where rows have their own candidates; the
    last, of "no item", is zero."""
    tables: list[Tensor]
    """Every item's shares of what the head computes, each (N + 1, H) or (B, N + 1, H)."""


def first_layer(inputs: Inputs, units: int, worth: float, generator: torch.Generator) -> nn.Linear:
    """Returns a layer without bias that makes of its inputs about +-``worth`` in every unit."""
    layer = nn.Linear(inputs.size, units, bias=False)
    nn.init.normal_(layer.weight, std=worth / inputs.length, generator=generator)
    return layer


def linear(size: int, units: int, generator: torch.Generator) -> nn.Linear:
    """Returns a layer as ``nn.Linear`` draws it, from a generator of one's own."""
    layer = nn.Linear(size, units)
    for values in (layer.weight, layer.bias):
        nn.init.uniform_(values, -(size**-0.5), size**-0.5, generator=generator)
    return layer


def item_tower(inputs: Inputs, units: int, rank: int, generator: torch.Generator) -> nn.Module:
    """Returns psi, which makes vectors of length ``rank`` of features; see ``SharedHead``."""
    if inputs.one_hot:
        return first_layer(inputs, rank, rank**-0.5, generator)
    into = first_layer(inputs, units, 1.0, generator)
    return nn.Sequential(into, nn.ReLU(), linear(units, rank, generator))


class SharedHead(nn.Module):
    """One network for all slots: the product of two towers, of the context and of the candidate.

    ``Q^j(s, a_1 .. a_j) = u_j . psi(f_{a_j}) + v_j`` values the best slate that begins with
    a_1 .. a_j. psi has a hidden layer where features are dense; of one-hot features any function is
    linear, and learned faster as such. ``[u_j; v_j]`` is what hidden layers make of the context,
    ``L s + sum_{i < j} P f_{a_i} + e_j``: the user's state, the sum of the items in the slots
    before, and the slot. A sum knows which items these are but not their order, as a user does who
    sees the slate as a whole. First layers are drawn to suit the length of what they read, so that
    one step size suits one-hot states and long feature vectors.

    Args:
        slate_size: K.
        state: of users' states, S numbers.
        features: of items' feature vectors, D numbers.
        hidden: units of each hidden layer of the context; psi's has as many as the first.
        rank: length of u and psi, R.
        generator: draws the initial weights.
    """

    def __init__(
        self,
        slate_size: int,
        state: Inputs,
        features: Inputs,
        hidden: Sequence[int],
        rank: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.slate_size = slate_size
        units, share = hidden[0], slate_size**-0.5
        self.state = first_layer(state, units, 1.0, generator)
        self.before = first_layer(features, units, share, generator)
        self.slot = nn.Parameter(torch.randn(slate_size, units, generator=generator) * share)
        layers: list[nn.Module] = [nn.ReLU()]
        for size, following in itertools.pairwise(hidden):
            layers += [linear(size, following, generator), nn.ReLU()]
        self.context = nn.Sequential(*layers, linear(hidden[-1], rank + 1, generator))
        self.psi = item_tower(features, units, rank, generator)

    def forward(self, state: Tensor, slate: Tensor, features: Tensor) -> Tensor:
        """Returns Q^j(s, a_1 .. a_j) for every j, (B, K); the last column is Q of the slate.

        Args:
            state: (B, S).
            slate: item ids (B, K).
            features: item feature vectors (N + 1, D), or (B, N + 1, D) where every row has
                candidates of its own; the last is of "no item".
        """
        psi, shares = (features_of(slate, table) for table in self.candidates(features).tables)
        before = shares.cumsum(1) - shares
        context = self.context(self.state(state)[:, None] + before + self.slot)
        values: Tensor = (context[..., :-1] * psi).sum(-1) + context[..., -1]
        return values

    def candidates(self, features: Tensor) -> Candidates:
        """Returns psi of the candidates, and what they are worth to the slots after them."""
        return Candidates(features, [self.psi(features), self.before(features)])

    def greedy(
        self,
        state: Tensor,
        excluded: Tensor,
        candidates: Candidates,
        forced: Tensor | None = None,
    ) -> Tensor:
        """Finds the greedy slate, one slot after the other (Chen et al., 2019, Algorithm 1).

        Args:
            state: (B, S).
            excluded: items that are no candidates (B, X); N is ignored.
            candidates: from ``candidates``, of these parameters.
            forced: item ids (B, K) to show in place of the greedy ones, unless a slot before it
                shows the same item; -1 forces none.

        Returns:
            K distinct item ids a row (B, K).
        """
        psi, shares = candidates.tables
        base = self.state(state)

        def scores(j: int) -> Tensor:
            u = self.context(base + self.slot[j])[:, :-1]
            return u @ psi.T if psi.ndim == 2 else torch.einsum("br,bnr->bn", u, psi)

        def show(j: int, item: Tensor) -> None:
            base.add_(features_of(item, shares)[:, 0])

        return slot_by_slot(self.slate_size, excluded, forced, scores, show)


def exclude(scores: Tensor, items: Tensor) -> Tensor:
    """Sets the scores (B, N + 1) of ``items`` (B, X) to minus infinity, in place.

    The last column belongs to "no item" (id N), which is always excluded, so ``items`` may hold N.
    """
    scores[:, -1] = -torch.inf
    return scores.scatter_(1, items, -torch.inf)


def slot_by_slot(
    slate_size: int,
    excluded: Tensor,
    forced: Tensor | None,
    scores: Callable[[int], Tensor],
    show: Callable[[int, Tensor], None],
) -> Tensor:
    """Fills the slots of slates (B, K), each by the item of the highest score.

    Args:
        slate_size: K.
        excluded: see ``SharedHead.greedy``, like ``forced``.
        forced: items to show in place of the greedy ones.
        scores: returns the candidates' scores (B, N + 1) in a slot.
        show: told the item (B, 1) that a slot shows.
    """
    for j in range(slate_size):
        item = exclude(scores(j), excluded).argmax(1, keepdim=True)
        if forced is not None:
            item = _force(item, forced[:, j : j + 1], excluded)
        excluded = torch.cat([excluded, item], 1)
        show(j, item)
    return excluded[:, -slate_size:]


def with_forced(slate: Tensor, forced: Tensor) -> Tensor:
    """Puts ``forced`` items (B, K) into slates (B, K), in place, where they are not in them yet.

    Args:
        slate: K distinct item ids a row.
        forced: item ids; -1 forces none.
    """
    for j in range(slate.shape[1]):
        slate[:, j : j + 1] = _force(slate[:, j : j + 1], forced[:, j : j + 1], slate)
    return slate


def _force(item: Tensor, forced: Tensor, shown: Tensor) -> Tensor:
    """Returns ``forced`` (B, 1) where it is an item that ``shown`` (B, X) lacks, else ``item``."""
    possible = (forced >= 0) & ~(shown == forced).any(1, keepdim=True)
    return torch.where(possible, forced, item)
