"""Estimators for slates: K items at once, whose number of combinations defeats plain weights.

Each buys a smaller variance with an assumption on how items act together; ``slate_ips`` makes none.
Slots that show nothing have reward 0 and both probabilities 1. A probability of a slot is either
*marginal*, that of the item in this slot whatever stands elsewhere, or *conditional*, given the
items in the slots above; the product of the conditional ones is the slate's probability.
"""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.ope.decision_sequences import per_decision_dr, per_decision_ips
from recgym.ope.log_columns import columns
from recgym.ope.terms import Terms


def slate_ips(reward: Array, propensity: Array | None, target: Array) -> Terms:
    """IPS of whole slates: the mean of ``w_1:K sum_k r_k``; no assumption, the most variance.

    Where the probabilities of whole slates are at hand, ``ips`` is the same.

    Args:
        reward: (n, K) of each slot.
        propensity: (n, K) conditional, under the logging policy.
        target: (n, K) conditional, under the target policy.

    Raises:
        RecGymError: other shapes, propensities missing or 0, or no probabilities.
    """
    reward, propensity, target = columns(
        "slate_ips", 2, reward=reward, propensity=propensity, target=target
    )
    weights = (target / propensity).prod(axis=1)
    return Terms("slate_ips", weights * reward.sum(axis=1), weights)


def independent_ips(reward: Array, propensity: Array | None, target: Array) -> Terms:
    """Independent IPS: the mean of ``sum_k w_k r_k``, w_k the ratio of slot k alone.

    Unbiased if a slot's reward depends on its own item only (Li et al., KDD 2018).

    Args:
        reward: (n, K) of each slot.
        propensity: (n, K) marginal, under the logging policy.
        target: (n, K) marginal, under the target policy.

    Raises:
        RecGymError: as ``slate_ips``.
    """
    reward, propensity, target = columns(
        "independent_ips", 2, reward=reward, propensity=propensity, target=target
    )
    weights = target / propensity
    return Terms("independent_ips", (weights * reward).sum(axis=1), weights)


def reward_interaction_ips(reward: Array, propensity: Array | None, target: Array) -> Terms:
    """Reward-interaction IPS: the mean of ``sum_k w_1:k r_k``.

    Unbiased if a slot's reward depends on its own item and those above only, as for a user who
    reads from the top: a slate is a session of slots (McInerney et al., KDD 2020).

    Args:
        reward: (n, K) of each slot.
        propensity: (n, K) conditional, under the logging policy.
        target: (n, K) conditional, under the target policy.

    Raises:
        RecGymError: as ``slate_ips``.
    """
    return per_decision_ips(reward, propensity, target, method="reward_interaction_ips")


def cascade_dr(
    reward: Array, propensity: Array | None, target: Array, predicted: Array, expected: Array
) -> Terms:
    """Cascade doubly robust: reward-interaction IPS with a model of the slots to come.

    Its bias is that of ``reward_interaction_ips``, whatever the model: none for a user who reads
    from the top. Its variance is lower where the model is good (Kiyohara et al., WSDM 2022). With
    a slate's whole reward in its last slot, it assumes no more than ``slate_ips``.

    Args:
        reward: (n, K) of each slot.
        propensity: (n, K) conditional, under the logging policy.
        target: (n, K) conditional, under the target policy.
        predicted: (n, K) the model's reward of slots k .. K, given the items of 1 .. k, if the
            target policy fills the others.
        expected: (n, K) its mean under the target policy, given the items of 1 .. k - 1.

    Raises:
        RecGymError: as ``slate_ips``.
    """
    return per_decision_dr(reward, propensity, target, predicted, expected, method="cascade_dr")


def pseudo_inverse(reward: Array, slate: Array, target_slots: Array, moments: Array) -> Terms:
    """The pseudo-inverse estimator: rewards of slates, weighed by ``q' G+ 1(slate)``.

    Unbiased if a slate's reward is a sum of unknown numbers, one for each item in each slot, even
    where no reward of single slots is seen. q is the target policy's mean of the indicators
    1(slate), G the logging policy's mean of ``1(slate) 1(slate)'`` (Swaminathan et al., NIPS
    2017). Weights may be negative.

    Args:
        reward: (n,) of the whole slate.
        slate: (n, K) items shown, 0..N-1.
        target_slots: (n, K, N) marginal probability of each item in each slot under the target
            policy, or (K, N) the same in all rows.
        moments: (K * N, K * N) G, of one logging policy for all rows; see ``slate_moments`` and
            ``uniform_moments``.

    Raises:
        RecGymError: shapes that do not fit, or a target policy that shows an item in a slot where
            the logging policy never does.
    """
    (reward,) = columns("pseudo_inverse", 1, reward=reward)
    slate, target_slots = np.asarray(slate), np.asarray(target_slots, np.float64)
    n_rows, size = len(reward), slate.shape[-1]
    n_items = target_slots.shape[-1]
    wide = size * n_items
    fits = slate.shape == (n_rows, size) and np.shape(moments) == (wide, wide)
    if not fits or target_slots.shape not in ((size, n_items), (n_rows, size, n_items)):
        raise RecGymError(
            f"pseudo_inverse: reward {reward.shape}, slate {slate.shape}, target_slots"
            f" {target_slots.shape} and moments {np.shape(moments)} must be (n,), (n, K), (n, K, N)"
            " and (K * N, K * N)"
        )
    shown = slate + n_items * np.arange(size)
    indicators = target_slots.reshape(-1, wide)
    unseen = (indicators > 0.0) & ~(np.diag(moments) > 0.0)
    if unseen.any():
        slot, item = divmod(int(np.nonzero(unseen)[1][0]), n_items)
        raise RecGymError(
            f"pseudo_inverse: no support: the target policy shows item {item} in slot {slot}, the"
            " logging policy never does"
        )
    each = indicators @ np.linalg.pinv(moments, hermitian=True)
    weights = np.take_along_axis(np.broadcast_to(each, (n_rows, wide)), shown, 1).sum(axis=1)
    return Terms("pseudo_inverse", weights * reward, weights)


def slate_moments(slates: Array, probabilities: Array, n_items: int) -> Array:
    """Returns the mean of ``1(slate) 1(slate)'`` under a policy, (K * N, K * N).

    Args:
        slates: (L, K) slates that the policy shows.
        probabilities: (L,) of each.
        n_items: N.

    >>> slate_moments(np.array([[0, 1], [1, 0]]), np.array([0.25, 0.75]), 2).diagonal()
    array([0.25, 0.75, 0.75, 0.25])
    """
    slates = np.asarray(slates)
    size = slates.shape[1]
    indicator = np.zeros((len(slates), size * n_items))
    np.put_along_axis(indicator, slates + n_items * np.arange(size), 1.0, axis=1)
    moments: Array = indicator.T @ (np.asarray(probabilities)[:, None] * indicator)
    return moments


def uniform_moments(n_items: int, slate_size: int) -> Array:
    """Returns ``slate_moments`` of the policy that shows all ordered slates equally often.

    Args:
        n_items: N, at least K.
        slate_size: K.
    """
    same = np.eye(n_items) / n_items
    apart = (1.0 - np.eye(n_items)) / max(n_items * (n_items - 1), 1)
    slots = np.eye(slate_size)
    return np.kron(slots, same) + np.kron(1.0 - slots, apart)
