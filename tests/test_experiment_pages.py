"""The pages of the experiments: verdicts and tables from results made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from recgym_agents.experiments import figure_5, recgan_policies, regularizers, user_models
from recgym_agents.experiments.experiment import Finished, Page
from recgym_agents.experiments.pages import table

HITS = {"random": 0.25, "item_ctr": 0.5, "gan-pw": 0.75, "gan-lstm": 0.75}


def verdicts(page: Page) -> dict[str, str]:
    return {claim.text: claim.verdict for claim in page.claims}


def row_of(page: Page, *start: str) -> list[str]:
    """The first row of a table that begins with these cells."""
    lines = [line.strip("| ").split(" | ") for line in page.body.splitlines()]
    return next(line for line in lines if tuple(line[: len(start)]) == start)


def log_result(hits: dict[str, float]) -> dict[str, Any]:
    """Eight pages, of which two show one item; each rule hits a share of every page."""
    scores = {name: {"precision_at_1": hit, "log_likelihood": -1.0} for name, hit in hits.items()}
    pages = {name: [[hit] * 8, [hit] * 8] for name, hit in hits.items()}
    return {"scores": scores, "arrays": {**pages, "slate_size": [1, 1, 2, 3, 4, 5, 6, 7]}}


def log_cells(log: str, model_hits: float) -> list[Finished]:
    floors = {"random": 0.25, "item_ctr": 0.5}
    cells = [Finished({"log": log, "model": "floors", "seed": 0}, log_result(floors), 1.0)]
    for model in ("gan-pw", "gan-lstm"):
        for seed, change in ((0, -0.05), (1, 0.05)):
            cell = {"log": log, "model": model, "seed": seed}
            cells.append(Finished(cell, log_result({model: model_hits + change}), 1.0))
    return cells


@pytest.mark.parametrize(("hits", "verdict"), [(0.75, "reproduced"), (0.45, "not reproduced")])
def test_user_models_must_beat_item_ctr(hits: float, verdict: str) -> None:
    page = user_models.summarise(log_cells("yelp", hits), {"logs": ["yelp"]})
    assert verdicts(page)["gan-pw beats item-CTR on yelp (p < .01)"] == verdict
    row = row_of(page, "yelp", "gan-pw")
    assert row[2] == f"{100 * hits:.1f} ± 5.0"
    assert row[6:] == ["-1.000 ± 0.000", "72.0 / 92.5"]
    assert row_of(page, "yelp", "item-CTR")[2] == "50.0"
    tests = [line for line in page.body.splitlines() if "| yelp, pages of 2 or more |" in line]
    assert tests[-1].endswith(("| 6 | <.001 |", "| 6 | 1.000 |"))


def test_a_log_that_is_not_here_is_said_to_be_missing() -> None:
    page = user_models.summarise(log_cells("yelp", 0.75), {"logs": ["yelp", "taobao"]})
    text = "gan-pw beats item-CTR on taobao (p < .01)"
    assert verdicts(page)[text] == "data not available here"
    empty = regularizers.summarise([], {"splits": [1]})
    assert set(verdicts(empty).values()) == {"data not available here"}


def test_regularizers_are_compared_by_seed() -> None:
    scores = {
        "entropy": (0.70, 0.71, 0.72),
        "l2": (0.75, 0.762, 0.774),
        "l2-frozen-reward": (0.70, 0.712, 0.714),
    }
    cells = []
    for variant, by_seed in scores.items():
        for seed, score in enumerate(by_seed):
            result = {"scores": {"gan-lstm": {"precision_at_1": score, "precision_at_2": 0.9}}}
            cell = {"variant": variant, "split": 1, "seed": seed}
            cells.append(Finished(cell, result, 1.0))
    page = regularizers.summarise(cells, {"splits": [1]})
    found = verdicts(page)
    assert found["l2 predicts better than entropy on split 1"] == "reproduced"
    assert found["l2-frozen-reward predicts better than entropy on split 1"] == "not reproduced"
    assert row_of(page, "1 (released)", "l2")[4] == "5.2 ± 0.1"
    assert row_of(page, "1 (released)", "entropy")[-1] == "73.1 / 88.8"


def policy_cells(rewards: dict[str, tuple[float, float]]) -> list[Finished]:
    """Two seeds of every policy, 0.01 apart; two users, the second 0.1 better off."""
    cells = []
    for policy in recgan_policies.POLICIES:
        for seed in (0, 1):
            result: dict[str, Any] = {"arrays": {}}
            for world, reward in zip(
                ("train", "test"), rewards.get(policy, (1.0, 1.0)), strict=True
            ):
                mean = reward * (1 + 0.001 * seed)
                result[world] = {"reward": mean, "click_rate": mean / 10}
                result["arrays"][world] = [mean - 0.05, mean + 0.05]
            cell = {"policy": policy, "slate_size": 3, "seed": seed}
            cells.append(Finished(cell, result, 1.0))
    return cells


def test_policies_are_judged_on_held_out_users() -> None:
    rewards = {"cascading": (3.0, 1.8), "user-greedy": (2.5, 2.0), "RWD1": (1.5, 1.5)}
    page = recgan_policies.summarise(policy_cells(rewards), {"slate_sizes": [3]})
    found = verdicts(page)
    assert found["cascading beats user-greedy on held-out users, slates of 3"] == "not reproduced"
    assert found["cascading beats user-greedy where it trained, slates of 3"] == "reproduced"
    assert found["cascading clicks at least as often as RWD1, slates of 3"] == "reproduced"
    row = row_of(page, "cascading")
    assert row[5:] == ["-10.0%", "24.05", "0.74", "+12.5%"]
    assert row_of(page, "user-greedy - cascading")[1] == "+0.2001"


def test_figure_5_needs_every_network_to_agree() -> None:
    result = {
        "correlation": [0.95, 0.99, 0.89, 0.97, 1.0],
        "error": [0.1] * 5,
        "mean": [1.0] * 5,
        "spread": 0.5,
        "slates": 2,
        "arrays": {"q": [[1.0] * 5, [2.0] * 5]},
    }
    page = figure_5.summarise([Finished({"seed": 0}, result, 1.0)], {})
    assert set(verdicts(page).values()) == {"not reproduced"}
    assert row_of(page, "Q^3")[1] == "0.890"


def test_a_table_has_one_line_a_row() -> None:
    assert table(["a", "b"], [["x", "1"]]).splitlines() == ["| a | b |", "|---|---:|", "| x | 1 |"]
