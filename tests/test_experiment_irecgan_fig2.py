"""What IRecGAN's experiments share, and the page of its Figure 2 from results made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from recgym.collection import collect, slate_mdp_policy
from recgym_agents.experiments.experiment import Cell, Claim, Finished
from recgym_agents.experiments.irecgan import figure_2
from recgym_agents.experiments.irecgan.shared_settings import as_irecgan_is_paid
from recgym_agents.experiments.irecgan.slate_mdp_sessions import (
    make_log,
    make_world,
    oracle_policy,
    oracles,
    sessions_in,
)

SIZES = [200, 5_000, 10_000]
BUDGET = figure_2.BUDGET | {"sizes": SIZES, "seeds": [0, 1, 2]}
SESSIONS = np.tile([1.0, 2.0, 3.0], 20)


def test_coverage_is_of_the_best_items_in_the_users_state() -> None:
    env, world = make_world(mdp_seed=3)
    ranked = np.argsort(-world.click_rewards, axis=1)
    one_good = np.concatenate([ranked[:, :1], ranked[:, -9:]], axis=1)
    assert sessions_in(env, world, oracle_policy(one_good), 50, 0).coverage == {1: 1.0, 10: 0.1}
    nine_good = ranked[:, 1:11]
    found = sessions_in(env, world, oracle_policy(nine_good), 50, 0)
    assert found.coverage == {1: 0.0, 10: pytest.approx(0.9)}
    log = collect(env, oracle_policy(nine_good), 50, 0)
    np.testing.assert_array_equal(found.reward, np.bincount(log.user, log.reward))


def test_oracles_show_what_they_know() -> None:
    env, world = make_world(mdp_seed=3)
    known = oracles(world)
    worth = [world.policy_value(slates, 1.0, world.horizon)[0] for slates in known.values()]
    assert sorted(worth, reverse=True) == worth
    assert worth[0] == pytest.approx(world.optimal_policy(1.0, world.horizon).values[0, 0])
    assert (known["best fixed slate"] == known["best fixed slate"][0]).all()
    as_logged = slate_mdp_policy(world, "max")
    policies = (oracle_policy(known["myopic oracle"]), as_logged)
    one, other = (sessions_in(env, world, policy, 20, 1) for policy in policies)
    assert one.coverage[10] == 1.0
    np.testing.assert_array_equal(one.reward, other.reward)


def test_a_log_keeps_one_session_in_five_to_select_by() -> None:
    log = make_log("random", 40, mdp_seed=1, seed=2)
    assert [log.pages(split).n_pages > 0 for split in ("train", "validation", "test")] == [1, 1, 0]
    assert len(np.unique(log.pages("train").user)) == 32


def test_rivals_are_paid_as_irecgan_is_on_logged_steps() -> None:
    log = make_log("random", 10, mdp_seed=1, seed=2)
    clicked = log.sessions.click >= 0
    paid = as_irecgan_is_paid(log, "reinforce").sessions.reward
    np.testing.assert_array_equal(paid, np.where(clicked, 4.0, 1.0))
    for agent in ("irecgan", "pgu", "acu", "user-lstm"):  # which do so themselves
        assert as_irecgan_is_paid(log, agent) is log


def cells(gain: Callable[[Cell], float]) -> list[Finished]:
    """Two clicks a session, and coverages of .5 and .25, but for the gains of some cells."""
    finished = []
    for cell in figure_2.cells(BUDGET):
        more = gain(cell) * (1.0 + 0.01 * cell["seed"])
        result: dict[str, Any] = {
            "session": 2.0 + more,
            "coverage@1": 0.5 + more,
            "coverage@10": 0.25 + more,
            "updates": 100,
            "arrays": {"session": (SESSIONS + more).tolist()},
        }
        if cell.get("method") == "IRecGAN":
            result |= {"discriminator_accuracy": 0.5, "score": 0.9, "score_share": 0.99}
        finished.append(Finished(cell, result, 1.0))
    return finished


@pytest.fixture(autouse=True)
def planned(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"optimum": 10.0, "myopic oracle": 8.0, "best fixed slate": 4.0}
    monkeypatch.setattr(
        figure_2,
        "_planned",
        lambda seeds: {name: np.full(len(seeds), worth) for name, worth in known.items()},
    )


def claims_of(gain: Callable[[Cell], float]) -> dict[str, Claim]:
    return {claim.text: claim for claim in figure_2.summarise(cells(gain), BUDGET).claims}


def test_methods_are_held_against_the_logging_policy() -> None:
    def gain(cell: Cell) -> float:
        at_5_000 = cell.get("log") == "random" and cell["sessions"] == 5_000
        return {"PG": 1.0, "IRecGAN": -1.0}.get(cell.get("method", ""), 0.0) * at_5_000

    claims = claims_of(gain)
    pg, irecgan = (
        claims[f"ours: {method} beats the logging policy, 5,000 random sessions"]
        for method in ("PG", "IRecGAN")
    )
    assert (pg.verdict, irecgan.verdict) == ("reproduced", "contradicted")
    assert pg.evidence.startswith("3.01 clicks a session against 2.00, p <.001 over worlds")
    body = figure_2.summarise(cells(gain), BUDGET).body
    (row,) = (line for line in body.splitlines() if line.startswith("| PG | 3.010"))
    assert row.startswith("| PG | 3.010 ± 0.006 | 30% | 38% | 75% | +1.01 | +0.99 .. +1.03 |")


def test_irecgan_must_lead_the_best_of_the_others() -> None:
    leads = {"IRecGAN": 0.3, "PG": 0.2, "LSTM": 0.1}
    claims = claims_of(lambda cell: leads.get(cell.get("method", ""), 0.0))
    lead = claims["mix logs: IRecGAN earns more than all others (best: PG)"]
    assert lead.verdict == "reproduced"
    assert "higher in 3 of 3 worlds" in lead.evidence
    assert claims["random logs: LSTM outperforms PG (coverage@1)"].verdict == "contradicted"
    leads |= {"LSTM": 0.4}
    claims = claims_of(lambda cell: leads.get(cell.get("method", ""), 0.0))
    lead = claims["mix logs: IRecGAN earns more than all others (best: LSTM)"]
    assert lead.verdict == "contradicted"
    assert claims["random logs: LSTM outperforms PG (coverage@10)"].verdict == "reproduced"


def test_the_smallest_random_logs_are_excepted() -> None:
    def gain(cell: Cell) -> float:
        few = cell.get("log") == "random" and cell["sessions"] == 200
        leads = {"IRecGAN": -5.0 if few else 0.3, "PG": 5.0 if few else 0.2}
        return leads.get(cell.get("method", ""), 0.0)

    text = "random logs, but for 200 sessions: IRecGAN earns more than all others (best: PG)"
    lead = claims_of(gain)[text]
    assert lead.verdict == "reproduced"
    assert lead.evidence.startswith("2.303 against 2.202 (+0.101), higher in 3 of 3 worlds")


def test_coverage_is_compared_by_log() -> None:
    claims = claims_of(lambda cell: -0.1 if cell.get("log") == "mix" else 0.0)
    text = "coverage@10 is lower from {} logs than from random ones"
    assert claims[text.format("max")].verdict == "inconclusive"
    assert claims[text.format("max")].evidence.endswith("p 1.000; detectable: 0.000")
    assert claims[text.format("mix")].verdict == "reproduced"
    lower = claims["coverage@10 is lower from mix logs than from max logs"]
    assert lower.verdict == "reproduced"
    assert "(+0.101)" in lower.evidence
