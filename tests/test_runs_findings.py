"""Sentences about scores: each case, from made-up numbers."""

from __future__ import annotations

import math

import pytest

from recgym.metrics import Estimate
from recgym.simulators.slate_mdp import SlateMDP
from recgym_agents.runs.findings import against_plans, interval, ranking, standing_of, transfer
from recgym_agents.runs.planned_levels import Levels, levels_of
from recgym_agents.runs.standings import Standing

GAP = Estimate(0.5, 0.1, 0.25, 0.75, 4)
BEST = Standing("a", Estimate(2.0, 0.1, 1.75, 2.25, 4))
CLOSE = Standing("b", Estimate(1.5, 0.1, 1.25, 1.75, 4), GAP, 0.5, 0.01)
FAR = Standing("c", Estimate(1.0, 0.1, 0.75, 1.25, 4), GAP, 0.01, 0.01)
LEVELS = Levels(ahead=4.0, myopic=2.0, fixed=1.0)


def test_an_interval_that_is_not_known_is_left_out() -> None:
    assert interval(BEST.reward) == "2.000 (1.750 to 2.250)"
    assert interval(Estimate(2.0, math.nan, math.nan, math.nan, 1)) == "2.000"


def test_a_ranking_names_the_best_and_those_close_to_it() -> None:
    start = "Here, a earns most: 2.000 (1.750 to 2.250) a step."
    assert ranking([BEST], "step", "Here") == start
    close = " A paired test cannot tell b apart from it."
    assert ranking([BEST, CLOSE, FAR], "step", "Here") == start + close
    none = " A paired test tells every other one apart from it."
    assert ranking([BEST, FAR], "step", "Here") == start + none


@pytest.mark.parametrize(
    ("name", "ranked", "text"),
    [
        ("a", [BEST, FAR], "a earns more than the next best, c: 2.000 against 1.000"),
        ("a", [BEST, CLOSE], "a cannot be told apart from the next best, b: 2.000 against 1.500"),
        ("b", [BEST, CLOSE], "b cannot be told apart from a: 1.500 against 2.000"),
        ("c", [BEST, CLOSE, FAR], "c earns less than a: 1.000 against 2.000"),
    ],
)
def test_a_policy_stands_beside_the_best(name: str, ranked: list[Standing], text: str) -> None:
    found = standing_of(name, ranked, "session", "There")
    assert found == f"There, {text} a session, a difference of 0.500 (0.250 to 0.750)."


def test_what_is_lost_with_other_users_depends_on_where_it_was_ahead() -> None:
    ahead = [Standing("c", BEST.reward), Standing("a", FAR.reward, GAP, 0.01, 0.01)]
    tied = [BEST, Standing("c", CLOSE.reward, GAP, 0.5, 0.5)]
    behind = [BEST, FAR]
    assert "holds for users of the other" in transfer("c", ahead, ahead)
    assert "holds for users of the other" in transfer("c", behind, tied)
    lost = transfer("c", ahead, behind)
    assert "its errors included" in lost
    assert "c earns most; in a model fitted to other users" in lost
    assert "a comes out ahead" in lost
    assert "c cannot be told apart from the best; in a model" in transfer("c", tied, behind)
    assert "behind in the model that it was trained in, too" in transfer("c", behind, behind)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (2.5, 3.5, "(75% of it): more than without looking ahead, so it has learned to plan"),
        (
            3.5,
            5.0,
            "by chance in the episodes that were drawn, and more than without looking ahead",
        ),
        (0.5, 1.5, "less than"),
        (1.5, 2.5, "cannot be told apart"),
    ],
)
def test_a_policy_stands_beside_what_is_computed(low: float, high: float, text: str) -> None:
    found = against_plans("x", Estimate((low + high) / 2, 0.1, low, high, 4), LEVELS)
    assert "can earn here is 4.00 a session" in found
    assert "2.00 (50% of it), so that looking ahead adds 100% here" in found
    assert "never changes, 1.00 (25% of it)" in found
    assert text in found


def test_levels_are_those_of_the_planner_and_of_no_other_world() -> None:
    arguments = {"n_items": 20, "slate_size": 2, "n_states": 3, "concentration": 0.02}
    world = SlateMDP(**arguments)  # type: ignore[arg-type]
    found = levels_of("SlateMDP-v0", {**arguments, "observe": "state"})
    assert found is not None
    assert found.ahead == pytest.approx(world.optimal_policy(1.0, 40).values[0, 0])
    now = world.optimal_policy(0.0).slates
    assert found.myopic == pytest.approx(world.policy_value(now, 1.0, 40)[0])
    assert found.exact
    assert found.seen
    assert found.best == "optimum"
    assert found.fixed == pytest.approx(world.best_fixed_slate(1.0, 40).values[0])
    assert found.fixed is not None
    assert 0 < found.myopic < found.fixed < 0.6 * found.ahead  # a world in which planning pays
    assert levels_of("InterestExploration-v0", {}) is None


def test_among_known_users_a_planner_takes_the_optimums_place() -> None:
    small = {"n_items": 20, "slate_size": 2, "n_users": 50, "horizon": 10}
    found = levels_of("KnownUsers-v0", small)
    assert found is not None
    assert (found.exact, found.seen, found.fixed) == (False, False, None)
    assert list(found.named) == ["planner", "best slate for now"]
    assert found.ahead > found.myopic + 0.5
    text = against_plans("x", Estimate(found.ahead + 1, 0.1, 0.0, found.ahead + 2, 4), found)
    assert f"sees the user's state earns {found.ahead:.2f} a session" in text
    assert "more than without looking ahead" not in text
    assert "it does not see the state that this is chosen by" in text
    assert "by chance" not in text
    assert "never changes" not in text
