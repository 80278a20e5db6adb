"""The experiments on logs of shops: their pages from results made by hand, and a small real run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym_agents.agent import EnvironmentSpec
from recgym_agents.experiments.experiment import Claim, DataNotAvailable, Finished, Page, Place
from recgym_agents.experiments.offline import lpi_figure_2, lpi_table_3, shop_logs, sqn_table


def scores(level: float, **more: Any) -> dict[str, Any]:
    """Every metric is ``level``."""
    metrics = {
        f"{kind} {name}@{k}": level
        for kind in shop_logs.KINDS
        for name in ("HR", "nDCG")
        for k in shop_logs.CUTOFFS
    }
    lengths = dict.fromkeys(shop_logs.LENGTHS, level)
    return metrics | {"distinct": 100, "by_length": lengths} | more


FACTS = {"sequences": 1_000, "items": 500, "events": 6_000, "unseen": 0.125}
LEVELS = dict(zip(lpi_table_3.AGENTS, np.linspace(0.1, 0.4, len(lpi_table_3.AGENTS)), strict=True))
"""lpi-cb the highest, then lpi-rl, ips-pg and so on down to the floors."""


def table_page(**changes: float) -> Page:
    budget = lpi_table_3.BUDGET | {"logs": ["yoochoose"]}
    finished = []
    for cell in lpi_table_3.cells(budget):
        noise = (0.0, 0.001, -0.001, 0.002, -0.002)[cell["seed"]]
        found: dict[str, Any] = {"log facts": FACTS}
        for place, (name, level) in enumerate((LEVELS | changes).items()):
            js = {"js": 0.1 + (name == "ips-pg") + noise * place} if name in lpi_table_3.RL else {}
            found[name] = scores(level + noise * (1 + place % 3), **js)
        finished.append(Finished(cell, found, 1.0))
    return lpi_table_3.summarise(finished, budget)


def verdicts(page: Page) -> dict[str, str]:
    return {claim.text: claim.verdict for claim in page.claims}


def test_the_order_of_the_paper_is_reproduced() -> None:
    page = table_page()
    found = verdicts(page)
    assert found["yoochoose: the attention network ranks clicks above the last item"] == (
        "reproduced"
    )
    assert found["yoochoose: lpi-rl is above sqn and sac-ss, purchase nDCG@20"] == "reproduced"
    assert found["yoochoose: ips-pg is furthest from the logging policy"] == "reproduced"
    best = "yoochoose: the best of the RL losses (lpi-rl) is above v-sknn, click nDCG@20"
    assert found[best] == "reproduced"
    assert "1,000 sequences of 500 items" in page.body
    assert "12.5% of the test events" in page.body
    row = next(line for line in page.body.splitlines() if line.startswith("| last-item |"))
    assert row.endswith("| – | 100 |")
    assert list(page.figures) == ["lpi-table3"]


def test_a_floor_that_is_higher_contradicts() -> None:
    found = verdicts(table_page(**{"v-sknn": 0.9, "last-item": 0.9}))
    best = "yoochoose: the best of the RL losses (lpi-rl) is above v-sknn, click nDCG@20"
    assert found[best] == "contradicted"
    assert found["yoochoose: the attention network ranks clicks above the last item"] == (
        "contradicted"
    )


NOISE = (0.0, 0.0004, -0.0003, 0.0002, -0.0004)
FALLING = {f"{beta:g}": 0.3 - 0.1 * np.log10(beta) for beta in lpi_figure_2.SETTINGS["beta"]}


def figure_page(beta: dict[str, float], **defaults: float) -> Page:
    """JS of each beta and each policy as given; JS and purchases grow with lambda, clicks fall.

    Each seed's noise has a share of its own in each number, so that differences vary.
    """
    finished = []
    for cell in lpi_figure_2.cells(lpi_figure_2.BUDGET):
        noise = NOISE[cell["seed"]]
        found: dict[str, Any] = {"log facts": FACTS, "defaults": {"logging": scores(0.3)}}
        for place, name in enumerate((lpi_figure_2.OURS, *lpi_figure_2.OTHERS)):
            js = defaults.get(name, 0.7 if name == "ips-pg" else 0.1)
            found["defaults"][name] = scores(0.3, js=js + noise * place)
        found["beta"] = {
            value: scores(0.3 + (0.01 + noise) * place, js=level + noise * place)
            for place, (value, level) in enumerate(beta.items())
        }
        found["value_weight"] = {
            f"{value:g}": scores(0.3 + (0.01 + noise) * place, js=0.1 * (1 + place) + noise * place)
            | {"click nDCG@20": 0.4 - 0.01 * place}
            for place, value in enumerate(lpi_figure_2.SETTINGS["value_weight"])
        }
        finished.append(Finished(cell, found, 1.0))
    return lpi_figure_2.summarise(finished, lpi_figure_2.BUDGET)


def test_the_figure_of_the_paper_is_reproduced() -> None:
    page = figure_page(FALLING)
    assert [claim.verdict for claim in page.claims] == ["reproduced"] * 7
    steps = next(claim for claim in page.claims if "each of these betas" in claim.text)
    assert steps.evidence.startswith(
        "0.002 0.570, 0.1 0.400 (+0.169 .. +0.171, p <.001); 0.1 0.400"
    )
    fall = next(claim for claim in page.claims if claim.text.startswith("JS falls as beta"))
    # Slopes are -.1 and 1.05 times each seed's noise: a standard error of .00016, times 2.776.
    assert fall.evidence == "-0.1000 a decade (-0.1005 .. -0.0996), p <.001"
    row = next(line for line in page.body.splitlines() if line.startswith("| 20 |"))
    assert row == "| 20 | 0.170 ± 0.001 | 0.340 ± 0.001 | 0.340 ± 0.001 |"
    row = next(line for line in page.body.splitlines() if line.startswith("| logging |"))
    assert row == "| logging | – | 0.300 ± 0.000 | 0.300 ± 0.000 |"
    assert list(page.figures) == ["lpi-fig2"]


def test_a_divergence_that_rises_once_is_not_falling_at_each_step() -> None:
    risen = verdicts(figure_page(FALLING | {"1": 0.45}))
    assert risen["JS falls as beta grows over four decades"] == "reproduced"  # on the whole
    assert risen["JS falls from each of these betas to the next"] == "contradicted"


def test_a_divergence_that_grows_with_beta_contradicts() -> None:
    grown = dict(zip(FALLING, reversed(FALLING.values()), strict=True))
    found = verdicts(figure_page(grown))
    assert found["JS falls as beta grows over four decades"] == "contradicted"


def test_a_beta_that_changes_nothing_is_inconclusive_with_what_could_be_detected() -> None:
    page = figure_page(FALLING | {"1": FALLING["20"]})
    steps = next(claim for claim in page.claims if "each of these betas" in claim.text)
    assert steps.verdict == "inconclusive"
    assert steps.evidence.endswith("; detectable: 0.00083")


def test_a_policy_further_away_than_ips_pg_contradicts() -> None:
    found = verdicts(figure_page(FALLING, sqn=0.9))
    assert found["ips-pg is furthest from the logging policy"] == "contradicted"


def test_what_an_rl_loss_adds_is_judged_for_each_encoder() -> None:
    budget = sqn_table.BUDGET | {"logs": ["retailrocket"], "encoders": ["gru", "sasrec"]}
    finished = []
    for cell in sqn_table.cells(budget):
        names = sqn_table.FLOORS if cell["encoder"] == "none" else sqn_table.AGENTS
        noise = 0.001 * cell["seed"]
        helps = {"snqn": 0.1} if cell["encoder"] == "gru" else {"snqn": -0.1}
        levels = {
            name: 0.3 + helps.get(name, 0.0) + noise * (1 + place)
            for place, name in enumerate(names)
        }
        if cell["encoder"] == "sasrec":
            levels |= dict.fromkeys(sqn_table.RL, 0.2 + noise)
        finished.append(
            Finished(cell, {name: scores(level) for name, level in levels.items()}, 1.0)
        )
    page = sqn_table.summarise(finished, budget)
    found = verdicts(page)
    one = "retailrocket, gru: an RL loss (snqn) beats no second loss, click nDCG@20"
    assert found[one] == "reproduced"
    others = {text: verdict for text, verdict in found.items() if "sasrec" in text}
    assert len(others) == 4
    assert set(others.values()) == {"contradicted"}
    assert sum(line.startswith("| sasrec |") for line in page.body.splitlines()) == 6
    said = (
        "By click nDCG@20, the best RL loss is shown to be above no second loss with 1, and above"
    )
    assert "There are 2 encoders. By purchase nDCG@20" in page.body
    assert f"{said} the supervised second loss with 1 of them." in page.body
    assert list(page.figures) == ["sqn-table-retailrocket"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Raw files in the formats of both shops, made here: visitors go from item to item."""
    rng = np.random.default_rng(0)
    clicks, buys, events = [], [], ["timestamp,visitorid,event,itemid,transactionid"]
    for session in range(1, 81):
        first = int(rng.integers(46))
        for step in range(4):
            item = 100 + (first + step) % 46
            clicks.append(f"{session},2014-04-07T10:{step:02d}:00.000Z,{item},0")
            events.append(f"{1_430_000_000_000 + 1000 * step},{session},view,{item},")
        buys.append(f"{session},2014-04-07T11:00:00.000Z,{item},10,1")
        events.append(f"{1_430_000_900_000},{session},addtocart,{item},")
    folder = tmp_path / "data"
    for name, lines in (
        ("yoochoose/yoochoose-clicks.dat", clicks),
        ("yoochoose/yoochoose-buys.dat", buys),
        ("retailrocket/events.csv", events),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Place(folder, tmp_path, tmp_path / "cell")


@pytest.mark.parametrize("log", shop_logs.LOGS)
def test_a_log_is_drawn_and_divided_by_seed(log: str, place: Place) -> None:
    whole, drawn, again, other = (
        shop_logs.read_shop_log(log, place, sequences, seed)
        for sequences, seed in ((0, 0), (30, 0), (30, 0), (30, 1))
    )
    drawn.validate()
    assert (whole.n_users, drawn.n_users) == (80, 30)
    np.testing.assert_array_equal(drawn.sessions.item, again.sessions.item)
    assert (other.sessions.item[:50] != drawn.sessions.item[:50]).any()
    assert np.bincount(drawn.split).tolist() == [24, 3, 3]
    assert drawn.sessions.item.max() + 1 == drawn.catalog.n_items
    assert set(drawn.catalog.item_id) <= set(whole.catalog.item_id)
    assert drawn.sessions.event is not None
    assert np.unique(drawn.sessions.event).tolist() == [0, 2]


def test_long_visits_are_cut_into_sequences_that_stay_in_one_split(place: Place) -> None:
    """Of 45 events 20, 20 and 5 are sequences; the items are those of the visit, in its order."""
    path = place.raw("retailrocket/events.csv")
    views = [f"{1_430_000_000_000 + 1000 * step},0,view,{100 + step}," for step in range(45)]
    path.write_text("\n".join([*path.read_text("utf-8").splitlines(), *views]) + "\n", "utf-8")
    dataset = shop_logs.read_shop_log("retailrocket", place, 0, 0)
    dataset.validate()
    sizes = np.bincount(dataset.sessions.user)
    assert sizes[:3].tolist() == [20, 20, 5]
    assert set(sizes[3:].tolist()) == {5}  # the others' visits
    ids = np.array(dataset.catalog.item_id)[dataset.sessions.item[:45]]
    assert ids.tolist() == [str(100 + step) for step in range(45)]
    assert len(set(dataset.split[:3].tolist())) == 1


def test_agents_are_trained_and_scored_on_a_drawn_log(place: Place) -> None:
    budget = {"epochs": 2, "batch_size": 16, "agent_args": {"size": 8}}
    dataset = shop_logs.read_shop_log("yoochoose", place, 60, 0)
    logging = shop_logs.train_one("logging", dataset, {"seed": 0}, budget, place)
    ours = shop_logs.train_one("lpi-rl", dataset, {"seed": 0}, budget, place, "last", beta=0.1)
    found = shop_logs.score_one(ours, logging, dataset)
    assert found["click events"] == 18  # six sequences of 4 clicks, the first of each apart
    assert found["purchase events"] == 6
    assert 0.0 < found["js"] < np.log(2.0)
    assert shop_logs.score_one(logging, logging, dataset)["js"] == pytest.approx(0.0, abs=1e-9)
    floor = shop_logs.train_one("last-item", dataset, {"seed": 0}, budget, place)
    found = shop_logs.score_one(floor, None, dataset)
    assert found["purchase HR@5"] == 1.0  # the last click is what is bought
    assert found["click HR@5"] < 1.0
    assert "js" not in found


def test_a_cell_of_the_figure_tries_every_value_and_its_page_is_made(place: Place) -> None:
    budget = lpi_figure_2.SMOKE | {"sequences": 60}
    finished = [
        Finished(cell, lpi_figure_2.run_cell(cell, budget, replace(place, folder=folder)), 1.0)
        for cell in lpi_figure_2.cells(budget)
        for folder in (place.folder / str(cell["seed"]),)
    ]
    found = finished[0].result
    assert list(found["beta"]) == list(FALLING)
    assert found["beta"]["1"] == found["value_weight"]["1"] == found["defaults"]["lpi-rl"]
    assert found["beta"]["0.002"]["js"] != found["beta"]["20"]["js"]
    page = lpi_figure_2.summarise(finished, budget)
    assert len(page.claims) == 7
    assert "60 sequences of" in page.body


def test_without_the_log_there_is_no_figure() -> None:
    page = lpi_figure_2.summarise([], lpi_figure_2.BUDGET)
    assert verdicts(page) == {"what is learned from yoochoose": "data not available here"}
    assert (page.body, page.figures) == ("", {})


@pytest.mark.parametrize("experiment", [lpi_table_3, sqn_table])
def test_logs_that_are_not_here_are_said_to_be_missing(experiment: Any) -> None:
    page = experiment.summarise([], experiment.BUDGET)
    missing = {f"what is learned from {log}": "data not available here" for log in shop_logs.LOGS}
    assert verdicts(page) == missing
    assert (page.body, page.figures) == ("", {})


def test_policies_are_compared_where_something_is_known_of_the_user(place: Place) -> None:
    dataset = shop_logs.read_shop_log("yoochoose", place, 60, 0)
    n_items = dataset.catalog.n_items

    class Scorer:
        """Scores all items alike, but for item 0 where nothing was clicked."""

        spec = EnvironmentSpec(n_items, 2, shop_logs.WINDOW, None)

        def __init__(self, at_first: float) -> None:
            self.at_first = at_first

        def item_scores(self, observation: np.ndarray) -> np.ndarray:
            scores = np.zeros((len(observation), n_items))
            scores[(observation == n_items).all(axis=1), 0] = self.at_first
            return scores

    assert shop_logs.score_one(Scorer(0.0), Scorer(9.0), dataset)["js"] == 0.0


def test_without_the_raw_files_a_cell_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataNotAvailable, match="yoochoose-clicks.dat: no such file"):
        shop_logs.read_shop_log("yoochoose", Place(tmp_path, tmp_path, tmp_path), 0, 0)


def test_the_answer_says_what_the_verdicts_do() -> None:
    """One of each verdict; a claim on something else is not told."""
    claims = [
        Claim(f"a log: {lpi_table_3.BEST}(sqn) is above {other}, clicks", verdict, "")
        for other, verdict in (("logging", "inconclusive"), ("v-sknn", "contradicted"))
    ]
    found = lpi_table_3._answer([*claims, Claim("another is above it", "reproduced", "")])
    assert found.endswith(
        ": (sqn) is not shown to be above logging, clicks; (sqn) is below v-sknn, clicks."
    )
