"""Estimators for sessions: T decisions one after the other, each weighed by all before it.

``w_1:t`` is the product of ``pi / mu`` over the decisions 1 .. t. A reward at t depends on no
decision after t, so that it need not be weighed by those.
"""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.ope.log_columns import columns
from recgym.ope.terms import Terms


def per_decision_ips(
    reward: Array,
    propensity: Array | None,
    target: Array,
    discount: float = 1.0,
    method: str = "per_decision_ips",
) -> Terms:
    """Per-decision importance sampling: the mean of ``sum_t discount**t w_1:t r_t``.

    Unbiased if propensities are right (Precup, Sutton and Singh, ICML 2000). Its variance grows
    with the length of sessions, exponentially.

    Args:
        reward: (n, T) of each step, 0 after a session's end.
        propensity: (n, T) of what was shown under the logging policy, given all before; 1 after
            the end.
        target: (n, T) the same under the target policy; 1 after the end.
        discount: of a step's reward, in 0..1.
        method: what messages call it.

    Raises:
        RecGymError: other shapes, propensities missing or 0, a discount outside 0..1, or sessions
            so long that weights overflow.
    """
    reward, propensity, target = columns(
        method, 2, reward=reward, propensity=propensity, target=target
    )
    weights = _products(method, target / propensity)
    worth = _discounts(method, discount, reward.shape[1])
    return Terms(method, (worth * weights * reward).sum(axis=1), weights)


def per_decision_dr(
    reward: Array,
    propensity: Array | None,
    target: Array,
    predicted: Array,
    expected: Array,
    discount: float = 1.0,
    method: str = "per_decision_dr",
) -> Terms:
    """Sequential doubly robust estimation (Jiang and Li, ICML 2016).

    The mean of ``sum_t discount**t (w_1:t-1 v_t + w_1:t (r_t - q_t))``, where q is a model's
    reward from a step on, this step included, and v its mean under the target policy.

    Args:
        reward: as in ``per_decision_ips``.
        propensity: as in ``per_decision_ips``.
        target: as in ``per_decision_ips``.
        predicted: (n, T) q_t of what was shown: discounted reward of this step and all later ones,
            if the target policy decides from the next step on; 0 after the end.
        expected: (n, T) v_t, the mean of q_t under the target policy; 0 after the end.
        discount: of a step's reward, in 0..1.
        method: what messages call it.

    Raises:
        RecGymError: as ``per_decision_ips``.
    """
    reward, propensity, target = columns(
        method, 2, reward=reward, propensity=propensity, target=target
    )
    reward, predicted, expected = columns(
        method, 2, reward=reward, predicted=predicted, expected=expected
    )
    weights = _products(method, target / propensity)
    before = np.concatenate([np.ones((len(weights), 1)), weights[:, :-1]], axis=1)
    steps = before * expected + weights * (reward - predicted)
    worth = _discounts(method, discount, reward.shape[1])
    return Terms(method, (worth * steps).sum(axis=1), weights)


def by_session(values: Array, session: Array, fill: float) -> Array:
    """Returns a log's column as rows of sessions (n, T), T the steps of the longest.

    Args:
        values: (P,) or (P, K), a row a page; pages of a session stand together, in order. The
            slots of a page follow one another: (P, K) becomes (n, T * K).
        session: (P,) numbers 0, 1, .. n - 1, as ``Sessions.session_number``.
        fill: what stands after a session's end.

    Raises:
        RecGymError: sessions that are not numbered in order, or as many pages as values.

    >>> by_session(np.array([0.5, 0.2, 0.1]), np.array([0, 0, 1]), fill=1.0)
    array([[0.5, 0.2],
           [0.1, 1. ]])
    """
    values, session = np.asarray(values), np.asarray(session)
    if session.shape != values.shape[:1]:
        raise RecGymError(f"by_session: {len(values)} values for {session.shape} sessions")
    if len(session) and (session[0] != 0 or not np.isin(np.diff(session), (0, 1)).all()):
        raise RecGymError("by_session: sessions must be numbered 0, 1, .. in the order of the log")
    length = np.bincount(session)
    step = np.arange(len(session)) - np.repeat(np.cumsum(length) - length, length)
    shape = (len(length), int(length.max(initial=0)), *values.shape[1:])
    rows = np.full(shape, fill, np.float64)
    rows[session, step] = values
    return rows.reshape(len(length), -1)


def _products(method: str, ratios: Array) -> Array:
    """Returns the weights up to each step, (n, T)."""
    with np.errstate(over="ignore", invalid="ignore"):
        weights: Array = np.cumprod(ratios, axis=1)
    if not np.isfinite(weights).all():
        row = int(np.argmin(np.isfinite(weights).all(axis=1)))
        raise RecGymError(
            f"{method}: the weights of row {row} overflow over {ratios.shape[1]} steps; evaluate"
            " fewer steps, or single pages"
        )
    return weights


def _discounts(method: str, discount: float, steps: int) -> Array:
    if not 0.0 <= discount <= 1.0:
        raise RecGymError(f"{method}: discount={discount!r} must be in 0..1")
    return np.float64(discount) ** np.arange(steps)
