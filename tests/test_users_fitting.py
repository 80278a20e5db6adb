"""Fitting: pages, likelihood, recurrent training, the minimax game, synthetic users, scores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recgym.arrays import Array
from recgym.data import Catalog, Dataset, Sessions
from recgym.errors import RecGymError
from recgym.spaces import draw_slates
from recgym.users import FittedUserModel, gan, minimax, recurrent, scoring, training
from recgym.users.fitting import fit_user_model
from recgym.users.gan import GANUserConfig
from recgym.users.kinds import UserConfig
from recgym.users.pages import Pages, outside_option, pages_of
from recgym.users.recurrent import RecurrentUserConfig
from recgym.users.synthetic import SyntheticUsers, draw_histories, random_click_rate
from recgym.users.tensors import PageTensors, Select, SessionTensors
from recgym.users.training import FitConfig, ItemTable, initial_params

N_ITEMS = 30
CONFIG = GANUserConfig(window=4, weights=2, features=4, hidden=(8,), units=5)
LSTM = replace(CONFIG, history="lstm")
SESSIONS = RecurrentUserConfig(layers=2, units=12, features=6, window=3)
FIT = FitConfig(epochs=3, batch_pages=64, batch_users=8, learning_rate=1e-2)


def small_dataset(n_users: int = 48, pages: int = 12, seed: int = 0) -> Dataset:
    """Users who like the items of one group, and mostly click the most popular of it."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 7, size=n_users * pages)
    user = np.repeat(np.arange(n_users), pages)
    slates = [rng.permutation(N_ITEMS)[:size] for size in sizes]
    clicks = []
    for slate, who in zip(slates, user, strict=True):
        utility = 3.0 * (slate % 2 == who % 2) - slate / 10 + rng.gumbel(size=len(slate))
        clicks.append(int(utility.argmax()) if utility.max() > 0.5 else -1)
    click = np.array(clicks)
    item = np.array([s[c] if c >= 0 else -1 for s, c in zip(slates, clicks, strict=True)])
    sessions = Sessions(
        user=user,
        session=user,
        step=np.tile(np.arange(pages), n_users),
        slate_offsets=np.concatenate([[0], np.cumsum(sizes)]),
        slate_items=np.concatenate(slates),
        click=click,
        item=item,
        reward=(click >= 0).astype(np.float32),
    )
    names = tuple(str(i) for i in range(N_ITEMS))
    side = np.stack([np.arange(N_ITEMS) % 2, np.arange(N_ITEMS)], axis=1).astype(np.float32)
    catalog = Catalog(item_id=names, title=None, features=side, feature_names=("group", "year"))
    info = {"name": "small", "licence": "none", "sha256": "0", "no_click": True}
    split = (np.arange(n_users) % 8 // 3).clip(0, 2).astype(np.int8)
    return Dataset(sessions, catalog, split, info | {"repeat_clicks": False})


def session_dataset(n_sessions: int = 60, seed: int = 0) -> Dataset:
    """Sessions of users who click what is like their last click, and leave bad slates.

    A click is rewarded if it has changed groups. Some pages show nothing: an item that was opened
    from elsewhere.
    """
    rng = np.random.default_rng(seed)
    events = []
    for session in range(n_sessions):
        last = int(rng.integers(N_ITEMS))
        for step in range(9):
            if rng.random() < 0.15:
                last = int(rng.integers(N_ITEMS))
                events.append((session, step, [], -1, last, 0.0))
                continue
            slate = rng.permutation(N_ITEMS)[: rng.integers(2, 7)].tolist()
            alike = np.array([4.0 * (item % 3 == last % 3) for item in slate])
            choice = int((np.append(alike, 0.5) + rng.gumbel(size=len(slate) + 1)).argmax())
            if choice == len(slate):
                events.append((session, step, slate, -1, -1, 0.0))
                break
            reward = float(rng.random() < (0.9 if slate[choice] % 3 != last % 3 else 0.1))
            last = slate[choice]
            events.append((session, step, slate, choice, last, reward))
    session, steps, slates, click, item, rewards = zip(*events, strict=True)
    sessions = Sessions(
        user=np.array(session) // 2,
        session=np.array(session),
        step=np.array(steps),
        slate_offsets=np.concatenate([[0], np.cumsum([len(slate) for slate in slates])]),
        slate_items=np.array([item for slate in slates for item in slate]),
        click=np.array(click),
        item=np.array(item),
        reward=np.array(rewards, np.float32),
    )
    names = tuple(str(i) for i in range(N_ITEMS))
    catalog = Catalog(names, None, np.zeros((N_ITEMS, 0), np.float32), ())
    info = {"name": "sessions", "licence": "none", "sha256": "0", "no_click": True}
    split = (np.arange(n_sessions // 2) % 8 // 3).clip(0, 2).astype(np.int8)
    return Dataset(sessions, catalog, split, info | {"repeat_clicks": True})


def event(user: int, slate: list[int], click: int, item: int) -> tuple[int, list[int], int, int]:
    return user, slate, click, item


def sessions_of(events: list[tuple[int, list[int], int, int]]) -> Sessions:
    user, slates, click, item = zip(*events, strict=True)
    return Sessions(
        user=np.array(user),
        session=np.array(user),
        step=np.arange(len(events)),
        slate_offsets=np.concatenate([[0], np.cumsum([len(slate) for slate in slates])]),
        slate_items=np.array([item for slate in slates for item in slate]),
        click=np.array(click),
        item=np.array(item),
        reward=np.zeros(len(events), np.float32),
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
    simulated = scoring.page_logits(config, arrays, features.numpy(), pages)
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


def sparsemax(scores: torch.Tensor) -> torch.Tensor:
    """The nearest point of the simplex (Martins and Astudillo, 2016)."""
    ordered = scores.sort(descending=True).values
    excess = ordered.cumsum(0) - 1.0
    support = int((ordered * torch.arange(1, len(scores) + 1) > excess).sum())
    return (scores - excess[support - 1] / support).clamp(min=0.0)


@pytest.mark.parametrize("eta", [1.0, 3.0])
def test_for_a_fixed_reward_l2_behaviour_approaches_sparsemax(eta: float) -> None:
    rewards = torch.tensor([[1.0, 0.6, -0.4, 0.1]], dtype=torch.float64)
    logits = (eta * rewards).clone().requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.05)
    for _ in range(800):
        value = minimax.user_value(logits.softmax(1), rewards, minimax.squared_l2, eta)
        (logits.grad,) = torch.autograd.grad(-value.sum(), logits)
        optimizer.step()
    expected = sparsemax(eta * rewards[0] / 2)
    torch.testing.assert_close(logits.softmax(1)[0].detach(), expected, atol=2e-3, rtol=0.0)


def test_the_game_starts_from_the_entropy_solution() -> None:
    config = replace(CONFIG, eta=2.0)
    params = initial_params(config, np.random.default_rng(0))
    started = minimax.warm_start(config, params)
    l2 = replace(config, regularizer="l2")
    assert started.keys() == gan.shapes(l2).keys()
    pages = Pages.of(small_dataset().sessions, config.window, N_ITEMS)
    features, every = torch.randn(N_ITEMS, 4), torch.arange(pages.n_pages)
    with torch.no_grad():
        ours = PageTensors(l2, pages).respond(started, features, every)
        entropy = PageTensors(config, pages).respond(params, features, every)
    for our, theirs in zip(ours, entropy, strict=True):
        torch.testing.assert_close(our, theirs)


def say_scores(monkeypatch: pytest.MonkeyPatch, *scores: float) -> list[str]:
    """Lets the game read these validation scores in turn; returns where it notes which it asks."""
    told, asked = iter(scores), []

    def validation_score(*arguments: object) -> float:
        asked.append(str(arguments[-1]))
        return next(told)

    monkeypatch.setattr(minimax, "validation_score", validation_score)
    return asked


@pytest.mark.parametrize("select", [None, "log_likelihood", "precision_at_1"])
def test_the_start_of_the_game_is_its_first_candidate(
    select: Select | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, l2 = small_dataset(), replace(CONFIG, regularizer="l2")
    fit = replace(FIT, select=select, patience=2)
    start = fit_user_model(dataset, CONFIG, fit, test_users=False).members["train"]
    asked = say_scores(monkeypatch, 0.3, 0.3, 0.2)  # the second epoch no better: it stops
    end = fit_user_model(dataset, l2, fit, test_users=False).members["train"]
    assert asked == [select or "precision_at_1"] * 3
    for name, value in start.items():
        np.testing.assert_array_equal(end[name], value)
    np.testing.assert_array_equal(end["behaviour.output"], start["reward.output"])


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
    monkeypatch.setattr(training, "validate", validate)
    pages = Pages.of(small_dataset().sessions, CONFIG.window, N_ITEMS)
    task = training.Task(pages, np.arange(64), np.arange(8), seed=0, name="train")
    features = torch.randn(N_ITEMS, CONFIG.features)
    snapshots: list[torch.Tensor] = []
    real = training.BestSoFar.stops

    def stops(self: training.BestSoFar, score: float, *rest: Any) -> bool:
        snapshots.append(rest[0]["reward.output"].detach().clone())
        return real(self, score, *rest)

    monkeypatch.setattr(training.BestSoFar, "stops", stops)
    params, _ = training.maximise_likelihood(
        CONFIG, replace(FIT, select=select), task, features, lambda _, score: told.append(score)
    )
    assert told == by_score[select or "log_likelihood"]
    assert torch.equal(params["reward.output"], snapshots[int(np.argmax(told))])


@pytest.mark.parametrize("frozen", [True, False])
def test_both_players_move_unless_the_reward_is_frozen(
    frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = small_dataset()
    say_scores(monkeypatch, 0.1, 0.2)
    fit = replace(FIT, frozen_reward=frozen, epochs=1)
    entropy = fit_user_model(dataset, CONFIG, fit, test_users=False)
    l2 = fit_user_model(dataset, replace(CONFIG, regularizer="l2"), fit, test_users=False)
    np.testing.assert_array_equal(l2.features, entropy.features)
    start, end = entropy.members["train"], l2.members["train"]
    assert not np.array_equal(end["behaviour.output"], start["reward.output"])
    for name, value in start.items():
        assert np.array_equal(end[name], value) == frozen


def test_what_is_trained_and_simulated_of_sessions_is_equation_3_page_by_page() -> None:
    dataset = session_dataset()
    for config in (SESSIONS, replace(SESSIONS, cell="gru", layers=1)):
        pages = pages_of(config, dataset.sessions, N_ITEMS)
        params = initial_params(config, np.random.default_rng(0))
        features = torch.randn(N_ITEMS, config.features)
        tensors = SessionTensors(config, pages, reward_weight=2.5)
        order = np.random.default_rng(1).permutation(pages.n_pages)
        with torch.no_grad():
            trained, _ = tensors.respond(params, features, torch.from_numpy(order))
            terms = tensors.log_likelihood(params, features, torch.from_numpy(order)).numpy()
        arrays = {name: value.detach().numpy() for name, value in params.items()}
        logits, rewards = scoring.session_logits(config, arrays, features.numpy(), pages)
        np.testing.assert_allclose(trained.numpy(), logits[order], atol=1e-5)

        tables = recurrent.prepare(config, arrays, features.numpy())
        state: dict[str, Array] = {}
        by_hand = []
        log = dataset.sessions
        for page, slate in enumerate(log.padded_slates()):
            if log.step[page] == 0:
                state = recurrent.initial(config, tables, np.full((1, 1), N_ITEMS))
            shown = slate[slate >= 0]
            if len(shown):
                utility, expected = recurrent.respond(config, tables, state, shown[None])
                odds = np.exp(utility[0].astype(np.float64))
                click = log.click[page]
                term = np.log(odds[click if click >= 0 else -1] / odds.sum())
                if click >= 0:
                    likely = expected[0, click] if log.reward[page] else 1 - expected[0, click]
                    term += 2.5 * np.log(likely)
                by_hand.append(term)
            state = recurrent.advance(config, tables, state, log.item[page : page + 1])
        np.testing.assert_allclose(terms, np.array(by_hand)[order], atol=1e-4)
        model = FittedUserModel(config, features.numpy(), {"train": arrays}, {}, {}, {})
        np.testing.assert_array_equal(scoring.choice_logits(model, pages), logits)


def test_what_users_do_instead_of_clicking() -> None:
    click, left = event(0, [1, 2], 0, 1), event(0, [1, 2], -1, -1)
    opened = event(0, [], -1, 5)  # from elsewhere: no page
    assert outside_option(sessions_of([click, click])) is None
    assert outside_option(sessions_of([click, opened])) is None
    assert outside_option(sessions_of([click, left])) == "end"
    assert outside_option(sessions_of([click, left, click])) == "no_click"
    several = sessions_of([left, click, left])
    assert outside_option(replace(several, session=np.array([0, 1, 1]))) == "end"
    assert outside_option(replace(several, user=np.array([0, 1, 1]))) == "end"


def test_a_fitted_recurrent_model_beats_what_needs_none() -> None:
    dataset = session_dataset(n_sessions=300)
    fit = replace(FIT, epochs=15, learning_rate=3e-2, embedding_scale=1.0)
    model = fit_user_model(dataset, SESSIONS, fit, test_users=False)
    floors = model.scores["floors"]
    for name in ("random", "item_ctr"):
        for score in ("log_likelihood", "precision_at_1", "reward_log_likelihood"):
            assert model.scores[score] > floors[name][score] + 0.05, (name, score)


def test_a_recurrent_model_has_members_sessions_that_start_empty_and_one_seed() -> None:
    dataset = session_dataset()
    model, again = (fit_user_model(dataset, SESSIONS, FIT, bags=1, seed=7) for _ in range(2))
    assert model.config == replace(SESSIONS, outside="end")  # as the log shows
    assert list(model.members) == ["train", "test", "bag0"]
    for name, params in model.members.items():
        for key, value in params.items():
            np.testing.assert_array_equal(value, again.members[name][key])
    for split in ("train", "test"):
        np.testing.assert_array_equal(model.histories[split], np.full((1, 3), N_ITEMS))
        assert 0.0 < model.info["random_click_rate"][split] < 1.0
    assert again.scores == model.scores
    other = fit_user_model(dataset, SESSIONS, replace(FIT, reward_weight=0.0), seed=7)
    drawn = initial_params(SESSIONS, training.stream(7, "train: parameters"))
    decayed = other.members["train"]["reward.weight"] / drawn["reward.weight"].detach().numpy()
    assert np.ptp(decayed) < 1e-4  # rewards count for nothing: nothing but decay has moved it
    assert (
        np.ptp(model.members["train"]["reward.weight"] / drawn["reward.weight"].detach().numpy())
        > 0.1
    )


def test_rewards_that_are_no_probabilities_are_refused() -> None:
    dataset = session_dataset()
    bad = replace(dataset, sessions=replace(dataset.sessions, reward=2 * dataset.sessions.reward))
    with pytest.raises(RecGymError, match=r"must lie in 0\.\.1, .* there are 0 to 2"):
        fit_user_model(bad, SESSIONS, FIT)


@pytest.mark.parametrize("config", [CONFIG, SESSIONS])
def test_a_diverging_fit_keeps_its_last_good_parameters(
    config: UserConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = session_dataset()
    tensors = SessionTensors if config == SESSIONS else PageTensors
    real = tensors.log_likelihood
    pages = pages_of(config, dataset.sessions, N_ITEMS)
    task = training.Task(pages, np.arange(120), np.arange(120, 160), seed=0, name="train")
    features = torch.randn(N_ITEMS, config.features)
    losses = 0

    def diverges(self: Any, *arguments: Any) -> torch.Tensor:
        nonlocal losses
        losses += torch.is_grad_enabled()
        found: torch.Tensor = real(self, *arguments)
        return found * torch.nan if losses > good else found

    fit = replace(FIT, epochs=9, batch_pages=60, batch_users=5)
    per_epoch = len(list(training.batches(config, fit, task, np.random.default_rng(0))))
    assert per_epoch > 1
    good = 10**9
    expected, _ = training.maximise_likelihood(
        config, replace(fit, epochs=2), task, features, lambda *_: None
    )
    monkeypatch.setattr(tensors, "log_likelihood", diverges)
    good, losses = 2 * per_epoch + 1, 0
    with pytest.warns(UserWarning, match=r"'train': loss nan in epoch 2, step 1: .* are kept"):
        kept, _ = training.maximise_likelihood(config, fit, task, features, lambda *_: None)
    for name, value in expected.items():
        assert torch.equal(kept[name], value)
    good, losses = 1, 0
    with pytest.raises(RecGymError, match="loss nan in epoch 0, step 1: it diverges; fit with"):
        training.maximise_likelihood(config, fit, task, features, lambda *_: None)


def test_slates_are_distinct_and_uniform() -> None:
    rng = np.random.default_rng(0)
    slates = draw_slates(6, 3_000, 4, rng)
    assert all(len(set(slate)) == 4 for slate in slates)
    np.testing.assert_allclose(np.bincount(slates[:, 0], minlength=6) / 3_000, 1 / 6, atol=0.03)
    assert sorted(draw_slates(5, 1, 5, rng)[0]) == [0, 1, 2, 3, 4]


def users_who(click: float, repeat_clicks: bool, count: int = 200) -> SyntheticUsers:
    """Users for whom every item has the same utility."""
    config = replace(CONFIG, hidden=(1,))
    params: dict[str, Array] = {
        name: np.zeros(shape, np.float32) for name, shape in gan.shapes(config).items()
    }
    params["reward.bias0"] = np.ones(1, np.float32)
    params["reward.output"] = np.full(1, click, np.float32)
    features = np.zeros((N_ITEMS, 4), np.float32)
    return SyntheticUsers(config, params, features, repeat_clicks, count, np.random.default_rng(0))


def test_the_random_click_rate_is_that_of_the_choice_model() -> None:
    users = users_who(click=0.0, repeat_clicks=True)
    assert random_click_rate(users, slate_size=5, horizon=20) == pytest.approx(
        5 / 6, abs=0.02
    )  # six equal options


def test_synthetic_histories_are_clicks_and_spent_items_do_not_come_back() -> None:
    users = users_who(click=0.0, repeat_clicks=False)
    histories = draw_histories(users, slate_size=6)
    assert histories.shape == (200, CONFIG.window)
    assert histories.min() >= 0
    assert histories.max() < N_ITEMS
    assert all(len(set(history)) == CONFIG.window for history in histories)
    assert users.spent.sum() == 200 * CONFIG.window


def test_users_who_hardly_click_keep_short_histories() -> None:
    users = users_who(click=-30.0, repeat_clicks=False, count=5)
    histories = draw_histories(users, slate_size=6, patience=1)
    np.testing.assert_array_equal(histories, N_ITEMS)


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


def test_slates_of_most_items_are_drawn_at_once() -> None:
    slates = draw_slates(4, 200, 4, np.random.default_rng(0))
    assert {tuple(sorted(slate)) for slate in slates.tolist()} == {(0, 1, 2, 3)}
    assert len({tuple(slate) for slate in slates.tolist()}) > 20  # of 24 orders
