"""Sessions of a log as users seen once: how they are cut, and that agents learn from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.data import Catalog, Dataset
from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.adaptation import UserData
from recgym_agents.learning.episodes import EpisodeLog
from recgym_agents.learning.user_log import UserLog, cut, halves, page_scores
from recgym_agents.learning.user_loop import UserLoopConfig
from recgym_agents.learning.user_steps import UserBatch, steps_of_support
from recgym_agents.runs.evaluation import make_vector_env
from recgym_agents.runs.training import TrainConfig, train
from recgym_agents.user_support import Support
from recgym_agents.zoo import entry_of
from tests.fixtures.user_logs import event, sessions_of

ADAPT = ("m3rec", "meta-pg", "meta-lstm", "melu", "cascading-dqn-maml")
SPEC = EnvironmentSpec(n_items=9, slate_size=3, window=2, features=None)
LOG = EpisodeLog(
    history=np.array([[9, 7], [9, 9]]),
    offsets=np.array([0, 4, 5]),
    terminated=np.ones(2, np.bool_),
    slate=np.array([[1, 2], [3, -1], [-1, -1], [4, 5], [6, 8]]),
    item=np.array([2, 3, 6, 4, 8]),
    reward=np.array([1, 2, 3, 4, 5], np.float32),
)
"""A session of four pages, the third without a slate, and one of a single page."""


def agent_of(name: str, spec: EnvironmentSpec = SPEC) -> Any:
    entry = entry_of(name, {"remove_clicked": False}, {})
    return entry.builder(entry.config, spec, 0)


def random_log(n_items: int = 9, sessions: int = 12) -> EpisodeLog:
    """Sessions of three pages, of one to three items; one page in five has no click."""
    rng, pages = np.random.default_rng(0), 3 * sessions
    slate = np.argsort(rng.random((pages, n_items)), axis=1)[:, :3]
    size = rng.integers(1, 4, pages)
    slate = np.where(np.arange(3) < size[:, None], slate, -1)
    item = slate[np.arange(pages), rng.integers(size)]
    item[4::5] = -1
    offsets = np.arange(0, pages + 1, 3)
    history = np.full((sessions, 2), n_items)
    reward = np.where(item < 0, 0.0, rng.random(pages)).astype(np.float32)
    return EpisodeLog(history, offsets, np.ones(sessions, np.bool_), slate, item, reward)


def test_a_session_is_cut_into_support_and_what_followed() -> None:
    support, query = cut(LOG, np.array([0]), np.array([2]), SPEC, 5, 5)
    assert support.slate.tolist() == [[[[1, 2, -1], [3, -1, -1]]]]
    assert support.click.tolist() == [[[1, 0]]]
    assert support.reward.tolist() == [[[1.0, 2.0]]]
    assert query.there.tolist() == [[[True]]]  # the page without a slate is not ranked
    assert query.slate.tolist() == [[[[4, 5, 9]]]]
    assert query.slot.tolist() == [[[0]]]
    assert query.reward.tolist() == [[[4.0]]]
    assert query.observation.tolist() == [[[[3, 6]]]]  # but its item was clicked
    assert query.next_observation.tolist() == [[[[6, 4]]]]
    assert query.goes_on.tolist() == [[[False]]]
    support.check(9, 3, 0)


def test_a_page_without_a_slate_leaves_no_gap_in_support_and_does_not_count() -> None:
    """A session of six pages, the third without a slate, is cut after four slates."""
    slate = np.array([[1, 2], [3, -1], [-1, -1], [4, 5], [6, 8], [7, 0]])
    item = np.array([2, 3, 6, 4, 8, 7])
    offsets, reward = np.array([0, 6]), np.arange(6, dtype=np.float32)
    log = EpisodeLog(np.array([[9, 9]]), offsets, np.ones(1, np.bool_), slate, item, reward)
    support, query = cut(log, np.array([0]), np.array([3]), SPEC, 2, 1)
    assert support.slate.tolist() == [[[[3, -1, -1], [4, 5, -1]]]]  # the last two of three
    assert support.click.tolist() == [[[0, 0]]]
    assert support.reward.tolist() == [[[1.0, 3.0]]]
    assert query.slate.tolist() == [[[[6, 8, 9]]]]
    assert query.goes_on.tolist() == [[[True]]]
    whole, _ = cut(log, np.array([0]), np.array([3]), SPEC, 5, 1)
    shown = [0, 1, 3, 4, 5]
    full = replace(log, offsets=offsets - [0, 1], slate=slate[shown], item=item[shown])
    same, _ = cut(replace(full, reward=reward[shown]), np.array([0]), np.array([3]), SPEC, 5, 1)
    read = [agent_of("meta-lstm").adapt(told).knowledge["context"] for told in (whole, same)]
    assert read[0].any()
    np.testing.assert_array_equal(*read)


def test_support_is_the_last_pages_before_the_cut_and_what_follows_the_first() -> None:
    support, query = cut(random_log(), np.array([0, 1]), np.array([2, 1]), SPEC, 1, 1)
    log = random_log()
    assert support.slate.shape[2] == query.slate.shape[2] == 1
    np.testing.assert_array_equal(support.slate[:, 0, 0], log.slate[[1, 3]])
    shown = np.where(log.slate < 0, 9, log.slate)
    np.testing.assert_array_equal(query.slate[:, 0, 0], shown[[2, 4]])
    assert query.goes_on[:, 0, 0].tolist() == [False, True]
    assert query.observation[0, 0, 0].tolist() == log.item[:2].tolist()


def test_held_out_users_are_cut_in_the_middle_and_sessions_of_one_page_left_out() -> None:
    support, query = halves(LOG, SPEC, 5)
    assert support.there.tolist() == [[[True]]]
    assert query.there.tolist() == [[[True, True]]]  # of three pages with a slate
    assert query.slate[0, 0, :, 0].tolist() == [3, 4]
    _, longer = halves(random_log(), SPEC, 5)
    assert longer.there.shape == (12, 1, 2)


def test_users_are_drawn_with_any_cut_and_some_without_support() -> None:
    users = UserLog(random_log(sessions=200), SPEC, 5, 5, 0.25, np.random.default_rng(0))
    batch = users.draw(1_000)
    pages = batch.support.there.sum((1, 2)) + batch.query.there.sum((1, 2))
    told = batch.support.there.any((1, 2))
    assert (pages[told] == 3).all()
    assert set(batch.query.there[told].sum((1, 2))) == {1, 2}
    assert 0.65 < told.mean() < 0.85
    assert len(users.draw(7).query.there) == 7


def test_what_cannot_be_learned_from_is_said() -> None:
    rng = np.random.default_rng(0)
    short = replace(LOG, offsets=np.array([0, 1]), history=LOG.history[:1], terminated=np.ones(1))
    with pytest.raises(RecGymError, match="no session of the log has two pages"):
        UserLog(short, SPEC, 5, 5, 0.0, rng)
    with pytest.raises(RecGymError, match="no session of the log has two pages"):
        halves(short, SPEC, 5)
    with pytest.raises(RecGymError, match="largest page shows 2 items, slates have 1; set slate"):
        UserLog(LOG, replace(SPEC, slate_size=1), 5, 5, 0.0, rng)
    for schedule in ("offline", "online-offline"):
        with pytest.raises(RecGymError, match=f"schedule={schedule}: needs a log"):
            UserLoopConfig(schedule=schedule).loop(agent_of("melu"), None, 10, (0, 0), None)


def test_linucb_is_told_of_what_was_shown_alone() -> None:
    found = []
    for size in (3, 5):
        spec = replace(SPEC, slate_size=size)
        agent, support = agent_of("linucb", spec), halves(random_log(), spec, 5)[0]
        found.append(agent.adapt(support).knowledge["own"].numpy())
    assert found[0].any()
    np.testing.assert_allclose(*found)


@pytest.mark.parametrize("name", ADAPT[:-1])
def test_slots_that_show_nothing_change_nothing(name: str) -> None:
    """The same pages, in slates of three and of five."""
    found = []
    for size in (3, 5):
        spec = replace(SPEC, slate_size=size)
        users = UserLog(random_log(), spec, 5, 5, 0.0, np.random.default_rng(1))
        agent = agent_of(name, spec)
        found.append([agent.update(users.draw(8)) for _ in range(2)])
    for ours, theirs in zip(*found, strict=True):
        assert np.isfinite(list(ours.values())).all()
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", ["m3rec", "meta-pg", "meta-lstm"])
def test_what_is_clicked_again_is_no_candidate_where_clicked_items_are_removed(name: str) -> None:
    log = random_log()
    again = replace(log, item=np.repeat(log.item[::3], 3), slate=np.repeat(log.slate[::3], 3, 0))
    entry, found = entry_of(name, {}, {}), []
    for removes in (True, False):
        agent = entry.builder(replace(entry.config, remove_clicked=removes), SPEC, 0)
        users = UserLog(again, SPEC, 5, 5, 0.0, np.random.default_rng(1))
        found.append(agent.update(users.draw(8))["loss"])
    assert np.isfinite(found).all()
    assert found[0] < found[1]  # nothing that was clicked next was a candidate


@pytest.mark.parametrize("name", [*ADAPT, "linucb"])
def test_items_of_a_page_are_ranked_as_in_a_slate(name: str) -> None:
    agent = agent_of(name)
    adapted = agent.adapt(halves(random_log(), SPEC, 5)[0])
    observation = np.random.default_rng(2).integers(10, size=(12, 2))
    every = np.tile(np.arange(10), (12, 1))  # all items, and a slot that shows nothing
    scores = adapted.scores(observation, every)
    assert (scores[:, -1] == -np.inf).all()
    best = adapted.act(observation)
    np.testing.assert_array_equal(scores.argmax(1), best[:, 0])
    if name != "cascading-dqn-maml":  # whose other slots depend on the first
        np.testing.assert_array_equal(np.argsort(-scores, 1)[:, :3], best)
    few = adapted.scores(observation, best)
    np.testing.assert_allclose(few, np.take_along_axis(scores, best, 1), rtol=1e-4, atol=1e-5)
    with pytest.raises(RecGymError, match="scores: 2 observations, but adapted to 12 users"):
        adapted.scores(observation[:2], every[:2])
    with pytest.raises(RecGymError, match="act: 2 observations, but adapted to 12 users"):
        adapted.act(observation[:2])
    for wrong in (-1, 10):
        with pytest.raises(RecGymError, match=f"slate has item {wrong}; items are 0..8, and 9"):
            adapted.scores(observation, np.where(every == 3, wrong, every))
        with pytest.raises(RecGymError, match=f"observation has item {wrong}; items are 0..8"):
            adapted.scores(np.full_like(observation, wrong), every)


@pytest.mark.parametrize("name", ADAPT)
def test_a_page_without_a_click_that_has_fewer_items_than_slots_can_be_learned_from(
    name: str,
) -> None:
    slate, item = np.array([[1, 2], [3, -1], [3, -1], [4, 5]]), np.array([-1, -1, 3, 4])
    offsets, reward = np.array([0, 4]), np.array([0, 0, 1, 1], np.float32)
    log = EpisodeLog(np.array([[9, 9]]), offsets, np.ones(1, np.bool_), slate, item, reward)
    agent = agent_of(name)
    support, query = cut(log, np.array([0]), np.array([3]), SPEC, 5, 5)
    report = agent.update(UserBatch(steps_of_support(support, SPEC), query))
    assert np.isfinite(list(report.values())).all()
    assert np.isfinite(agent.adapt(support).scores(np.array([[9, 3]]), np.arange(9)[None])).all()


@pytest.mark.parametrize("name", ADAPT)
def test_a_log_is_learned_from_and_gone_on_with(name: str) -> None:
    """Alone and beside an environment, bit for bit."""
    world = {"n_items": 9, "slate_size": 3, "horizon": 4, "n_users": 6, "window": 2, "n_topics": 3}
    for schedule in ("offline", "online-offline"):
        config = UserLoopConfig(schedule=schedule, num_envs=4, slates=2, batch_users=5, updates=2)
        loops = []
        for seed in (0, 1):
            env = make_vector_env("KnownUsers-v0", world, 4, "disabled")
            agent = agent_of(name, EnvironmentSpec.of(env))
            loops.append(config.loop(agent, env, 1_000, (seed, seed), random_log()))
        first, second = loops
        first.iterate()
        assert first.updates_done == (1 if schedule == "offline" else 4)
        second.agent.set_state(*first.agent.state())
        second.set_state(*first.state())
        assert first.iterate() == second.iterate()


def test_the_inner_loss_of_meta_pg_is_that_of_the_clicked_pages() -> None:
    """The first page of the support has an item, two slots that show nothing, and no click."""
    slate, click = np.array([[3, -1, -1], [4, 5, -1]]), np.array([-1, 0])
    agent, losses = agent_of("meta-pg"), []
    for pages in ([0, 1], [1]):
        reward = np.array([0, 1], np.float32)[pages][None, None]
        support = Support(slate[pages][None, None], click[pages][None, None], reward)
        data = agent.support_data(steps_of_support(support, SPEC))
        hers = UserData(*(part[0] for part in data))
        losses.append(agent.loss(agent.network, agent.start(agent.network), hers).item())
    assert losses[0] == pytest.approx(losses[1])
    assert losses[1] > 0.0


def test_a_score_is_the_mean_ndcg_of_the_second_halves() -> None:
    """An agent that ranks by the item's number, the highest first: items 4 before 5 is rank 2."""
    adapted_at_once = []

    class ByNumber:
        spec = SPEC

        def adapt(self, support: Support) -> ByNumber:
            adapted_at_once.append(len(support.slate))
            return self

        def scores(self, observation: np.ndarray, slate: np.ndarray) -> np.ndarray:
            return np.where(slate < 9, slate, -np.inf)

    config = UserLoopConfig(schedule="offline", batch_users=2)
    loop = config.loop(ByNumber(), None, 10, (0, 0), LOG)
    mean = (1.0 + 1.0 / np.log2(3.0)) / 2.0  # the page of item 3 alone, and that of 4 and 5
    assert loop.score(LOG) == pytest.approx(mean)
    _, query = halves(LOG, SPEC, 5)
    ranked = page_scores(ByNumber(), query)[query.there].tolist()
    assert ranked == [[3.0, -np.inf, -np.inf], [4.0, 5.0, -np.inf]]
    thrice = LOG.joined(LOG).joined(LOG)
    adapted_at_once.clear()
    assert loop.score(thrice) == pytest.approx(mean)
    assert adapted_at_once == [2, 1]


def test_validation_users_that_cannot_be_scored_are_named_before_training(tmp_path: Path) -> None:
    """Users 0 .. 3 train; user 4, who validates, has a single page, or no click in her last."""
    pages = [event(user, [user, 8], 0, user) for user in range(4) for _ in range(2)]
    for last, lacks in (
        ([event(4, [4, 5], 0, 4)], "no session of the log has two pages with a slate"),
        ([event(4, [4, 5], 0, 4), event(4, [6, 7], -1, -1)], "no session of the log has a click"),
    ):
        names = tuple(str(i) for i in range(9))
        catalog = Catalog(names, None, np.zeros((9, 0), np.float32), ())
        info = {"name": "few", "licence": "none", "sha256": "0", "repeat_clicks": True}
        split = np.array([0, 0, 0, 0, 1], np.int8)
        folder = tmp_path / str(len(last))
        Dataset(sessions_of(pages + last), catalog, split, info).save(folder / "log")
        config = TrainConfig(
            env=None,
            agent="melu",
            steps=8,
            seed=0,
            out=str(folder / "run"),
            env_args={"slate_size": 2, "window": 2},
            loop_args={"schedule": "offline"},
            log=str(folder / "log"),
        )
        with pytest.raises(RecGymError, match=f"log, validation users: {lacks}") as found:
            train(config)
        assert "\n" not in str(found.value)
        assert not (folder / "run").exists()
        train(replace(config, validation_episodes=0))
        assert (folder / "run" / "DONE").exists()


def test_offline_an_agent_acts_once_a_logged_step() -> None:
    assert UserLoopConfig(schedule="offline").acts(1_000) == 1_000
    played = UserLoopConfig(slates=10, num_envs=5, updates=2, batch_users=3)
    assert played.acts(1_000) == 1_000 + 20 * 2 * 3 * 10  # 20 rounds of five users


def test_m3rec_learns_from_a_log_to_tell_users_apart() -> None:
    """Users click even items, or odd ones; every other page tells nothing, so the last click is 8.

    Pages show an even and an odd item of 0 .. 7, and item 8 and 9 in turn with them.
    """
    rng, sessions, steps = np.random.default_rng(0), 128, 6
    step, half = np.tile(np.arange(steps), sessions), np.repeat(np.arange(sessions) % 2, steps)
    slate = 2 * rng.integers(4, size=(len(half), 2)) + np.arange(2)
    slate = np.where(step[:, None] % 2, [8, 9], slate)
    item = np.where(step % 2, 8, slate[np.arange(len(half)), half])
    slate = rng.permuted(slate, axis=1)
    offsets, left = np.arange(0, len(half) + 1, steps), np.ones(sessions, np.bool_)
    history, reward = np.full((sessions, 1), 10), np.ones(len(half), np.float32)
    log = EpisodeLog(history, offsets, left, slate, item, reward)
    agent = agent_of("m3rec", EnvironmentSpec(10, 2, 1, np.eye(10, dtype=np.float32)))
    loop = UserLoopConfig(schedule="offline", batch_users=64).loop(agent, None, 9_999, (0, 0), log)
    for _ in range(100):
        loop.iterate()
    support, _ = halves(log, agent.spec, 3)
    last = np.full((sessions, 1), 8)
    own = np.arange(sessions)[:, None] % 2
    assert (agent.adapt(support).act(last) % 2 == own).mean() > 0.95
    assert (agent.act(last) % 2 == own).mean() == 0.5
    assert loop.score(log) > 0.95
