"""Minari: a log written and read back, and a policy that shows again what paid best in it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import gymnasium
import minari
import numpy as np

from recgym.collection import from_minari, to_minari, uniform_actions
from scoring import Policy, Recipe, World, main

HORIZON = 20


def train(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """Draws from the tenth of the logged points that paid best; before that, random points."""
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
    best = actions[rewards >= np.quantile(rewards, 0.9)]
    yield lambda observation, info: best[rng.integers(len(best), size=len(observation))]


if __name__ == "__main__":
    main("minari", [Recipe("best tenth of the log", World(view="proto-action"), 10_000, train)])
