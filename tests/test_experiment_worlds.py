"""The page of all worlds, from results made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recgym_agents.experiments.experiment import Finished
from recgym_agents.experiments.worlds import board
from recgym_agents.experiments.worlds.pace import ninety
from recgym_agents.runs.run_files import METRICS

GAN, INTERESTS = "RecGAN-v0", "InterestEvolution-v0"
BUDGET = board.BUDGET | {"worlds": [GAN, INTERESTS]}
EARNED = {
    "random": 1.0,
    "popularity": 3.0,
    "user-greedy": 5.0,
    "cascading-dqn": 4.0,
    "slateq": 7.0,
    "slateq-user": 7.0,
    board.NOW: 6.0,
    board.AHEAD: 9.0,
}


def cells(**changes: float) -> list[Finished]:
    """Every policy earns the same for every seed, but for a little that no two share."""
    earned = EARNED | {name.replace("_", "-"): value for name, value in changes.items()}
    finished = []
    for number, cell in enumerate(board.cells(BUDGET)):
        session = earned[cell["policy"]] + 0.01 * ((7 * number) % 5 - 2)
        result: dict[str, Any] = {board.BESIDE: earned[cell["policy"]]}
        if cell["policy"] != board.AHEAD:
            result |= {"session": session, "click_rate": 0.5, "steps": 7.0}
        result |= {"steps_to_90": 100, "updates_to_90": 25, "updates": 100}
        finished.append(Finished(cell, result, 4.0))
    return finished


def test_the_last_learner_is_held_against_the_best_floor_of_its_world() -> None:
    page = board.summarise(cells(), BUDGET)
    assert [claim.text for claim in page.claims] == [
        f"{GAN}: slateq-user beats every floor",
        f"{INTERESTS}: slateq beats every floor",
    ]
    first, second = page.claims
    assert (first.verdict, second.verdict) == ("reproduced", "reproduced")
    assert first.evidence.startswith("7.00 against 5.00 a session of the best, user-greedy")
    assert second.evidence.startswith(f"7.00 against 6.00 a session of the best, {board.NOW}")


@pytest.mark.parametrize(("slateq", "verdict"), [(5.0, "contradicted"), (6.0, "inconclusive")])
def test_what_is_behind_is_contradicted_and_what_is_level_is_open(
    slateq: float, verdict: str
) -> None:
    claim = board.summarise(cells(slateq=slateq), BUDGET).claims[1]
    assert claim.verdict == verdict
    assert ("detectable" in claim.evidence) == (verdict == "inconclusive")


def test_shares_are_of_what_the_planner_adds_to_the_best_floor() -> None:
    page = board.summarise(cells(), BUDGET)
    rows = [line.strip("| ").split(" | ") for line in page.body.splitlines() if line[:1] == "|"]
    shares = {(row[0], row[4]): row[-1] for row in rows if len(row) == 6}
    assert shares["slateq-user", "7.00 ± 0.00"] == "50% (50% .. 50%)"  # 7 between 5 and 9
    assert shares["slateq", "7.00 ± 0.00"] == "33% (33% .. 33%)"  # 7 between 6 and 9
    assert shares["cascading-dqn", "4.00 ± 0.00"].startswith("-67%")  # the last one: from 6
    assert set(page.figures) == {"worlds"}
    pace = [row for row in rows if row[:2] == [GAN, "slateq-user"]]
    assert pace == [[GAN, "slateq-user", "100", "25", "25%", "4"]]


def test_there_may_be_no_headroom() -> None:
    level = [
        replace(one, result=one.result | {board.BESIDE: 6.0})
        if one.cell["policy"] in (board.AHEAD, "popularity")
        else one
        for one in cells()
    ]
    for claim in board.summarise(level, BUDGET).claims:
        assert claim.evidence.endswith("no more than that floor: there is no headroom")
    assert not any("no headroom" in one.evidence for one in board.summarise(cells(), BUDGET).claims)


@pytest.mark.parametrize("values", [[5.0, 8.9, 9.0, 10.0], [-20.0, -12.0, -11.0, -10.0]])
def test_ninety_percent_of_the_best(values: list[float], tmp_path: Path) -> None:
    """Rewards may be negative: 90% of -10 is -11."""
    lines = [
        {"steps": 100 * n, "updates": 10 * n, "validation_session_reward": value}
        for n, value in enumerate(values, start=1)
    ]
    (tmp_path / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert ninety(tmp_path) == {"steps_to_90": 300, "updates_to_90": 30, "updates": 40}


def test_every_policy_of_a_scene_can_act_there() -> None:
    from recgym_agents.runs.compatibility import why_not

    for scene in board.SCENES.values():
        for policy in (*scene.floors, *scene.learners):
            assert policy == board.NOW or why_not(policy, scene.env) == ""
