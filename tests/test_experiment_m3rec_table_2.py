"""M3Rec's Table 2: its metrics by hand, its page from results made by hand, and its cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.data import Catalog, Dataset
from recgym.errors import RecGymError
from recgym.users import FittedUserModel
from recgym.users.meta import MetaUserConfig
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.experiments.experiment import DataNotAvailable, Finished, Page, Place
from recgym_agents.experiments.irecgan.reranking import Lists
from recgym_agents.experiments.m3rec import table_2
from recgym_agents.experiments.m3rec.logged_methods import (
    GROUPS,
    SIMILAR,
    Learning,
    pages_of_a_pass,
)
from recgym_agents.experiments.m3rec.logged_users import (
    METRICS,
    HeldOutUsers,
    later_shares,
    ranking_metrics,
    read_users,
)
from recgym_agents.experiments.yoochoose_pages import CLICKS
from recgym_agents.learning.episodes import EpisodeLog
from recgym_agents.learning.user_loop import UserLoopConfig
from recgym_agents.user_support import Support
from recgym_agents.zoo import AGENTS, entry_of
from tests.fixtures.user_logs import event, sessions_of
from tests.fixtures.yoochoose_clicks import disjoint_sessions, write_clicks
from tests.test_experiment_irecgan_table1 import small_log

SEEDS = (0, 1, 2)
BUDGET = table_2.BUDGET | {"logs": ["trivago"], "seeds": list(SEEDS)}
TINY = table_2.SMOKE | {"logs": ["trivago"], "users": {}, "gan_steps": 100, "batch_users": 8}


def three_pages() -> Lists:
    """User 0 clicks item 3 on a page of six, then 0 on one of 11; user 1 clicks 5 of two."""
    slate = np.full((3, 11), -1)
    slate[0, :6], slate[1], slate[2, :2] = np.arange(6), np.arange(11), [5, 4]
    return Lists(np.array([0, 0, 1]), np.zeros((3, 1), np.int64), slate, np.array([3, 0, 0]))


def test_what_a_user_clicks_later_is_to_be_found_too() -> None:
    shares = later_shares(three_pages())
    assert shares[0].tolist() == [0.5, 0, 0, 0.5, *[0.0] * 7]  # 3 now and 0 on the next page
    assert shares[1:].tolist() == [[1.0, *[0.0] * 10]] * 2


def test_metrics_are_of_pages_with_more_items_than_count_as_first() -> None:
    """Items are ranked by number, the highest first: clicks have the ranks 3 and 11, and 1."""
    lists = three_pages()
    found = ranking_metrics(lists, np.where(lists.slate < 0, 99.0, lists.slate))
    assert found["P@1"] == pytest.approx(1 / 3)
    assert found["P@5"] == pytest.approx(1 / 2)  # the page of two has no more than five
    assert found["NDCG@5"] == pytest.approx(0.5 / np.log2(4.0))
    assert found["Recall@5"] == pytest.approx(0.25)  # 3 of 3 and 0, and none of 0
    assert found["P@10"] == found["NDCG@10"] == found["Recall@10"] == 0.0
    tied = ranking_metrics(lists, np.zeros(lists.slate.shape))
    assert tied["P@1"] == pytest.approx((1 / 6 + 1 / 11 + 1 / 2) / 3)
    assert tied["P@10"] == pytest.approx(10 / 11)
    short = Lists(*(part[[0]] for part in vars(lists).values()))
    with pytest.raises(RecGymError, match="no test page has more than 10 items"):
        ranking_metrics(short, np.zeros(short.slate.shape))


def page(gains: dict[str, list[float]], logs: tuple[str, ...] = ("trivago",)) -> Page:
    """Made up: all methods are at 50% in all metrics, but for gains by seed; rules at 25%."""
    finished = []
    for cell in table_2.cells(BUDGET | {"logs": list(logs)}):
        names = table_2.FLOORS if cell["methods"] == "floors" else GROUPS[cell["methods"]]
        level = 0.25 if cell["methods"] == "floors" else 0.5
        scores = {
            name: dict.fromkeys(METRICS, level + gains.get(name, [0.0] * 3)[cell["seed"]])
            for name in names
        }
        facts = {"training_users": 100, "users": 40, "pages": 80, "items": 12.5}
        result: dict[str, Any] = {"scores": scores}
        if cell["methods"] == "floors":
            result["facts"] = facts | {"above_5": 70, "above_10": 60}
        finished.append(Finished(cell, result, 1.0))
    return table_2.summarise(finished, BUDGET | {"logs": ["cikm", *logs]})


def verdicts(found: Page) -> dict[str, str]:
    return {claim.text: claim.verdict for claim in found.claims}


def test_m3rec_is_judged_against_each_rival_in_all_metrics() -> None:
    better = {"m3rec": [0.1, 0.11, 0.12], "melu": [0.2, 0.22, 0.21], "irecgan": [0.1, 0.3, 0.0]}
    found = verdicts(page(better))
    assert found["trivago: m3rec > meta-pg, each as built, in all metrics"] == "reproduced"
    assert found["trivago: m3rec > melu, each as built, in all metrics"] == "contradicted"
    assert found["trivago: m3rec > irecgan, each as built, in all metrics"] == "inconclusive"
    assert found["trivago: m3rec > itself without a context, in all metrics"] == "reproduced"
    by_rule = "trivago: m3rec > random, the best rule by NDCG@10, in all metrics"
    assert found[by_rule] == "reproduced"
    missing = {text: verdict for text, verdict in found.items() if text.startswith("cikm")}
    assert set(missing.values()) == {"data not available here"}
    assert len(missing) == 9
    assert found["trivago: m3rec-similarity > m3rec, in all metrics"] == "contradicted"


def test_the_paper_and_the_rules_stand_beside_ours() -> None:
    found = page({"last_click": [0.1, 0.1, 0.1]}, ("trivago", "yoochoose"))
    rows = [line.strip("| ").split(" | ") for line in found.body.splitlines()]
    ours = next(row for row in rows if row[0] == "m3rec")
    assert ours == ["m3rec", *["50.00 ± 0.00"] * 7]
    assert rows[rows.index(ours) + 1][:3] == ["paper, on CIKM", "7.26", "28.42"]
    (rule,) = (row for row in rows[: len(rows) // 2] if row[0] == "last click")
    assert rule[1] == "35.00 ± 0.00"
    assert "80 pages after their support, of 12.5 items in the mean; 70 have more" in found.body
    assert list(found.figures) == ["m3rec-table2"]
    assert len(found.figures["m3rec-table2"].axes) == 4
    assert page({}, ()).figures == {}


def test_every_method_is_an_agent_or_a_variant_of_one() -> None:
    assert set(table_2.PAPER) == {"m3rec", *table_2.RIVALS}
    for name in table_2.METHODS:
        AGENTS.find(name.removesuffix("-log").removesuffix("-similarity"))


def test_the_second_half_of_a_test_user_is_reranked(tmp_path: Path) -> None:
    """Users look at one hotel and click out another: of two pages the second is scored."""
    dataset = read_users("trivago", small_log(tmp_path), 3, None)
    n_items = dataset.catalog.n_items
    users = HeldOutUsers.of(dataset, EnvironmentSpec(n_items, 12, 4, None), 20)
    lists = users.lists(n_items)
    pages = dataset.pages("test")
    np.testing.assert_array_equal(lists.slate, pages.padded_slates()[1::2])
    np.testing.assert_array_equal(lists.click, pages.click[1::2])
    np.testing.assert_array_equal(lists.observation[:, -1], pages.item[::2])
    np.testing.assert_array_equal(users.support.slate[:, 0, 0], pages.padded_slates()[::2])
    np.testing.assert_array_equal(users.support.click[:, 0, 0], pages.click[::2])
    assert users.support.click.shape == (9, 1, 1)
    other = read_users("trivago", small_log(tmp_path), 4, None)
    assert (other.split != dataset.split).any()


def test_yoochoose_is_read_as_its_cell_says(tmp_path: Path) -> None:
    (cell, *_) = table_2.cells(table_2.BUDGET | {"logs": ["yoochoose"]})
    assert cell["sessions"] == 3_000
    assert "sessions" not in table_2.cells(BUDGET)[0]
    place = Place(data=tmp_path, runs=tmp_path, folder=tmp_path)
    (tmp_path / "yoochoose").mkdir()
    write_clicks(tmp_path / "yoochoose" / CLICKS, disjoint_sessions(2_410))
    found, other = (read_users("yoochoose", place, seed, 2_400) for seed in (0, 1))
    assert found.n_users == 2_400
    assert set(found.sessions.slate_sizes) == {20}
    assert (found.split != other.split).any()


def two_tastes() -> Dataset:
    """80 users of four pages, who click even items of 0 .. 7 or odd ones, and buy those below 4.

    Pages show an even and an odd item. On every other page all click 8, so that the last click
    before the second and the last page tells nothing.
    """
    rng, events = np.random.default_rng(0), []
    for user in range(80):
        for page in range(4):
            slate = [8, 9] if page % 2 else (2 * rng.integers(4, size=2) + np.arange(2)).tolist()
            slot = 0 if page % 2 else user % 2
            events.append(event(user, slate, slot, slate[slot]))
    sessions = sessions_of(events)
    sessions = replace(sessions, reward=(sessions.item < 4).astype(np.float32))
    names, info = tuple(str(i) for i in range(10)), {"name": "two", "licence": "none"}
    catalog = Catalog(names, None, np.zeros((10, 0), np.float32), ())
    split = np.repeat(np.array([0, 1, 2], np.int8), [32, 16, 32])
    return Dataset(
        sessions, catalog, split, info | {"sha256": "0", "repeat_clicks": True, "no_click": False}
    )


def test_rewards_of_test_users_are_paid_as_those_of_training() -> None:
    dataset = two_tastes()
    users = HeldOutUsers.of(dataset, EnvironmentSpec(10, 2, 1, None), 20)
    reward = dataset.pages("test").reward.reshape(32, 4)
    np.testing.assert_array_equal(users.support.reward[:, 0], 1.0 + 3.0 * reward[:, :2])
    np.testing.assert_array_equal(users.query.reward[:, 0], 1.0 + 3.0 * reward[:, 2:])
    assert set(users.support.reward.ravel()) == {1.0, 4.0}


def test_support_says_which_items_a_test_user_clicks() -> None:
    """Told of her first pages, the item of her kind is ranked first; told of none, at random."""
    dataset = two_tastes()
    spec = EnvironmentSpec(10, 2, 1, np.eye(10, dtype=np.float32))
    users = HeldOutUsers.of(dataset, spec, 20)
    log = EpisodeLog.of_sessions(dataset.pages("train"), 1, 10)
    entry = entry_of("melu", {"remove_clicked": False}, {})
    agent = entry.builder(entry.config, spec, 0)
    loop = UserLoopConfig(schedule="offline").loop(agent, None, 9_999, (0, 0), log)
    for _ in range(75):
        loop.iterate()
    lists = users.lists(10)
    liked = lists.slate[:, 0] < 8
    own = lists.click[liked]
    told = users.adapted_scores(agent)[liked]
    assert (told.argmax(1) == own).mean() > 0.9
    nothing = replace(users, support=Support.none(32, 2))
    untold = nothing.adapted_scores(agent)[liked]
    np.testing.assert_array_equal(np.unique(own, return_counts=True)[1], [16, 16])
    assert (untold.argmax(1) == own).mean() < 0.7
    pages, row = lists.slate[liked], np.arange(32)
    assert (pages % 2 == [0, 1]).all()
    gained = (told - untold)[row, own] - (told - untold)[row, 1 - own]
    assert (gained > 0.0).mean() > 0.9


def test_the_nearest_sessions_hold_items_of_the_same_kind() -> None:
    """Sessions that hold her first click hold items of its kind; 8, her last, is in all of them."""
    dataset = two_tastes()
    lists = HeldOutUsers.of(dataset, EnvironmentSpec(10, 2, 4, None), 20).lists(10)
    liked = lists.slate[:, 0] < 8
    found = table_2._nearest_sessions(dataset, lists, 0)[liked]
    own, row = lists.click[liked], np.arange(32)
    assert (found[row, own] > found[row, 1 - own]).mean() > 0.8
    longer = replace(lists, slate=np.pad(lists.slate, ((0, 0), (0, 1)), constant_values=-1))
    same = table_2._nearest_sessions(dataset, longer, 0)[liked]
    np.testing.assert_array_equal(same[:, :2], found)


def test_a_pass_reads_each_user_once() -> None:
    """A user of six pages has 1, 2, 3, 4 and 5 after a cut, of which four are read."""
    assert pages_of_a_pass(np.array([6]), 4) == pytest.approx((1 + 2 + 3 + 4 + 4) / 5)
    assert pages_of_a_pass(np.array([2, 1, 6, 3]), 4) == pytest.approx(1.0 + 2.8 + 1.5)


def test_all_methods_take_as_many_batches_of_users(tmp_path: Path) -> None:
    """32 training users in batches of four: eight a pass."""
    dataset = two_tastes()
    budget = TINY | {"passes": 3, "batch_users": 4, "pages": 2}
    learning = Learning(dataset, EnvironmentSpec(10, 2, 1, None), 0, budget, tmp_path)
    adapts = learning._on_the_log("meta-pg")
    pages_a_user = (1 + 2 + 2) / 3  # after a cut after three, two and one of four pages
    assert adapts.steps == round(3 * 32 * pages_a_user)
    own = learning._with_meta_users("m3rec", "m3rec")
    rounds = own.steps / (4 * 2)
    assert rounds * own.loop_args["updates"] == 3 * 8
    alone = learning._on_the_log("m3rec-log").agent_args
    assert own.agent_args == alone | {"reads_rewards": False}
    assert alone["item_features"] == "learned"
    assert set(adapts.agent_args) == {"remove_clicked"}


def test_users_with_similarity_are_fitted_for_the_method_of_that_name(tmp_path: Path) -> None:
    dataset, spec = two_tastes(), EnvironmentSpec(10, 2, 1, None)
    learning = Learning(dataset, spec, 0, TINY | {"fit_epochs": 1}, tmp_path)
    for name in ("m3rec", SIMILAR):
        config = learning._with_meta_users("m3rec", name)
        model = FittedUserModel.load(Path(config.env_args["user_model"]))
        assert isinstance(model.config, MetaUserConfig)
        assert model.config.similarity == (name == SIMILAR)
        assert config.agent == "m3rec"


@pytest.mark.parametrize("methods", ["m3rec", SIMILAR, "meta-pg", "irecgan", "gan-pg"])
def test_a_cell_learns_and_reranks(methods: str, tmp_path: Path) -> None:
    place = small_log(tmp_path)
    cell = {"log": "trivago", "methods": methods, "seed": 0}
    found = table_2.run_cell(cell, TINY, place)["scores"]
    assert set(found) == set(GROUPS[methods])
    if methods in ("m3rec", SIMILAR):
        assert [path.name for path in tmp_path.rglob("user-model-*")] == [f"user-model-{methods}"]
    for values in found.values():
        assert set(values) == set(METRICS)
        assert all(0.0 <= value <= 1.0 for value in values.values())


def test_rules_are_scored_by_hand(tmp_path: Path) -> None:
    found = table_2.run_cell(
        {"log": "trivago", "methods": "floors", "seed": 0}, TINY, small_log(tmp_path)
    )
    assert set(found["scores"]) == set(table_2.FLOORS)
    assert found["scores"]["random"]["P@5"] == pytest.approx(5 / 12)
    assert found["scores"]["last_click"]["P@1"] == 0.0  # the next hotel is another one
    assert (found["facts"]["pages"], found["facts"]["above_10"]) == (9, 9)


def test_logs_that_are_not_here_are_said_to_be_missing(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path, tmp_path / "cell")
    for log in table_2.LOGS:
        cell = {"log": log, "methods": "melu", "seed": 0}
        assert table_2.raw_logs(cell)
        with pytest.raises(DataNotAvailable, match=table_2.raw_logs(cell)[0]):
            table_2.run_cell(cell, table_2.BUDGET, place)
