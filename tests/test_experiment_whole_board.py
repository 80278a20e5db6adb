"""The board of all agents in all environments, from results made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recgym import ENVIRONMENTS
from recgym.data import Dataset
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.experiments.experiment import Finished, Place
from recgym_agents.experiments.worlds import whole_board
from recgym_agents.zoo import AGENTS

WORLD = "SlateMDP-v0"
BUDGET = whole_board.BUDGET | {
    "environments": [WORLD],
    "agents": ["random", "popularity", "cascading-dqn", "logging"],
}
EARNED = {"random": 1.0, "popularity": 3.0, "cascading-dqn": 4.0, "logging": 2.0, "planner": 5.0}


def finished() -> list[Finished]:
    """All seeds earn the same, so that shares are exact."""
    found = []
    for cell in whole_board.cells(BUDGET):
        result = {"session": EARNED[cell["policy"]], "click_rate": 0.5}
        if cell["policy"] != whole_board.PLANNER:
            result |= {"distinct": 1_200, "training_seconds": 3.0}
        found.append(Finished(cell, result, 4.0))
    return found


def test_every_pair_that_works_is_a_cell() -> None:
    cells = whole_board.cells(whole_board.BUDGET)
    assert {cell["env"] for cell in cells} == set(ENVIRONMENTS)
    assert {cell["policy"] for cell in cells} == {*AGENTS, whole_board.PLANNER}
    assert "user-greedy" not in whole_board.able(WORLD)
    refusing = {"reward-weighted", "ips", "pg-offline", "ips-pg"}
    assert refusing <= set(whole_board.able(WORLD))
    assert not refusing & set(whole_board.able("RecGAN-v0"))


def test_the_best_come_first_with_their_share_and_what_trains_them() -> None:
    page = whole_board.summarise(finished(), BUDGET)
    rows = [line for line in page.body.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == [
        *("| agent", "| planner", "| cascading-dqn", "| popularity", "| logging", "| random")
    ]
    assert "| cascading-dqn | 4.00 ± 0.00 | 50% (50% .. 50%) | 0.500 ± 0.000 | 1,200 |" in rows[2]
    assert "| popularity | 3.00 ± 0.00 |  |" in rows[3]  # a floor has no share of its own
    assert "-50%" in rows[4]
    html = page.html["board"]
    trained = "recgym train --env SlateMDP-v0 --agent cascading-dqn --steps 4000 --seed 0"
    trained += " --reports 2 --validation-episodes 50 --out runs/board/SlateMDP-v0/cascading-dqn"
    assert trained in html
    assert html.count("<td>recgym reproduce board</td>") == 2  # the planner, and who needs a log


@pytest.mark.parametrize("env", list(ENVIRONMENTS))
def test_logs_of_rewards_below_0_are_of_the_environments_that_are_said_to_have_them(
    env: str, tmp_path: Path
) -> None:
    budget = whole_board.BUDGET | {"steps": 1_000}
    place = Place(tmp_path, tmp_path, tmp_path)
    log = Dataset.load(Path(whole_board.random_log({"env": env, "seed": 0}, budget, place)))
    assert (log.sessions.reward.min() < 0.0) == (env in whole_board.BELOW_0)


def test_long_sessions_are_cut_and_the_command_says_so() -> None:
    found = whole_board._command("InterestExploration-v0", "slateq", 4_000, BUDGET)
    assert found.startswith(
        "recgym train --env InterestExploration-v0 --env-args horizon=60 --agent"
    )


def test_items_are_counted_once_whoever_is_adapted_to() -> None:
    class Two:
        """Shows items 1 and 2, and then 2 and 3."""

        spec = EnvironmentSpec(5, 2, 2, None)
        shown = 0

        def adapt(self, support: object) -> Two:
            return self

        def act(self, observation: np.ndarray) -> np.ndarray:
            self.shown += 1
            return np.tile([self.shown, self.shown + 1], (len(observation), 1))

    seen = whole_board.Seen(Two())
    for _ in range(2):
        seen.adapt(None).act(np.zeros((3, 2)))  # type: ignore[arg-type]
    assert seen.items == {1, 2, 3}


def test_a_log_has_the_slates_of_its_budget(tmp_path: Path) -> None:
    cell, place = {"env": WORLD, "seed": 0}, Place(tmp_path, tmp_path, tmp_path / "cell")
    pages = [
        Dataset.load(whole_board.random_log(cell, {"steps": steps}, place)).sessions.n_pages
        for steps in (400, 1_600)
    ]
    assert pages == pytest.approx([400, 1_600], rel=0.2)


@pytest.mark.parametrize("policy", ["random", "logging", "planner"])
def test_a_cell_runs_and_is_the_same_again(policy: str, tmp_path: Path) -> None:
    cell = {"env": WORLD, "policy": policy, "seed": 0}
    budget = whole_board.SMOKE | {"steps": 400, "validation_episodes": 2, "episodes": 4}
    found = [
        whole_board.run_cell(cell, budget, Place(tmp_path, tmp_path, tmp_path / str(number)))
        for number in range(2)
    ]
    for one in found:
        one.pop("training_seconds", None)
    assert found[0] == found[1]
    assert 0.0 < found[0]["click_rate"] <= 1.0
    assert ("distinct" in found[0]) == (policy != "planner")
