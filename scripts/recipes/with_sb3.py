"""Stable-Baselines3: PPO under each view, and MaskablePPO of sb3-contrib item by item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO

from recgym.envs import SB3VecEnv
from scoring import Policy, Recipe, World, main

ENVS = 32
SETTINGS: dict[str, Any] = {
    "n_steps": 20,
    "batch_size": 160,
    "gamma": 0.9,
    "learning_rate": 1e-3,
}


def ppo(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """PPO; acts with the most likely action."""
    env = SB3VecEnv(world.env_id, ENVS, seed=seed, **world.all_arguments())
    model = PPO("MlpPolicy", env, seed=seed, device="cpu", **SETTINGS)

    def act(observation: Any, info: Any) -> Any:
        return model.predict(observation, deterministic=True)[0]

    yield act
    model.learn(steps)
    yield act


def maskable_ppo(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """PPO that chooses among the items that are left."""
    env = SB3VecEnv(world.env_id, ENVS, seed=seed, **world.all_arguments())
    model = MaskablePPO("MlpPolicy", env, seed=seed, device="cpu", **SETTINGS)

    def act(observation: Any, info: Any) -> Any:
        masks = info["action_mask"]
        return model.predict(observation, deterministic=True, action_masks=masks)[0]

    yield act
    model.learn(steps)
    yield act


BY_ITEM = World(view="item-by-item")

if __name__ == "__main__":
    main(
        "stable-baselines3",
        [
            Recipe("PPO", World(view="proto-action"), 20_000, ppo),
            Recipe("PPO", World(), 20_000, ppo),
            Recipe("PPO", World(view="scores"), 20_000, ppo),
            Recipe("PPO", BY_ITEM, 60_000, ppo),
            Recipe("MaskablePPO", BY_ITEM, 60_000, maskable_ppo),
        ],
    )
