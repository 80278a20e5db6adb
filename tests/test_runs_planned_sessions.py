"""Planners are scored in the sessions that agents meet."""

from __future__ import annotations

import numpy as np

from recgym.planning import PlannerConfig
from recgym_agents.runs.planned_sessions import MYOPIC, planned_sessions


def test_planning_pays_where_time_comes_back() -> None:
    arguments = {"time_budget": 40.0}
    myopic = planned_sessions("InterestEvolution-v0", arguments, 40, 0, MYOPIC)
    config = PlannerConfig(rounds=3, episodes=16, depth=5, continuations=0)
    planned = planned_sessions("InterestEvolution-v0", arguments, 40, 0, config)
    assert len(planned.session_reward) == 40
    assert planned.session_reward.mean() > 1.1 * myopic.session_reward.mean()


def test_the_same_seed_is_the_same_sessions() -> None:
    once, again = (
        planned_sessions("LongTermSatisfaction-v0", {"time_budget": 5}, 7, 2, MYOPIC)
        for _ in range(2)
    )
    np.testing.assert_array_equal(once.session_reward, again.session_reward)
    assert once.steps.tolist() == [5.0] * 7
