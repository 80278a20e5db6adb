"""Fitting meta-level user models: sequences, steps, the adversary, and what comes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recgym.data import Dataset
from recgym.errors import RecGymError
from recgym.users import FittedUserModel, meta
from recgym.users.advantages import Running, advantages, adversary_shapes, folded, returns_of
from recgym.users.fitting import fit_user_model
from recgym.users.likelihood import FitConfig, initial_params
from recgym.users.meta import MetaUserConfig
from recgym.users.meta_learning import MetaTensors
from recgym.users.meta_scoring import context_of, draw_contexts, meta_logits
from recgym.users.meta_sequences import SIZES, Sequences
from recgym.users.meta_settings import MetaFit
from recgym.users.page_arrays import Pages, pages_of
from recgym.users.rollouts import generated, logged
from recgym_agents.experiments.m3rec.two_tastes import TwoTastes
from tests.fixtures.user_logs import small_dataset

SHAPE = MetaUserConfig(context=2, latent=4, window=3, hidden=(16,), units=16, features=4, steps=5)
FIT = FitConfig(
    epochs=12,
    batch_users=8,
    learning_rate=1e-2,
    weight_decay=0.05,
    embedding_scale=0.5,
    item_dropout=0.0,
    meta=MetaFit(rounds=2),
)
ITEMS = 12


def world(users: int, seed: int = 0) -> tuple[TwoTastes, np.ndarray, Dataset]:
    rng = np.random.default_rng(seed)
    tastes = TwoTastes.draw(ITEMS, rng)
    cluster = rng.choice([-1.0, 1.0], users)
    log, _ = tastes.log(cluster, sessions=3, pages=5, slate_size=3, rng=rng)
    return tastes, cluster, tastes.dataset(log, seed)


def tensors_of(dataset: Dataset, config: MetaUserConfig = SHAPE) -> tuple[Pages, MetaTensors]:
    pages = pages_of(config, dataset.sessions, dataset.catalog.n_items)
    return pages, MetaTensors(config, pages, MetaFit(), np.random.default_rng(0))


def test_the_log_of_a_user_is_cut_into_sequences() -> None:
    pages, _ = tensors_of(small_dataset(n_users=9, pages=12))
    sequences = Sequences.of(pages, 5, ends=False)
    assert sequences.page[:3].tolist() == [
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8, 9],
        [10, 11, -1, -1, -1],
    ]
    assert sequences.of_page[:13].tolist() == [0] * 5 + [1] * 5 + [2] * 2 + [3]
    assert (sequences.first[:4].tolist(), sequences.count[:4].tolist()) == ([0, 0, 0, 3], [3] * 4)
    assert sequences.before(np.array([0, 2, 4]), 2).tolist() == [[-1, -1], [1, 0], [3, -1]]
    told = sequences.support[1, 2]
    shown = pages.slates[7]
    assert told[:-1].tolist() == np.where(shown == pages.n_items, -1, shown).tolist()
    assert told[-1] == (pages.target[7] if pages.clicked[7] else -1)
    assert sequences.reward[1, 2] == pages.reward[7]
    assert (sequences.support[2, 2:] == -1).all()
    assert (sequences.support[-1] == -1).all()


def test_a_session_that_ends_ends_its_sequence() -> None:
    pages, _ = tensors_of(small_dataset(n_users=9, pages=12))
    sequences = Sequences.of(pages, 5, ends=True)
    for row in sequences.page:
        there = row[row >= 0]
        assert pages.clicked[there[:-1]].all()
        assert len(set(pages.user[there])) == 1
        assert len(there) == 5 or not pages.clicked[there[-1]] or there[-1] % 12 == 11


def test_others_are_of_the_same_user_and_never_the_sequence_itself() -> None:
    pages, _ = tensors_of(small_dataset(n_users=9, pages=12))
    sequences = Sequences.of(pages, 2, ends=False)
    rng, sizes = np.random.default_rng(0), set()
    for _ in range(20):
        chosen = rng.integers(len(sequences.page), size=6)
        for sequence, others in zip(chosen, sequences.others(chosen, rng), strict=True):
            drawn = others[others >= 0]
            assert len(set(drawn)) == len(drawn)
            assert sequence not in drawn
            assert (sequences.first[drawn] == sequences.first[sequence]).all()
            sizes.add(len(drawn))
    assert sizes == set(SIZES)


@pytest.mark.parametrize("outside", [None, "no_click", "end"])
def test_what_is_trained_is_what_is_scored(outside) -> None:
    config = replace(SHAPE, outside=outside)
    pages, tensors = tensors_of(small_dataset(), config)
    params = initial_params(config, np.random.default_rng(0))
    params["encoder.reward"] = torch.tensor([0.5, 2.0])
    features = torch.randn(pages.n_items, config.features)
    order = np.random.default_rng(1).permutation(pages.n_pages)
    with torch.no_grad():
        ours = tensors.respond(params, features, torch.from_numpy(order))
    arrays = {name: value.detach().numpy() for name, value in params.items()}
    theirs = meta_logits(config, arrays, features.numpy(), pages, known=1)
    np.testing.assert_allclose(ours[0].numpy(), theirs[0][order], atol=1e-5)
    there = np.isfinite(theirs[1][order])
    np.testing.assert_allclose(ours[1].numpy()[there], theirs[1][order][there], atol=1e-5)


def test_rewards_that_do_not_vary_are_not_read() -> None:
    dataset = small_dataset()
    every = np.arange(dataset.sessions.n_pages)
    assert tensors_of(dataset)[1].reward_scale(every).tolist() == [0.0, 0.0]
    reward = np.where(dataset.sessions.click >= 0, dataset.sessions.step % 2, 0)
    varied = replace(dataset, sessions=replace(dataset.sessions, reward=reward.astype(np.float32)))
    pages, tensors = tensors_of(varied)
    paid = pages.reward[pages.clicked]
    found = tensors.reward_scale(every)
    np.testing.assert_allclose(found, [paid.mean(), 1.0 / paid.std()], rtol=1e-6)
    some = np.arange(0, pages.n_pages, 3)  # what other pages paid does not matter
    paid = pages.reward[some][pages.clicked[some]]
    found = tensors.reward_scale(some)
    np.testing.assert_allclose(found, [paid.mean(), 1.0 / paid.std()], rtol=1e-6)


def test_returns_by_hand() -> None:
    rewards = torch.tensor([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
    there = torch.tensor([[True, True, True], [True, True, False]])
    assert returns_of(rewards, there, 0.5).tolist() == [[3.0, 4.0, 4.0], [2.0, 2.0, 0.0]]


def test_running_scales_are_those_of_all_rows_and_fold_into_weights() -> None:
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal([1.0, -2.0, 0.0], [3.0, 0.5, 0.0], (90, 3)))
    scale = Running(3, torch.float64)
    for part in rows.split(40):
        scale.read(part)
    np.testing.assert_allclose(scale.mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(scale.deviation[:2], rows.std(0, correction=0)[:2], rtol=1e-10)
    assert scale.deviation[2] == 1.0  # of what does not vary
    params = {
        f"{net}.{name}": torch.from_numpy(rng.standard_normal(shape))
        for net in ("reward", "shaping")
        for name, shape in (("state", (4, 3)), ("bias0", (4,)))
    }
    plain = folded(params, scale)
    normalised = (rows - scale.mean) / scale.deviation
    for net in ("reward", "shaping"):
        expected = normalised @ params[f"{net}.state"].T + params[f"{net}.bias0"]
        found = rows @ plain[f"{net}.state"].T + plain[f"{net}.bias0"]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_an_advantage_is_a_choice_probability_and_shaping() -> None:
    config = replace(SHAPE, outside="end")
    _, tensors = tensors_of(small_dataset(), config)
    rng = np.random.default_rng(0)
    params = {name: value.detach() for name, value in initial_params(config, rng).items()}
    for name, shape in adversary_shapes(config).items():
        params[name] = torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
    features = torch.randn(30, config.features)
    tables = meta.prepare(config, params, features)
    page = torch.from_numpy(tensors.sequences.page[:6])
    steps, there = logged(tensors, page, torch.randn(6, config.context))
    steps = steps.select(there.flatten())
    assert steps.over.any()
    assert steps.leaves.any()
    with torch.no_grad():
        alone = advantages(config, params, tables, tensors, steps, 0.0)
        ahead = advantages(config, params, tables, tensors, steps, 0.9)
        state = {"history": steps.history, "context": steps.context}
        slates = tensors.slates[steps.page]
        situation = meta.situations(tables, state)
        rewards = meta.rewards(config, tables, situation, slates)
        chances = tensors.masked(rewards, steps.page).softmax(1)
        hidden = torch.tanh(situation @ params["shaping.state"].T + params["shaping.bias0"])
        value = hidden @ params["shaping.output"]
    g = chances.gather(1, steps.choice[:, None])[:, 0].log() - value
    stays = params["absorbing.reward"] - params["absorbing.value"]
    np.testing.assert_allclose(alone, torch.where(steps.over, stays, g), atol=1e-5)
    gained = (ahead - alone)[steps.leaves | steps.over]
    np.testing.assert_allclose(gained, 0.9 * params["absorbing.value"].expand_as(gained), atol=1e-5)
    goes_on = ~(steps.leaves | steps.over) & (torch.arange(len(g)) % page.shape[1] < 4)
    clicks = goes_on & (steps.choice < slates.shape[1])
    after = torch.where(clicks.roll(1), value, torch.nan)[1:]  # the state of the step that follows
    same = clicks[:-1] & (steps.history[1:, -1] == tensors.items[steps.page[:-1]])
    gained = ((ahead - alone) / 0.9)[:-1]
    np.testing.assert_allclose(gained[same], after[same], atol=1e-4)


def test_generated_users_choose_as_the_policy_says_and_leave() -> None:
    config = replace(SHAPE, outside="end")
    _, tensors = tensors_of(small_dataset(n_users=40), config)
    rng = np.random.default_rng(0)
    params = {name: value.detach() for name, value in initial_params(config, rng).items()}
    features = torch.randn(30, config.features)
    page = torch.from_numpy(tensors.sequences.page)
    size, width = tensors.slates.shape[1], page.shape[1]
    for sign in (1.0, -1.0):  # users who click whatever there is, and users who leave at once
        params["choice.state"][:] = 0.0
        params["choice.item"][:] = 0.0
        params["choice.bias0"][:] = 50.0
        params["choice.output"][:] = sign
        tables = meta.prepare(config, params, features)
        steps, there = generated(tensors, tables, page, torch.zeros(len(page), config.context))
        first = torch.arange(len(steps.page)) % width == 0
        if sign > 0:
            assert (steps.choice[there.flatten()] < size).all()
            assert not steps.over.any()
            assert (there == (page >= 0)).all()
            second = (~first).nonzero()[0]
            slot = steps.choice[second - 1]
            assert steps.history[second, -1] == tensors.slates[steps.page[second - 1], slot]
        else:
            assert (steps.choice[first] == size).all()
            assert steps.leaves[first].all()
            assert (steps.over == ~first).all()
            assert there.all()


def test_contexts_of_two_clusters_are_told_apart_by_one_sequence() -> None:
    """And the reward of each is recovered."""
    tastes, cluster, dataset = world(users=160)
    model = fit_user_model(dataset, SHAPE, FIT)
    users = np.flatnonzero(dataset.split == 2)
    pages = pages_of(model.config, dataset.pages("test"), ITEMS)
    sequences = Sequences.of(pages, 5, ends=False)
    once = np.unique(sequences.first)
    mean = context_of(model, sequences.support[once][:, None]).mean
    likes = cluster[users] > 0
    along = mean @ (mean[likes].mean(0) - mean[~likes].mean(0))
    assert (along[likes][:, None] > along[~likes]).mean() > 0.95

    scores = model.scores
    assert scores["log_likelihood"] > scores["floors"]["item_ctr"]["log_likelihood"] + 0.1
    support = scores["support"]
    assert list(support) == ["0", "1", "2", "5"]
    assert (
        support["1"]["log_likelihood"] == scores["log_likelihood"] > support["0"]["log_likelihood"]
    )
    assert support["0"]["reward_choices"] > scores["floors"]["random"]["log_likelihood"]
    for rounds in scores["adversary"].values():
        assert 1 <= len(rounds) <= 2
        assert 0.4 < rounds[-1]["accuracy"] < 0.9
        assert rounds[-1]["reward_scale"] > 0.0

    tables = meta.prepare(model.config, model.members["train"], model.features)
    nothing = np.full((len(users), 3), ITEMS)
    state = {"history": nothing, "context": mean}
    every = np.broadcast_to(np.arange(ITEMS), (len(users), ITEMS))
    _, recovered = meta.respond(model.config, tables, state, every)
    true = tastes.rewards(cluster[users], np.full(len(users), -1))
    assert np.corrcoef(true.ravel(), recovered[:, :-1].ravel())[0, 1] > 0.8


def test_the_same_fit_is_the_same_folder(tmp_path: Path) -> None:
    _, _, dataset = world(users=24)
    fit = replace(FIT, epochs=1, meta=MetaFit(rounds=1))
    for folder in ("first", "again"):
        fit_user_model(dataset, SHAPE, fit).save(tmp_path / folder)
    for name in ("params.safetensors", "scores.json", "config.json"):
        first, again = ((tmp_path / folder / name).read_bytes() for folder in ("first", "again"))
        assert first == again
    loaded = FittedUserModel.load(tmp_path / "first")
    assert loaded.config == replace(SHAPE, outside="no_click")
    assert loaded.contexts["train"].shape == (len(loaded.histories["train"]), 2)
    assert loaded.contexts["train"].std(axis=0).min() > 0.0


def test_synthetic_contexts_have_the_mean_and_the_spread_of_the_users() -> None:
    pages, _ = tensors_of(small_dataset())
    params = initial_params(SHAPE, np.random.default_rng(0))
    arrays = {name: 2.0 * value.detach().numpy() for name, value in params.items()}
    features = np.random.default_rng(1).standard_normal((30, 4)).astype(np.float32)
    rng = np.random.default_rng(2)
    drawn = draw_contexts(SHAPE, arrays, features, pages, 20_000, rng)
    model = FittedUserModel(SHAPE, features, {"train": arrays}, {}, {}, {})
    sequences = Sequences.of(pages, 5, ends=False)
    own = np.stack([np.arange(first, first + 3) for first in np.unique(sequences.first)])
    mean, deviation = context_of(model, sequences.support[own], sequences.reward[own])
    np.testing.assert_allclose(drawn.mean(0), mean.mean(0), atol=0.02)
    covariance = np.cov(mean.T, ddof=0) + np.diag((deviation**2).mean(0))
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.02)


def test_the_game_can_be_left_out() -> None:
    _, _, dataset = world(users=24)
    fit = replace(FIT, epochs=1, meta=MetaFit(rounds=0))
    model = fit_user_model(dataset, SHAPE, fit, test_users=False)
    assert model.scores["adversary"] == {"train": []}
    assert set(model.members["train"]) == set(meta.shapes(SHAPE))


def test_a_game_that_diverges_is_one_line() -> None:
    _, _, dataset = world(users=24)
    fit = replace(FIT, epochs=1, meta=MetaFit(rounds=2, discriminator_rate=1e30))
    with pytest.raises(RecGymError, match="fitting 'train': the game diverges in round 0") as error:
        fit_user_model(dataset, SHAPE, fit, test_users=False)
    assert "\n" not in str(error.value)


def test_a_model_of_test_users_needs_two_of_them() -> None:
    _, _, dataset = world(users=24)
    split = np.where(np.arange(24) == 5, 2, np.arange(24) % 2).astype(np.int8)
    fit = replace(FIT, epochs=1, meta=MetaFit(rounds=0))
    with pytest.raises(RecGymError, match="two of their number at least.*there is 1"):
        fit_user_model(replace(dataset, split=split), SHAPE, fit)


def test_settings_out_of_their_range_are_refused() -> None:
    for name, value in (("discount", 1.5), ("rounds", -1), ("replay", 0), ("policy_rate", 0.0)):
        with pytest.raises(RecGymError, match=f"{name}={value}"):
            replace(MetaFit(), **{name: value})
