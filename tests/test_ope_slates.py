"""Estimators of slates: by hand, and unbiased exactly where their assumptions hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from recgym import ope
from recgym.errors import RecGymError

REWARD = np.array([[1.0, 0.0], [0.0, 2.0]])
MU = np.array([[0.5, 0.5], [0.25, 0.5]])
PI = np.array([[0.25, 1.0], [0.5, 0.25]])  # weights .5, 2 and 2, .5


def test_by_hand() -> None:
    np.testing.assert_allclose(ope.slate_ips(REWARD, MU, PI).values, [1.0, 2.0])
    np.testing.assert_allclose(ope.independent_ips(REWARD, MU, PI).values, [0.5, 1.0])
    np.testing.assert_allclose(ope.reward_interaction_ips(REWARD, MU, PI).values, [0.5, 2.0])
    predicted, expected = np.array([[1.0, 0.5], [1.5, 1.0]]), np.array([[0.8, 0.4], [1.0, 1.2]])
    found = ope.cascade_dr(REWARD, MU, PI, predicted, expected)
    first = 0.8 + 0.5 * (1.0 - 1.0) + 0.5 * 0.4 + 1.0 * (0.0 - 0.5)
    second = 1.0 + 2.0 * (0.0 - 1.5) + 2.0 * 1.2 + 1.0 * (2.0 - 1.0)
    np.testing.assert_allclose(found.values, [first, second])
    assert found.method == "cascade_dr"


N, K = 4, 3
SLATES = np.array(list(itertools.permutations(range(N), K)))
WEIGHT = {"mu": np.array([1.0, 2.0, 1.0, 0.5]), "pi": np.array([0.2, 1.0, 3.0, 1.0])}


def conditional(policy: str) -> np.ndarray:
    """Probability of each slot's item given those above, drawn without replacement, (L, K)."""
    shown = WEIGHT[policy][SLATES]
    left = WEIGHT[policy].sum() - np.cumsum(shown, axis=1) + shown
    return shown / left


def marginal(policy: str) -> np.ndarray:
    """Probability of each item in each slot, (K, N)."""
    whole = conditional(policy).prod(axis=1)
    return np.stack([np.bincount(SLATES[:, k], whole, N) for k in range(K)])


def mean_over_logs(terms: ope.Terms) -> float:
    return float(conditional("mu").prod(axis=1) @ terms.values)


def value(reward: np.ndarray) -> float:
    return float(conditional("pi").prod(axis=1) @ reward.sum(axis=1))


generator = np.random.default_rng(0)
TABLE = generator.random((K, N, N, N))
"""Rewards of a slot, given items; what a user looks at differs between worlds."""
ALONE = np.stack([TABLE[k, SLATES[:, k], 0, 0] for k in range(K)], axis=1)
READING = np.stack(
    [
        TABLE[0, SLATES[:, 0], 0, 0],
        TABLE[1, SLATES[:, 0], SLATES[:, 1], 0],
        TABLE[2, SLATES[:, 0], SLATES[:, 1], SLATES[:, 2]],
    ],
    axis=1,
)
COMPETING = np.stack([TABLE[k][tuple(SLATES.T)] for k in range(K)], axis=1)


def independent(reward: np.ndarray) -> ope.Terms:
    slots = [
        np.stack([marginal(policy)[k, SLATES[:, k]] for k in range(K)], axis=1)
        for policy in ("mu", "pi")
    ]
    return ope.independent_ips(reward, *slots)


def interaction(reward: np.ndarray) -> ope.Terms:
    return ope.reward_interaction_ips(reward, conditional("mu"), conditional("pi"))


def cascade(reward: np.ndarray) -> ope.Terms:
    """With a made-up model, whose means are those of the slots' own conditionals."""
    model = np.random.default_rng(1).random((K, N))
    predicted = np.zeros((len(SLATES), K))
    expected = np.zeros((len(SLATES), K))
    for row, slate in enumerate(SLATES):
        for k in range(K):
            left = [item for item in range(N) if item not in slate[:k]]
            chance = WEIGHT["pi"][left] / WEIGHT["pi"][left].sum()
            predicted[row, k] = model[k, slate[k]]
            expected[row, k] = chance @ model[k, left]
    return ope.cascade_dr(reward, conditional("mu"), conditional("pi"), predicted, expected)


def whole(reward: np.ndarray) -> ope.Terms:
    return ope.slate_ips(reward, conditional("mu"), conditional("pi"))


def pseudo(reward: np.ndarray) -> ope.Terms:
    moments = ope.slate_moments(SLATES, conditional("mu").prod(axis=1), N)
    return ope.pseudo_inverse(reward.sum(axis=1), SLATES, marginal("pi"), moments)


@pytest.mark.parametrize(
    ("estimator", "unbiased"),
    [
        (independent, (True, False, False)),
        (pseudo, (True, False, False)),
        (interaction, (True, True, False)),
        (cascade, (True, True, False)),
        (whole, (True, True, True)),
    ],
)
def test_unbiased_where_its_assumption_holds_and_nowhere_else(
    estimator: object, unbiased: tuple[bool, ...]
) -> None:
    assert callable(estimator)
    for reward, holds in zip((ALONE, READING, COMPETING), unbiased, strict=True):
        off = abs(mean_over_logs(estimator(reward)) - value(reward))
        assert off < 1e-10 if holds else off > 1e-3


def test_with_the_reward_in_the_last_slot_reading_from_the_top_is_no_assumption() -> None:
    last = np.zeros_like(COMPETING)
    last[:, -1] = COMPETING.sum(axis=1)
    for estimator in (interaction, cascade):
        assert mean_over_logs(estimator(last)) == pytest.approx(value(COMPETING))


def test_pseudo_inverse_of_independent_slots_is_a_sum_of_ratios() -> None:
    # slots drawn independently: w = 1 - K + sum_k w_k (Swaminathan et al., 2017, section 3)
    mu, pi = np.array([[0.5, 0.5], [0.2, 0.8]]), np.array([[0.9, 0.1], [0.5, 0.5]])
    slates = np.array(list(itertools.product(range(2), range(2))))
    chance = mu[0, slates[:, 0]] * mu[1, slates[:, 1]]
    moments = ope.slate_moments(slates, chance, 2)
    found = ope.pseudo_inverse(np.ones(4), slates, pi, moments).weights
    ratios = (pi / mu)[[0, 1], slates]
    np.testing.assert_allclose(found, ratios.sum(axis=1) - 1.0)


def test_uniform_moments_are_those_of_all_slates() -> None:
    every = np.full(len(SLATES), 1 / len(SLATES))
    np.testing.assert_allclose(ope.uniform_moments(N, K), ope.slate_moments(SLATES, every, N))


def test_pseudo_inverse_refuses_what_does_not_fit() -> None:
    moments = ope.uniform_moments(N, K)
    with pytest.raises(RecGymError, match=r"must be \(n,\), \(n, K\)"):
        ope.pseudo_inverse(np.ones(2), SLATES[:2], marginal("pi"), moments[:-1])
    never = ope.slate_moments(SLATES[SLATES[:, 0] != 2], np.full(18, 1 / 18), N)
    with pytest.raises(RecGymError, match="shows item 2 in slot 0"):
        ope.pseudo_inverse(np.ones(2), SLATES[:2], marginal("pi"), never)
