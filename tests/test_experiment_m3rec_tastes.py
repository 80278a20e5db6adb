"""M3Rec and two opposite tastes: the page of made-up results, and what its world is worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recgym_agents.experiments.experiment import Finished, Page, Place
from recgym_agents.experiments.m3rec import opposite_tastes as experiment
from recgym_agents.experiments.m3rec.two_tastes import told_apart
from recgym_agents.experiments.m3rec.unknown_users import mean_reward

RULES = dict(zip(experiment.RULES, (0.5, 0.56, 0.95, 1.0), strict=True))


def page(auc: float = 0.99, told: float = 0.95, unknown: float = 0.5, without: float = 0.5) -> Page:
    """Every other seed is .002 luckier."""
    finished = []
    for cell in experiment.cells(experiment.BUDGET):
        policy, luck = cell["policy"], 0.002 * (cell["seed"] % 2)
        found = {"reward": RULES[policy] + luck} if policy in RULES else {}
        if policy == "m3rec":
            found = {"auc": auc - luck, "told": told + luck, "unknown": unknown + luck}
        elif not found:
            found = {"auc": 0.0, "told": without + luck, "unknown": without + luck}
        finished.append(Finished(cell, found, 1.0))
    return experiment.summarise(finished, experiment.BUDGET)


def test_shares_are_of_who_knows_the_user() -> None:
    """.95 of 1 and .952 of 1.002: 95.0%."""
    found = page()
    assert [claim.verdict for claim in found.claims] == ["reproduced"] * 4
    assert found.claims[1].evidence.startswith("0.95 (95% ")
    assert "| m3rec, told of one sequence | 0.951 ± 0.000 | 0.950 ± 0.000 |" in found.body
    assert "| knows the user | 1.001 ± 0.000 | 1.000 ± 0.000 |" in found.body


@pytest.mark.parametrize(
    ("place", "changed"), list(enumerate([{"auc": 0.9}, {"told": 0.8}, {"unknown": 0.8}]))
)
def test_each_claim_is_contradicted_by_its_own_number(
    place: int, changed: dict[str, float]
) -> None:
    verdicts = [claim.verdict for claim in page(**changed).claims]
    assert verdicts.pop(place) == "contradicted"
    assert verdicts == ["reproduced"] * 3
    assert page(without=0.8).claims[3].verdict == "contradicted"


def test_contexts_of_two_clusters() -> None:
    """Of the two asked of each cluster, one of the first is no further along than one other."""
    context = np.array([[1.0], [0.6], [-1.0], [-0.5], [1.0], [0.2], [-1.0], [0.4]])
    likes = np.array([True, True, False, False] * 2)
    assert told_apart(context, likes) == 0.75
    assert told_apart(np.zeros((8, 1)), likes) == 0.5


def test_an_agent_is_scored_with_and_without_support(tmp_path: Path) -> None:
    cell, place = {"policy": "m3rec", "seed": 0}, Place(tmp_path, tmp_path, tmp_path / "cell")
    found = experiment.run_cell(cell, experiment.SMOKE, place)
    assert set(found) == {"unknown", "told", "auc"}
    assert all(0.0 <= value <= 1.0 for value in found.values())
    assert found["auc"] > 0.5


def test_who_knows_the_user_earns_what_the_rules_say() -> None:
    """An item of quality q is clicked with the odds exp(affinity + q - 4).

    The best of about five that she likes has a quality of about 1.4; random ones have 1, and she
    likes half of them.
    """

    def chance(affinity: float, quality: float) -> float:
        return float(1.0 / (1.0 + np.exp(4.0 - quality - np.exp(affinity))))

    knows, random = (
        mean_reward(name, experiment.WORLD, 4_000, 0, experiment.BUDGET)
        for name in ("knows", "random")
    )
    assert knows == pytest.approx(chance(experiment.LIKED, 1.4), abs=0.02)
    either = [chance(affinity, 1.0) for affinity in (experiment.LIKED, experiment.DISLIKED)]
    assert random == pytest.approx(np.mean(either), abs=0.03)
