"""d3rlpy: AWAC, offline, from a log of random actions that Minari keeps."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import d3rlpy
import gymnasium

from recgym.collection import to_minari, uniform_actions
from scoring import Policy, Recipe, World, main

HORIZON = 20
UPDATES = 0.1
"""Gradient steps for each step of the log."""


def log_of(world: World, steps: int, seed: int) -> Any:
    """Returns a log of random actions, read as d3rlpy reads any Minari dataset."""
    env: Any = gymnasium.make_vec(
        world.env_id, 64, autoreset_mode="disabled", **world.all_arguments()
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINARI_DATASETS_PATH"] = folder
        policy = uniform_actions(env.single_action_space)
        to_minari(env, policy, max(steps // HORIZON, 1), "RecGAN/points-v0", seed)
        return d3rlpy.datasets.get_minari("RecGAN/points-v0")[0]


def train(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """AWAC."""
    d3rlpy.seed(seed)
    log = log_of(world, steps, seed)
    agent = d3rlpy.algos.AWACConfig(gamma=0.9, batch_size=128).create(device="cpu:0")
    agent.build_with_dataset(log)

    def act(observation: Any, info: Any) -> Any:
        return agent.sample_action(observation)

    yield act
    agent.fit(
        log,
        n_steps=max(int(steps * UPDATES), 1),
        n_steps_per_epoch=max(int(steps * UPDATES), 1),
        logger_adapter=d3rlpy.logging.NoopAdapterFactory(),
        show_progress=False,
    )
    yield act


if __name__ == "__main__":
    main("d3rlpy", [Recipe("AWAC, offline", World(view="proto-action"), 10_000, train)])
