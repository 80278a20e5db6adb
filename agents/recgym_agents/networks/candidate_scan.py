"""Scores every candidate item for one slot of a slate, without a feature vector per candidate.

A slot's network is ``q . relu(L [s; f_1 .. f_{j-1}; f_a] + c)``. The candidate a enters the first
layer by its own columns of L only, so its share of that layer, ``L_a f_a + c``, is a row of a table
(N, H) that is computed once for a network. The share of everything else, the base (B, H), is
computed once for a slot. What is left is a scan: ``relu(base + table) . q`` over B x N pairs. It is
done by ``score_eager`` in blocks of items, and fused by ``compiled_score``: B x N x H numbers are
never written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from recgym.errors import RecGymError

ScoreFunction = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``score(table_NH, base_BH, output_H) -> scores_BN``; contiguous float32, no gradient."""

WORTH_COMPILING = 1e11
"""Hidden units evaluated while scanning candidates from which compiling pays for itself."""
BLOCK = 1 << 20
"""Hidden units that the eager scan holds at once; what fits a core's cache is fastest."""


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


def score_function(
    mode: Literal["auto", "always", "never"], device: str, units: float
) -> ScoreFunction | None:
    """Returns the compiled scan if candidates are to be scanned by it, else None.

    Args:
        mode: "always" and "never" say so; "auto": where it works and pays.
        device: torch's; compiled for the CPU alone.
        units: hidden units that will be evaluated in all.

    Raises:
        RecGymError: it must be compiled, and nothing compiles here, or for that device.
    """
    if mode == "always" and device != "cpu":
        raise RecGymError("compile='always': compiles for device='cpu' alone; leave one out")
    if mode == "never" or device != "cpu" or (mode == "auto" and units < WORTH_COMPILING):
        return None
    try:
        return compiled_score()
    except RecGymError:
        if mode == "always":
            raise
        return None


def exclude(scores: Tensor, items: Tensor) -> Tensor:
    """Sets the scores (B, N + 1) of ``items`` (B, X) to minus infinity, in place.

    The last column belongs to "no item" (id N), which is always excluded, so ``items`` may hold N.
    """
    scores[:, -1] = -torch.inf
    return scores.scatter_(1, items, -torch.inf)
