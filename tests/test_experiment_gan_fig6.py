"""The page of figure 6, from results made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from recgym_agents.experiments.experiment import Finished, Page, Result
from recgym_agents.experiments.gan import figure_6 as experiment

BUDGET = experiment.BUDGET | {"sessions": 2}


def curve(low: float, high: float) -> Result:
    return experiment._result(np.concatenate([np.full(3, low), np.full(3, high)]), BUDGET)


def page(scratch: float = 0.5) -> Page:
    """Everybody clicks a little more or less by seed."""
    finished = []
    for cell in experiment.cells(BUDGET):
        luck = 0.01 * (cell["seed"] + (cell["policy"] == "maml"))
        means = {"maml": 0.8, "scratch": scratch, "linucb": 0.4, "random": 0.3}
        result = curve(means[cell["policy"]] + luck, 0.8 + luck * (cell["seed"] % 2))
        if cell["policy"] == "maml":
            result["stays"] = curve(0.7, 0.7)
        finished.append(Finished(cell, result, 1.0))
    return experiment.summarise(finished, BUDGET)


def test_a_larger_area_is_fewer_interactions() -> None:
    found = page()
    assert [claim.verdict for claim in found.claims] == ["reproduced"] * 4
    assert found.claims[0].evidence.startswith("mean click rate 0.8")
    row = next(line for line in found.body.splitlines() if line.startswith("| the same, not"))
    assert row == "| the same, not adapting | 0.700 ± 0.000 | 0.700 ± 0.000 | 0.700 ± 0.000 |"
    assert "over 600 interactions" in found.body
    assert set(found.figures) == {"gan-fig6-3", "gan-fig6-5"}


def test_a_smaller_area_contradicts() -> None:
    verdicts = {claim.text: claim.verdict for claim in page(scratch=0.95).claims}
    for text, verdict in verdicts.items():
        assert verdict == ("contradicted" if "model free" in text else "reproduced")


def test_results_tell_areas_and_ends() -> None:
    found = curve(0.2, 0.6)
    assert [found[name] for name in experiment.METRICS] == pytest.approx([0.4, 0.2, 0.6])
