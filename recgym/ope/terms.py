"""What an off-policy estimator averages over the rows of a log."""

from __future__ import annotations

from dataclasses import dataclass

from recgym.arrays import Array


@dataclass(frozen=True, eq=False)
class Terms:
    """One term a row, whose mean is the estimate, and the weights behind them."""

    method: str
    """The estimator's name, for messages."""
    values: Array
    """(n,) float64. Those of a self-normalised estimator are its linear approximation: their mean
    is the estimate, and their spread that of the estimate."""
    weights: Array | None = None
    """Importance weights before they were cut: (n,), or (n, T) the products up to each slot or
    step; None where there are none (the direct method)."""
    unweighted: Array | None = None
    """(n,) or (n, T) bool: where a weight was cut or not used; None where all are used whole."""
    self_normalised: bool = False
