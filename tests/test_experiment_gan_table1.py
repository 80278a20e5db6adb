"""The page of gan-table1: verdicts and rows from results made by hand, and its logs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym.users.presets import MODELS
from recgym_agents.experiments.experiment import Finished, Page, Place, cell_id
from recgym_agents.experiments.gan import model_table
from recgym_agents.experiments.user_logs import draw_users
from recgym_agents.experiments.yoochoose_pages import CLICKS, read_yoochoose_pages
from tests.fixtures.user_logs import small_dataset
from tests.fixtures.yoochoose_clicks import disjoint_sessions, write_clicks

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


def test_the_model_with_similarity_is_held_against_the_one_without() -> None:
    runs = cells(0.6, 0.7)
    for one in cells(0.6, 0.8):
        if one.cell["model"] == "gan-pw":
            arrays = one.result["arrays"]
            scores = one.result["scores"]
            found = {
                "arrays": {"page": arrays["page"], "gan-similarity": arrays["gan-pw"]},
                "scores": {"gan-similarity": scores["gan-pw"]},
            }
            runs.append(replace(one, cell=one.cell | {"model": "gan-similarity"}, result=found))
    budget = BUDGET | {"models": ["sknn", "gan-pw", "gan-similarity"]}
    page = model_table.summarise(runs, budget)
    assert "2 of 2 are" in page.claims[0].evidence
    text = "gan-similarity predicts better than gan-pw, on yelp"
    claim = next(one for one in page.claims if one.text == text)
    assert claim.verdict == "reproduced"
    assert claim.evidence.startswith("difference +10.0")
    assert sum("best of them: sknn" in one.evidence for one in page.claims) == 2


def test_a_log_whose_cells_are_missing_is_said_to_be() -> None:
    page = model_table.summarise(cells(0.6, 0.7)[:-1], BUDGET)
    assert verdicts(page) == ["data not available here"]
    assert not page.figures


def test_cells_have_names_of_their_own_and_models_that_there_are() -> None:
    found = model_table.cells(model_table.BUDGET)
    assert len({cell_id(cell) for cell in found}) == len(found) == 5 * 3 * 15
    assert set(model_table.MODELS) - {model_table.SIMILAR} < set(MODELS)


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


def test_a_page_of_yoochoose_shows_what_others_of_its_split_clicked(tmp_path: Path) -> None:
    """Session 7 + n begins at minute 3 n, and clicks items 3 n .. 3 n + 2, as no other does."""
    sessions = {7 + n: [(3 * n + 5 * i * i, 3 * n + i) for i in range(3)] for n in range(400)}
    sessions[7] += [(55, 0)]  # the first click of an item counts
    sessions[3] = [(5, 0), (6, 9_999)]  # two clicks are too few
    log = read_yoochoose_pages(write_clicks(tmp_path / "clicks.dat", sessions), 4, seed=1)
    log.validate()
    assert (log.n_users, log.sessions.n_pages) == (400, 1_200)
    names = np.array(log.catalog.item_id).astype(int)
    slates = names[log.sessions.slate_items].reshape(400, 3, 4)
    clicked = np.take_along_axis(slates, log.sessions.click.reshape(400, 3, 1), axis=2)[:, :, 0]
    assert clicked.reshape(-1).tolist() == list(range(1_200))
    givers = slates // 3
    assert (log.split[givers] == log.split[:, None, None]).all()
    others = givers[slates != clicked[:, :, None]].reshape(400, 9)
    assert all(len({*given, own}) == 10 for own, given in enumerate(others.tolist()))
    steps = np.abs(others - np.arange(400)[:, None])[log.split == 0]
    assert steps.max() < 100  # of the 200, nine are drawn from the about 24 nearest


def test_a_cell_of_yoochoose_reads_its_latest_sessions_in_its_division(tmp_path: Path) -> None:
    place = Place(data=tmp_path, runs=tmp_path, folder=tmp_path)
    (tmp_path / "yoochoose").mkdir()
    path = write_clicks(tmp_path / "yoochoose" / CLICKS, disjoint_sessions(810))
    found = model_table._divided("yoochoose", place, 800, 2)
    same = read_yoochoose_pages(path, sessions=800, seed=2)
    assert found.n_users == 800
    np.testing.assert_array_equal(found.split, same.split)
    np.testing.assert_array_equal(found.sessions.slate_items, same.sessions.slate_items)
    assert found.sessions.slate_sizes.tolist() == [10] * 2_400
    budget = model_table.BUDGET | {"users": {"yoochoose": 800}}
    cell = {"log": "yoochoose", "split": 2, "model": "gan-similarity"}
    scores = {
        model: model_table.run_cell(cell | {"model": model}, budget | {"epochs": 1}, place)[
            "scores"
        ]
        for model in ("gan-pw", "gan-similarity")
    }
    assert [list(found) for found in scores.values()] == [[model] for model in scores]
    plain, similar = (scores[model][model]["log_likelihood"] for model in scores)
    assert plain != similar


def test_each_click_of_yoochoose_gives_its_item_as_often(tmp_path: Path) -> None:
    """Sessions of three clicks and of ten, of which eight are read, no item in two."""
    sizes = np.where(np.arange(1_000) % 2, 10, 3)
    firsts = 100 * np.arange(1_000)
    sessions = {
        1 + n: [(n, first + i) for i in range(size)]
        for n, (first, size) in enumerate(zip(firsts.tolist(), sizes.tolist(), strict=True))
    }
    log = read_yoochoose_pages(write_clicks(tmp_path / "clicks.dat", sessions), 5)
    assert log.sessions.n_pages == 500 * (3 + 8)
    names = np.array(log.catalog.item_id).astype(int)
    shown = np.bincount(names[log.sessions.slate_items] // 100, minlength=1_000)
    a_click = shown / np.minimum(sizes, 8)
    np.testing.assert_allclose(a_click[sizes == 3].mean(), 5.0, rtol=0.05)
    np.testing.assert_allclose(a_click[sizes == 10].mean(), 5.0, rtol=0.05)
    place = names[log.sessions.slate_items] % 100
    by_place = np.bincount(place)[:8] / np.array([1_000] * 3 + [500] * 5)
    np.testing.assert_allclose(by_place, 5.0, rtol=0.1)  # any click of a session
    slots = np.bincount(log.sessions.click, minlength=5)
    np.testing.assert_allclose(slots / slots.sum(), 0.2, rtol=0.1)


def test_the_latest_sessions_of_yoochoose_are_read(tmp_path: Path) -> None:
    sessions = {390 - n: [(4 * n + i, 100 + 3 * n + i) for i in range(3)] for n in range(300)}
    path = write_clicks(tmp_path / "clicks.dat", sessions)
    log = read_yoochoose_pages(path, 2, sessions=250)
    assert sorted(map(int, log.catalog.item_id)) == list(range(250, 1_000))
    with pytest.raises(RecGymError, match="too few sessions for pages of 200; read more"):
        read_yoochoose_pages(path, 200)


def test_no_item_is_shown_twice_to_a_session_of_yoochoose(tmp_path: Path) -> None:
    """Else what was not shown before would be what is clicked."""
    rng = np.random.default_rng(0)
    sessions = {
        number: list(
            zip(
                np.sort(rng.integers(1_400, size=8)).tolist(),
                rng.permutation(400)[:8].tolist(),
                strict=True,
            )
        )
        for number in range(1, 401)
    }
    log = read_yoochoose_pages(write_clicks(tmp_path / "clicks.dat", sessions), 5)
    shown = log.sessions.slate_items.reshape(400, 40)
    assert all(len(set(items)) == 40 for items in shown.tolist())
