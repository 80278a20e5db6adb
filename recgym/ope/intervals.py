"""From an estimator's terms to an estimate: its interval, and what speaks against trusting it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.ope.terms import Terms

Interval = Literal["normal", "bootstrap", "bernstein"]
FEW = 50.0
"""Effective rows below which an estimate is warned of."""
SMALL_SHARE = 0.01
"""The same as a share of all rows."""
OFTEN = 0.05
"""Share of weights that were cut or not used above which an estimate is warned of."""
FAR = 4.0
"""Standard errors from 1 that the mean weight must not be away."""
BLOCK = 2_000_000
"""Numbers that are resampled at a time."""


@dataclass(frozen=True)
class Caution:
    """A reason not to trust an estimate as it stands."""

    kind: Literal["effective sample size", "mean weight", "weights left out", "no spread"]
    text: str
    """One line: what was found, and what it means."""


@dataclass(frozen=True)
class OffPolicyEstimate:
    """What a policy would have earned a row (a page, a session), as a log of another one tells."""

    method: str
    estimate: float
    standard_error: float
    low: float
    high: float
    level: float
    """Confidence of the interval ``low .. high``."""
    n: int
    """Rows."""
    effective_sample_size: float
    """``(sum w)**2 / sum w**2``; the smallest of all slots or steps."""
    warnings: tuple[Caution, ...]


def estimate(
    terms: Terms,
    interval: Interval = "normal",
    level: float = 0.95,
    cluster: Array | None = None,
    bounds: tuple[float, float] | None = None,
    resamples: int = 1_000,
    seed: int = 0,
) -> OffPolicyEstimate:
    """Returns the mean of an estimator's terms with an interval and warnings.

    Args:
        terms: what an estimator returned.
        interval: "normal": by the central limit theorem. "bootstrap": percentiles of resampled
            means. "bernstein": the empirical Bernstein bound (Maurer and Pontil, COLT 2009), which
            holds for every n, and is wide.
        level: confidence, in (0, 1).
        cluster: (n,) integers, whose rows depend on one another, such as users: they are resampled
            together, and the normal interval's error is theirs; each row its own if not given.
        bounds: the lowest and highest value that a term can have, for "bernstein": with rewards in
            0..1 and weights up to w, those of IPS are 0 and w.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        RecGymError: no such interval, a level outside (0, 1), clusters of another length, or
            "bernstein" without bounds that hold, with clusters, or of a self-normalised estimator.
    """
    if not 0.0 < level < 1.0:
        raise RecGymError(f"level={level!r}: must be between 0 and 1")
    values, n = terms.values, len(terms.values)
    totals, counts = _of_clusters(values, cluster)
    error = _standard_error(totals, counts)
    mean = float(values.mean())
    if interval == "normal":
        reach = NormalDist().inv_cdf((1.0 + level) / 2.0) * error
        low, high = mean - reach, mean + reach
    elif interval == "bootstrap":
        means = _resampled(totals, counts, resamples, seed)
        low, high = (float(q) for q in np.quantile(means, [(1.0 - level) / 2, (1.0 + level) / 2]))
    elif interval == "bernstein":
        _check_bernstein(terms, cluster, bounds)
        assert bounds is not None
        reach = _bernstein(values, bounds[1] - bounds[0], level)
        low, high = mean - reach, mean + reach
    else:
        raise RecGymError(f"interval={interval!r}: must be normal, bootstrap or bernstein")
    size = float(n) if terms.weights is None else effective_sample_size(terms.weights)
    return OffPolicyEstimate(
        terms.method, mean, error, low, high, level, n, size, _cautions(terms, size)
    )


def effective_sample_size(weights: Array) -> float:
    """Returns ``(sum w)**2 / sum w**2``: so many rows of equal weights would say as much (Kish).

    Args:
        weights: (n,), or (n, T), of whose columns the smallest counts.

    >>> effective_sample_size(np.array([1.0, 1.0, 2.0, 0.0]))
    2.6666666666666665
    """
    weights = np.asarray(weights, np.float64)
    square = np.square(weights).sum(axis=0)
    found = np.square(weights.sum(axis=0)) / np.where(square > 0.0, square, 1.0)
    return float(np.min(found))


def _of_clusters(values: Array, cluster: Array | None) -> tuple[Array, Array]:
    """Returns sums of terms by cluster, and how many each has."""
    if cluster is None:
        return values, np.ones(len(values))
    cluster = np.asarray(cluster)
    if cluster.shape != values.shape:
        raise RecGymError(f"cluster has shape {cluster.shape}, there are {len(values)} rows")
    _, index, counts = np.unique(cluster, return_inverse=True, return_counts=True)
    return np.bincount(index, values), counts.astype(np.float64)


def _standard_error(totals: Array, counts: Array) -> float:
    """Returns the standard error of ``sum totals / sum counts`` over clusters; NaN for one."""
    n_clusters, n = len(totals), counts.sum()
    if n_clusters < 2:
        return math.nan
    apart = totals - counts * (totals.sum() / n)
    return float(np.sqrt(n_clusters / (n_clusters - 1) * np.square(apart).sum()) / n)


def _resampled(totals: Array, counts: Array, resamples: int, seed: int) -> Array:
    """Returns means (resamples,) of clusters drawn with replacement, in blocks; NaN for one."""
    if resamples < 1:
        raise RecGymError(f"resamples={resamples!r}: at least 1 is needed")
    generator, n_clusters = np.random.default_rng(seed), len(totals)
    if n_clusters < 2:
        return np.full(resamples, math.nan)
    block = max(1, BLOCK // n_clusters)
    means = []
    for done in range(0, resamples, block):
        drawn = generator.integers(n_clusters, size=(min(block, resamples - done), n_clusters))
        means.append(totals[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    return np.concatenate(means)


def _check_bernstein(
    terms: Terms, cluster: Array | None, bounds: tuple[float, float] | None
) -> None:
    if terms.self_normalised:
        raise RecGymError(
            f"{terms.method}: the bernstein bound is of independent terms, and self-normalised ones"
            " are not; take ips or clipped_ips, or another interval"
        )
    if cluster is not None:
        raise RecGymError("bernstein: its rows are independent; make each cluster one row")
    if len(terms.values) < 2:
        raise RecGymError("bernstein: at least 2 rows are needed")
    if bounds is None:
        raise RecGymError(
            f"bernstein: needs bounds=(lowest, highest) of the terms of {terms.method}; with"
            " rewards in 0..1, those of clipped_ips are (0, cap)"
        )
    lowest, highest = float(terms.values.min()), float(terms.values.max())
    if not bounds[0] <= lowest <= highest <= bounds[1]:
        raise RecGymError(
            f"bernstein: bounds={bounds} do not hold the terms, {lowest:.4g} .. {highest:.4g}"
        )


def _bernstein(values: Array, width: float, level: float) -> float:
    """Returns how far the mean may be off: ``sqrt(2 V L / n) + 7 R L / (3 (n - 1))``.

    V is the sample variance, R the range, and L = log(4 / (1 - level)): the bound of Maurer and
    Pontil's Theorem 4, of each side with half of the error.
    """
    n, log = len(values), math.log(4.0 / (1.0 - level))
    return math.sqrt(2.0 * float(values.var(ddof=1)) * log / n) + 7 * width * log / (3 * (n - 1))


def _cautions(terms: Terms, size: float) -> tuple[Caution, ...]:
    found, n = [], len(terms.values)
    if n > 1 and np.ptp(terms.values) == 0.0:
        text = (
            "all rows say the same, such as that nothing was ever earned: that the interval has no"
            " width does not mean that the estimate is exact"
        )
        found.append(Caution("no spread", text))
    if terms.weights is None:
        return tuple(found)
    if size < max(FEW, SMALL_SHARE * n):
        text = f"{n:,} rows weigh as much as {size:,.1f}: estimate and interval rest on those few"
        found.append(Caution("effective sample size", text))
    if terms.unweighted is not None:
        share = float(np.mean(terms.unweighted))
        if share > OFTEN:
            text = f"{share:.0%} of the weights were cut or left out: the estimate is biased"
            found.append(Caution("weights left out", text))
    mean, spread = terms.weights.mean(axis=0), terms.weights.std(axis=0)
    off = np.abs(mean - 1.0) > FAR * spread / math.sqrt(n) + 1e-3
    if np.any(off):
        worst = float(np.atleast_1d(mean)[np.argmax(np.abs(np.atleast_1d(mean) - 1.0))])
        text = (
            f"weights average {worst:.3g}, not 1: propensities are wrong, or the target policy"
            " shows what was never logged"
        )
        found.append(Caution("mean weight", text))
    return tuple(found)
