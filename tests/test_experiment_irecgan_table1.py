"""Reranking by hand, the page of IRecGAN's Table 1 from results made by hand, and its cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.data import Catalog, Dataset, Sessions
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.policy_gradient import PolicyGradient, PolicyGradientConfig
from recgym_agents.experiments.experiment import DataNotAvailable, Finished, Page, Place
from recgym_agents.experiments.irecgan import table_1 as table1
from recgym_agents.experiments.irecgan.reranking import (
    Lists,
    Reranked,
    agent_scores,
    facts_of,
    floor_scores,
)
from recgym_agents.zoo import AGENTS
from tests.test_data_trivago import CLICKOUT, IMAGE, write_trivago

BUDGET = table1.BUDGET | {"seeds": [0, 1, 2]}


def two_sessions() -> Dataset:
    """A training session that clicks 0 and then 1, and a test session that clicks 3, 0 and 3."""
    return Dataset(
        Sessions(
            user=np.array([0, 0, 1, 1, 1]), session=np.array([0, 0, 1, 1, 1]),
            step=np.array([0, 1, 0, 1, 2]), slate_offsets=np.array([0, 2, 4, 6, 8, 11]),
            slate_items=np.array([0, 1, 1, 2, 2, 3, 3, 0, 0, 2, 3]),
            click=np.array([0, 0, 1, 1, 2]), item=np.array([0, 1, 3, 0, 3]),
            reward=np.array([0, 1, 0, 1, 1], np.float32),
        ),
        Catalog(("a", "b", "c", "d"), None, np.zeros((4, 0), np.float32), ()),
        np.array([0, 2], np.int8),
        {},
    )  # fmt: skip


def test_pages_are_reranked_with_ties_shared() -> None:
    slate = np.stack([np.arange(12), np.append(np.arange(11), -1), np.append([0, 1], [-1] * 10)])
    nothing = np.zeros((3, 1), np.int64)
    lists = Lists(np.arange(3), nothing, slate, np.array([11, 0, 1]))
    scores = np.stack([np.arange(12)[::-1], np.zeros(12), np.append([1, 1], [9] * 10)])
    found = Reranked.of(lists, scores.astype(np.float64))
    np.testing.assert_allclose(found.at_1, [0, 1 / 11, 1 / 2])
    np.testing.assert_allclose(found.at_10, [0, 10 / 11])  # the page of two items does not count
    assert found.means() == pytest.approx({"at_1": 13 / 66, "at_10": 5 / 11})


def test_floors_know_training_clicks_and_the_session() -> None:
    dataset = two_sessions()
    lists = Lists.of(dataset, "test", 2)
    assert lists.observation.tolist() == [[4, 4], [4, 3], [3, 0]]
    floors = floor_scores(dataset, lists)
    assert floors["last_click"].tolist() == [[0, 0, 0], [2, 0, 0], [2, 0, 1]]
    assert floors["not_clicked"].tolist()[2] == [0, 1, 1]
    assert np.exp(floors["item_ctr"][2]) == pytest.approx([0.75, 0.25, 0.5])
    assert facts_of(dataset, lists) == pytest.approx(
        {"sessions": 1, "pages": 3, "items": 7 / 3, "single": 0, "long": 0}
        | {"new": 2 / 3, "shown_new": 5 / 7, "reward": 2 / 3}
    )


@pytest.mark.parametrize("name", ["reinforce", "user-lstm"])
def test_an_agent_ranks_a_page_by_its_own_scores(name: str) -> None:
    dataset = two_sessions()
    entry = AGENTS.find(name)
    config = type(entry.config)(**(vars(entry.config) | {"remove_clicked": False, "hidden": 4}))
    agent = entry.builder(config, EnvironmentSpec(4, 2, 2, None), 0)
    assert isinstance(agent, PolicyGradient)
    lists = Lists.of(dataset, "test", 2)
    scores = agent_scores(agent, lists)
    with torch.no_grad():
        for page, slate in enumerate(([2, 3], [3, 0], [0, 2, 3])):
            alone = agent.logits(lists.observation[page : page + 1])[0, slate]
            np.testing.assert_allclose(scores[page, : len(slate)], alone, rtol=1e-5)
    assert np.isfinite(scores).all()  # clicked items can be ranked again


def results(gains: dict[str, list[float]], log: str = "trivago") -> list[Finished]:
    """Half of 40 pages are hits; gains of P@10 by seed, on every page, for some methods."""
    finished = []
    for cell in table1.cells(BUDGET | {"logs": [log]}):
        if cell["method"] == "floors":
            scores = {rule: {"at_1": 0.25, "at_10": 0.75} for rule in ("random", "item_ctr")}
            scores["last_click"] = {"at_1": 0.5, "at_10": 0.875}
            facts = {"sessions": 1234, "pages": 40, "items": 12.5, "single": 0.1, "long": 30}
            facts |= {"new": 0.5, "shown_new": 0.25, "reward": 0.125}
            arrays = {"at_1": np.arange(40) // 2, "at_10": np.arange(40) // 2}
            found = {"scores": scores, "facts": facts, "arrays": arrays}
            finished.append(Finished(cell, found, 1.0))
            continue
        gain = gains.get(cell["method"], [0.0] * 3)[cell["seed"]]
        pages = np.tile([0.0, 1.0], 20)
        result: dict[str, Any] = {"at_1": 0.5, "at_10": 0.5 + gain, "steps": 3_000}
        result |= {"discriminator_accuracy": 0.6, "score": 0.5, "score_share": 0.99}
        result["arrays"] = {"at_1": pages.tolist(), "at_10": (pages + gain).tolist()}
        finished.append(Finished(cell, result, 1.0))
    return finished


def test_pages_of_a_session_are_no_more_evidence_than_one() -> None:
    """A gain on all pages of one session of four, which carries the mean."""
    (claim,) = (
        one
        for one in table1.summarise(one_session_better(), BUDGET | {"logs": ["trivago"]}).claims
        if one.text == "trivago: LSTMD > LSTM on P@1"
    )
    assert claim.verdict == "inconclusive"
    assert "p <.001 over seeds" in claim.evidence


def one_session_better() -> list[Finished]:
    found = results({})
    for one in found:
        if one.cell["method"] == "floors":
            one.result["arrays"] = dict.fromkeys(("at_1", "at_10"), np.arange(40) // 10)
        elif one.cell["method"] == "LSTMD":
            one.result["arrays"]["at_1"][:10] = [1.0] * 10
            one.result["at_1"] += 0.125
    return found


def verdicts(page: Page) -> dict[str, str]:
    return {claim.text: claim.verdict for claim in page.claims}


def test_the_orderings_of_table_1_are_judged_over_seeds_and_sessions() -> None:
    budget = BUDGET | {"logs": ["cikm", "trivago"]}
    page = table1.summarise(results({"IRecGAN": [0.1, 0.11, 0.12]}), budget)
    found = verdicts(page)
    assert len(found) == 2 * len(table1.ORDERINGS) == 30
    reproduced = {text for text, verdict in found.items() if verdict == "reproduced"}
    others = set(table1.METHODS) - {"IRecGAN"}
    assert reproduced == {f"trivago: IRecGAN > {other} on P@10" for other in others}
    missing = {text for text, verdict in found.items() if verdict == "data not available here"}
    assert missing == {text for text in found if text.startswith("cikm")}
    # t = 19.05 with 2 degrees, p = .00274, and none of 10,000 resamples; 15 orderings are tested.
    (claim,) = (one for one in page.claims if one.text == "trivago: IRecGAN > PG on P@10")
    expected = "61.00 against 50.00, higher on 3 of 3 seeds, p .041 over seeds, .001 over sessions"
    assert claim.evidence == f"{expected}; paper, on CIKM: 35.06 against 33.28"


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [([0.3, -0.1, 0.3], "inconclusive"), ([-0.1, -0.11, -0.12], "contradicted")],
)
def test_what_is_uncertain_is_inconclusive_and_what_is_worse_contradicted(
    gains: list[float], verdict: str
) -> None:
    page = table1.summarise(results({"IRecGAN": gains}), BUDGET | {"logs": ["trivago"]})
    found = verdicts(page)
    assert found["trivago: IRecGAN > PG on P@10"] == verdict
    assert found["trivago: PG > PGIS on P@10"] == "inconclusive"


def test_the_paper_and_the_floors_stand_beside_ours() -> None:
    page = table1.summarise(results({"PG": [0.1, 0.11, 0.12]}), BUDGET | {"logs": ["trivago"]})
    rows = [line.strip("| ").split(" | ") for line in page.body.splitlines()]
    (of_pg,) = (row for row in rows if row[0] == "PG")
    assert of_pg == ["PG", "61.00 ± 0.58", "50.00 ± 0.00", "3,000", "33.28", "6.25"]
    (last,) = (row for row in rows if row[0] == "last click")
    assert last[1:3] == ["87.50", "50.00"]
    assert not any(row[0].startswith("position") for row in rows)
    assert "1,234 test sessions, 40 pages with 12.5 items in the mean; 10.0% have one" in page.body
    assert list(page.figures) == ["irecgan-table1"]
    empty = table1.summarise([], BUDGET)
    assert set(verdicts(empty).values()) == {"data not available here"}
    assert empty.figures == {}


def test_every_method_of_the_paper_is_an_agent_that_learns_from_episodes() -> None:
    assert set(table1.METHODS) == set(table1.PAPER)
    for name in table1.METHODS.values():
        assert isinstance(AGENTS.find(name).config, PolicyGradientConfig)


def small_log(folder: Path) -> Place:
    """A trivago log of 24 users, who look at two of twelve hotels each, and click one out."""
    rows: list[tuple[object, ...]] = []
    shown, prices = "|".join(map(str, range(12))), "|".join(["1"] * 12)
    for user in range(24):
        first, second = str(user % 12), str((user + 1) % 12)
        rows += [
            (f"u{user}", f"s{user}", user, 1, IMAGE, first, None, None),
            (f"u{user}", f"s{user}", user, 2, CLICKOUT, second, shown, prices),
        ]
    write_trivago(folder / "trivago.parquet", rows)
    return Place(folder, folder, folder / "cell")


@pytest.mark.parametrize("method", ["IRecGAN", "LSTM"])
def test_a_cell_learns_from_the_log_and_reranks_test_pages(method: str, tmp_path: Path) -> None:
    place = small_log(tmp_path)
    cell = {"log": "trivago", "method": method, "seed": 0}
    budget = table1.SMOKE | {"sessions": None, "batch_size": 4, "reports": 2}
    found = table1.run_cell(cell, budget, place)
    assert len(found["arrays"]["at_1"]) == len(found["arrays"]["at_10"]) == 18
    assert found["at_10"] == pytest.approx(np.mean(found["arrays"]["at_10"]), abs=1e-4)
    assert found["steps"] in (24, 48)
    again = table1.run_cell(cell, budget, Place(tmp_path, tmp_path, tmp_path / "again"))
    assert again == found
    floors = table1.run_cell(cell | {"method": "floors"}, budget, place)
    assert set(floors["scores"]) == set(table1.FLOORS)
    assert floors["scores"]["random"] == pytest.approx({"at_1": 1 / 12, "at_10": 10 / 12})
    assert floors["facts"]["pages"] == 18
    assert len(set(floors["arrays"]["at_1"])) == 9  # of two pages each


def test_logs_that_are_not_here_are_said_to_be_missing(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path, tmp_path / "cell")
    for log, name in (("cikm", "cikm-cup/train-queries.csv"), ("trivago", "trivago.parquet")):
        with pytest.raises(DataNotAvailable, match=name):
            table1.run_cell({"log": log, "method": "PG", "seed": 0}, table1.BUDGET, place)
    assert not (tmp_path / "cell").exists()
