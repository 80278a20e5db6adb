"""The page of what carries over: its verdicts on results made by hand, and one cell end to end."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.users import FittedUserModel
from recgym_agents.experiments.experiment import Finished, Place, Result
from recgym_agents.experiments.worlds import transfer

BUDGET = transfer.BUDGET | {
    "main_seeds": transfer.BUDGET["seeds"],
    "axes": {"users": [500, 3_000], "dynamics": [0.0, 1.0]},
}
GAINS = {"train": 0.5, "test": 0.1, "truth": 0.2}


def result(gain: dict[str, float]) -> Result:
    agreement = {"levels": 0.86, "items": 0.625}
    found: Result = {"agreement": agreement, "agreement_with_truth": agreement}
    for policy in transfer.POLICIES:
        ours = policy == transfer.AGENT
        found[policy] = {world: 2.0 + 2.0 * ours * gain[world] for world in transfer.WORLDS}
    return found | {
        "greedy in the truth": {"truth": 2.0},
        "planner in the truth": {"truth": 3.0},
    }


def finished(
    main: dict[str, float], spread: float = 0.01, budget: dict[str, Any] = BUDGET
) -> list[Finished]:
    found = []
    for cell in transfer.cells(budget):
        is_main = all(cell[name] == value for name, value in transfer.MAIN.items())
        shift = spread * (cell["seed"] - 3)
        gain = {world: (main[world] + shift) if is_main else 0.0 for world in main}
        found.append(Finished(cell, result(gain), 1.0))
    return found


def test_settings_change_one_thing_at_a_time() -> None:
    settings = transfer.settings(transfer.BUDGET)
    assert len(settings) == 6
    assert settings[0] == transfer.MAIN
    for one in settings[1:]:
        assert sum(one[name] != value for name, value in transfer.MAIN.items()) == 1
    cells = transfer.cells(transfer.BUDGET)
    assert len(cells) == 12 + 5 * 5
    seeds = [one["seed"] for one in cells if transfer.MAIN.items() <= one.items()]
    assert seeds == list(range(1, 13))


@pytest.mark.parametrize(
    ("test", "truth", "spread", "verdicts"),
    [
        (0.1, 0.2, 0.01, ["reproduced", "reproduced"]),
        (0.07, 0.11, 0.001, ["contradicted", "contradicted"]),  # real, and too small
        (0.1, 0.2, 0.2, ["inconclusive", "inconclusive"]),  # large, and unsure
    ],
)
def test_a_claim_needs_the_gain_and_the_certainty(
    test: float, truth: float, spread: float, verdicts: list[str]
) -> None:
    page = transfer.summarise(finished(GAINS | {"test": test, "truth": truth}, spread), BUDGET)
    assert [claim.verdict for claim in page.claims] == verdicts
    assert f"gain {100 * test:+.1f}%" in page.claims[0].evidence


def test_populations_that_were_added_are_also_tested_alone() -> None:
    budget = BUDGET | {"main_seeds": list(range(1, 9))}
    body = transfer.summarise(finished(GAINS, 0.01, budget), budget).body
    added = f"{100 * (GAINS['test'] + 0.01 * 4):+.1f}% in model of other users"  # seeds 6, 7, 8
    assert f"- the 3 populations that were added later: {added}" in body
    assert "- the 5 populations that were run first: " in body


def test_the_tables_show_gains_and_agreement() -> None:
    page = transfer.summarise(finished(GAINS), BUDGET)
    rows = [line.strip("| ").split(" | ") for line in page.body.splitlines()]
    (main,) = (row for row in rows if row[0] == "3000 users, dynamics 1, random log")
    assert main[1:5] == ["50.0 ± 0.7", "10.0 ± 0.7", "20.0 ± 0.7", "50.0 ± 0.0"]
    assert main[5:7] == ["0.86 ± 0.00", "0.62 ± 0.00"]
    (still,) = (row for row in rows if row[0] == "3000 users, dynamics 0, random log")
    assert still[1] == "0.0 ± 0.0"
    (ours,) = (row for row in rows if row[0] == transfer.AGENT)
    assert ours[1:] == ["3.000 ± 0.014", "2.200 ± 0.014", "2.400 ± 0.014"]
    assert len(page.figures["transfer"].axes) == 2


def test_from_the_truth_to_a_log_a_model_an_agent_and_back(tmp_path: Path) -> None:
    cell = transfer.MAIN | {"users": 60, "seed": 1}
    budget = transfer.SMOKE | {"steps": 64, "validation_episodes": 2, "episodes": 6}
    found = transfer.run_cell(cell, budget, Place(tmp_path, tmp_path, tmp_path / "cell"))
    for policy, world in itertools.product(transfer.POLICIES, transfer.WORLDS):
        assert np.isfinite(found[policy][world])
    for name in ("agreement", "agreement_with_truth"):
        assert all(-1.0 <= value <= 1.0 for value in found[name].values())
    folder = next((tmp_path / "cell").glob("agent-*"))
    model = FittedUserModel.load(folder)
    assert model.info["dataset"] == "known-users"
    assert model.info["repeat_clicks"]
    before = (folder / "params.safetensors").stat().st_mtime_ns
    again = transfer.run_cell(cell, budget, Place(tmp_path, tmp_path, tmp_path / "cell"))
    assert again == found
    assert (folder / "params.safetensors").stat().st_mtime_ns == before
