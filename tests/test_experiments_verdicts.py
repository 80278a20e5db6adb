"""Verdicts by hand, and the published pages: their words, and that they are made of their data."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym.files import read_json
from recgym_agents.commands import reproduce
from recgym_agents.experiments import EXPERIMENTS
from recgym_agents.experiments.experiment import Verdict
from recgym_agents.experiments.verdicts import (
    Difference,
    differences,
    judge,
    judge_all,
    judge_bound,
    p_of_the_contrary,
)

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
PAGES = sorted(RESULTS.glob("*.md"))
PUBLISHED = [name for name in EXPERIMENTS if (RESULTS / f"{name}.json").is_file()]
FROM_PUBLISHED = [name for name in PUBLISHED if not EXPERIMENTS.find(name).reads_arrays]


def test_differences_are_tested_as_one_family() -> None:
    zeros = np.zeros(5)
    first, second = differences([(np.array([0.0, 2.0, 1.0, 1.0, 2.0]), zeros), (zeros, zeros)])
    # Mean 1.2, standard error sqrt(.7 / 5) = .3742, t 3.207 with 4 degrees: p .0327, times two.
    assert first.mean == pytest.approx(1.2)
    assert first.p_for == first.p_against == pytest.approx(0.0654, abs=1e-4)
    # t of 4 degrees at .05 / 2 is 3.495; the noncentrality that it finds four times in five, 4.58.
    assert (first.low, first.high) == pytest.approx((1.2 - 1.3079, 1.2 + 1.3079), abs=1e-3)
    assert first.detectable == pytest.approx(4.58 * 0.3742, rel=3e-3)
    assert (second.mean, second.p_for, second.detectable) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("mean", "p_for", "p_against", "claimed", "verdict"),
    [
        (1.0, 0.049, 0.049, None, "reproduced"),
        (1.0, 0.051, 0.001, None, "inconclusive"),
        (-1.0, 0.001, 0.049, None, "contradicted"),
        (-1.0, 0.001, 0.051, None, "inconclusive"),
        (1.0, 0.051, 0.051, 1.9, "inconclusive"),
        (1.0, 0.051, 0.051, 2.1, "contradicted"),  # the interval ends at 2
        (1.0, 0.049, 0.049, 2.1, "reproduced"),  # smaller than the paper's, and there
        (0.0, 0.001, 0.001, None, "inconclusive"),
    ],
)
def test_a_claim_is_judged_by_direction_tests_and_the_papers_size(
    mean: float, p_for: float, p_against: float, claimed: float | None, verdict: str
) -> None:
    found = Difference(mean, mean - 1.0, mean + 1.0, p_for, p_against, 1.0)
    assert judge(found, claimed=claimed) == verdict


def test_a_stricter_level_needs_more() -> None:
    found = Difference(1.0, 0.0, 2.0, 0.02, 0.02, 1.0)
    assert (judge(found), judge(found, 0.01)) == ("reproduced", "inconclusive")


def test_bounds_are_judged_by_the_interval() -> None:
    assert judge_bound(0.7, 0.9, bound=0.7) == "reproduced"
    assert judge_bound(0.6, 0.7, bound=0.7) == "inconclusive"
    assert judge_bound(0.5, 0.69, bound=0.7) == "contradicted"


def test_a_statement_needs_all_of_its_parts() -> None:
    assert judge_all(["reproduced"] * 2) == "reproduced"
    assert judge_all(["reproduced", "inconclusive"]) == "inconclusive"
    assert judge_all(["reproduced", "contradicted", "inconclusive"]) == "contradicted"


def test_the_contrary_has_a_p_value_only_where_ours_is_lower() -> None:
    values = np.tile([0.0, 1.0], 50)
    assert p_of_the_contrary(values, values - 0.1) == 1.0
    assert p_of_the_contrary(values, values) == 1.0
    assert p_of_the_contrary(values, values + 0.1) < 0.001


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_published_verdicts_are_words_of_today(page: Path) -> None:
    text = page.read_text("utf-8")
    assert "not reproduced" not in text
    _, _, verdicts = text.partition("## Verdicts\n\n")
    rows = verdicts.split("\n\n")[0].splitlines()[2:]
    found = [re.split(r" \| ", row)[1].strip("*") for row in rows]
    assert set(found) <= set(get_args(Verdict))
    for row, verdict in zip(rows, found, strict=True):
        assert verdict != "inconclusive" or "; detectable: " in row


@pytest.mark.parametrize("name", FROM_PUBLISHED)
def test_a_page_is_made_again_from_what_is_published(name: str, tmp_path: Path) -> None:
    shutil.copy(RESULTS / f"{name}.json", tmp_path)
    reproduce.main(name, rejudge=True, docs=tmp_path)
    assert (tmp_path / f"{name}.md").read_text() == (RESULTS / f"{name}.md").read_text()
    assert read_json(tmp_path / f"{name}.json") == read_json(RESULTS / f"{name}.json")


def test_what_cannot_be_judged_again_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match="transfer needs single pages or sessions"):
        reproduce.main("transfer", rejudge=True, docs=tmp_path)
    with pytest.raises(RecGymError, match=r"irecgan-fig3\.json: no such file; run irecgan-fig3"):
        reproduce.main("irecgan-fig3", rejudge=True, docs=tmp_path)
    with pytest.raises(RecGymError, match="--rejudge: takes none of"):
        reproduce.main("irecgan-fig3", rejudge=True, smoke=True)
    assert list(tmp_path.iterdir()) == []


def test_a_page_of_another_version_is_not_judged_again(tmp_path: Path) -> None:
    name = "m3rec-support"
    published = read_json(RESULTS / f"{name}.json")
    del published["budget"]["adapting_again"]
    (tmp_path / f"{name}.json").write_text(json.dumps(published))
    with pytest.raises(RecGymError, match=r"m3rec-support\.json: made by another version"):
        reproduce.main(name, rejudge=True, docs=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.json"]
