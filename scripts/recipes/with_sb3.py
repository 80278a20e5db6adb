"""Stable-Baselines3: PPO under each view, and MaskablePPO of sb3-contrib item by item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO

from recgym.envs import SB3VecEnv
from scoring import Policy, Recipe, World, main

ENVS = 32
POINTS = World(view="proto-action")
BY_ITEM = World(view="item-by-item")


def settings(world: World, seed: int) -> dict[str, Any]:
    """Returns what both algorithms share; the discount is that of a slate, or of an item.

    Networks with an output for each of 1,682 items are large: they get few and large batches.
    """
    return {
        "policy": "MlpPolicy",
        "env": SB3VecEnv(world.env_id, ENVS, seed=seed, **world.all_arguments()),
        "n_steps": 20,
        "batch_size": 160 if world == POINTS else 640,
        "learning_rate": 1e-3,
        "gamma": 0.98 if world == BY_ITEM else 0.9,
        "seed": seed,
        "device": "cpu",
    }


def ppo(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """PPO."""
    model = PPO(**settings(world, seed))

    def act(observation: Any, info: Any) -> Any:
        return model.predict(observation)[0]

    yield act
    model.learn(steps)
    yield act


def maskable_ppo(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """PPO that draws from the items that are left."""
    model = MaskablePPO(**settings(world, seed))

    def act(observation: Any, info: Any) -> Any:
        return model.predict(observation, action_masks=info["action_mask"])[0]

    yield act
    model.learn(steps)
    yield act


if __name__ == "__main__":
    main(
        "stable-baselines3",
        [
            Recipe("PPO", POINTS, 10_000, ppo),
            Recipe("PPO", World(), 20_000, ppo),
            Recipe("PPO", World(view="scores"), 20_000, ppo),
            Recipe("PPO", BY_ITEM, 40_000, ppo),
            Recipe("MaskablePPO", BY_ITEM, 40_000, maskable_ppo),
        ],
    )
