"""The page of the recurrent user model against item-CTR, from results made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym_agents.experiments.experiment import DataNotAvailable, Finished, Page, Place
from recgym_agents.experiments.irecgan import click_likelihood
from recgym_agents.experiments.irecgan.click_likelihood import MODELS, Log, seeds_of

BUDGET = {"policies": ["random"], "seeds": {"2000": [1, 2]}, "read": ["trivago"], "mdp_seed": 0}
RANDOM, TRIVAGO = Log("random", 2_000), Log("trivago", None)
PAGES = np.tile([-0.1, 0.1], 30)
"""How the gain differs from page to page; two pages a user."""


def cells(gains: dict[tuple[Log, str], list[float]]) -> list[Finished]:
    """Item-CTR at -2 nats a page, and each model ahead of it by its gain, by seed."""
    finished = []
    for (log, model), by_seed in gains.items():
        for seed, gain in zip(seeds_of(log, BUDGET), by_seed, strict=True):
            result: dict[str, Any] = {
                "pages": len(PAGES),
                "reads_clicks": seed != 2,
                "scores": {"model": -2.0 + gain, "static": -2.1, "item_ctr": -2.0, "uniform": -2.5},
                "arrays": {
                    "model": (-2.0 + gain + PAGES).tolist(),
                    "static": [-2.1] * len(PAGES),
                    "item_ctr": [-2.0] * len(PAGES),
                    "user": np.repeat(np.arange(30), 2).tolist(),
                },
            }
            finished.append(Finished(log.factors | {"model": model, "seed": seed}, result, 1.0))
    return finished


def summary(lstm: list[float], gru: list[float]) -> Page:
    gains = {(RANDOM, "irecgan-lstm"): lstm, (RANDOM, "irecgan-gru"): gru}
    return click_likelihood.summarise(cells(gains), BUDGET)


def test_each_model_has_a_verdict_of_its_own_on_all_seeds_together() -> None:
    better, worse = summary([0.3, -0.1], [-0.3, 0.1]).claims[:2]
    assert better.text == "irecgan-lstm beats item-CTR on random slates, 2,000 sessions"
    assert better.verdict == "reproduced"
    assert "+0.1000" in better.evidence
    assert "higher on 1 of 2 seeds" in better.evidence
    assert better.evidence.endswith("; fits that read clicks: 1")
    assert worse.text.startswith("irecgan-gru")
    assert worse.verdict == "contradicted"
    assert worse.evidence.endswith("; fits that read clicks: 1; p <.001 of the contrary")


def test_differences_are_of_pages_and_tests_of_pages_and_users() -> None:
    page = summary([0.2, 0.4], [0.001, 0.001])
    row, noisy = (line for line in page.body.splitlines() if line.startswith("| random slates"))
    cells_of_row = row.strip("| ").split(" | ")
    assert cells_of_row[1:3] == ["irecgan-lstm", "120"]
    assert cells_of_row[3:7] == [
        "-1.700 ± 0.100", "-2.100 ± 0.000", "-2.000 ± 0.000", "-2.500 ± 0.000",
    ]  # fmt: skip
    assert cells_of_row[7].startswith("+0.3000 (+0.2")
    assert cells_of_row[8:10] == ["<.001", "<.001"]
    assert cells_of_row[10].startswith("+0.4000 (+0.3")
    assert cells_of_row[11] == "1 of 2"
    # A gain of .001 among pages of +-.1 is nothing over pages, and certain over users, whose two
    # pages always sum to .002: both are asked for.
    p_pages, p_users = noisy.strip("| ").split(" | ")[8:10]
    assert float(p_pages) > 0.3
    assert p_users == "<.001"
    assert [claim.verdict for claim in page.claims[:2]] == ["reproduced", "inconclusive"]
    # A user gains .002 without any scatter, so that a test over users would find any difference.
    assert page.claims[1].evidence.endswith("; detectable: 0.0000 nats a page")


def test_the_page_names_where_it_is_the_start_that_is_scored() -> None:
    found = cells({(RANDOM, model): [0.2, 0.3] for model in MODELS})
    for one in found[2:]:
        one.result["reads_clicks"] = False
    body = click_likelihood.summarise(found, BUDGET).body
    assert "more than the recurrent network**: random slates, 2,000 sessions, irecgan-gru." in body
    assert "of a column, and are <.001 at least" in body
    assert "it is the start that is scored" not in summary([0.2, 0.3], [0.2, 0.3]).body


def test_p_values_are_corrected_for_all_logs() -> None:
    """Of two tests with the same gain, each counts twice as much as alone."""
    gain = [0.018, 0.018]
    alone = cells({(RANDOM, "irecgan-lstm"): gain})
    both = cells({(RANDOM, model): gain for model in MODELS})
    (one,) = click_likelihood._tests({(RANDOM, MODELS[0]): alone}).values()
    first, second = click_likelihood._tests(
        {(RANDOM, model): both[2 * at : 2 * at + 2] for at, model in enumerate(MODELS)}
    ).values()
    assert 0.005 < one.p_pages < 0.2
    assert first.p_pages == second.p_pages == 2 * one.p_pages


def test_a_log_that_is_not_here_is_said_to_be_missing(tmp_path: Path) -> None:
    page = summary([0.2, 0.3], [0.2, 0.3])
    missing = [claim for claim in page.claims if claim.text.endswith("on trivago")]
    assert [claim.verdict for claim in missing] == ["data not available here"] * 2
    (cell, _) = (c for c in click_likelihood.cells(BUDGET) if c["log"] == "trivago")
    with pytest.raises(DataNotAvailable, match=r"trivago\.parquet"):
        click_likelihood.run_cell(cell, BUDGET, Place(tmp_path, tmp_path, tmp_path))


def test_a_cell_scores_every_page_of_the_test_users(tmp_path: Path) -> None:
    budget = BUDGET | {"seeds": {"100": [2]}, "epochs": 1}
    cell = Log("random", 100).factors | {"model": "irecgan-gru", "seed": 2}
    place = Place(tmp_path, tmp_path, tmp_path)
    result = click_likelihood.run_cell(cell, budget, place)
    arrays, dataset = result["arrays"], click_likelihood.make_log(cell, budget, place)
    test = dataset.pages("test")
    np.testing.assert_array_equal(arrays["user"], test.user)
    for rule in ("model", "static", "item_ctr"):
        assert result["scores"][rule] == pytest.approx(np.mean(arrays[rule]), abs=1e-5)
    no_click = (dataset.pages("train").click < 0).mean()
    uniform = np.where(test.click < 0, np.log(no_click), np.log((1 - no_click) / 10))
    assert result["scores"]["uniform"] == pytest.approx(uniform.mean())


def test_no_log_is_one_that_presets_were_chosen_on_with_test_scores_in_sight() -> None:
    seeds = click_likelihood.BUDGET["seeds"]
    seen = {*range(8), *range(21, 24), *range(31, 39)}
    assert all(seen.isdisjoint(of_size) for of_size in seeds.values())
    assert min(map(int, seeds)) >= 2_000
