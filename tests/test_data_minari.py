"""Minari datasets: the log that ``collect`` returns, with what agents learn from beside it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym.collection import (
    as_dataset,
    collect,
    from_minari,
    slate_mdp_policy,
    to_minari,
    uniform_actions,
    uniform_policy,
)
from recgym.data import Sessions
from recgym.envs import SlateEnv, SlateVectorEnv
from recgym.errors import RecGymError
from tests.fixtures.user_model import random_user_model

SMALL = {"n_items": 12, "slate_size": 3, "horizon": 4, "observe": "items", "window": 2}


@pytest.fixture
def minari(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Minari, which keeps its datasets in a folder of this test; skipped where there is none."""
    package = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    return package


def slate_mdp(rows: int = 5, **arguments: Any) -> Any:
    arguments = SMALL | {"autoreset_mode": "disabled"} | arguments
    return gymnasium.make_vec("SlateMDP-v0", rows, **arguments)


def assert_equal(one: Sessions, other: Sessions) -> None:
    for field in fields(Sessions):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_array_equal(ours, theirs, field.name)
        assert getattr(ours, "dtype", None) == getattr(theirs, "dtype", None), field.name


@pytest.mark.filterwarnings("error")
def test_there_and_back_is_what_collect_returns(minari: Any) -> None:
    env = slate_mdp()
    policy = slate_mdp_policy(env.simulator, "mix")
    dataset = to_minari(env, policy, 40, "SlateMDP/mix-v0", seed=3)
    log = collect(env, policy, 40, seed=3)
    assert_equal(from_minari(dataset), log)
    assert_equal(from_minari("SlateMDP/mix-v0"), log)
    some = minari.split_dataset(dataset, [15, 25], seed=0)
    kept = np.isin(log.session, some[0].episode_indices)
    assert_equal(from_minari(some[0]), log.select(kept))
    with pytest.raises(RecGymError, match="no episodes"):
        from_minari(dataset.filter_episodes(lambda episode: False))


def test_users_keep_their_sessions(minari: Any, tmp_path: Path) -> None:
    random_user_model(12).save(tmp_path / "user")
    env: Any = gymnasium.make_vec(
        "RecGAN-v0",
        4,
        user_model=str(tmp_path / "user"),
        slate_size=3,
        horizon=3,
        autoreset_mode="disabled",
    )
    policy = uniform_policy(12, 3)
    log = from_minari(to_minari(env, policy, 30, "RecGAN/random-v0"))
    assert_equal(log, collect(env, policy, 30))
    assert len(np.unique(log.user)) < 30


def test_episodes_are_what_the_environment_said(minari: Any) -> None:
    """Of the slate MDP: the window of clicked items, a reward a click, and how it ends."""
    env = slate_mdp()
    dataset = to_minari(env, uniform_policy(12, 3), 60, "SlateMDP/random-v0")
    assert dataset.observation_space == env.single_observation_space
    assert dataset.action_space == env.single_action_space
    ends = set()
    for episode in dataset:
        clicked = [12, 12, *episode.infos["item"][1:].tolist()]
        for step, observation in enumerate(episode.observations):
            assert observation in dataset.observation_space
            clicks = [item for item in clicked[: step + 2] if item >= 0]
            assert observation.tolist() == clicks[-2:]
        clicks = episode.infos["click"]
        assert episode.rewards.tolist() == (clicks[1:] >= 0).tolist()
        assert episode.terminations.tolist() == (clicks[1:] < 0).tolist()
        assert not (episode.terminations | episode.truncations)[:-1].any()
        assert episode.truncations[-1] == (len(episode) == 4 and not episode.terminations[-1])
        ends |= {(bool(episode.terminations[-1]), bool(episode.truncations[-1]))}
        assert clicks[0] == episode.infos["item"][0] == -1
        assert np.isnan(episode.infos["slot_propensities"][0]).all()
        assert (episode.infos["slot_propensities"][1:] == np.float32(1 / 12)).all()
        assert episode.infos["state"].shape == (len(episode) + 1,)
    assert ends == {(True, False), (False, True)}
    assert dataset.total_steps == sum(len(episode) for episode in dataset)


def test_its_environment_is_the_single_one_with_the_same_arguments(minari: Any) -> None:
    dataset = to_minari(slate_mdp(), uniform_policy(12, 3), 8, "random-v0")
    env = minari.load_dataset("random-v0").recover_environment()
    assert isinstance(env.unwrapped, SlateEnv)
    assert env.spec.kwargs == {"simulator": "slate-mdp", **SMALL}
    assert env.observation_space == dataset.observation_space
    prepared = as_dataset(env.unwrapped, from_minari(dataset), "random")
    prepared.validate()


VIEWED = SMALL | {"horizon": 9, "observe": "features"}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("view", ["item-by-item", "proto-action", "scores", "enumerated"])
def test_under_a_view_actions_are_the_views_and_slates_come_back(minari: Any, view: str) -> None:
    """Held against the same actions in the environment without a view, given the same luck."""
    env = slate_mdp(rows=1, view=view, **VIEWED)
    policy = uniform_actions(env.single_action_space)
    dataset = to_minari(env, policy, 30, "SlateMDP/viewed-v0", seed=3)
    assert dataset.action_space == env.single_action_space
    log = from_minari("SlateMDP/viewed-v0")
    log.validate(n_items=12)
    assert log.slot_propensities is None
    single = dataset.recover_environment()
    assert single.action_space == env.single_action_space
    seen: list[Any] = []
    _, info = env.reset(seed=3)
    rng = np.random.default_rng([3, 1])
    for session, episode in enumerate(dataset):
        assert all(action in dataset.action_space for action in episode.actions)
        step = over = 0
        while not over:
            actions = policy(None, info, rng)
            assert (episode.actions[step] == actions[0]).all()
            _, reward, terminated, truncated, info = env.step(actions)
            step, over = step + 1, terminated[0] or truncated[0]
            slate = env.shown_slates()[0].tolist()
            if slate[0] >= 0:
                told = [info[name][0] for name in ("click", "item")]
                seen.append([session, *told, reward[0], *slate])
            else:
                assert (view, slate) == ("item-by-item", [-1] * 3)
        assert step == len(episode)
        _, info = env.reset(options={"reset_mask": np.array([True])})
    pages = zip(
        log.session, log.click, log.item, log.reward, log.slate_items.reshape(-1, 3), strict=True
    )
    assert [[*row[:4], *row[4]] for row in pages] == seen
    shown = [row[1:] for row in seen]
    assert all(len(set(row[3:])) == 3 for row in shown)


def test_uniform_actions_are_uniform_and_leave_out_what_the_slate_has() -> None:
    env = slate_mdp(rows=4000, view="item-by-item")
    _, info = env.reset(seed=0)
    rng = np.random.default_rng(0)
    policy = uniform_actions(env.single_action_space)
    first = policy(None, info, rng)
    np.testing.assert_allclose(np.bincount(first, minlength=12) / 4000, 1 / 12, atol=0.02)
    info = env.step(first)[4]
    second = policy(None, info, rng)
    assert (second != first).all()
    np.testing.assert_allclose(np.bincount(second, minlength=12) / 4000, 1 / 12, atol=0.02)
    box = slate_mdp(rows=4000, view="scores")
    drawn = uniform_actions(box.single_action_space)(None, box.reset(seed=0)[1], rng)
    assert drawn.shape == (4000, 12)
    assert abs(drawn.mean()) < 0.01
    assert drawn.dtype == np.float32


def test_bad_requests(minari: Any) -> None:
    policy = uniform_policy(12, 3)
    to_minari(slate_mdp(), policy, 1, "random-v0")
    direct = SlateVectorEnv("slate-mdp", 2, autoreset_mode="disabled", **SMALL)
    model = random_user_model(12)
    no_json = gymnasium.make_vec("RecGAN-v0", 2, user_model=model, autoreset_mode="disabled")
    for env, name, message in [
        (slate_mdp(), "random-v0", "'random-v0' exists already"),
        (slate_mdp(), "random", "dataset_id 'random': must be like"),
        (slate_mdp(), "a b-v0", "dataset_id 'a b-v0': must be like"),
        (slate_mdp(autoreset_mode="same-step"), "other-v0", "autoreset_mode='disabled'"),
        (slate_mdp(view="scores"), "other-v0", "under a view it must return the view's actions"),
        (
            slate_mdp(view="item-by-item", mask_keys=["obs", "mask"]),
            "other-v0",
            "leave out mask_keys",
        ),
        (direct, "other-v0", r"gymnasium\.make_vec"),
        (no_json, "other-v0", "arguments: .* is not JSON serializable"),
    ]:
        with pytest.raises(RecGymError, match=message) as error:
            to_minari(env, policy, 1, name)
        assert "\n" not in str(error.value)
    with pytest.raises(RecGymError, match="no dataset 'other-v0'"):
        from_minari("other-v0")
    assert list(minari.list_local_datasets()) == ["random-v0"]


@pytest.mark.filterwarnings("ignore::UserWarning:minari")
def test_a_dataset_of_another_origin_is_refused(minari: Any) -> None:
    from minari.data_collector import EpisodeBuffer

    step = EpisodeBuffer(None, None, None, [0, 1], [0], [0.0], [True], [False])
    spaces = [gymnasium.spaces.Discrete(2)] * 2
    dataset = minari.create_dataset_from_buffers(
        "other-v0", [step], action_space=spaces[0], observation_space=spaces[1]
    )
    with pytest.raises(RecGymError, match="'other-v0' has no info 'click'"):
        from_minari(dataset)


def test_what_fails_leaves_nothing(
    minari: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full_disk(*arguments: Any, **named: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("minari.dataset._storages.hdf5_storage._add_episode_to_group", full_disk)
    with pytest.raises(OSError, match="no space left"):
        to_minari(slate_mdp(), uniform_policy(12, 3), 2, "random-v0")
    assert not (tmp_path / "datasets" / "random-v0").exists()


@pytest.mark.parametrize("absent", ["minari", "h5py", "PIL"])
def test_without_minari_it_is_said_how_to_get_it(
    absent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, absent, None)
    for call in (
        lambda: to_minari(slate_mdp(), uniform_policy(12, 3), 1, "random-v0"),
        lambda: from_minari("random-v0"),
    ):
        with pytest.raises(RecGymError, match=r'need Minari: pip install "recgym\[minari\]"'):
            call()


def test_importing_recgym_data_imports_no_minari() -> None:
    code = "import sys, recgym.data; print(*{'minari', 'h5py', 'PIL'} & set(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == ""
