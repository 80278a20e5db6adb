"""The page on what can be earned in RecGAN-v0: shares and verdicts from the cells' numbers."""

from __future__ import annotations

from typing import Any

import pytest

from recgym_agents.experiments.experiment import Claim, Finished
from recgym_agents.experiments.gan.headroom import BESIDE, EXPERIMENT, summarise

BUDGET = EXPERIMENT.budget | {"slate_sizes": [5]}


def cell(seed: int, agent: float, elsewhere: float) -> Finished:
    """A division in which user-greedy earns 60, and the planner 64, where it was trained."""
    wave = 0.1 * (-1) ** seed

    def policy(where: float, other: float) -> dict[str, float]:
        return {"train": where, BESIDE: where + wave, "test": other}

    result: dict[str, Any] = {
        "random": policy(10.0, 12.0),
        "popularity": policy(40.0, 44.0),
        "user-greedy": policy(60.0, 70.0 + seed),
        "cascading-dqn": policy(55.0, 60.0),
        "user-greedy-ensemble": policy(58.0, 71.0),
        "slateq-user": policy(agent + wave, elsewhere + seed),
        "pessimistic slateq-user": policy(agent - 2.0, 1.1 * (70.0 + seed)),
        "planner": {BESIDE: 64.0 - wave},
        "agreement": {"levels": 0.2 + seed / 100, "items": 0.7, "states": 500},
    }
    return Finished({"slate_size": 5, "seed": seed}, result, 1.0)


def claims(agent: float, elsewhere: float) -> list[Claim]:
    page = summarise([cell(seed, agent, elsewhere) for seed in (1, 2, 3, 4, 5)], BUDGET)
    assert set(page.figures) == {"recgan-headroom"}
    return list(page.claims)


@pytest.mark.parametrize(
    ("agent", "verdict", "share"),
    [(63.6, "reproduced", "89%"), (62.44, "inconclusive", "60%"), (61.0, "contradicted", "24%")],
)
def test_the_share_is_of_what_a_planner_adds_to_the_best_floor(
    agent: float, verdict: str, share: str
) -> None:
    """In the mean the floor earns 59.98, the planner 64.02, and the agent .04 less than here."""
    first = claims(agent, 70.0)[0]
    assert first.verdict == verdict
    assert first.evidence.startswith(share)


@pytest.mark.parametrize(
    ("elsewhere", "verdict"), [(70.0, "reproduced"), (69.6, "reproduced"), (68.0, "contradicted")]
)
def test_no_worse_is_less_than_a_hundredth_behind(elsewhere: float, verdict: str) -> None:
    found = {claim.text: claim.verdict for claim in claims(63.0, elsewhere)}
    assert found["slateq-user is no worse than user-greedy on other users, slates of 5"] == verdict
    assert (
        found["slateq-user is no worse than popularity on other users, slates of 5"] == "reproduced"
    )


def test_the_pessimistic_agent_has_claims_of_its_own() -> None:
    found = {claim.text: claim for claim in claims(63.0, 68.0)}
    for floor, level, gain in (("user-greedy", 73.0, "+10.0%"), ("popularity", 44.0, "+82.5%")):
        claim = found[
            f"pessimistic slateq-user is no worse than {floor} on other users, slates of 5"
        ]
        assert claim.verdict == "reproduced"
        assert f"80.30 against {level:.2f}" in claim.evidence
        assert gain in claim.evidence


def test_divisions_stand_beside_their_agreement() -> None:
    page = summarise([cell(seed, 63.0, 77.1) for seed in (1, 2)], BUDGET)
    row = next(line for line in page.body.splitlines() if line.startswith("| 2 |"))
    assert "0.22" in row
    assert "+9.9" in row  # 79.1 against 72
    assert "+10.0" in row
    assert summarise([], BUDGET).claims[0].verdict == "data not available here"
