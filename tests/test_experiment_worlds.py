"""The page of slate Q-learners in every world, from results made by hand, and its oracles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recgym_agents.experiments.experiment import Finished
from recgym_agents.experiments.worlds import board
from recgym_agents.runs.evaluation import make_vector_env

MDP, SATISFACTION = "SlateMDP-v0, state seen", "LongTermSatisfaction-v0"
BUDGET = board.BUDGET | {"worlds": [MDP, SATISFACTION]}
SESSIONS = np.tile([3.0, 4.0, 5.0], 20)


@pytest.fixture(autouse=True)
def planned(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"exact optimum": 16.0, "myopic oracle": 12.0, "best fixed slate": 8.0}
    monkeypatch.setattr(
        board, "_planned", lambda scene: known if scene.env == "SlateMDP-v0" else {}
    )


def cells(gains: dict[str, list[float]], validation: dict[str, float]) -> list[Finished]:
    """Random sessions worth 4; gains by seed, on every session of both worlds, for some."""
    finished = []
    for cell in board.cells(BUDGET):
        gain = gains.get(cell["policy"], [0.0] * 3)[cell["seed"]]
        result: dict[str, Any] = {"session": 4.0 + gain, "click_rate": 0.5, "steps": 7.0}
        result["validation"] = validation.get(cell["policy"], 0.0)
        result["arrays"] = {"session": (SESSIONS + gain).tolist()}
        finished.append(Finished(cell, result, 1.0))
    return finished


def test_cascading_is_held_against_random_and_the_better_of_two_in_validation() -> None:
    gains = {
        "cascading-dqn-paper": [1.0, 1.1, 1.2],
        "sb3-ppo": [2.0] * 3,
        "sb3-a2c": [1.05, 0.0, 0.0],
    }
    page = board.summarise(cells(gains, {"sb3-ppo": 1.0, "sb3-a2c": 2.0}), BUDGET)
    found = {claim.text: claim for claim in page.claims}
    assert list(found) == [
        f"{world}: cascading-dqn-paper beats {other}"
        for world in (MDP, SATISFACTION)
        for other in ("random", "sb3-a2c")
    ]
    random, stable = found[f"{MDP}: cascading-dqn-paper beats random"], page.claims[1]
    assert random.verdict == "reproduced"
    expected = "+27.5% reward per session, higher for 3 of 3 seeds, p <.001 over sessions"
    assert random.evidence == expected
    assert stable.verdict == "inconclusive"  # one seed is lower, though sessions are not
    assert stable.evidence.startswith("+17.2% reward per session, higher for 2 of 3 seeds, p <.001")


def test_lower_for_every_seed_is_contradicted() -> None:
    gains = {"cascading-dqn-paper": [1.0, 1.1, 1.2], "sb3-ppo": [2.0] * 3}
    page = board.summarise(cells(gains, {"sb3-ppo": 1.0}), BUDGET)
    assert [claim.verdict for claim in page.claims] == ["reproduced", "contradicted"] * 2
    expected = "-15.0% reward per session, higher for 0 of 3 seeds"
    assert page.claims[1].evidence == f"{expected}, p <.001 over sessions, of the contrary"


def test_shares_are_of_the_headroom_above_the_best_floor() -> None:
    earned = {
        "random": np.array([1.0, 1.0, 1.0]),
        "popularity": np.array([2.0, 2.0, 2.0]),
        "cascading-dqn-paper": np.array([4.0, 4.5, 5.0]),
        "optimum": np.full(3, 7.0),
    }
    shares = board.headroom_shares(earned, ("random", "popularity"), "optimum")
    assert list(shares) == ["cascading-dqn-paper"]
    assert shares["cascading-dqn-paper"].share == pytest.approx(0.5)
    assert shares["cascading-dqn-paper"].floor == "popularity"


def test_rewards_are_shares_of_those_of_random_slates_and_of_the_optimum() -> None:
    body = board.summarise(cells({"popularity": [4.0] * 3}, {}), BUDGET).body
    rows = [line.strip("| ").split(" | ") for line in body.splitlines()]
    of_popularity = [row for row in rows if row[0] == "popularity"]
    shared = ["popularity", "8.000 ± 0.000", "+100.0%", "0.500 ± 0.000", "7.0"]
    assert of_popularity == [[*shared, "50%"], shared]
    (optimum,) = (row for row in rows if row[0] == "exact optimum")
    assert (optimum[1:3], optimum[-1]) == (["16.000", "+300.0%"], "100%")
    assert sum(row[0] == board.ORACLE for row in rows) == 2  # one computed, one that played


def _exploration(state: dict[str, np.ndarray], row: int, item: int) -> float:
    affinity: float = state["affinity"][row, state["topic"][row, item]]
    return affinity + float(state["quality"][row, item])


@pytest.mark.parametrize(
    ("world", "worth"),
    [
        ("InterestEvolution-v0", lambda s, b, i: s["user_interests"][b, s["topic"][b, i]]),
        ("InterestExploration-v0", _exploration),
        ("LongTermSatisfaction-v0", lambda s, b, i: s["clickbait"][b, i]),
    ],
)
def test_the_oracle_shows_what_is_worth_most_now(world: str, worth: Any) -> None:
    scene = board.SCENES[world]
    assert scene.myopic is not None
    env = make_vector_env(scene.env, scene.env_args, 6, "next-step")
    observation, _ = env.reset(seed=3)
    oracle = board.Oracle(env, scene.myopic)
    for _ in range(3):
        slate = oracle.act(observation)
        state, _ = env.get_state()
        state = {name.removeprefix("state."): array for name, array in state.items()}
        for row in range(6):
            all_of_them = sorted((worth(state, row, item) for item in range(10)), reverse=True)
            shown = [worth(state, row, item) for item in slate[row].tolist()]
            assert shown == all_of_them[:3]
            assert len(set(slate[row].tolist())) == 3
        observation, *_ = env.step(slate)
