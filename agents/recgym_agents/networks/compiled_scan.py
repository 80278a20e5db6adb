"""The scan of the candidates fused by ``torch.compile``, for trainings that are long enough."""

from __future__ import annotations

from functools import cache
from typing import Literal

import torch
from torch import Tensor

from recgym.errors import RecGymError
from recgym_agents.networks.paper_heads import ScoreFunction, score_plain

WORTH_COMPILING = 1e11
"""Hidden units evaluated while scanning candidates from which compiling pays for itself."""


@cache
def compiled_score() -> ScoreFunction:
    """Returns ``score_plain`` fused by ``torch.compile``, faster than ``score_eager``.

    One function serves all slots, networks and catalogues: shapes are dynamic, so it is compiled at
    most twice in a process, once for many rows and once for a single one. The first call is slow
    where nothing is cached on disk.

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
