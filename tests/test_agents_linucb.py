"""LinUCB against Algorithm 2 as it is printed, with matrices inverted anew each time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec, Transitions
from recgym_agents.algorithms.linucb import HybridRidge, LinUCB, LinUCBConfig, reduced
from recgym_agents.user_support import Support

RNG = np.random.default_rng(0)
FEATURES = np.eye(6, 3, dtype=np.float32) + np.eye(6, 3, -3, dtype=np.float32)
"""Items 0 and 3 are alike, and 1 and 4, and 2 and 5."""
SPEC = EnvironmentSpec(n_items=6, slate_size=2, window=2, features=FEATURES)


class Printed:
    """Algorithm 2 of Li et al., line by line."""

    def __init__(self, arms: int, k: int, d: int, ridge: float) -> None:
        self.a0, self.b0 = ridge * np.eye(k), np.zeros(k)
        self.a = [ridge * np.eye(d) for _ in range(arms)]
        self.b = [np.zeros(d) for _ in range(arms)]
        self.cross = [np.zeros((d, k)) for _ in range(arms)]

    def update(self, arm: int, z: np.ndarray, x: np.ndarray, payoff: float) -> None:
        inverse = np.linalg.inv(self.a[arm])
        self.a0 += self.cross[arm].T @ inverse @ self.cross[arm]
        self.b0 += self.cross[arm].T @ inverse @ self.b[arm]
        self.a[arm] += np.outer(x, x)
        self.cross[arm] += np.outer(x, z)
        self.b[arm] += payoff * x
        inverse = np.linalg.inv(self.a[arm])
        self.a0 += np.outer(z, z) - self.cross[arm].T @ inverse @ self.cross[arm]
        self.b0 += payoff * z - self.cross[arm].T @ inverse @ self.b[arm]

    def estimate(self, arm: int, z: np.ndarray, x: np.ndarray) -> tuple[float, float]:
        a0, a = np.linalg.inv(self.a0), np.linalg.inv(self.a[arm])
        beta = a0 @ self.b0
        theta = a @ (self.b[arm] - self.cross[arm] @ beta)
        s = z @ a0 @ z - 2 * z @ a0 @ self.cross[arm].T @ a @ x + x @ a @ x
        s += x @ a @ self.cross[arm] @ a0 @ self.cross[arm].T @ a @ x
        return float(z @ beta + x @ theta), float(np.sqrt(s))


def test_it_is_algorithm_2() -> None:
    arms, k, d = 4, 5, 3
    ours, theirs = HybridRidge(arms, k, d, 0.7), Printed(arms, k, d, 0.7)
    for _ in range(60):
        arm, z, x = int(RNG.integers(arms)), RNG.normal(size=k), RNG.normal(size=d)
        payoff = float(RNG.random())
        ours.update(arm, z, x, payoff)
        theirs.update(arm, z, x, payoff)
    z, x = RNG.normal(size=(2, arms, k)), RNG.normal(size=(2, d))
    every = np.tile(np.arange(arms), (2, 1))
    expected = np.array(
        [[theirs.estimate(a, z[row, a], x[row]) for a in range(arms)] for row in range(2)]
    )
    np.testing.assert_allclose(ours.mean(every, z, x), expected[:, :, 0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours.deviation(z, x), expected[:, :, 1], rtol=0, atol=1e-6)


def test_without_arms_it_is_ridge_regression() -> None:
    ours, z, paid = HybridRidge(0, 4, 2, 2.0), RNG.normal(size=(30, 4)), RNG.normal(size=30)
    for row, payoff in zip(z, paid, strict=True):
        ours.update(9, row, np.zeros(2), float(payoff))
    beta = np.linalg.solve(2.0 * np.eye(4) + z.T @ z, z.T @ paid)
    at = RNG.normal(size=(1, 3, 4))
    found = ours.mean(np.zeros((1, 3), np.int64), at, np.zeros((1, 2)))
    np.testing.assert_allclose(found[0], at[0] @ beta, atol=1e-9)


def seen(item: list[int]) -> Transitions:
    """Slates of items 0 and 1, of which these were clicked."""
    rows = len(item)
    nothing = np.full((rows, 2), 6)
    slate = np.tile([0, 1], (rows, 1))
    reward, left = np.ones(rows, np.float32), np.zeros(rows, np.bool_)
    return Transitions(nothing, slate, np.array(item), reward, left, nothing)


def test_it_shows_what_was_clicked_and_explores_what_was_not_shown() -> None:
    agent = LinUCB(LinUCBConfig(alpha=0.0), SPEC, 0)
    agent.update(seen([1] * 20))
    nobody = np.full((1, 2), 6)
    assert agent.act(nobody)[0].tolist() == [1, 4]  # 4 is like 1
    curious = LinUCB(LinUCBConfig(alpha=100.0), SPEC, 0)
    curious.update(seen([1] * 20))
    assert set(curious.act(nobody, explore=1.0)[0].tolist()) <= {2, 3, 4, 5}


def test_it_adapts_to_what_a_user_clicked() -> None:
    """All else equal, one user clicked item 2, the other nothing."""
    agent = LinUCB(LinUCBConfig(), SPEC, 0)
    slate = np.tile([2, 0], (2, 1, 5, 1))
    click = np.stack([np.zeros((1, 5), np.int64), np.full((1, 5), -1)])
    support = Support(slate, click, np.ones((2, 1, 5), np.float32))
    nobody = np.full((2, 2), 6)
    slates = agent.adapt(support).act(nobody).tolist()
    assert slates[0] == [2, 5]
    assert not set(slates[1]) & {2, 5}
    assert agent.recommend([], support.of_users(np.array([0]))) == [2, 5]


def test_features_are_reduced_to_their_principal_components() -> None:
    wide = RNG.normal(size=(50, 2)) @ RNG.normal(size=(2, 9))
    narrow = reduced(wide, 2, 50)
    assert narrow.shape == (50, 2)
    assert np.square(narrow).sum(axis=1).mean() == pytest.approx(1.0)
    both = np.column_stack([narrow, np.ones(50)])
    left = wide - both @ np.linalg.lstsq(both, wide, rcond=None)[0]
    assert abs(left).max() < 1e-9
    assert reduced(None, 2, 3).tolist() == [[1.0], [1.0], [1.0]]


@pytest.mark.parametrize(("setting", "value"), [("alpha", -1.0), ("ridge", 0.0), ("features", 0)])
def test_settings_out_of_range(setting: str, value: Any) -> None:
    with pytest.raises(RecGymError, match=f"{setting}="):
        LinUCBConfig(**{setting: value})
