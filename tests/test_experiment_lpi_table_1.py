"""Table 1 of local policy improvement: its page from results made by hand, and a small real run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recgym_agents.experiments.experiment import DataNotAvailable, Finished, Page, Place
from recgym_agents.experiments.offline import lpi_table_1, rating_logs

NOISE = (0.0, 0.001, -0.001, 0.002, -0.002)
FACTS = {"sequences": 943, "items": 1_682, "events": 70_000, "unseen": 0.0, "reward": 0.7}


def page(**imputed: float) -> Page:
    """The paper's numbers, and noise that differs from row to row."""
    budget = lpi_table_1.BUDGET | {"logs": ["ml-100k"]}
    finished = []
    for cell in lpi_table_1.cells(budget):
        found: dict[str, dict[str, float]] = {"log facts": FACTS}
        for place, (row, (ar, iar, js)) in enumerate(lpi_table_1.PAPER.items()):
            noise = NOISE[cell["seed"]] * (1 + place % 3)
            found[row] = {"ar": ar + noise, "iar": imputed.get(row, iar) + noise}
            found[row] |= {} if js is None else {"js": js + noise}
        finished.append(Finished(cell, found, 1.0))
    return lpi_table_1.summarise(finished, budget)


def test_the_numbers_of_the_paper_reproduce_its_claims() -> None:
    found = page()
    assert [claim.verdict for claim in found.claims] == ["reproduced"] * 4
    assert found.claims[1].evidence.startswith("lpi-cb, beta 0.001 0.223, lpi-cb, beta 0.1 0.118")
    row = next(line for line in found.body.splitlines() if line.startswith("| logging |"))
    assert row == "| logging | 0.060 ± 0.001 | 0.060 | 0.696 ± 0.001 | 0.696 | – | – |"
    assert "943 sequences of 1,682 items, 70,000 ratings" in found.body
    assert list(found.figures) == ["lpi-table1"]


def test_a_logging_policy_that_would_earn_more_contradicts() -> None:
    found = page(logging=0.9).claims[-1]
    assert (found.verdict, found.text) == (
        "contradicted",
        "ml-100k: as imputed, lpi-cb (beta .1) earns more than the logging policy",
    )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """30 users in Netflix's format: each rates 8 of 24 movies, odd ones 5 stars, even ones 1."""
    lines = []
    rng = np.random.default_rng(0)
    rated = [rng.choice(24, 8, replace=False) for _ in range(30)]
    for movie in range(24):
        lines.append(f"{movie + 1}:")
        lines += [
            f"{user},{5 - 4 * (movie % 2)},2005-09-{1 + list(rated[user]).index(movie):02d}"
            for user in range(30)
            if movie in rated[user]
        ]
    path = tmp_path / "data" / "netflix" / "combined_data_1.txt"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Place(tmp_path / "data", tmp_path, tmp_path / "cell")


def test_ratings_are_rewards_and_all_others_are_imputed(place: Place) -> None:
    dataset = rating_logs.read_rating_log("netflix", place, 20, 0)
    assert (dataset.n_users, dataset.sessions.n_pages) == (20, 160)
    assert np.bincount(dataset.split).tolist() == [16, 2, 2]
    liked = np.array([int(movie) % 2 for movie in dataset.catalog.item_id])  # movie 1 is number 0
    np.testing.assert_array_equal(dataset.sessions.reward, liked[dataset.sessions.item])
    imputed = rating_logs.imputed_rewards(dataset).of(np.arange(20))
    assert imputed.shape == (20, 24)
    assert imputed[:, liked == 1].min() > imputed[:, liked == 0].max()


def test_the_last_ratings_of_each_user_are_kept(place: Place) -> None:
    whole = rating_logs.read_rating_log("netflix", place, 20, 0)
    last = rating_logs.last_ratings(whole, 3)
    last.validate()
    by_user = whole.sessions.item.reshape(20, 8)
    np.testing.assert_array_equal(last.sessions.item.reshape(20, 3), by_user[:, 5:])
    assert last.sessions.step[:4].tolist() == [0, 1, 2, 0]


def test_a_cell_trains_and_scores_every_row(place: Place) -> None:
    budget = lpi_table_1.SMOKE | {"logs": ["netflix"], "seeds": [0]}
    budget["agent_args"] = budget["agent_args"] | {"remove_clicked": False}  # of few movies
    (cell,) = lpi_table_1.cells(budget)
    found = lpi_table_1.run_cell(cell, budget, place)
    assert set(found) == {"log facts", *lpi_table_1.ROWS}
    assert "js" not in found["logging"]
    for row in lpi_table_1.ROWS:
        assert 0.0 <= found[row]["ar"] <= 1.0
        assert -0.5 < found[row]["iar"] < 1.5
    assert 0.0 < found["lpi-cb, beta 0.001"]["js"] < np.log(2.0)
    assert found["lpi-cb, beta 0.001"]["js"] != found["lpi-cb, beta 1000"]["js"]


def test_without_netflix_a_cell_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataNotAvailable, match="combined_data_1.txt: no such file"):
        rating_logs.read_rating_log("netflix", Place(tmp_path, tmp_path, tmp_path), 0, 0)
