"""How high recommenders rank the next item among all items, and how far apart two of them are."""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError


def rank_counts(scores: Array, target: Array) -> tuple[Array, Array]:
    """Returns how many items score higher than the right one, and how many as high, itself too.

    Args:
        scores: of all items (P, N).
        target: id of the right one (P,).

    Returns:
        Two counts, (P,) each: ties are broken at random, so that the rank is one of
        ``better + 1 .. better + tied``, each as likely.

    Raises:
        RecGymError: a score is NaN.

    >>> rank_counts(np.array([[0.1, 0.5, 0.5, 0.7]]), np.array([1]))
    (array([1]), array([2]))
    """
    scores = np.asarray(scores)
    if np.isnan(scores).any():
        raise RecGymError("rank_counts: scores must be numbers; the agent returned NaN")
    own = np.take_along_axis(scores, np.asarray(target)[:, None], axis=1)
    return (scores > own).sum(axis=1), (scores == own).sum(axis=1)


def hit_rate(better: Array, tied: Array, k: int) -> Array:
    """Returns the chance that the right item is among the first k (P,), of ``rank_counts``.

    >>> hit_rate(np.array([1, 3]), np.array([2, 1]), k=2)
    array([0.5, 0. ])
    """
    return np.clip((k - np.asarray(better, np.float64)) / tied, 0.0, 1.0)


def ndcg(better: Array, tied: Array, k: int) -> Array:
    """Returns the expected nDCG at k of one right item (P,), of ``rank_counts``.

    ``1 / log2(rank + 1)`` where the rank is at most k, and 0 beyond.

    >>> ndcg(np.array([0, 0, 2]), np.array([1, 2, 1]), k=2).round(3)
    array([1.   , 0.815, 0.   ])
    """
    gains = 1.0 / np.log2(np.arange(2, k + 2))
    total = np.concatenate([[0.0], np.cumsum(gains)])
    first, last = np.minimum(better, k), np.minimum(np.asarray(better) + tied, k)
    found: Array = (total[last] - total[first]) / tied
    return found


def reward_at_1(better: Array, tied: Array, reward: Array) -> Array:
    """Returns what showing the best item earned in a log (P,), whose mean is AR@1.

    The reward of what was done next where that is the best item, and 0 where it is not (Liang and
    Vlassis, 2022, section 4.1); of ``rank_counts``, and of rewards (P,).

    >>> reward_at_1(np.array([0, 0, 1]), np.array([1, 2, 1]), np.array([0.5, 1.0, 1.0]))
    array([0.5, 0.5, 0. ])
    """
    found: Array = reward * hit_rate(better, tied, 1)
    return found


def imputed_at_1(scores: Array, imputed: Array) -> Array:
    """Returns what the best item would earn (P,), whose mean is the imputed AR@1 (iAR@1).

    Of items that tie for the best it is the mean (Liang and Vlassis, 2022, section 4.1).

    Args:
        scores: of all items (P, N).
        imputed: rewards of all items, those that no log has too (P, N).

    >>> imputed_at_1(np.array([[0.1, 0.9, 0.9], [2.0, 1.0, 0.0]]), np.array([[0.0, 1.0, 0.5]] * 2))
    array([0.75, 0.  ])
    """
    best = scores == np.max(scores, axis=1, keepdims=True)
    found: Array = np.mean(imputed, axis=1, where=best)
    return found


def mean_gain(gains: Array, rewards: Array, events: Array) -> float:
    """Returns ``sum_e r_e g_e``: over kinds of events, their mean reward times their mean gain.

    With nDCG@20 as the gain, and rewards r_c of clicks and r_p of purchases, it is what Liang and
    Vlassis (2022, section 4.2) select models by.

    Args:
        gains: of each event (P,).
        rewards: of each event (P,).
        events: the kind of each (P,).
    """
    kinds = [events == kind for kind in np.unique(events)]
    return float(sum(np.mean(rewards[own]) * np.mean(gains[own]) for own in kinds))


def kl_divergence(log_p: Array, log_q: Array) -> Array:
    """Returns ``sum_i p_i (log p_i - log q_i)`` (P,), in nats, of log-probabilities (P, N).

    Items of probability 0 under p do not count.
    """
    p = np.exp(log_p)
    difference = np.subtract(log_p, log_q, where=p > 0.0, out=np.zeros_like(p))
    found: Array = (p * difference).sum(axis=1)
    return found


def js_divergence(log_p: Array, log_q: Array) -> Array:
    """Returns the Jensen-Shannon divergence (P,), from 0 to log 2, of log-probabilities (P, N).

    The mean divergence of the two from their mean (Liang and Vlassis, 2022, Eq. 12).
    """
    log_mean = np.logaddexp(log_p, log_q) - np.log(2.0)
    return 0.5 * (kl_divergence(log_p, log_mean) + kl_divergence(log_q, log_mean))
