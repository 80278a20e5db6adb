"""What it is worth to know hidden interests: policies, and the page of made-up results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recgym_agents.experiments.experiment import Finished, Page, Place
from recgym_agents.experiments.m3rec import hidden_interests as experiment
from recgym_agents.experiments.m3rec.unknown_users import (
    HiddenWorld,
    believing_policy,
    index_rewards,
    knowing_policy,
    random_policy,
)

EARNED = dict(zip(experiment.POLICIES, (8, 9, 9.5, 10, 11.5, 11.7, 11.8, 12), strict=True))
WORLDS = [
    HiddenWorld("interest-exploration", "train", 5),
    HiddenWorld("interest-evolution", "test", 60),
]


def page(knows: float = 12.0, spread: float = 0.1) -> Page:
    finished = []
    for cell in experiment.cells(experiment.BUDGET):
        mean = knows if cell["policy"] == "knows" else EARNED[cell["policy"]]
        reward = mean + spread * (-1) ** cell["seed"]
        finished.append(Finished(cell, {"reward": reward}, 1.0))
    return experiment.summarise(finished, experiment.BUDGET)


def test_headroom_is_over_the_best_who_sees_what_agents_see() -> None:
    found = page()
    assert [claim.verdict for claim in found.claims] == ["reproduced"] * 4
    evidence = found.claims[0].evidence
    assert "over beliefs from the session; 26.3% over beliefs from the last slate" in evidence
    row = next(line for line in found.body.splitlines() if line.startswith("| beliefs from the s"))
    assert row.endswith("| 10.00 ± 0.06 | +0.0% | 0% |")


@pytest.mark.parametrize(
    ("knows", "spread", "verdict"), [(11.0, 0.1, "contradicted"), (11.5, 2.0, "inconclusive")]
)
def test_little_headroom(knows: float, spread: float, verdict: str) -> None:
    assert {claim.verdict for claim in page(knows, spread).claims} == {verdict}


@pytest.mark.parametrize("where", WORLDS, ids=lambda where: where.name)
def test_who_knows_more_earns_more(where: HiddenWorld) -> None:
    knows, random = knowing_policy(where, 60, 0), random_policy(where, 60, 0)
    assert knows.mean() > random.mean() + 2 * (knows - random).std() / 60**0.5
    told = believing_policy(where, 60, 0, 40, 2, remembers=True)
    guesses = believing_policy(where, 60, 0, 40, 0, remembers=False)
    assert told.mean() > guesses.mean()


@pytest.mark.parametrize("where", WORLDS, ids=lambda where: where.name)
def test_policies_tried_at_once_have_the_same_luck(where: HiddenWorld) -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(3, 4 + where.simulator().n_topics))
    together = index_rewards(where, 8, 1, weights[[0, 1, 0]])
    assert together[0] == together[2]
    assert index_rewards(where, 8, 1, weights[1:2])[0] == pytest.approx(together[1])


def test_a_cell_runs(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path, tmp_path)
    cells = [c for c in experiment.cells(experiment.SMOKE) if "exploration, train" in c["world"]]
    for cell in cells[::2]:
        assert experiment.run_cell(cell, experiment.SMOKE, place)["reward"] > 0.0
