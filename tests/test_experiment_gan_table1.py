"""The page of gan-table1: verdicts and rows from results made by hand, and its logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.users.presets import MODELS
from recgym_agents.experiments.experiment import Finished, Page, cell_id
from recgym_agents.experiments.gan import model_table
from recgym_agents.experiments.user_logs import draw_users
from recgym_agents.experiments.yoochoose_pages import PAGE_SIZE, read_yoochoose_pages
from tests.fixtures.user_logs import small_dataset

BUDGET = {"splits": [0, 1], "logs": ["yelp"], "models": ["sknn", "gan-pw"]}
PAGES = 40


def result(hits: dict[str, float], split: int) -> dict[str, Any]:
    """Half of the pages are tested in both divisions; a rule hits every page alike."""
    arrays: dict[str, Any] = {rule: [[hit] * PAGES, [1.0] * PAGES] for rule, hit in hits.items()}
    arrays["page"] = (np.arange(PAGES) + split * PAGES // 2).tolist()
    scores = {rule: {"precision_at_1": hit, "log_likelihood": -1.0} for rule, hit in hits.items()}
    scores.get("sknn", {}).pop("log_likelihood", None)
    return {"scores": scores, "arrays": arrays}


def cells(sknn: float, gan: float) -> list[Finished]:
    found = []
    for split, change in ((0, -0.1), (1, 0.1)):
        floors = {"random": 0.2, "item_ctr": 0.5}
        for model, hits in (
            ("floors", floors),
            ("sknn", {"sknn": sknn + change}),
            ("gan-pw", {"gan-pw": gan + change}),
        ):
            cell = {"log": "yelp", "model": model, "split": split}
            found.append(Finished(cell, result(hits, split), 1.0))
    return found


def verdicts(page: Page) -> list[str]:
    return [claim.verdict for claim in page.claims]


def test_hits_of_a_page_are_the_mean_over_the_divisions_that_test_it() -> None:
    runs = [one for one in cells(0.6, 0.7) if one.cell["model"] == "sknn"]
    scored = model_table.Scored(runs, "sknn")
    np.testing.assert_allclose(scored.hits, [0.5] * 20 + [0.6] * 20 + [0.7] * 20)
    np.testing.assert_allclose(scored.at[:, 0], [0.5, 0.7])
    assert scored.row()[0] == "60.0 ± 10.0"
    assert scored.log_likelihood == []


@pytest.mark.parametrize(
    ("sknn", "gan", "expected"),
    [
        (0.7, 0.9, ["reproduced", "reproduced"]),
        (0.3, 0.9, ["contradicted", "reproduced"]),
        (0.9, 0.7, ["reproduced", "contradicted"]),
        (0.7, 0.7, ["reproduced", "inconclusive"]),
    ],
)
def test_claims_are_judged_by_pages(sknn: float, gan: float, expected: list[str]) -> None:
    page = model_table.summarise(cells(sknn, gan), BUDGET)
    assert verdicts(page) == expected
    assert "best of them: sknn" in page.claims[1].evidence
    row = next(line for line in page.body.splitlines() if line.startswith("| yelp | gan-pw |"))
    assert row.endswith("| 72.0 / 92.5 |")
    assert list(page.figures) == ["gan-table1"]


def test_a_log_whose_cells_are_missing_is_said_to_be() -> None:
    page = model_table.summarise(cells(0.6, 0.7)[:-1], BUDGET)
    assert verdicts(page) == ["data not available here"]
    assert not page.figures


def test_cells_have_names_of_their_own_and_models_that_there_are() -> None:
    found = model_table.cells(model_table.BUDGET)
    assert len({cell_id(cell) for cell in found}) == len(found) == 5 * 3 * 14
    assert set(model_table.MODELS) < set(MODELS)


def test_some_users_of_a_log_keep_their_pages() -> None:
    log = small_dataset(n_users=20)
    few = draw_users(log, 5)
    few.validate()
    assert (few.n_users, few.sessions.n_pages) == (5, 60)
    drawn = np.sort(np.random.default_rng(0).permutation(20)[:5])
    theirs = log.sessions.select(np.isin(log.sessions.user, drawn))
    np.testing.assert_array_equal(few.sessions.item, theirs.item)
    np.testing.assert_array_equal(few.split, log.split[drawn])
    assert draw_users(log, None) is log


def test_a_page_of_yoochoose_shows_what_was_clicked_nearest_in_time(tmp_path: Path) -> None:
    lines = [
        f"{session},2014-04-01T10:{minute:02d}:00.000Z,{item},0"
        for session, clicks in (
            (7, [(0, 100), (1, 100), (2, 101), (3, 102), (4, 101)]),  # first clicks count
            (8, [(20 + i, 200 + i) for i in range(9)]),
            (9, [(40 + i, 400 + i) for i in range(6)]),
            (10, [(50, 100), (51, 300)]),  # two clicks are too few
        )
        for minute, item in clicks
    ]
    path = tmp_path / "yoochoose-clicks.dat"
    path.write_text("\n".join(lines) + "\n")
    log = read_yoochoose_pages(path)
    log.validate()
    assert log.sessions.n_pages == 3 + 9 + 6
    names = np.array(log.catalog.item_id).astype(int)
    slates = names[log.sessions.slate_items].reshape(-1, PAGE_SIZE)
    clicked = slates[np.arange(18), log.sessions.click]
    assert clicked.tolist() == [100, 101, 102, *range(200, 209), *range(400, 406)]
    assert set(slates[0]) == {100, *range(200, 209)}  # none of the other clicks of its session
    assert set(slates[11]) == {208, *range(400, 406), 100, 101, 102}
