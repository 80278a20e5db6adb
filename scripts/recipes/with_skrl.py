"""skrl: PPO on the vector environment."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import gymnasium
import torch
from skrl.agents.torch.ppo import PPO
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed
from torch import Tensor, nn

from scoring import Policy, Recipe, World, main

ENVS, ROLLOUT = 32, 20
SETTINGS: dict[str, Any] = {
    "rollouts": ROLLOUT,
    "learning_epochs": 10,
    "mini_batches": 4,
    "discount_factor": 0.9,
    "learning_rate": 1e-3,
    "value_loss_scale": 0.5,
    "experiment": {"write_interval": 0, "checkpoint_interval": 0},
}


def network(n_inputs: int, n_outputs: int) -> nn.Sequential:
    """Returns two hidden layers of 64."""
    return nn.Sequential(
        nn.Linear(n_inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, n_outputs)
    )


class Actor(GaussianMixin, Model):
    """A Gaussian over points among the items."""

    def __init__(self, **spaces: Any) -> None:
        Model.__init__(self, **spaces)
        GaussianMixin.__init__(self, clip_actions=True)
        self.mean = network(self.num_observations, self.num_actions)
        self.log_std = nn.Parameter(torch.zeros(self.num_actions))

    def compute(self, inputs: dict[str, Any], role: str) -> tuple[Tensor, dict[str, Any]]:
        """Returns the mean, and the logarithm of the standard deviation."""
        return self.mean(inputs["observations"]), {"log_std": self.log_std}


class Critic(DeterministicMixin, Model):
    """The value of an observation."""

    def __init__(self, **spaces: Any) -> None:
        Model.__init__(self, **spaces)
        DeterministicMixin.__init__(self)
        self.value = network(self.num_observations, 1)

    def compute(self, inputs: dict[str, Any], role: str) -> tuple[Tensor, dict[str, Any]]:
        """Returns values (B, 1)."""
        return self.value(inputs["observations"]), {}


def train(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """PPO."""
    logging.getLogger("skrl").setLevel(logging.WARNING)
    set_seed(seed)
    env = wrap_env(gymnasium.make_vec(world.env_id, ENVS, **world.all_arguments()), verbose=False)
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
    device = env.device
    models = {"policy": Actor(**spaces, device=device), "value": Critic(**spaces, device=device)}
    agent = PPO(
        models=models,
        memory=RandomMemory(memory_size=ROLLOUT, num_envs=ENVS, device=device),
        cfg=SETTINGS,
        device=device,
        **spaces,
    )

    @torch.no_grad()
    def act(observation: Any, info: Any) -> Any:
        drawn, _ = models["policy"].act({"observations": torch.as_tensor(observation)})
        return drawn.numpy()

    yield act
    trainer = {
        "timesteps": max(steps // ENVS, ROLLOUT),
        "headless": True,
        "disable_progressbar": True,
    }
    SequentialTrainer(env=env, agents=agent, cfg=trainer).train()
    yield act


if __name__ == "__main__":
    main("skrl", [Recipe("PPO", World(view="proto-action"), 10_000, train)])
