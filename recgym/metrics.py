"""Held-out scores of choice models, and how far apart two results are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from recgym.arrays import Array

RESAMPLES = 10_000
"""Bootstrap resamples of every interval and p-value here."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error and an interval, of 95% where nothing else is said."""

    mean: float
    standard_error: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """Writes "0.231 +- 0.004"."""
        return f"{self.mean:.3f} +- {self.standard_error:.3f}"


def precision(scores: Array, target: Array, k: int) -> Array:
    """Returns each page's expected precision at k, ties broken at random.

    One item is the right one on each page; it counts as found if it is among the k that score
    highest (Chen et al., ICML 2019, section 6.1).

    Args:
        scores: (P, K) scores, minus infinity where a page has no item.
        target: (P,) slot of the clicked item.
        k: how many items are ranked first.

    Returns:
        (P,) float64 in 0..1: the probability that the target is among the first k.

    >>> precision(np.array([[0.1, 0.5, 0.5, 0.2]]), np.array([1]), k=1)
    array([0.5])
    """
    scores = np.asarray(scores, np.float64)
    own = np.take_along_axis(scores, np.asarray(target)[:, None], axis=1)
    better = (scores > own).sum(axis=1)
    tied = (scores == own).sum(axis=1)
    return np.clip((k - better) / tied, 0.0, 1.0)


def log_likelihood(logits: Array, target: Array) -> Array:
    """Returns each page's log probability (nats) of its target under softmax(logits).

    Args:
        logits: (P, K) utilities, minus infinity where a page has no option.
        target: (P,) column of the option taken.
    """
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    normaliser = np.log(np.exp(shifted).sum(axis=1))
    return np.take_along_axis(shifted, np.asarray(target)[:, None], axis=1)[:, 0] - normaliser


def item_ctr(shown: Array, clicked: Array, n_items: int) -> Array:
    """Returns each item's smoothed click rate, (clicks + 1/2) / (shows + 1).

    Args:
        shown: item ids shown, once for each show.
        clicked: item ids clicked, once for each click.
        n_items: N.

    >>> item_ctr(np.array([0, 0, 1]), np.array([0]), n_items=3)
    array([0.5 , 0.25, 0.5 ])
    """
    clicks = np.bincount(clicked, minlength=n_items)
    shows = np.bincount(shown, minlength=n_items)
    return (clicks + 0.5) / (shows + 1.0)


def mean_and_error(values: Array, level: float = 0.95) -> Estimate:
    """Returns the mean of independent values, its standard error, and Student's interval.

    With one value the error is not known: it is NaN.

    Args:
        values: (n,) independent values.
        level: confidence of the interval.
    """
    values = np.asarray(values, np.float64)
    n = len(values)
    mean = float(values.mean())
    if n < 2:
        return Estimate(mean, float("nan"), float("nan"), float("nan"), n)
    error = float(values.std(ddof=1) / np.sqrt(n))
    reach = student_quantile(n - 1, level) * error
    return Estimate(mean, error, mean - reach, mean + reach, n)


def bootstrap(values: Array, seed: int = 0) -> Estimate:
    """Returns the mean with a 95% bootstrap interval over values (pages, users, episodes).

    Args:
        values: (n,) independent values.
        seed: of the resampling.
    """
    values = np.asarray(values, np.float64)
    means = _resampled_means(values, seed)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), float(means.std()), float(low), float(high), len(values))


def paired_bootstrap(ours: Array, theirs: Array, seed: int = 0) -> float:
    """Returns the one-sided p-value of "ours is not better", over paired values.

    The share of resamples (of the pairs) in which the mean difference is not positive; at least
    one over the number of resamples.

    Args:
        ours: (n,) values of one method.
        theirs: (n,) values of another on the same pages, users or seeds.
        seed: of the resampling.
    """
    difference = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    not_better = (_resampled_means(difference, seed) <= 0.0).sum()
    return float((not_better + 1) / (RESAMPLES + 1))


def paired_t(ours: Array, theirs: Array) -> float:
    """Returns the two-sided p-value of Student's paired t-test (few pairs, such as seeds)."""
    difference = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    estimate = mean_and_error(difference)
    if estimate.standard_error == 0.0:
        return 1.0 if estimate.mean == 0.0 else 0.0
    return student_p_value(estimate.mean / estimate.standard_error, len(difference) - 1)


def paired_variances(ours: Array, theirs: Array) -> float:
    """Returns the two-sided p-value of "the variances are equal", over paired values.

    The test of Pitman and Morgan (Biometrika, 1939): sums and differences of the pairs are
    uncorrelated if they are.

    >>> round(paired_variances([4.0, -4.0, 1.0, -1.0, 0.0], [1.0, 0.0, -1.0, 1.0, -1.0]), 3)
    0.109
    """
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    correlation = np.corrcoef(ours + theirs, ours - theirs)[0, 1]
    degrees = len(ours) - 2
    with np.errstate(divide="ignore"):
        t = correlation * np.sqrt(degrees / max(1.0 - correlation**2, 0.0))
    return student_p_value(float(t), degrees)


def detectable_difference(standard_error: float, degrees: int, level: float = 0.05) -> float:
    """Returns the smallest true mean difference that Student's test finds four times in five.

    With a true difference of d standard errors, t is distributed as (Z + d) / S, the noncentral t
    (Z standard normal, S**2 chi-squared over its degrees of freedom): the d sought is that of
    P((Z + d) / S > t at ``level``) = .8 (Cohen, Statistical Power Analysis, 1988, chapter 2).

    Args:
        standard_error: of the mean difference.
        degrees: of freedom, of n pairs n - 1.
        level: of the two-sided test; with Bonferroni's or Holm's correction for m tests, 1/m of it.

    Returns:
        The difference in the unit of the standard error; infinite for a single pair.

    >>> round(detectable_difference(1.0, 4), 2)
    3.76
    """
    if degrees < 1:
        return math.inf
    degrees = min(degrees, 1_000)  # where t is normal to three digits
    reach = 6.0 / np.sqrt(2.0 * degrees)
    s = np.linspace(max(1.0 - reach, 1e-6), 1.0 + reach, 400)
    log_density = (degrees - 1) * np.log(s) - degrees * s**2 / 2.0
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    bound = student_quantile(degrees, 1.0 - level) * s

    def power(d: float) -> float:
        above = [math.erfc(x) / 2.0 for x in (bound - d) / math.sqrt(2.0)]
        return float(weight @ np.array(above))

    return standard_error * _crossing(lambda d: power(d) < 0.8)


def detectable_ratio(ours: Array, theirs: Array, level: float = 0.05) -> float:
    """Returns the smallest ratio of standard deviations that ``paired_variances`` finds.

    Four times in five, by Fisher's approximation: the inverse hyperbolic tangent of a correlation
    of n pairs is normal with variance 1 / (n - 3). Sums and differences of pairs that correlate by
    r have the correlation tanh(c) where the ratio k satisfies sinh(log k) = sqrt(1 - r**2) sinh(c).

    Args:
        ours: (n,) values of one method.
        theirs: (n,) those of another, paired with them.
        level: of the two-sided test.

    Returns:
        The ratio, 1 or above; infinite for fewer than four pairs.
    """
    if len(ours) < 4:
        return math.inf
    c = detectable_difference(1.0 / math.sqrt(len(ours) - 3), 1_000, level)
    r = float(np.corrcoef(ours, theirs)[0, 1])
    return math.exp(math.asinh(math.sqrt(1.0 - r**2) * math.sinh(c)))


@dataclass(frozen=True)
class HeadroomShare:
    """How much an agent took of what lies between the best floor and the oracle."""

    share: float
    """0 at the floor, 1 at the oracle; NaN where the headroom may be nothing."""
    low: float
    high: float
    """Fieller's 95% interval over seeds; NaN where the share is."""
    floor: str
    """The floor of the highest mean."""
    headroom: Estimate
    """Of the oracle over that floor."""


def share_of_headroom(agent: Array, floors: Mapping[str, Array], oracle: Array) -> HeadroomShare:
    """Returns (agent - best floor) / (oracle - best floor), of means over seeds.

    The interval is Fieller's for a ratio of paired means (Journal of the Royal Statistical Society
    B, 1954). Where the 95% interval of the headroom reaches 0, that one has no bounds, and the
    share is undefined; so it is with a single seed, whose noise is not known.

    Args:
        agent: (S,) what the agent earned, by seed.
        floors: name -> (S,) what a policy earned that learns little or nothing.
        oracle: (S,) what the oracle earned; a value known exactly is repeated.
    """
    floor = max(floors, key=lambda name: float(np.mean(floors[name])))
    gain, room = (np.asarray(one, np.float64) - floors[floor] for one in (agent, oracle))
    headroom = mean_and_error(room)
    if not headroom.low > 0.0:
        return HeadroomShare(math.nan, math.nan, math.nan, floor, headroom)
    n, mean = len(gain), float(gain.mean())
    variance = np.cov(gain, room) * (student_quantile(n - 1) ** 2 / n)
    # The ratios x with (mean - x headroom)**2 <= variance of (gain - x room): a x**2 - 2 b x + c.
    a = headroom.mean**2 - variance[1, 1]
    b = mean * headroom.mean - variance[0, 1]
    reach = math.sqrt(max(b**2 - a * (mean**2 - variance[0, 0]), 0.0))
    low, high = float((b - reach) / a), float((b + reach) / a)
    return HeadroomShare(mean / headroom.mean, low, high, floor, headroom)


def holm(p_values: Array) -> Array:
    """Returns Holm's adjusted p-values, in the order given.

    Rejecting those below .05 keeps the probability of any false rejection below .05.

    Args:
        p_values: (n,) of the tests of one family.

    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])
    """
    p_values = np.asarray(p_values, np.float64)
    order = np.argsort(p_values)
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def student_p_value(t: float, degrees: int) -> float:
    """Returns twice the probability that Student's t exceeds ``|t|``, by degrees of freedom.

    >>> round(student_p_value(2.776445, 4), 4)
    0.05
    """
    if not np.isfinite(t):
        return float("nan") if np.isnan(t) else 0.0
    # With x = sqrt(degrees) * tan(angle), the density of t is cos(angle) ** (degrees - 1).
    angle = np.arctan(abs(t) / np.sqrt(degrees))
    inside = _integral_of_cosine_power(angle, degrees - 1)
    return float(1.0 - inside / _integral_of_cosine_power(np.pi / 2, degrees - 1))


def student_quantile(degrees: int, level: float = 0.95) -> float:
    """Returns the t that a Student variable exceeds in size with probability 1 - level.

    >>> round(student_quantile(4), 3)
    2.776
    """
    return _crossing(lambda t: student_p_value(t, degrees) > 1.0 - level)


def _crossing(below: Callable[[float], bool]) -> float:
    """Returns where a condition that holds for small numbers ends, between 0 and 10,000."""
    low, high = 0.0, 1e4
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2


def _integral_of_cosine_power(angle: float, power: int) -> float:
    """Integrates cos(x) ** power from 0 to ``angle`` by the usual reduction formula."""
    sine, cosine = float(np.sin(angle)), float(np.cos(angle))
    value, start = (angle, 2) if power % 2 == 0 else (sine, 3)
    for exponent in range(start, power + 1, 2):
        value = (cosine ** (exponent - 1) * sine + (exponent - 1) * value) / exponent
    return float(value)


def _resampled_means(values: Array, seed: int) -> Array:
    """Means of bootstrap resamples, in blocks that bound memory."""
    generator = np.random.default_rng(seed)
    block = max(1, 2_000_000 // len(values))
    means = [
        values[
            generator.integers(len(values), size=(min(block, RESAMPLES - done), len(values)))
        ].mean(axis=1)
        for done in range(0, RESAMPLES, block)
    ]
    return np.concatenate(means)
