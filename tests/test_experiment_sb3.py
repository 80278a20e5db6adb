"""The page of Stable-Baselines3 against random slates, from results made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recgym_agents.experiments.experiment import Finished
from recgym_agents.experiments.worlds import sb3
from recgym_agents.zoo import AGENTS

BUDGET = sb3.BUDGET | {"seeds": [0, 1, 2]}
SESSIONS = np.tile([1.0, 2.0, 3.0], 20)

STABLE_BASELINES = [name for name in AGENTS if AGENTS.find(name).library]


@pytest.fixture(autouse=True)
def planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sb3, "plan", lambda size, seed: sb3.Known(10.0 * size, 4.0 * size))


def cells(gains: dict[str, list[float]]) -> list[Finished]:
    """Random sessions of 2 clicks in the mean; gains by seed, on every session, for some."""
    finished = []
    for cell in sb3.cells(BUDGET):
        gain = gains.get(cell["entrant"], [0.0] * 3)[cell["seed"]]
        result: dict[str, Any] = {"session": 2.0 + gain, "reward": 0.5, "click_rate": 0.25}
        result["arrays"] = {"session": (SESSIONS + gain).tolist()}
        finished.append(Finished(cell, result, 1.0))
    return finished


def row_of(body: str, name: str) -> list[str]:
    lines = [line.strip("| ").split(" | ") for line in body.splitlines()]
    return next(line for line in lines if line[0] == name)


def test_each_algorithm_is_held_against_random_slates_of_its_size() -> None:
    gains = {
        "ppo": [1.0, 1.1, 1.2],
        "a2c": [-1.0, -1.1, -1.2],
        "sac": [3.0, -0.5, 3.0],
        "dqn-2": [2.0, 2.0, 2.0],
    }
    page = sb3.summarise(cells(gains), BUDGET)
    found = {claim.text.removesuffix(" beats random"): claim for claim in page.claims}
    reproduced = {name for name, claim in found.items() if claim.verdict == "reproduced"}
    assert reproduced == {"ppo", "dqn-2"}
    assert len(found) == 7
    # t = 19.05 with 2 degrees, p = .00274; one p of seven is smaller, so that it counts 6 times.
    # Over sessions: none of 10,000 resamples, and again one p (as small) comes before.
    expected = "3.100 clicks a session against 2.000 (+55%), higher on 3 of 3 seeds"
    assert found["ppo"].evidence == f"{expected}, p .016 over seeds, <.001 over sessions"
    assert "(-55%), higher on 0 of 3" in found["a2c"].evidence
    assert "p 1.000 over seeds, 1.000 over" in found["td3"].evidence


def test_values_are_shares_of_what_the_planner_knows() -> None:
    body = sb3.summarise(cells({"ppo": [2.0, 2.0, 2.0]}), BUDGET).body
    assert row_of(body, "ppo") == [
        "ppo", "10", "slate", f"{BUDGET['steps']['ppo']:,}", "4.000 ± 0.000", "4%", "10%",
        "0.500 ± 0.000", "0.250 ± 0.000",
    ]  # fmt: skip
    assert row_of(body, "random-2")[4:7] == ["2.000 ± 0.000", "10%", "25%"]
    assert row_of(body, "dqn-2")[2] == "enumerated"
    assert row_of(body, "best fixed slate of 2")[4:7] == ["8.000", "40%", "100%"]
    assert row_of(body, "optimum, slates of 10")[4:7] == ["100.000", "100%", "250%"]


def test_every_algorithm_enters() -> None:
    agents = {entrant.agent for entrant in sb3.ENTRANTS.values()}
    assert agents == {"random", *STABLE_BASELINES}
    assert BUDGET["mdp_seed"] != 100  # where settings were chosen
