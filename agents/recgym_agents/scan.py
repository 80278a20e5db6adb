"""Scores every candidate item for one slot of a slate, without a feature vector per candidate.

A slot's network is ``q . relu(L [s; f_1 .. f_{j-1}; f_a] + c)``. The candidate a enters the first
layer by its own columns of L only, so its share of that layer, ``L_a f_a + c``, is a row of a table
(N, H) that is computed once for a network. The share of everything else, the base (B, H), is
computed once for a slot. What is left is a scan: ``relu(base + table) . q`` over B x N pairs, which
``score_eager`` does in blocks, with a temporary of (B, block), and ``compiled_score`` fuses,
so that nothing of size B x N x H is ever written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from recgym.errors import RecGymError

ScoreFunction = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``score(table_NH, base_BH, output_H) -> scores_BN``; contiguous float32, no gradient."""

BLOCK_BYTES = 1 << 20
"""Size of the eager scan's temporary; what fits a core's cache is fastest."""


def candidate_table(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Returns each item's share of a slot's first layer.

    Args:
        features: item feature vectors (N, D).
        weight: the candidate's columns of the first layer (D, H).
        bias: (H,).

    Returns:
        A table (N, H), to be computed again when the network has changed.
    """
    return torch.addmm(bias, features, weight)


def score_eager(table: Tensor, base: Tensor, output: Tensor) -> Tensor:
    """Returns ``relu(base + table) . output`` for every row and item, (B, N).

    Runs over hidden units one at a time, in blocks of items: ``relu(b + t) = max(t, -b) + b``, so a
    unit costs two operations on (B, block), and the terms ``b`` are added once. Where (B, N, H) is
    small it is simply written.
    """
    n_rows, n_items = len(base), len(table)
    if 4 * n_rows * table.numel() <= BLOCK_BYTES:
        return score_plain(table, base, output)
    scores = (base @ output)[:, None].repeat(1, n_items)
    negative_base, weights = -base, output.tolist()
    block = max(BLOCK_BYTES // (4 * n_rows), 1)
    for start in range(0, n_items, block):
        units = table[start : start + block].T.contiguous()  # (H, block)
        total = scores[:, start : start + block]
        active = torch.empty(n_rows, units.shape[1])
        for unit, weight in enumerate(weights):
            torch.maximum(units[unit], negative_base[:, unit, None], out=active)
            total.add_(active, alpha=weight)
    return scores


def score_plain(table: Tensor, base: Tensor, output: Tensor) -> Tensor:
    """The definition of a scan in one line; run eagerly, it writes (B, N, H) numbers twice."""
    return (torch.relu(base[:, None, :] + table) * output).sum(-1)


@cache
def compiled_score() -> ScoreFunction:
    """Returns ``score_plain`` fused by ``torch.compile``, 2-3 times faster than ``score_eager``.

    One function serves all slots, networks and catalogues: shapes are dynamic, so it is compiled at
    most twice in a process, once for many rows and once for a single one. The first call takes
    half a minute where nothing is cached on disk.

    Raises:
        RecGymError: no C++ compiler works here.
    """
    fused = torch.compile(score_plain, dynamic=True)

    def score(table: Tensor, base: Tensor, output: Tensor) -> Tensor:
        with torch.no_grad():
            scores: Tensor = fused(table, base, output)
        return scores

    try:  # with three different sizes, or it would be compiled for sizes that are equal
        score(torch.zeros(2048, 64), torch.zeros(96, 64), torch.zeros(64))
    except Exception as error:
        cause = str(error).strip().splitlines()[0]
        raise RecGymError(
            f"compile: torch.compile does not work here ({cause}); install g++, or use 'never'"
        ) from None
    return score


def exclude(scores: Tensor, items: Tensor) -> Tensor:
    """Sets the scores (B, N + 1) of ``items`` (B, X) to minus infinity, in place.

    The last column belongs to "no item" (id N), which is always excluded, so ``items`` may hold N.
    """
    scores[:, -1] = -torch.inf
    return scores.scatter_(1, items, -torch.inf)
