"""Coverage of off-policy intervals: exact values, the rule of the verdicts, and a small cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym_agents.experiments.experiment import Finished, Page, Place
from recgym_agents.experiments.offline import ope_coverage as page_module
from recgym_agents.experiments.offline.coverage_replicates import (
    estimates,
    exact,
    log_of,
    make_world,
    policies,
)
from recgym_agents.experiments.offline.enumerated_slates import ListedPolicy, exact_clicks
from tests.fixtures.small_slate_mdp import small

BUDGET = page_module.BUDGET | {"sessions": [100, 200], "replicates": 500}


def test_listed_slates_are_drawn_without_replacement() -> None:
    policy = ListedPolicy(np.array([[1.0, 1.0, 2.0]] * 4), 2)
    slate = policy.number(np.array([2, 0]))
    assert policy.slates[slate].tolist() == [2, 0]
    np.testing.assert_allclose(policy.conditional[3, slate], [1 / 2, 1 / 2])
    np.testing.assert_allclose(policy.whole.sum(axis=1), 1.0)
    assert policy.whole[0, policy.number(np.array([1, 1]))] == 0.0
    np.testing.assert_allclose(policy.marginal[0].sum(axis=1), 1.0)
    np.testing.assert_allclose(policy.marginal[0, 0], [1 / 4, 1 / 4, 1 / 2])
    # slot 1 shows item 2 after item 0 (1/4 * 2/3) or item 1 (the same)
    assert policy.marginal[0, 1, 2] == pytest.approx(1 / 3)
    assert policy.holds[slate].tolist() == [[0, 0, 1], [1, 0, 1]]


def test_means_of_a_slot_are_over_the_policy_given_what_stands_above() -> None:
    policy = ListedPolicy(np.array([[1.0, 1.0, 2.0]] * 4), 2)
    table = policy.slates * [1.0, 10.0]  # slot 0: its item; slot 1: ten times its item
    mean = policy.mean_of(table)[0]
    slate = policy.number(np.array([2, 0]))
    assert mean[slate].tolist() == pytest.approx([0.25 * 1 + 0.5 * 2, 10 * 0.5])


def test_exact_clicks_are_the_planners() -> None:
    world = small()
    always = np.full((4, 3), 1e-12)
    always[:, 2], always[:, 1] = 1e12, 1.0
    policy = ListedPolicy(always, 2)
    for horizon in (1, 3):
        planned = world.policy_value(np.array([2, 1]), 1.0, horizon)[0]
        assert exact_clicks(world, policy, horizon) == pytest.approx(planned)


def test_exact_clicks_follow_the_last_click() -> None:
    world = small()
    weights = np.full((4, 3), 1e-12)
    weights[:, 0], weights[3, 2], weights[2, 1] = 1.0, 1e6, 1e6  # 2 and 0; after item 2, 1 and 0
    policy = ListedPolicy(weights, 2)
    # state 0: item 2 (rewards 1 and .2) is clicked with 1/1.2, and leads to state 1; item 0 with
    # .04/1.2, and leads to state 0, where the slate is then 0 and, of two equal others, one
    second = (0.5**2 + 0.1**2) / 0.6
    rest = np.mean([(0.04 + 0.09) / 0.5, (0.04 + 1.0) / 1.2])
    value = (1.0 * (1 + second) + 0.04 * (1 + rest)) / 1.2
    assert exact_clicks(world, policy, 2) == pytest.approx(value, rel=1e-4)


def test_the_replicates_hold_the_truth_in_the_mean() -> None:
    env, world = make_world(page_module.WORLD | {"mdp_seed": 5})
    logging, target = policies(world, sharpness=0.6, avoids_last=0.5)
    truth = exact(world, target)
    log = log_of(env, world, logging, 30_000, seed=2)
    for value, name, one in estimates(log, logging, target):
        if name in ("ips", "snips", "dr", "cascade-dr"):
            assert abs(one.estimate - truth[value]) < 3.0 * one.standard_error, (value, name)
    assert {name for value, name, _ in estimates(log, logging, target) if value == "page"} == set(
        page_module.ESTIMATORS["page"]
    )


def test_a_cell_counts_its_replicates(tmp_path: Path) -> None:
    cell = {"target": "far", "sessions": 60, "seed": 1}
    budget = page_module.SMOKE | {"replicates": 4}
    found = page_module.run_cell(cell, budget, Place(tmp_path, tmp_path, tmp_path))
    assert 0 <= found["page: dr"]["held"] <= 4
    assert found == page_module.run_cell(cell, budget, Place(tmp_path, tmp_path, tmp_path))
    assert 0.0 < found["exact page"] < 1.0 < found["exact session"]


def summary(held: dict[str, float]) -> Page:
    """Every estimator's intervals hold the truth in 95% of the replicates but for those given."""
    finished = []
    for cell in page_module.cells(BUDGET):
        result: dict[str, Any] = {"exact page": 0.5, "exact session": 1.0}
        for value, names in page_module.ESTIMATORS.items():
            for name in names:
                key = f"{value}: {name}"
                numbers = {"bias": 0.01, "spread": 0.1, "width": 0.2, "effective": 50.0}
                result[key] = {"held": int(500 * held.get(key, 0.95))} | numbers
        finished.append(Finished(cell, result, 1.0))
    return page_module.summarise(finished, BUDGET)


def test_verdicts_are_by_the_interval_of_the_coverage() -> None:
    found = summary({"page: cascade-dr": 0.9, "session: dr": 0.935})
    verdicts = {claim.text.partition(":")[0]: claim.verdict for claim in found.claims}
    assert verdicts == {
        "doubly robust": "reproduced",
        "cascade-DR, a page's click in its last slot": "contradicted",
        "doubly robust over whole sessions": "inconclusive",
        "cascade-DR, clicks in their slots": "reproduced",
    }
    assert page_module.judge_coverage(0.975, 0.99) == "contradicted"


def test_tables_are_pooled_over_worlds() -> None:
    body = summary({"page: iips": 0.6}).body
    (row, *_) = (line for line in body.splitlines() if line.startswith("| iips |"))
    # 2,000 replicates: the error of the bias is .1 / sqrt(2,000)
    assert row.startswith("| iips | 60.0 | 60.0 | +0.0100 ± 0.0022 | 0.200 |")
