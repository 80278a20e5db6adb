"""The page of SlateQ in interest evolution, from results made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recgym_agents.experiments.experiment import Finished, Page
from recgym_agents.experiments.worlds import slateq_table as experiment
from recgym_agents.zoo import AGENTS

BUDGET = experiment.BUDGET | {"seeds": [0, 1, 2]}
MEANS = dict(zip(experiment.POLICIES, (160, 167, 170, 171, 169, 172, 175, 200, 210), strict=True))


def page(**changes: float) -> Page:
    """Every policy earns its mean, a little more or less by seed."""
    means = MEANS | {name.replace("_", ", "): value for name, value in changes.items()}
    finished = []
    for cell in experiment.cells(BUDGET):
        session = means[cell["policy"]] + (0.0, 0.1, -0.1)[cell["seed"]] * (1 + len(cell["policy"]))
        result = {"session": session, "validation": [1.0, 2.5], "click_rate": 0.5, "steps": 70.0}
        finished.append(Finished(cell, result, 1.0))
    return experiment.summarise(finished, BUDGET)


def test_an_order_like_the_papers_is_reproduced() -> None:
    found = page()
    assert [claim.verdict for claim in found.claims] == ["reproduced"] * 6
    evidence = found.claims[0].evidence
    assert evidence.startswith("167.0 against 160.0 minutes (+4.4%, interval ")
    assert evidence.endswith("; paper +4.5%")
    row = next(line for line in found.body.splitlines() if line.startswith("| Q, exact |"))
    assert row.startswith("| Q, exact | 174.6 | 175.0 ± 0.5 | +0.2% | +9.4% | 0.500 ± 0.000 |")
    assert row.endswith("| 70.0 ± 0.0 | 1.0 → 2.5 |")


def test_less_than_the_paper_gains_is_contradicted() -> None:
    claims = {claim.text: claim.verdict for claim in page(Q_exact=166.0).claims}
    assert claims["Q, exact beats SARSA, greedy"] == "contradicted"
    assert claims["Q, exact beats myopic"] == "contradicted"
    assert claims["myopic beats random"] == "reproduced"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [({}, "reproduced"), ({"Q_exact": 166.0}, "contradicted"), ({"myopic": 163.0}, "inconclusive")],
)
def test_every_row_is_held_to_the_papers_figure(changes: dict[str, float], verdict: str) -> None:
    last = page(**changes).claims[-1]
    assert (last.text, last.verdict) == ("every row is within 2% of the paper's", verdict)
    # 160 ± 4.303 * 0.7 / 3 ** 0.5 minutes, of 159.2.
    assert last.evidence.startswith("random -0.6% .. +1.6%; ")


@pytest.mark.parametrize(
    ("policy", "agent"),
    [("Q, exact, no click valued", "slateq"), ("SARSA, greedy, no click valued", "slateq-sarsa")],
)
def test_two_rows_are_agents_of_the_zoo(policy: str, agent: str) -> None:
    plain = AGENTS.find("slateq")
    assert replace(plain.config, **experiment.POLICIES[policy]) == AGENTS.find(agent).config
    assert plain.loop == AGENTS.find(agent).loop
