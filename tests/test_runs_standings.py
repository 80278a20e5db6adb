"""Which policy is best, and which are told apart from it, by hand-computed tests."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recgym.metrics import paired_t
from recgym_agents.runs.evaluation import Evaluation
from recgym_agents.runs.standings import Standing, rewards_by_user, standings, unit_of

SCORES = {
    "low": np.array([[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0]]),
    "best": np.array([[4.0, 5.0, 4.0, 5.0], [5.0, 6.0, 5.0, 6.0]]),
    "close": np.array([[6.0, 3.0, 6.0, 3.0], [5.0, 6.0, 5.0, 6.0]]),
}
"""By seed and user. Means 0.25, 5 and 5; the second is the best, being first named of the two."""


def test_the_best_comes_first_and_others_are_tested_against_it() -> None:
    best, close, low = standings(SCORES)
    assert [one.name for one in (best, close, low)] == ["best", "close", "low"]
    assert best.best
    assert not best.told_apart
    # Over two seeds: 4.5 and 5.5, so a mean of 5 with an error of 0.5.
    assert (best.reward.mean, best.reward.standard_error, best.reward.n) == (5.0, 0.5, 2)
    assert close.behind is not None
    assert close.behind.mean == 0.0
    assert close.p_seeds == close.p_users == 1.0
    # low: 4.5 behind with the first seed, 5 with the second; over users 4.5, 5, 4.5, 5.
    assert low.behind is not None
    assert low.behind.mean == 4.75
    gaps = np.array([4.5, 5.0])
    assert low.p_seeds == pytest.approx(2 * paired_t(gaps, np.zeros(2)))  # Holm: the lower of two
    # t = 4.75 / 0.25 = 19 with one degree of freedom: p = 2 atan(1 / 19) / pi.
    assert low.p_seeds == pytest.approx(2 * 2 * math.atan(1 / 19) / math.pi)
    users = np.array([4.5, 5.0, 4.5, 5.0])
    assert low.p_users == pytest.approx(2 * paired_t(users, np.zeros(4)))
    assert low.p_users < 0.01
    assert not low.told_apart  # by the users, but not by two seeds


def test_a_single_seed_is_tested_over_users_alone() -> None:
    best, low = standings({name: SCORES[name][:1] for name in ("low", "best")})
    assert best.reward.n == 4
    assert math.isnan(low.p_seeds)
    assert low.p_users < 0.01
    assert low.told_apart


def test_what_cannot_be_tested_is_not_told_apart() -> None:
    _, low = standings({name: SCORES[name][:1, :1] for name in ("low", "best")})
    assert math.isnan(low.p_users)
    assert not low.told_apart
    (alone,) = standings({"low": SCORES["low"]})
    assert alone == Standing("low", alone.reward)


def test_sessions_are_counted_where_they_differ_in_length() -> None:
    """User 0 has two episodes."""
    users, reward = np.array([0, 1, 0]), np.array([1.0, 2.0, 3.0])
    even = Evaluation(users, reward, reward, np.array([4, 4, 4]))
    uneven = Evaluation(users, reward, reward, np.array([4, 4, 2]))
    assert unit_of([even, even]) == "step"
    assert unit_of([even, uneven]) == "session"
    assert rewards_by_user([even, uneven], "step").tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert rewards_by_user([even, uneven], "session").tolist() == [[8.0, 8.0], [5.0, 8.0]]
