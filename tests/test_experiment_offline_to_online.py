"""Offline scores against the value online: the page from results made by hand, and small cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.data import Sessions
from recgym_agents.experiments.experiment import Finished, Place, Result
from recgym_agents.experiments.offline import offline_to_online, world_logs
from recgym_agents.experiments.offline.offline_to_online_page import (
    AFTER,
    CLAIMED,
    ESTIMATORS,
    NOTHING,
    QUARTER,
    correlation,
    regret,
    summarise,
)
from recgym_agents.experiments.offline.world_logs import LOGS, MAIN, WORLDS
from recgym_agents.runs.evaluation import make_vector_env
from recgym_agents.zoo import FLOORS

BUDGET = offline_to_online.BUDGET | {"worlds": [MAIN], "policies": ["logging", "lpi-rl"]}
VALUES = {"logging": 2.0, "lpi-rl": 4.0, "popularity": 3.0, **dict.fromkeys(FLOORS, 1.0)}


def estimate(value: float, warned: bool = False) -> Result:
    reach = {"low": value - 0.1, "high": value + 0.1}
    return {"estimate": value, **reach, "effective_sample_size": 80.0, "warned": warned}


def scored(value: float, ndcg: float, **more: Any) -> Result:
    ope = {name: estimate(0.0, warned=True) for name in ESTIMATORS}
    ope["direct_method"] = estimate(value / 5.0)
    ranks = {"HR@10": ndcg, "nDCG@10": ndcg}
    return {"value": value, "page": value / 5.0, **ranks, "ope": ope} | more


def scores_cell() -> Result:
    """By nDCG all policies rank the wrong way round, by the direct method the right way."""
    found: Result = {"random slates": {"value": 1.0}, "trained agent": {"value": 5.0}}
    for log in LOGS:
        found[log] = {"log": {"value": 1.5, "pages": 100}}
        for name, value in VALUES.items():
            js = {"js": 0.3 if name == "lpi-rl" else 0.0} if name in BUDGET["policies"] else {}
            found[log][name] = scored(value, 1.0 / value, **js)
    return found


def claims_cell(seed: int, after: float) -> Result:
    noise = 0.01 * (seed % 3)
    own = dict.fromkeys(CLAIMED, 3.0 + noise) | {"bcq": 1.9 + 0.2 * (seed % 2)}
    return {"log": 2.0, **own, NOTHING: 4.0, QUARTER: 3.5, AFTER: after + noise}


def page(after: float = 4.0) -> Any:
    finished = []
    for cell in offline_to_online.cells(BUDGET):
        claims = cell["part"] == "claims"
        result = claims_cell(cell["seed"], after) if claims else scores_cell()
        finished.append(Finished(cell, result, 1.0))
    return summarise(finished, BUDGET)


def rows_of(body: str, first: str) -> list[list[str]]:
    rows = [line.strip("| ").split(" | ") for line in body.splitlines()]
    return [row for row in rows if row[0] == first]


def test_correlation_is_of_ranks_and_regret_a_share_of_what_could_be_gained() -> None:
    found = scores_cell()
    assert correlation(found, "random", "nDCG@10") == pytest.approx(-1.0)
    assert correlation(found, "random", "direct_method") == pytest.approx(1.0)
    assert correlation(found, "random", "ips") == 0.0  # all estimates are the same
    assert correlation(found, "random", "near the logging policy") == pytest.approx(-1.0)
    assert regret(found, "random", "direct_method") == 0.0
    assert regret(found, "random", "nDCG@10") == 1.0  # a floor of 1.0, as random slates earn
    assert regret(found, "random", "near the logging policy") == pytest.approx(2.0 / 3.0)
    blind = np.mean([4.0 - value for value in VALUES.values()]) / 3.0
    assert regret(found, "random", "ips") == pytest.approx(blind)


def test_the_page_has_all_scores_and_what_choosing_by_them_costs() -> None:
    body = page().body
    correlations, regrets = rows_of(body, "direct_method")[:2]
    assert correlations[1:] == ["1.00 (1.00 .. 1.00)"] * 4
    assert regrets[1:] == ["0 (0 .. 0)"] * 4
    assert "always lpi-rl, which is the best choice in hindsight, 0%" in body
    earned = rows_of(body, "lpi-rl")[0]
    assert earned == ["lpi-rl", "4.00 ± 0.00", "0.250", "0.300"]
    trusted = rows_of(body, "direct_method")[2]
    assert trusted == ["direct_method", "random", "no", "14", "80", "0", "100"]
    never = rows_of(body, "ips")[2]
    assert never == ["ips", "random", "yes", "14", "80", "100", "0"]


@pytest.mark.parametrize(
    ("after", "verdict"), [(4.0, "reproduced"), (3.9, "reproduced"), (3.5, "contradicted")]
)
def test_what_is_reached_after_a_log_may_be_a_little_less(after: float, verdict: str) -> None:
    claims = page(after).claims
    assert [claim.verdict for claim in claims] == [
        *("reproduced", "reproduced", "inconclusive", "reproduced"),
        verdict,
    ]


def test_logged_propensities_are_the_shares_of_what_is_shown() -> None:
    world = WORLDS[MAIN]
    env = make_vector_env(world.env, world.arguments(0), 4, "disabled")

    class First:
        spec = world_logs.EnvironmentSpec.of(env)

        def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
            return np.tile(np.arange(10), (len(observation), 1))

    log: Sessions = world_logs.make_log(world, 0, First(), 0.5, 200).sessions
    assert log.slate_propensities is not None
    assert log.slot_propensities is not None
    slates, slots = log.padded_slates(), log.slot_propensities.reshape(-1, 10)
    own = (slates == np.arange(10)).all(axis=1)
    assert 0.4 < own.mean() < 0.6
    np.testing.assert_allclose(log.slate_propensities[own], 0.5, rtol=1e-6)
    assert log.slate_propensities[~own].max() < 1e-15
    np.testing.assert_allclose(slots[own], 0.51, rtol=1e-6)
    np.testing.assert_allclose(slots[~own], 0.01 + 0.5 * (slates == np.arange(10))[~own], rtol=1e-5)


def test_sessions_are_users_and_losses_can_be_left_out() -> None:
    world = WORLDS["KnownUsers"]
    env = make_vector_env(world.env, world.arguments(0), 4, "disabled")
    entry = world_logs.entry_of("random", {}, {})
    random = entry.builder(entry.config, world_logs.EnvironmentSpec.of(env), 0)
    dataset = world_logs.make_log(world, 0, random, 0.0, 30)
    assert dataset.n_users == 30
    assert dataset.sessions.reward.min() < 0.0
    floored = world_logs.without_losses(dataset).sessions.reward
    assert floored.min() == 0.0
    kept = dataset.sessions.reward > 0.0
    np.testing.assert_array_equal(floored[kept], dataset.sessions.reward[kept])


def test_popularity_counts_the_log_that_others_learn_from() -> None:
    world = WORLDS["KnownUsers"]
    env = make_vector_env(world.env, world.arguments(0), 4, "disabled")
    spec = world_logs.EnvironmentSpec.of(env)
    entry = world_logs.entry_of("random", {}, {})
    dataset = world_logs.make_log(world, 0, entry.builder(entry.config, spec, 0), 0.0, 30)
    agent = world_logs.most_clicked(dataset, spec, world)
    scores = world_logs.ClickRates(agent).item_scores(np.full((2, spec.window), spec.n_items))
    log = dataset.pages("train")
    item = int(np.argmax(scores[0]))
    shows, clicks = (log.slate_items == item).sum(), (log.item == item).sum()
    assert scores[1, item] == (clicks + 0.5) / (shows + 1.0)
    assert agent.act(np.full((1, spec.window), spec.n_items))[0, 0] == item


@pytest.mark.parametrize("part", ["scores", "claims"])
def test_a_cell_ends_with_numbers_and_goes_on_from_them(part: str, tmp_path: Path) -> None:
    budget = offline_to_online.SMOKE | {
        "policies": ["logging", "ips"],
        "logger_steps": 256,
        "sessions": {"short": 40, "long": 10},
        "online_steps": 256,
        "validation_episodes": 2,
    }
    cell = {"part": part, "world": MAIN, "seed": 0}
    place = Place(tmp_path, tmp_path, tmp_path / "cell")
    found = offline_to_online.run_cell(cell, budget, place)
    numbers = (
        found.values() if part == "claims" else [one["value"] for one in found["mix"].values()]
    )
    assert np.isfinite(list(numbers)).all()
    assert offline_to_online.run_cell(cell, budget, place) == found
