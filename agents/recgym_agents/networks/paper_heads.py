"""The slate heads of the paper (Chen et al., ICML 2019), and the scan of candidates in them.

A slot's network is ``q . relu(L [s; f_1 .. f_{j-1}; f_a] + c)``. The candidate a enters the first
layer by its own columns of L only, so its share of that layer, ``L_a f_a + c``, is a row of a table
(N, H) that is computed once for a network. The share of everything else, the base (B, H), is
computed once for a slot. What is left is a scan: ``relu(base + table) . q`` over B x N pairs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from recgym_agents.networks.encoders import features_of
from recgym_agents.networks.slate_heads import (
    Candidates,
    exclude,
    slot_by_slot,
    with_forced,
)

ScoreFunction = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``score(table_NH, base_BH, output_H) -> scores_BN``; contiguous float32, no gradient."""
BLOCK = 1 << 20
"""Hidden units that the eager scan holds at once; what fits a core's cache is fastest."""


def _uniform(shape: tuple[int, ...], fan_in: int, generator: torch.Generator) -> nn.Parameter:
    """Initial weights uniform in +-1 / sqrt(fan_in), as ``nn.Linear`` draws them."""
    return nn.Parameter((torch.rand(shape, generator=generator) * 2 - 1) * fan_in**-0.5)


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
        self.score: ScoreFunction = score_eager
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
        """Returns Q^j(s, a_1 .. a_j) for every j (B, K); arguments as in ``SharedHead``."""
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
        forced: Tensor | None = None,
    ) -> Tensor:
        """Finds the greedy slate, one slot after the other; arguments as in ``SharedHead``."""
        base = self._state_share(state) - self.bias  # (B, K, H); the tables hold the bias

        def scores(j: int) -> Tensor:
            return _scan(self.score, candidates.tables[j], base[:, j].contiguous(), self.output[j])

        def show(j: int, item: Tensor) -> None:
            later = self.item_weight[j + 1 :, j].permute(1, 0, 2)  # (D, K - j - 1, H)
            shown = features_of(item, candidates.features)[:, 0]
            base[:, j + 1 :] += torch.tensordot(shown, later, dims=1)

        return slot_by_slot(self.slate_size, excluded, forced, scores, show)

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
        self.score: ScoreFunction = score_eager
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
        forced: Tensor | None = None,
    ) -> Tensor:
        """Finds the slate of the K highest Q(s, a), best first; arguments as in ``CascadeHead``."""
        scores = _scan(self.score, candidates.tables[0], state @ self.state_weight, self.output)
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


def _scan(score: ScoreFunction, table: Tensor, base: Tensor, output: Tensor) -> Tensor:
    """Scans by ``score``, or plainly where every row has candidates of its own."""
    return (score if table.ndim == 2 else score_plain)(table, base, output)


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
