"""The bridge to Stable-Baselines3: what its own DummyVecEnv would give, from one batch."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from recgym.envs import SB3VecEnv
from recgym.errors import RecGymError

WORLD: dict[str, Any] = {"n_items": 8, "slate_size": 3, "n_states": 3, "horizon": 3, "window": 2}


def test_rows_are_what_the_vector_environment_gives() -> None:
    ours = SB3VecEnv("SlateMDP-v0", 40, seed=5, **WORLD)
    theirs = gymnasium.make_vec("SlateMDP-v0", 40, autoreset_mode="same-step", **WORLD)
    np.testing.assert_array_equal(ours.reset(), theirs.reset(seed=5)[0])
    assert ours.reset_infos[0] == {"click": -1, "item": -1, "repaired": 0, "state": 0}
    ended = set()
    for _ in range(6):
        actions = theirs.action_space.sample()
        observation, reward, done, rows = ours.step(actions)
        expected, paid, terminated, truncated, info = theirs.step(actions)
        np.testing.assert_array_equal(observation, expected)
        np.testing.assert_array_equal(reward, paid)
        np.testing.assert_array_equal(done, terminated | truncated)
        for row in range(40):
            if not done[row]:
                assert rows[row] == {name: info[name][row] for name in ours.reset_infos[0]}
                continue
            ended.add(bool(terminated[row]))
            last = info["final_info"]
            assert rows[row]["click"] == last["click"][row]
            assert rows[row]["state"] == last["state"][row]
            assert rows[row]["TimeLimit.truncated"] == (not terminated[row])
            np.testing.assert_array_equal(rows[row]["terminal_observation"], info["final_obs"][row])
    assert ended == {True, False}


def test_masks_are_in_the_infos_of_every_row_also_of_those_that_ended() -> None:
    env = SB3VecEnv("SlateMDP-v0", 3, seed=0, view="item-by-item", **(WORLD | {"horizon": 1}))
    env.reset()
    for item in range(3):
        _, _, done, rows = env.step(np.full(3, item))
        left = [7] * 3 if item == 0 else [6] * 3 if item == 1 else [8] * 3  # a new slate
        assert [row["action_mask"].sum() for row in rows] == left
    assert done.all()
    assert all(type(row["click"]) is int for row in rows)


def test_it_looks_like_their_own() -> None:
    ours = VecMonitor(SB3VecEnv("SlateMDP-v0", 3, view="item-by-item", **WORLD))
    theirs = DummyVecEnv([lambda: gymnasium.make("SlateMDP-v0", view="item-by-item", **WORLD)] * 3)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    ours.seed(1)
    ours.reset()
    ours.step(np.array([1, 2, 3]))
    masks = ours.env_method("action_masks", indices=[0, 2])
    assert [np.flatnonzero(~mask).tolist() for mask in masks] == [[1], [3]]
    assert ours.get_attr("num_envs", indices=1) == [3]
    assert ours.env_is_wrapped(VecMonitor) == [False] * 3


@pytest.mark.parametrize(
    ("algorithm", "view", "settings"),
    [
        (PPO, None, {"n_steps": 8, "batch_size": 32, "n_epochs": 1}),
        (A2C, "scores", {}),
        (DQN, "item-by-item", {"learning_starts": 8, "train_freq": 1}),
    ],
)
def test_algorithms_train_in_it(algorithm: Any, view: str | None, settings: Any) -> None:
    env = SB3VecEnv("SlateMDP-v0", 4, seed=0, view=view, **WORLD)
    algorithm("MlpPolicy", env, device="cpu", seed=0, **settings).learn(64)


def test_bad_requests() -> None:
    with pytest.raises(RecGymError, match="autoreset_mode is its own"):
        SB3VecEnv("SlateMDP-v0", 2, autoreset_mode="disabled")
    with pytest.raises(RecGymError, match="unexpected keyword argument 'items'"):
        SB3VecEnv("SlateMDP-v0", 2, items=3)


def test_without_the_library_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['stable_baselines3'] = None\n"
        "import recgym.envs\n"
        "try: recgym.envs.SB3VecEnv\n"
        "except recgym.RecGymError as error: print(error)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout == 'SB3VecEnv needs Stable-Baselines3: pip install "recgym[sb3]"\n'
