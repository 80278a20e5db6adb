"""The page of slate MDPs: verdicts on results made by hand, and what is known against planning."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import pytest

import recgym  # noqa: F401
from recgym_agents.experiments.experiment import Finished, Page, Place, Result
from recgym_agents.experiments.worlds import slate_mdp_board as board
from recgym_agents.experiments.worlds.pace import ninety

BUDGET = board.BUDGET | {"worlds": [board.SEEN, "hidden", "hidden, concentration .01"]}
SEEN = {"random": 2.0, "popularity": 3.0, "cascading-dqn": 8.5, "slateq": 9.5}
HIDDEN = {
    **{"random": 2.0, "popularity": 2.5, "reinforce-top-k": 7.0},
    **{"reinforce-slate": 7.5, "slateq-belief": 8.0},
}
KNOWN = {
    board.SEEN: (3.5, 8.0, 9.9, 10.0),
    "hidden": (3.0, 3.5, 3.7, 3.75),
    "hidden, concentration .01": (3.5, 4.0, 9.0, 10.0),
}


def page(spread: float = 0.01, **earned: float) -> Page:
    """Agents earn a little more or less by seed, what is computed does not."""
    names = {name.replace("_", "-"): value for name, value in earned.items()}
    finished = []
    for cell in board.cells(BUDGET):
        world, policy = cell["world"], cell["policy"]
        result: Result
        if policy == "known":
            kinds = board.KNOWN.get(world, board.HIDDEN_KNOWN)
            result = dict(zip(kinds, KNOWN[world], strict=True))
        else:
            means = (SEEN if world == board.SEEN else HIDDEN) | names
            result = {"session": means[policy] + spread * (cell["seed"] - 2)}
            result |= {"steps_to_90": 1_000, "updates_to_90": 50, "updates": 200}
        finished.append(Finished(cell, result, 60.0))
    return board.summarise(finished, BUDGET)


def verdicts(found: Page) -> dict[str, str]:
    return {claim.text: claim.verdict for claim in found.claims}


def test_shares_of_the_optimum_and_of_the_gap_are_judged_by_their_intervals() -> None:
    found = verdicts(page())
    assert set(found.values()) == {"reproduced"}
    assert len(found) == 14
    found = verdicts(page(cascading_dqn=7.9, reinforce_top_k=6.0))
    assert (
        found["State seen: cascading-dqn earns 80% of the exact optimum's clicks"] == "contradicted"
    )
    assert found["State seen: cascading-dqn beats every floor"] == "contradicted"  # 8.0 is one
    gap = "closes half of the gap from the best floor to the belief's policy"
    assert found[f"State hidden, concentration .01: reinforce-top-k {gap}"] == "contradicted"
    assert found["State hidden, concentration .01: reinforce-top-k beats every floor"] == (
        "reproduced"
    )
    near = "earns 97.3% of what the belief earns"  # 3.7 clicks
    possible = verdicts(page(reinforce_slate=3.62, slateq_belief=3.5))
    assert possible[f"State hidden: reinforce-slate {near}"] == "reproduced"
    assert possible[f"State hidden: slateq-belief {near}"] == "contradicted"
    found = verdicts(page(slateq_belief=6.0))
    assert found[f"State hidden, concentration .01: slateq-belief {gap}"] == "contradicted"
    assert found[f"State hidden, concentration .01: reinforce-top-k {gap}"] == "reproduced"
    assert set(verdicts(page(spread=4.0)).values()) == {"inconclusive"}


def test_the_tables_show_shares_and_the_pace() -> None:
    rows = [line.strip("| ").split(" | ") for line in page().body.splitlines()]
    (ours,) = (row for row in rows if row[0] == "slateq" and len(row) == 4)
    assert ours[1:3] == ["9.500 ± 0.007", "95.0 ± 0.1"]
    assert ours[3].startswith("75% (")  # of what lies between 8 and 10
    (fast,) = (row for row in rows if row[:2] == ["seen", "slateq"])
    assert fast[2:] == ["1,000", "50", "25%", "60"]


@pytest.mark.parametrize("world", [board.SEEN, "hidden, concentration .01"])
def test_what_is_known_is_in_order(world: str, tmp_path: Path) -> None:
    cell = {"world": world, "policy": "known", "seed": 3}
    found = board.run_cell(cell, board.SMOKE, Place(tmp_path, tmp_path, tmp_path))
    names = list(board.KNOWN.get(world, board.HIDDEN_KNOWN))
    values = [found[name] for name in names]
    assert values == sorted(values)
    if world == board.SEEN:
        env = gymnasium.make("SlateMDP-v0", observe="state", mdp_seed=3)
        simulator = env.unwrapped.simulator  # type: ignore[attr-defined]
        assert found["optimum"] == simulator.optimal_policy(1.0, 40).values[0, 0]


def test_the_pace_is_the_first_validation_that_shows_90_percent(tmp_path: Path) -> None:
    text = "".join(
        f'{{"steps": {steps}, "updates": {2 * steps}, "validation_session_reward": {value}}}\n'
        for steps, value in ((10, 1.0), (20, 8.9), (30, 9.1), (40, 10.0), (50, 9.5))
    )
    (tmp_path / "metrics.jsonl").write_text(text, encoding="utf-8")
    assert ninety(tmp_path) == {"steps_to_90": 30, "updates_to_90": 60, "updates": 100}
