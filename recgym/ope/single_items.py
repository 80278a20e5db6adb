"""Estimators for logs of single decisions: an item, or a whole slate taken as one action.

A row has its reward r, the probability mu of what was shown under the logging policy, and the
probability pi of the same under the target policy. Weights are ``w = pi / mu``.
"""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.ope.log_columns import columns
from recgym.ope.terms import Terms


def ips(reward: Array, propensity: Array | None, target: Array) -> Terms:
    """Inverse propensity scoring: the mean of ``w r``. Unbiased if propensities are right.

    Horvitz and Thompson (1952); Precup, Sutton and Singh (ICML 2000).

    Args:
        reward: (n,).
        propensity: mu, (n,), in (0, 1].
        target: pi, (n,), in 0..1.

    Raises:
        RecGymError: other shapes, propensities missing or 0, or no probabilities.
    """
    reward, weights = _weighed("ips", reward, propensity, target)
    return Terms("ips", weights * reward, weights)


def clipped_ips(reward: Array, propensity: Array | None, target: Array, cap: float) -> Terms:
    """IPS with no weight above a cap: the mean of ``min(w, cap) r``.

    Less variance for a bias: where rewards are not negative, it is too low (Ionides, 2008; Bottou
    et al., JMLR 2013).

    Args:
        reward: (n,).
        propensity: mu, (n,).
        target: pi, (n,).
        cap: the highest weight, positive.

    Raises:
        RecGymError: as ``ips``, or a cap that is not positive.
    """
    _positive("clipped_ips", "cap", cap)
    reward, weights = _weighed("clipped_ips", reward, propensity, target)
    return Terms("clipped_ips", np.minimum(weights, cap) * reward, weights, weights > cap)


def snips(reward: Array, propensity: Array | None, target: Array) -> Terms:
    """Self-normalised IPS: ``sum w r / sum w``.

    It stays within the range of the rewards, and a constant added to all of them is added to it;
    its bias vanishes as 1/n (Swaminathan and Joachims, NIPS 2015).

    Args:
        reward: (n,).
        propensity: mu, (n,).
        target: pi, (n,).

    Returns:
        Terms ``v + w (r - v) / mean(w)``, whose mean is the estimate v (the delta method).

    Raises:
        RecGymError: as ``ips``, or all weights are 0.
    """
    reward, weights = _weighed("snips", reward, propensity, target)
    if not weights.any():
        raise RecGymError(
            "snips: all weights are 0: the target policy never shows what was logged; take a policy"
            " that draws its items, or direct_method"
        )
    value = (weights * reward).sum() / weights.sum()
    values = value + weights * (reward - value) / weights.mean()
    return Terms("snips", values, weights, self_normalised=True)


def direct_method(expected: Array) -> Terms:
    """The mean of a reward model under the target policy; as good as the model, and no better.

    Args:
        expected: (n,) ``sum_a pi(a) q(a)``, see ``expected_reward``.

    Raises:
        RecGymError: another shape, or numbers that are not finite.
    """
    (expected,) = columns("direct_method", 1, expected=expected)
    return Terms("direct_method", expected)


def doubly_robust(
    reward: Array, propensity: Array | None, target: Array, predicted: Array, expected: Array
) -> Terms:
    """The direct method, corrected by weighted residuals: the mean of ``expected + w (r - q)``.

    Unbiased if propensities are right, whatever the model (learned from other rows), and if the
    model is right, whatever the propensities; its variance falls with the residuals (Dudik,
    Langford and Li, ICML 2011).

    Args:
        reward: (n,).
        propensity: mu, (n,).
        target: pi, (n,).
        predicted: (n,) the model's reward q of what was shown.
        expected: (n,) the model's mean reward under the target policy, see ``expected_reward``.

    Raises:
        RecGymError: as ``ips``.
    """
    residual, weights, expected = _corrected(
        "doubly_robust", reward, propensity, target, predicted, expected
    )
    return Terms("doubly_robust", expected + weights * residual, weights)


def switch_dr(
    reward: Array,
    propensity: Array | None,
    target: Array,
    predicted: Array,
    expected: Array,
    threshold: float,
) -> Terms:
    """Doubly robust, but rows of weights above a threshold are left to the model.

    Wang, Agarwal and Dudik (ICML 2017): the mean of ``expected + w [w <= threshold] (r - q)``.

    Args:
        reward: (n,).
        propensity: mu, (n,).
        target: pi, (n,).
        predicted: as in ``doubly_robust``.
        expected: as in ``doubly_robust``.
        threshold: the highest weight that corrects the model, positive.

    Raises:
        RecGymError: as ``ips``, or a threshold that is not positive.
    """
    _positive("switch_dr", "threshold", threshold)
    residual, weights, expected = _corrected(
        "switch_dr", reward, propensity, target, predicted, expected
    )
    used = weights <= threshold
    return Terms("switch_dr", expected + used * weights * residual, weights, ~used)


def expected_reward(target: Array, predicted: Array) -> Array:
    """Returns a model's mean reward under a policy, ``sum_a pi(a) q(a)``, (n,).

    Args:
        target: (n, A) the target policy's probability of each of A items or slates.
        predicted: (n, A) the model's reward of each.

    Raises:
        RecGymError: other shapes, or rows of probabilities that do not sum to 1.

    >>> expected_reward(np.array([[0.25, 0.75]]), np.array([[1.0, 3.0]]))
    array([2.5])
    """
    target, predicted = columns("expected_reward", 2, target=target, predicted=predicted)
    total = target.sum(axis=1)
    wrong = np.abs(total - 1.0) > 1e-3
    if wrong.any():
        row = int(np.argmax(wrong))
        raise RecGymError(
            f"expected_reward: the target's probabilities sum to {total[row]:.4g} in row {row}; a"
            " policy's sum to 1"
        )
    mean: Array = (target * predicted).sum(axis=1)
    return mean


def _weighed(
    method: str, reward: Array, propensity: Array | None, target: Array
) -> tuple[Array, Array]:
    """Returns the rewards and ``pi / mu``."""
    reward, propensity, target = columns(
        method, 1, reward=reward, propensity=propensity, target=target
    )
    return reward, target / propensity


def _corrected(
    method: str,
    reward: Array,
    propensity: Array | None,
    target: Array,
    predicted: Array,
    expected: Array,
) -> tuple[Array, Array, Array]:
    """Returns the model's residuals, the weights, and the model's means."""
    reward, weights = _weighed(method, reward, propensity, target)
    reward, predicted, expected = columns(
        method, 1, reward=reward, predicted=predicted, expected=expected
    )
    return reward - predicted, weights, expected


def _positive(method: str, name: str, value: float) -> None:
    if not value > 0.0:
        raise RecGymError(f"{method}: {name}={value!r} must be positive")
