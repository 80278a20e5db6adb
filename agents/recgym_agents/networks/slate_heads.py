"""Slate heads: networks that value slates, and how the greedy slate is found in each.

Every item's share of a value is computed once for a network, as a row of a table (N, H). The share
of the user, the slot and the items in the slots before is computed once for a slot, as a row (B, H)
called the base. What is left for a slot is one pass over B x N pairs: in ``SharedHead`` the product
``base . table``; in the paper's heads, whose networks are ``q . relu(L [s; f_1 .. f_{j-1}; f_a] +
c)``, the scan ``relu(base + table) . q``, since the candidate a enters L by its own columns alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recgym_agents.networks.encoders import features_of

ScoreFunction = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``score(table_NH, base_BH, output_H) -> scores_BN``; contiguous float32, no gradient."""
BLOCK = 1 << 20
"""Hidden units that the eager scan holds at once; what fits a core's cache is fastest."""


class Candidates(NamedTuple):
    """What a head computes once from its parameters, to scan the candidates with."""

    features: Tensor
    """Item feature vectors (N + 1, D), or (B, N + 1, D) where rows have their own candidates; the
    last, of "no item", is zero."""
    tables: list[Tensor]
    """For each network, every item's share of its first layer (N + 1, H) or (B, N + 1, H)."""


class Inputs(NamedTuple):
    """What a first layer reads."""

    size: int
    """Numbers in a vector."""
    length: float
    """The Euclidean norm that a vector usually has."""
    one_hot: bool = False
    """Whether every vector has a single number that is not zero."""


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


def _uniform(shape: tuple[int, ...], fan_in: int, generator: torch.Generator) -> nn.Parameter:
    """Initial weights uniform in +-1 / sqrt(fan_in), as ``nn.Linear`` draws them."""
    return nn.Parameter((torch.rand(shape, generator=generator) * 2 - 1) * fan_in**-0.5)


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
        """Returns Q^j(s, a_1 .. a_j) for every j (B, K), see ``CascadeHead.forward``."""
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
        score: ScoreFunction,
        forced: Tensor | None = None,
    ) -> Tensor:
        """Finds the greedy slate, one slot after the other; arguments as in ``CascadeHead``."""
        psi, shares = candidates.tables
        base = self.state(state)

        def scores(j: int) -> Tensor:
            u = self.context(base + self.slot[j])[:, :-1]
            return u @ psi.T if psi.ndim == 2 else torch.einsum("br,bnr->bn", u, psi)

        def show(j: int, item: Tensor) -> None:
            base.add_(features_of(item, shares)[:, 0])

        return _slot_by_slot(self.slate_size, excluded, forced, scores, show)


class CascadeHead(nn.Module):
    """k Q-networks, each with its own parameters (Chen et al., 2019, Eq. 9).

    ``Q^j(s, a_1 .. a_j) = q_j . relu(L_j [s; f_{a_1}; ..; f_{a_j}] + c_j)`` values the best slate
    that begins with a_1 .. a_j. The first layers L_j are held side by side, so that all Q^j of a
    given slate are one matrix product; the columns that would let Q^j see a later slot are masked.

    Args:
        slate_size: K.
        state_size: S.
        features: length of an item's feature vector, D.
        hidden: units of each network, H.
        generator: draws the initial weights.
    """

    def __init__(
        self,
        slate_size: int,
        state_size: int,
        features: int,
        hidden: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.slate_size = slate_size
        inputs = state_size + features * slate_size
        shape = (slate_size, slate_size, features, hidden)
        self.state_weight = _uniform((slate_size, state_size, hidden), inputs, generator)
        self.item_weight = _uniform(shape, inputs, generator)  # (network j, slot i, D, H)
        self.bias = _uniform((slate_size, hidden), inputs, generator)
        self.output = _uniform((slate_size, hidden), hidden, generator)
        self.mask: Tensor
        mask = torch.ones(slate_size, slate_size).tril()
        self.register_buffer("mask", mask[:, :, None, None], persistent=False)

    def forward(self, state: Tensor, slate: Tensor, features: Tensor) -> Tensor:
        """Returns Q^j(s, a_1 .. a_j) for every j, (B, K); the last column is Q of the slate.

        Args:
            state: (B, S).
            slate: item ids (B, K).
            features: item feature vectors (N + 1, D), or (B, N + 1, D) where every row has
                candidates of its own; the last is of "no item".
        """
        weight = (self.item_weight * self.mask).permute(1, 2, 0, 3).flatten(2).flatten(0, 1)
        shown = features_of(slate, features).flatten(1)
        items = (shown @ weight).reshape(-1, *self.bias.shape)
        hidden = torch.relu(self._state_share(state) + items)
        return (hidden * self.output).sum(-1)

    def candidates(self, features: Tensor) -> Candidates:
        """Returns the tables of the candidates' share of the first layers.

        Args:
            features: as in ``forward``.
        """
        own = [self.item_weight[j, j] for j in range(self.slate_size)]
        return Candidates(
            features, [candidate_table(features, w, b) for w, b in zip(own, self.bias, strict=True)]
        )

    def greedy(
        self,
        state: Tensor,
        excluded: Tensor,
        candidates: Candidates,
        score: ScoreFunction,
        forced: Tensor | None = None,
    ) -> Tensor:
        """Finds the greedy slate, one slot after the other (Chen et al., 2019, Algorithm 1).

        Args:
            state: (B, S).
            excluded: items that are no candidates (B, X); N is ignored.
            candidates: from ``candidates``, of these parameters.
            score: scans the candidates of one slot.
            forced: item ids (B, K) to show in place of the greedy ones, unless a slot before it
                shows the same item; -1 forces none.

        Returns:
            K distinct item ids a row (B, K).
        """
        base = self._state_share(state) - self.bias  # (B, K, H); the tables hold the bias

        def scores(j: int) -> Tensor:
            return score(candidates.tables[j], base[:, j].contiguous(), self.output[j])

        def show(j: int, item: Tensor) -> None:
            later = self.item_weight[j + 1 :, j].permute(1, 0, 2)  # (D, K - j - 1, H)
            shown = features_of(item, candidates.features)[:, 0]
            base[:, j + 1 :] += torch.tensordot(shown, later, dims=1)

        return _slot_by_slot(self.slate_size, excluded, forced, scores, show)

    def _state_share(self, state: Tensor) -> Tensor:
        """Returns what the state and the bias add to every first layer (B, K, H)."""
        weight = self.state_weight.permute(1, 0, 2).flatten(1)
        return (state @ weight).reshape(-1, *self.bias.shape) + self.bias


class AdditiveHead(nn.Module):
    """One Q-network over items, summed over the slate (GAN-GDQN in Chen et al., 2019, section 6.2).

    ``Q(s, a_1 .. a_k) = sum_j Q(s, a_j)`` with ``Q(s, a) = q . relu(L [s; f_a] + c)``: the greedy
    slate is the top k. Arguments as in ``CascadeHead``.
    """

    def __init__(
        self,
        slate_size: int,
        state_size: int,
        features: int,
        hidden: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.slate_size = slate_size
        inputs = state_size + features
        self.state_weight = _uniform((state_size, hidden), inputs, generator)
        self.item_weight = _uniform((features, hidden), inputs, generator)
        self.bias = _uniform((hidden,), inputs, generator)
        self.output = _uniform((hidden,), hidden, generator)

    def forward(self, state: Tensor, slate: Tensor, features: Tensor) -> Tensor:
        """Returns the slate's value (B, 1); arguments as in ``CascadeHead``."""
        base = state @ self.state_weight + self.bias
        hidden = torch.relu(base[:, None] + features_of(slate, features) @ self.item_weight)
        return (hidden @ self.output).sum(1, keepdim=True)

    def candidates(self, features: Tensor) -> Candidates:
        """Returns the table of the candidates' share of the first layer, see ``CascadeHead``."""
        return Candidates(features, [candidate_table(features, self.item_weight, self.bias)])

    def greedy(
        self,
        state: Tensor,
        excluded: Tensor,
        candidates: Candidates,
        score: ScoreFunction,
        forced: Tensor | None = None,
    ) -> Tensor:
        """Finds the slate of the K highest Q(s, a), best first; arguments as in ``CascadeHead``."""
        scores = score(candidates.tables[0], state @ self.state_weight, self.output)
        slate = exclude(scores, excluded).topk(self.slate_size, 1).indices
        return slate if forced is None else with_forced(slate, forced)


def candidate_table(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Returns each item's share of a slot's first layer.

    Args:
        features: item feature vectors (N, D), or (B, N, D) where rows have their own candidates.
        weight: the candidate's columns of the first layer (D, H).
        bias: (H,).

    Returns:
        A table (N, H) or (B, N, H), to be computed again when the network has changed.
    """
    return torch.nn.functional.linear(features, weight.T, bias)


@torch.no_grad()
def score_eager(table: Tensor, base: Tensor, output: Tensor) -> Tensor:
    """Returns ``relu(base + table) . output`` for every row and item (B, N), in blocks of items."""
    (n_rows, hidden), n_items = base.shape, len(table)
    block = min(max(BLOCK // (n_rows * hidden), 1), n_items)
    scores, units = base.new_empty(n_rows, n_items), base.new_empty(n_rows, block, hidden)
    for start in range(0, n_items, block):
        items = table[start : start + block]
        active = torch.add(base[:, None], items, out=units[:, : len(items)]).relu_()
        scores[:, start : start + block] = active @ output
    return scores


def score_plain(table: Tensor, base: Tensor, output: Tensor) -> Tensor:
    """The definition of a scan in one line; run eagerly, it writes (B, N, H) numbers twice.

    The only one that takes a table of every row's own candidates (B, N, H).
    """
    return (torch.relu(base[:, None, :] + table) * output).sum(-1)


def exclude(scores: Tensor, items: Tensor) -> Tensor:
    """Sets the scores (B, N + 1) of ``items`` (B, X) to minus infinity, in place.

    The last column belongs to "no item" (id N), which is always excluded, so ``items`` may hold N.
    """
    scores[:, -1] = -torch.inf
    return scores.scatter_(1, items, -torch.inf)


def _slot_by_slot(
    slate_size: int,
    excluded: Tensor,
    forced: Tensor | None,
    scores: Callable[[int], Tensor],
    show: Callable[[int, Tensor], None],
) -> Tensor:
    """Fills the slots of slates (B, K), each by the item of the highest score.

    Args:
        slate_size: K.
        excluded: see ``CascadeHead.greedy``, like ``forced``.
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
