"""The bridge to Tianshou: what its own DummyVectorEnv would give, from one batch.

Where Tianshou is not installed, a class with what its base class does stands in for that.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import types
from typing import Any

import gymnasium
import numpy as np
import pytest

from recgym.errors import RecGymError
from tests.fixtures.every_env import plain

INSTALLED = importlib.util.find_spec("tianshou") is not None
WORLD: dict[str, Any] = {"n_items": 8, "slate_size": 3, "n_states": 3, "horizon": 3, "window": 2}


class StandIn:
    """Of ``tianshou.env.BaseVectorEnv``, what a subclass uses."""

    env_num: int

    def __getattribute__(self, key: str) -> Any:
        if key in ("metadata", "reward_range", "spec", "action_space", "observation_space"):
            return self.get_env_attr(key)
        return super().__getattribute__(key)

    def get_env_attr(self, key: str, id: Any = None) -> list[Any]:
        raise NotImplementedError

    def __len__(self) -> int:
        return self.env_num

    def _wrap_id(self, id: Any = None) -> Any:
        if id is None:
            return list(range(self.env_num))
        return [id] if np.isscalar(id) else id


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class ``TianshouVecEnv``."""
    module = "recgym.envs.tianshou_vec_env"
    if not INSTALLED:
        stand_in = types.ModuleType("tianshou.env")
        stand_in.BaseVectorEnv = StandIn  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "tianshou", types.ModuleType("tianshou"))
        monkeypatch.setitem(sys.modules, "tianshou.env", stand_in)
        monkeypatch.delitem(sys.modules, module, raising=False)
    yield importlib.import_module(module).TianshouVecEnv
    if not INSTALLED:
        sys.modules.pop(module, None)


def test_rows_are_what_the_vector_environment_gives(bridge: Any) -> None:
    ours = bridge("SlateMDP-v0", 40, seed=5, **WORLD)
    theirs: Any = gymnasium.make_vec("SlateMDP-v0", 40, autoreset_mode="disabled", **WORLD)
    observation, infos = ours.reset()
    expected, _ = theirs.reset(seed=5)
    np.testing.assert_array_equal(observation, expected)
    assert infos.dtype == object
    assert infos[0] == {"click": -1, "item": -1, "repaired": 0, "state": 0}
    ended = set()
    for _ in range(6):
        actions = theirs.action_space.sample()
        *found, infos = ours.step(actions)
        *expected, info = theirs.step(actions)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
        for row in (0, 39):
            own = {name: info[name][row] for name in ("click", "item", "repaired", "state")}
            assert infos[row] == own | {"env_id": row}
        done = expected[2] | expected[3]
        ended |= {(bool(t), bool(u)) for t, u in zip(expected[2], expected[3], strict=True)}
        if done.any():
            rows = np.flatnonzero(done)[::-1]
            again, infos = ours.reset(rows)
            expected, info = theirs.reset(options={"reset_mask": done})
            np.testing.assert_array_equal(again, expected[rows])
            assert len(infos) == len(rows)
    assert ended == {(False, False), (True, False), (False, True)}


def test_rows_that_are_left_out_stay_as_they_are(bridge: Any) -> None:
    """A collector steps those alone of which it still needs an episode."""
    env = bridge("SlateMDP-v0", 4, seed=1, **(WORLD | {"horizon": 2}))
    env.reset()
    slate = np.array([0, 1, 2])
    before, _ = env.env.get_state()
    *_, infos = env.step(np.stack([slate] * 2), id=[3, 1])
    after, _ = env.env.get_state()
    assert [info["env_id"] for info in infos] == [3, 1]
    assert after["state.step"].tolist() == [0, 1, 0, 1]
    for name in ("state.state", "state.history"):
        assert (after[name][[0, 2]] == before[name][[0, 2]]).all()
    _, _, terminated, truncated, _ = env.step(slate[None], id=0)
    assert terminated.shape == truncated.shape == (1,)
    over = np.flatnonzero(env.env.get_state()[0]["done"])
    if len(over):
        env.reset(over)
    env.reset([0, 1, 2, 3], options={"user": 0})
    assert env.env.get_state()[0]["state.step"].tolist() == [0] * 4


def test_it_looks_like_their_own(bridge: Any) -> None:
    arguments = WORLD | {"view": "item-by-item", "mask_keys": ["obs", "mask"]}
    env = bridge("SlateMDP-v0", 3, **arguments)
    single: Any = gymnasium.make("SlateMDP-v0", **arguments)
    assert len(env) == 3
    assert env.observation_space == [single.observation_space] * 3
    assert env.action_space == [single.action_space] * 3
    assert env.get_env_attr("num_envs", 1) == [3]
    assert env.seed(7) == [7, 7, 7]
    first, _ = env.reset()
    env.seed([7, 8, 9])
    second, _ = env.reset()
    assert plain(first[0]) == plain(second[0])  # an empty window, whatever the seed
    observation, _, _, _, infos = env.step(np.array([1, 2, 3]))
    assert observation.shape == (3,)
    assert [np.flatnonzero(row["mask"] == 0).tolist() for row in observation] == [[1], [2], [3]]
    assert (infos[2]["action_mask"] == observation[2]["mask"]).all()
    assert env.render() == [None] * 3
    env.close()
    assert env.is_closed


@pytest.mark.skipif(not INSTALLED, reason="needs pip install tianshou")
def test_a_collector_collects_in_it_what_it_collects_in_theirs(bridge: Any) -> None:
    from tianshou.algorithm.algorithm_base import Policy
    from tianshou.data import Batch, Collector, VectorReplayBuffer

    class Uniform(Policy):
        def forward(self, batch: Any, state: Any = None, **more: Any) -> Any:
            mask = batch.obs.mask
            return Batch(act=(np.random.default_rng(0).random(mask.shape) * mask).argmax(axis=1))

    arguments = WORLD | {"view": "item-by-item", "mask_keys": ["obs", "mask"]}
    env = bridge("SlateMDP-v0", 6, seed=0, **arguments)
    policy = Uniform(env.action_space[0], env.observation_space[0])
    buffer = VectorReplayBuffer(2000, 6)
    collector = Collector(policy, env, buffer)
    found = collector.collect(n_episode=20, reset_before_collect=True)
    assert found.n_collected_episodes == 20
    assert len(buffer) == found.n_collected_steps
    assert buffer.terminated.sum() + buffer.truncated.sum() == 20
    assert (buffer.info["repaired"] == 0).all()
    stored = buffer.sample_indices(0)  # all of them
    chosen = buffer.obs["mask"][stored, buffer.act[stored]]
    assert len(chosen) == len(buffer)
    assert (chosen == 1).all()


def test_bad_requests(bridge: Any) -> None:
    with pytest.raises(RecGymError, match="autoreset_mode is its own"):
        bridge("SlateMDP-v0", 2, autoreset_mode="disabled")
    env = bridge("SlateMDP-v0", 2, **(WORLD | {"horizon": 1}))
    env.reset()
    env.step(np.array([[0, 1, 2]] * 2))
    with pytest.raises(RecGymError, match="rows whose episode has begun and is not over"):
        env.step(np.array([[0, 1, 2]]), id=[1])


def test_without_the_library_it_is_said_how_to_get_it() -> None:
    code = (
        "import sys; sys.modules['tianshou'] = None\n"
        "import recgym.envs\n"
        "try: recgym.envs.TianshouVecEnv\n"
        "except recgym.RecGymError as error: print(error)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout == "TianshouVecEnv needs Tianshou: pip install tianshou\n"
