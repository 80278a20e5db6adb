"""Fitting: pages, likelihood, checkpoints, what diverges, and the floors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recgym.data import Catalog, Dataset
from recgym.errors import RecGymError
from recgym.users import likelihood, scoring
from recgym.users.fitting import fit_user_model
from recgym.users.gan import GANUserConfig
from recgym.users.item_table import ItemTable
from recgym.users.kinds import UserConfig
from recgym.users.likelihood import initial_params
from recgym.users.page_arrays import Pages, pages_of
from recgym.users.page_tensors import PageTensors, Select, SessionTensors
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


def test_pages_by_hand() -> None:
    events = [
        event(3, [1, 2], 1, 2),
        event(3, [], -1, 5),  # opened from elsewhere: history only
        event(3, [0, 4, 6], -1, -1),
        event(8, [7], 0, 7),
        event(8, [0, 1], 0, 0),
    ]
    pages = Pages.of(sessions_of(events), window=2, n_items=9)
    np.testing.assert_array_equal(pages.slates, [[1, 2, 9], [0, 4, 6], [7, 9, 9], [0, 1, 9]])
    np.testing.assert_array_equal(pages.target, [1, 3, 0, 0])
    np.testing.assert_array_equal(pages.histories, [[9, 9], [2, 5], [9, 9], [9, 7]])
    np.testing.assert_array_equal(pages.user, [0, 0, 1, 1])
    np.testing.assert_array_equal(pages.clicks_before, [0, 2, 0, 1])
    np.testing.assert_array_equal(pages.sequences, [[2, 5], [7, 0]])
    np.testing.assert_array_equal(pages.clicked, [True, False, True, True])


@pytest.mark.parametrize("config", [CONFIG, LSTM, replace(CONFIG, regularizer="l2")])
def test_what_is_trained_is_what_is_simulated(config: GANUserConfig) -> None:
    dataset = small_dataset()
    pages = Pages.of(dataset.sessions, config.window, N_ITEMS)
    params = initial_params(config, np.random.default_rng(0))
    features = torch.randn(N_ITEMS, config.features)
    tensors = PageTensors(config, pages)
    with torch.no_grad():
        trained, _ = tensors.respond(params, features, torch.arange(pages.n_pages))
    arrays = {name: value.detach().numpy() for name, value in params.items()}
    simulated = scoring.page_logits(config, arrays, features.numpy(), pages)[0]
    np.testing.assert_allclose(trained.numpy(), simulated, atol=1e-5)


@pytest.mark.parametrize("config", [CONFIG, LSTM])
def test_a_fitted_model_beats_what_needs_none(config: GANUserConfig) -> None:
    dataset = small_dataset(n_users=96)
    fit = replace(FIT, epochs=40, patience=10, learning_rate=3e-2)
    model = fit_user_model(dataset, config, fit, test_users=False)
    floors = model.scores["floors"]
    for name in ("random", "item_ctr"):
        assert model.scores["log_likelihood"] > floors[name]["log_likelihood"]
        assert model.scores["precision_at_1"] > floors[name]["precision_at_1"] + 0.1


def test_members_share_features_and_one_seed_gives_one_model() -> None:
    dataset = small_dataset()
    model = fit_user_model(dataset, CONFIG, FIT, bags=2, seed=7)
    again = fit_user_model(dataset, CONFIG, FIT, bags=2, seed=7)
    assert list(model.members) == ["train", "test", "bag0", "bag1"]
    assert model.bags == ("bag0", "bag1")
    assert np.isfinite(model.features).all()
    np.testing.assert_array_equal(model.features, again.features)
    for name, params in model.members.items():
        for key, value in params.items():
            np.testing.assert_array_equal(value, again.members[name][key])
            if name != "train":
                assert not np.array_equal(value, model.members["train"][key])
    for split in ("train", "test"):
        np.testing.assert_array_equal(model.histories[split], again.histories[split])
    assert model.scores == again.scores


@pytest.mark.parametrize(
    ("dataset", "config"), [(small_dataset(), CONFIG), (session_dataset(), SESSIONS)]
)
def test_next_clicks_are_those_of_training_users(dataset: Dataset, config: UserConfig) -> None:
    """Where sessions are what a model reads, each begins anew."""
    model = fit_user_model(dataset, config, replace(FIT, epochs=1), test_users=False)
    log = dataset.pages("train")
    number = log.session_number if config is SESSIONS else log.user
    followers: dict[int, list[int]] = {}
    for one in np.unique(number):
        clicked = [int(item) for item in log.item[number == one] if item >= 0]
        for before, item in zip([N_ITEMS, *clicked], clicked, strict=False):
            followers.setdefault(before, []).append(item)
    expected = np.ones(N_ITEMS + 1)
    for before, items in followers.items():
        share = np.unique(items, return_counts=True)[1] / len(items)
        if len(share) > 1:
            expected[before] = -(share * np.log(share)).sum() / np.log(len(share))
    assert expected.min() < 0.95
    np.testing.assert_allclose(model.next_click_entropy, expected, atol=1e-6)


def test_progress_is_reported_for_every_member_and_epoch() -> None:
    told: list[tuple[str, int]] = []
    fit = replace(FIT, epochs=2)
    fit_user_model(
        small_dataset(), CONFIG, fit, on_epoch=lambda name, epoch, _: told.append((name, epoch))
    )
    assert told == [("train", 0), ("train", 1), ("test", 0), ("test", 1)]


def test_items_without_data_keep_little_but_their_side_features() -> None:
    dataset = small_dataset()
    shown = set(dataset.pages("train").slate_items)
    rng = np.random.default_rng(0)
    table = ItemTable(dataset.catalog.features, 4, scale=0.0, rng=rng, dtype=torch.float32)
    assert shown == set(range(N_ITEMS))
    features = table.forward().detach().numpy()
    # with no embedding, items of equal side features are equal: here none are, and all are linear
    side = dataset.catalog.features
    centred = (side - side.mean(0)) / side.std(0)
    np.testing.assert_allclose(features, centred @ table.projection.detach().numpy(), rtol=1e-5)
    hidden = table.forward(torch.zeros(N_ITEMS, 1, dtype=torch.bool)).detach().numpy()
    np.testing.assert_allclose(hidden, features, rtol=1e-5)


@pytest.mark.parametrize("select", [None, "log_likelihood", "precision_at_1"])
def test_likelihood_keeps_the_epoch_that_is_best_by_the_chosen_score(
    select: Select | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_score = {"log_likelihood": [-3.0, -2.0, -1.0], "precision_at_1": [0.2, 0.4, 0.3]}
    epochs = iter(range(3))

    def validate(*arguments: object) -> scoring.PageScores:
        epoch = next(epochs)
        found = {name: np.array([values[epoch]]) for name, values in by_score.items()}
        return scoring.PageScores(**found, precision_at_2=np.zeros(1))

    told: list[float] = []
    monkeypatch.setattr(likelihood, "validate", validate)
    pages = Pages.of(small_dataset().sessions, CONFIG.window, N_ITEMS)
    task = likelihood.Task(pages, np.arange(64), np.arange(8), seed=0, name="train")
    features = torch.randn(N_ITEMS, CONFIG.features)
    snapshots: list[torch.Tensor] = []
    real = likelihood.BestSoFar.stops

    def stops(self: likelihood.BestSoFar, scores: np.ndarray, *rest: Any) -> bool:
        snapshots.append(rest[0]["reward.output"].detach().clone())
        return real(self, scores, *rest)

    monkeypatch.setattr(likelihood.BestSoFar, "stops", stops)
    params, _ = likelihood.maximise_likelihood(
        CONFIG, replace(FIT, select=select), task, features, lambda _, score: told.append(score)
    )
    assert told == by_score[select or "log_likelihood"]
    assert torch.equal(params["reward.output"], snapshots[int(np.argmax(told))])


@pytest.mark.parametrize("config", [CONFIG, SESSIONS])
def test_a_diverging_fit_keeps_its_last_good_parameters(
    config: UserConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = session_dataset()
    tensors = SessionTensors if config == SESSIONS else PageTensors
    real = tensors.log_likelihood
    pages = pages_of(config, dataset.sessions, N_ITEMS)
    task = likelihood.Task(pages, np.arange(120), np.arange(120, 160), seed=0, name="train")
    features = torch.randn(N_ITEMS, config.features)
    losses = 0

    def diverges(self: Any, *arguments: Any) -> torch.Tensor:
        nonlocal losses
        losses += torch.is_grad_enabled()
        found: torch.Tensor = real(self, *arguments)
        return found * torch.nan if losses > good else found

    fit = replace(FIT, epochs=9, batch_pages=60, batch_users=5)
    per_epoch = len(list(likelihood.batches(config, fit, task, np.random.default_rng(0))))
    assert per_epoch > 1
    good = 10**9
    expected, _ = likelihood.maximise_likelihood(
        config, replace(fit, epochs=2), task, features, lambda *_: None
    )
    monkeypatch.setattr(tensors, "log_likelihood", diverges)
    good, losses = 2 * per_epoch + 1, 0
    with pytest.warns(UserWarning, match=r"'train': loss nan in epoch 2, step 1: .* are kept"):
        kept, _ = likelihood.maximise_likelihood(config, fit, task, features, lambda *_: None)
    for name, value in expected.items():
        assert torch.equal(kept[name], value)
    good, losses = 1, 0
    with pytest.raises(RecGymError, match="loss nan in epoch 0, step 1: it diverges; fit with"):
        likelihood.maximise_likelihood(config, fit, task, features, lambda *_: None)


def test_floors_by_hand() -> None:
    train = [event(0, [0, 1], 0, 0), event(0, [0, 1], -1, -1)]
    validation = [event(1, [0], 0, 0)]
    test = [event(2, [1, 0], 1, 0), event(2, [0, 2, 1], 2, 1), event(2, [0], -1, -1)]
    catalog = Catalog(("a", "b", "c"), None, np.array([[1990.0], [1980.0], [2000.0]]), ("year",))
    info = {"name": "hand", "no_click": True, "repeat_clicks": True}
    sessions = sessions_of(train + validation + test)
    floors = scoring.floors(Dataset(sessions, catalog, np.array([0, 1, 2], np.int8), info))
    # click rates: item 0 (1 + .5) / 3, item 1 .5 / 3, item 2 .5 / 1; half of the pages unclicked
    expected = np.log([0.5 * 0.75, 0.5 * (0.5 / 3) / (0.5 + 0.5 + 0.5 / 3), 0.5])
    np.testing.assert_allclose(floors["item_ctr"].log_likelihood, expected)
    np.testing.assert_allclose(floors["item_ctr"].precision_at_1, [1.0, 0.0])
    np.testing.assert_allclose(floors["random"].precision_at_1, [1 / 2, 1 / 3])
    np.testing.assert_allclose(floors["random"].log_likelihood, np.log([1 / 4, 1 / 6, 1 / 2]))
    np.testing.assert_array_equal(floors["first_slot"].precision_at_1, [0.0, 0.0])
    np.testing.assert_array_equal(floors["oldest"].precision_at_1, [0.0, 1.0])
    np.testing.assert_array_equal(floors["newest"].precision_at_2, [1.0, 0.0])
