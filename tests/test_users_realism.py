"""The measures of a realism report by hand, of models that are as real as can be, and of others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recgym.data import Dataset
from recgym.errors import RecGymError
from recgym.users import FittedUserModel
from recgym.users.fitting import fit_user_model
from recgym.users.gru4rec import GRU4RecConfig
from recgym.users.page_arrays import Pages, pages_of
from recgym.users.realism import (
    area_under_curve,
    click_shares,
    logistic_regression,
    realism_of,
    reliability,
    session_features,
    told_apart,
)
from recgym.users.replayed_sessions import Behaviour, logged, replayed
from recgym_agents.runs.realism_report import write_realism
from tests.fixtures.user_logs import (
    CONFIG,
    FIT,
    LSTM,
    N_ITEMS,
    SESSIONS,
    event,
    session_dataset,
    sessions_of,
    small_dataset,
)

BY_HAND = Behaviour(
    user=np.array([0, 0, 0, 1, 1]), slot=np.array([0, -1, 2, 1, 1]), item=np.array([4, -1, 4, 4, 2])
)


@pytest.fixture(scope="module")
def log() -> Dataset:
    return small_dataset(n_users=96)


@pytest.fixture(scope="module")
def model(log: Dataset) -> FittedUserModel:
    return fit_user_model(log, CONFIG, replace(FIT, epochs=20, learning_rate=3e-2))


def test_what_users_did_by_hand() -> None:
    pages = Pages.of(
        sessions_of([event(3, [1, 4], 1, 4), event(3, [0, 2], -1, -1), event(8, [2], 0, 2)]), 2, 9
    )
    found = logged(pages)
    assert (found.user.tolist(), found.slot.tolist()) == ([0, 0, 1], [1, -1, 0])
    assert found.item.tolist() == [4, -1, 2]
    assert (BY_HAND.pages.tolist(), BY_HAND.clicks.tolist()) == ([3, 2], [2, 2])
    assert BY_HAND.repeated.tolist() == [False, False, True, False, False]
    assert click_shares(BY_HAND, 5).tolist() == [0, 0, 0.25, 0, 0.75]


def test_features_of_sessions_by_hand() -> None:
    popularity = np.array([0.0, 0.0, 1.0, 0.0, 3.0])
    found = session_features(BY_HAND, popularity)
    np.testing.assert_allclose(found[0], [3, 2, 2 / 3, 1.0, 3.0, 1, 1])
    np.testing.assert_allclose(found[1], [2, 2, 1.0, 1.0, 2.0, 0, 2])


def test_a_reliability_curve_by_hand() -> None:
    chance = np.repeat([0.1, 0.5], 10)
    chosen = np.arange(20) % 5 == 0  # a fifth of both
    found = reliability(chance, chosen)
    assert found.count.tolist() == [2] * 10
    assert found.error == pytest.approx(np.abs(found.predicted - found.observed).mean())
    assert (found.predicted @ found.count / 20) == pytest.approx(0.3)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=30))
def test_the_area_counts_pairs(rows: list[tuple[int, bool]]) -> None:
    score, label = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    ones, zeros = score[label == 1], score[label == 0]
    if len(ones) and len(zeros):
        pairs = np.sign(ones[:, None] - zeros) / 2 + 0.5
        assert area_under_curve(score, label) == pytest.approx(pairs.mean())


def test_logistic_regression_finds_the_odds() -> None:
    label = np.repeat([1.0, 0.0, 1.0, 0.0], [300, 100, 100, 300])
    group = np.repeat([1.0, 0.0], 400)
    found = logistic_regression(np.column_stack([group, np.ones(800)]), label, ridge=1e-9)
    np.testing.assert_allclose(found, [np.log(9), -np.log(3)], atol=1e-6)


def test_what_is_the_same_is_not_told_apart_and_what_is_not_is() -> None:
    rng = np.random.default_rng(0)
    real = rng.standard_normal((400, 3))
    same = told_apart(real, rng.standard_normal((400, 3)))
    assert same.low < 0.5 < same.high
    wider = told_apart(real, 3.0 * rng.standard_normal((400, 3)))
    assert wider.low > 0.7


@pytest.mark.parametrize("config", [CONFIG, LSTM])
def test_simulated_users_see_the_same_pages_and_click_no_item_twice(config, log: Dataset) -> None:
    model = fit_user_model(log, config, FIT)
    pages = pages_of(config, log.pages("test"), N_ITEMS)
    found = replayed(model, pages, np.random.default_rng(0))
    real = logged(pages)
    np.testing.assert_array_equal(found.user, real.user)
    assert not found.repeated.any()
    clicked = found.item >= 0
    np.testing.assert_array_equal(pages.slates[clicked, found.slot[clicked]], found.item[clicked])
    assert not np.array_equal(found.item, real.item)


def test_users_who_leave_are_shown_pages_until_they_do() -> None:
    log = session_dataset()
    model = fit_user_model(log, SESSIONS, FIT)
    assert model.config.outside == "end"
    pages = pages_of(SESSIONS, log.pages("test"), N_ITEMS)
    found = replayed(model, pages, np.random.default_rng(0))
    last = np.append(np.diff(found.user) > 0, True)
    assert ((found.item < 0) <= last).all()  # nobody goes on who has left
    left = found.item[last] < 0
    assert (found.pages[~left] == logged(pages).pages.max()).all()


def test_a_model_is_held_against_held_out_users(log: Dataset, model: FittedUserModel) -> None:
    found = realism_of(model, log)
    assert found.scores["log_likelihood"] == pytest.approx(model.scores["log_likelihood"])
    assert found.reliability.error < 0.1
    observed, expected = found.slots
    assert observed.sum() == pytest.approx((found.real.item >= 0).mean())
    np.testing.assert_allclose(expected.sum(), observed.sum(), atol=0.1)
    for shares in found.popularity:
        assert shares.sum() == pytest.approx(1.0)
    assert 0.0 <= found.popularity_distance < 0.5
    assert found.repeats[0] > 0.1  # which the log denies, so that nobody does in simulation
    assert found.repeats[1] == 0.0
    assert found.level_share == model.level_share


def test_an_unreal_model_is_told_apart_and_badly_calibrated(
    log: Dataset, model: FittedUserModel
) -> None:
    params = dict(model.members["train"])
    params["reward.output"] = 5.0 * params["reward.output"]
    unreal = replace(model, members={"train": params})
    bad, good = realism_of(unreal, log), realism_of(model, log)
    assert bad.reliability.error > 2 * good.reliability.error
    assert bad.scores["log_likelihood"] < good.scores["log_likelihood"]
    assert bad.discrimination.auc > good.discrimination.auc


def test_the_page_needs_no_network_and_says_what_was_found(
    log: Dataset, model: FittedUserModel, tmp_path: Path
) -> None:
    found = realism_of(model, log)
    page = write_realism(tmp_path, "<mine>", model, found, "it is a test").read_text()
    assert "&lt;mine&gt;" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.count("data:image/svg+xml;base64,") == 5
    assert f"AUC of {found.discrimination.auc:.2f}" in page
    written = json.loads((tmp_path / "realism.json").read_text())
    assert written["calibration_error"] == pytest.approx(found.reliability.error)


def test_what_cannot_be_compared_is_one_line(log: Dataset, model: FittedUserModel) -> None:
    other = replace(log, info=log.info | {"sha256": "1"})
    with pytest.raises(RecGymError, match="fitted on other data than small"):
        realism_of(model, other)
    ranks = fit_user_model(log, GRU4RecConfig(units=4, features=4), FIT, test_users=False)
    with pytest.raises(RecGymError, match="'gru4rec' says no choice probabilities"):
        realism_of(ranks, log)
    test = np.flatnonzero(log.split == 2)
    few = replace(log, split=np.where(np.isin(np.arange(96), test[3:]), 1, log.split))
    with pytest.raises(RecGymError, match="3 test users with pages"):
        realism_of(model, few)
