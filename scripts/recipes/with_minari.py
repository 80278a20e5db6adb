"""Minari: a log written, read back, and a point among the items learned from it by regression."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import gymnasium
import minari
import numpy as np

from recgym.data import from_minari, to_minari, uniform_actions
from scoring import Policy, Recipe, World, main

HORIZON = 20


def train(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """The point in whose direction the reward rises; before that, the log's own random points."""
    env: Any = gymnasium.make_vec(
        world.env_id, 64, autoreset_mode="disabled", **world.all_arguments()
    )
    random = uniform_actions(env.single_action_space)
    rng = np.random.default_rng(seed)
    yield lambda observation, info: random(observation, info, rng)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINARI_DATASETS_PATH"] = folder
        to_minari(env, random, max(steps // HORIZON, 1), "RecGAN/points-v0", seed)
        log = minari.load_dataset("RecGAN/points-v0")
        actions = np.concatenate([episode.actions for episode in log])
        rewards = np.concatenate([episode.rewards for episode in log])
        sessions = from_minari(log)  # what user models are fitted to
    assert np.isclose(sessions.reward.sum(), rewards.sum(), rtol=1e-4)
    design = np.column_stack([actions, np.ones(len(actions))])
    slope = np.linalg.lstsq(design, rewards, rcond=None)[0][:-1]
    point = (slope / np.abs(slope).max()).astype(np.float32)
    yield lambda observation, info: np.tile(point, (len(observation), 1))


if __name__ == "__main__":
    main("minari", [Recipe("regression, offline", World(view="proto-action"), 10_000, train)])
