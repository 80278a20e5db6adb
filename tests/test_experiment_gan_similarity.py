"""The page of gan-similarity: verdicts from results made by hand, and a small run."""

from __future__ import annotations

from pathlib import Path

import pytest

from recgym_agents.experiments.experiment import Finished, Page, Place
from recgym_agents.experiments.gan import similarity
from recgym_agents.experiments.gan.similarity import BUDGET, MEASURES, OURS, SMOKE, THEIRS
from tests.fixtures.user_logs import small_dataset


def page(gains: dict[str, float]) -> Page:
    """Ours is above theirs by a gain in each measure, a little less in every second division."""
    finished = []
    for seed in BUDGET["seeds"]:
        luck = 0.01 * (seed % 3)
        for model in (THEIRS, OURS):
            gain = {name: gains.get(name, 0.0) for name in MEASURES if model == OURS}
            uneven = 0.001 * (seed % 2)
            result = {
                name: 0.5 + luck + (gain.get(name, 0.0) and gain[name] - uneven)
                for name in MEASURES
            }
            cell = {"model": model, "seed": seed}
            finished.append(Finished(cell, result, 1.0))
    return similarity.summarise(finished, BUDGET)


def test_each_measure_is_judged_by_its_own_difference() -> None:
    gains = {"log_likelihood": 0.03, "precision_at_1": -0.02, "tastes": 0.1}
    found = page(gains)
    assert [claim.verdict for claim in found.claims] == [
        "reproduced",
        "contradicted",
        "reproduced",
        "inconclusive",
    ]
    assert found.claims[2].evidence.startswith("0.609 against 0.510; +0.099")
    assert "detectable" in found.claims[3].evidence
    row = next(line for line in found.body.splitlines() if line.startswith("| gan-similarity |"))
    assert row.split(" | ")[3].startswith("0.609 ± ")


def test_without_cells_nothing_is_claimed() -> None:
    (claim,) = similarity.summarise([], BUDGET).claims
    assert claim.verdict == "data not available here"


@pytest.mark.parametrize("model", [THEIRS, OURS])
def test_a_cell_fits_both_members_and_compares_them(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "read_log", lambda name, place: small_dataset(n_users=30))
    place = Place(data=tmp_path, runs=tmp_path, folder=tmp_path)
    found = similarity.run_cell({"model": model, "seed": 1}, SMOKE | {"users": None}, place)
    assert set(found) == set(MEASURES)
    assert found["log_likelihood"] < 0.0
    assert -1.0 <= found["tastes"] <= 1.0
