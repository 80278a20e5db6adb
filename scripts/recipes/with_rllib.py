"""RLlib: PPO on the native vector environment, and PPO that chooses among the items left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingTorchRLModule

from scoring import Policy, Recipe, World, main

ENVS, ROLLOUT = 32, 20


def config_of(world: World, seed: int) -> PPOConfig:
    """Returns PPO on the world's vector entry point, in this process."""
    return (
        PPOConfig()
        .environment(f"recgym:{world.env_id}", env_config=world.all_arguments())
        .env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=ENVS,
            gym_env_vectorize_mode="vector_entry_point",
        )
        .training(
            train_batch_size_per_learner=ENVS * ROLLOUT,
            minibatch_size=160,
            num_epochs=10,
            lr=1e-3,
            gamma=0.9,
            lambda_=0.95,
            vf_clip_param=1e3,
        )
        .debugging(seed=seed)
    )


def learned(config: PPOConfig, steps: int) -> Iterator[Any]:
    """Yields RLlib's module before and after learning."""
    ray.init(num_cpus=1, include_dashboard=False, ignore_reinit_error=True, log_to_driver=False)
    algorithm = config.build_algo()
    yield algorithm.get_module()
    for _ in range(max(steps // (ENVS * ROLLOUT), 1)):
        algorithm.train()
    yield algorithm.get_module()
    algorithm.stop()


def points(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """PPO."""
    for module in learned(config_of(world, seed), steps):

        @torch.no_grad()
        def act(observation: Any, info: Any, module: Any = module) -> Any:
            found = module.forward_exploration({"obs": torch.as_tensor(observation)})
            mean, log_std = found["action_dist_inputs"].chunk(2, dim=-1)
            return torch.normal(mean, log_std.exp()).clamp(-1.0, 1.0).numpy()

        yield act


def items(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """PPO with RLlib's own masked module, which draws from the items that are left."""
    config = config_of(world, seed).rl_module(
        rl_module_spec=RLModuleSpec(module_class=ActionMaskingTorchRLModule)
    )
    for module in learned(config, steps):

        @torch.no_grad()
        def act(observation: Any, info: Any, module: Any = module) -> Any:
            seen = {name: torch.as_tensor(values) for name, values in observation.items()}
            logits = module.forward_exploration({"obs": seen})["action_dist_inputs"]
            return torch.distributions.Categorical(logits=logits).sample().numpy()

        yield act


if __name__ == "__main__":
    masked = World(
        "SlateMDP-v0",
        "item-by-item",
        ["observations", "action_mask"],
        {"n_items": 10, "slate_size": 2},
    )
    main(
        "ray",
        [
            Recipe("PPO", World(view="proto-action"), 10_000, points),
            Recipe("PPO, masked", masked, 20_000, items),
        ],
        "RLlib",
    )
