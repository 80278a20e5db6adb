"""The page of what the meta-level user model recovers, from results made by hand, and its world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recgym_agents.experiments.experiment import Finished, Page, Place
from recgym_agents.experiments.m3rec import recovery
from recgym_agents.experiments.m3rec.two_tastes import BORED, LIKES, TwoTastes

BUDGET = recovery.BUDGET | {"seeds": [0, 1, 2], "added": [1, 2], "correlations": [0.0, 0.9]}
GOOD = {
    "log_likelihood": -1.2,
    "unknown_log_likelihood": -1.3,
    "true_log_likelihood": -1.1,
    "item_ctr": -1.5,
    "accuracy": 0.53,
    "reward_scale": 0.2,
    "auc": 0.99,
    "reward_pearson": 0.95,
    "choice_pearson": 0.97,
    "slope": 0.9,
}


def page(bound: float = 0.0, **changed: float) -> Page:
    """The three seeds differ by .001; the mixed fit has some changed numbers."""
    finished = []
    for cell in recovery.cells(BUDGET):
        apart = 0.001 * cell["seed"]
        if "correlation" in cell:
            true = recovery.divergence(cell["correlation"])
            level = bound if cell["correlation"] == 0.0 else true
            found = {"bound": level - apart * true, "error": 0.001, "divergence": true}
        else:
            found = {name: value + apart for name, value in GOOD.items()}
            if cell["fit"] == "mixed":
                found |= {name: value + apart for name, value in changed.items()}
        finished.append(Finished(cell, found, 1.0))
    return recovery.summarise(finished, BUDGET)


def test_all_claims_hold_of_good_results_and_stand_in_the_tables() -> None:
    found = page()
    assert [claim.verdict for claim in found.claims] == ["reproduced"] * 12
    assert "| mixed | 0.991 ± 0.001 | 0.951 ± 0.001 |" in found.body
    assert "| likelihood | 0.991 ± 0.001 | – |" in found.body
    assert set(found.figures) == {"m3rec-recovery"}


@pytest.mark.parametrize(
    ("changed", "claims"),
    [
        ({"auc": 0.9}, ["mixed: one sequence tells"]),
        (
            {"reward_pearson": 0.8},
            ["mixed: r is the true reward", "mixed: r is the true reward"],
        ),
        ({"accuracy": 0.97}, ["mixed: the discriminator"]),
        ({"log_likelihood": -1.25}, ["mixed: its likelihood"]),
        ({"bound": 0.01}, ["the bound of independent Gaussians"]),
    ],
)
def test_each_claim_is_contradicted_by_its_own_number(
    changed: dict[str, float], claims: list[str]
) -> None:
    verdicts = {one.text: one.verdict for one in page(**changed).claims}
    wrong = [text for text, verdict in verdicts.items() if verdict != "reproduced"]
    assert len(wrong) == len(claims)
    for text, claim in zip(wrong, claims, strict=True):
        assert text.startswith(claim)
        assert verdicts[text] == "contradicted"


def test_worlds_added_later_are_judged_by_themselves() -> None:
    """Pearson's r is .95 in world 0, and .001 more in each of the next."""
    evidence = next(claim.evidence for claim in page().claims if "added later" in claim.text)
    assert evidence.startswith("0.9515 ")


def test_the_divergence_is_zero_of_what_is_independent_and_at_most_log_2() -> None:
    assert recovery.divergence(0.0) == pytest.approx(0.0, abs=1e-12)
    found = [recovery.divergence(correlation) for correlation in (0.3, 0.6, 0.9, 0.99)]
    assert found == sorted(found)
    assert 0.0 < found[0] < found[-1] < np.log(2.0)


def test_users_of_the_small_world_click_as_it_says() -> None:
    rng = np.random.default_rng(0)
    world = TwoTastes.draw(6, rng)
    by_hand = LIKES * world.side + world.quality
    np.testing.assert_allclose(world.rewards(np.array([1.0]), np.array([-1]))[0], by_hand)
    bored = world.rewards(np.array([-1.0]), np.array([3]))[0]  # of the topic of items 2 and 3
    by_hand = world.quality - LIKES * world.side - BORED * (np.arange(6) // 2 == 1)
    np.testing.assert_allclose(bored, by_hand)
    log, truth = world.log(np.ones(4_000), 1, 1, 6, rng)
    log.validate(6)
    odds = np.append(np.exp(world.rewards(np.array([1.0]), np.array([-1]))[0]), 1.0)
    clicks = np.bincount(np.where(log.item < 0, 6, log.item), minlength=7) / 4_000
    np.testing.assert_allclose(clicks, odds / odds.sum(), atol=0.03)
    chances = odds / odds.sum()
    assert truth.mean() == pytest.approx((chances * np.log(chances)).sum(), abs=0.05)


def test_a_fit_outlasts_the_epochs_in_which_its_context_tells_nothing(tmp_path: Path) -> None:
    """In this world validation gets worse for five epochs before users are told apart."""
    budget = recovery.BUDGET | {"rounds": 0}
    found = recovery.run_cell(
        {"fit": "likelihood", "seed": 8}, budget, Place(tmp_path, tmp_path, tmp_path)
    )
    assert found["auc"] > 0.95
    assert found["log_likelihood"] > found["item_ctr"] + 0.2
