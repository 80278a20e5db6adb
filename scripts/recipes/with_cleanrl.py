"""PPO in one file, in the manner of CleanRL: points among the items, from a vector environment.

CleanRL is no package to install but files to copy, of which this is one: after its
``ppo_continuous_action.py``, with nothing between the loop and ``gymnasium.make_vec``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from scoring import Policy, Recipe, World, main

ENVS, ROLLOUT, EPOCHS, MINIBATCH = 32, 20, 10, 160
GAMMA, LAMBDA, CLIP, VALUE_WEIGHT, MAX_NORM, LEARNING_RATE = 0.9, 0.95, 0.2, 0.5, 0.5, 1e-3


class Agent(nn.Module):
    """A Gaussian over points, and a critic."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.actor = nn.Sequential(
            layer(n_inputs, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, n_outputs, 0.01)
        )
        self.log_std = nn.Parameter(torch.zeros(n_outputs))
        self.critic = nn.Sequential(
            layer(n_inputs, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, 1, 1.0)
        )

    def policy(self, observation: Tensor) -> torch.distributions.Independent:
        """Returns the distribution of actions (B, D)."""
        normal = torch.distributions.Normal(self.actor(observation), self.log_std.exp())
        return torch.distributions.Independent(normal, 1)

    def value(self, observation: Tensor) -> Tensor:
        """Returns values (B,)."""
        return self.critic(observation).squeeze(-1)


def layer(n_inputs: int, n_outputs: int, gain: float = 2**0.5) -> nn.Linear:
    """Returns a linear layer with orthogonal weights."""
    linear = nn.Linear(n_inputs, n_outputs)
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear


@torch.no_grad()
def rollout(env: Any, agent: Agent, observation: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Plays ROLLOUT steps; returns them as (T, B, ...), and the last observations."""
    steps = []
    low, high = env.single_action_space.low, env.single_action_space.high
    for _ in range(ROLLOUT):
        policy = agent.policy(observation)
        action = policy.sample()
        shown = np.clip(action.numpy(), low, high)
        after, reward, terminated, truncated, info = env.step(shown)
        done = terminated | truncated
        following = agent.value(torch.as_tensor(after))
        if done.any():  # the episode's own last observation, not the next one's first
            last = torch.as_tensor(np.stack(list(info["final_obs"][done])))
            following[torch.as_tensor(done)] = agent.value(last)
        steps.append(
            {
                "observation": observation,
                "action": action,
                "log_prob": policy.log_prob(action),
                "value": agent.value(observation),
                "following": following * torch.as_tensor(~terminated),
                "reward": torch.as_tensor(reward, dtype=torch.float32),
                "goes_on": torch.as_tensor(~done, dtype=torch.float32),
            }
        )
        observation = torch.as_tensor(after)
    return {name: torch.stack([step[name] for step in steps]) for name in steps[0]}, observation


def advantages(batch: dict[str, Tensor]) -> Tensor:
    """Returns generalised advantages (T, B); Schulman et al. (2016), equation 16."""
    error = batch["reward"] + GAMMA * batch["following"] - batch["value"]
    found, ahead = torch.zeros_like(error), torch.zeros_like(error[0])
    for step in reversed(range(len(error))):
        ahead = error[step] + GAMMA * LAMBDA * batch["goes_on"][step] * ahead
        found[step] = ahead
    return found


def update(agent: Agent, optimizer: torch.optim.Optimizer, batch: dict[str, Tensor]) -> None:
    """Takes EPOCHS passes of clipped gradient steps; Schulman et al. (2017), equation 9."""
    batch["advantage"] = advantages(batch)
    batch["target"] = batch["advantage"] + batch["value"]
    flat = {name: values.flatten(0, 1) for name, values in batch.items()}
    for _ in range(EPOCHS):
        for rows in torch.randperm(ENVS * ROLLOUT).split(MINIBATCH):
            part = {name: values[rows] for name, values in flat.items()}
            gain = part["advantage"]
            gain = (gain - gain.mean()) / (gain.std() + 1e-8)
            log_prob = agent.policy(part["observation"]).log_prob(part["action"])
            ratio = (log_prob - part["log_prob"]).exp()
            clipped = ratio.clamp(1 - CLIP, 1 + CLIP)
            policy_loss = -torch.minimum(gain * ratio, gain * clipped).mean()
            value_loss = (agent.value(part["observation"]) - part["target"]).square().mean()
            optimizer.zero_grad()
            (policy_loss + VALUE_WEIGHT * value_loss).backward()
            nn.utils.clip_grad_norm_(agent.parameters(), MAX_NORM)
            optimizer.step()


def train(drawn: bool, world: World, steps: int, seed: int) -> Iterator[Policy]:
    """PPO; acts with points that are drawn from its Gaussian, or with its mean."""
    torch.manual_seed(seed)
    env: Any = gymnasium.make_vec(
        world.env_id, ENVS, autoreset_mode="same-step", **world.all_arguments()
    )
    space, points = env.single_observation_space, env.single_action_space
    agent = Agent(space.shape[0], points.shape[0])
    optimizer = torch.optim.Adam(agent.parameters(), lr=LEARNING_RATE, eps=1e-5)

    @torch.no_grad()
    def act(observation: Any, info: Any) -> Any:
        policy = agent.policy(torch.as_tensor(observation))
        point = policy.sample() if drawn else policy.mean
        return np.clip(point.numpy(), points.low, points.high)

    yield act
    observation = torch.as_tensor(env.reset(seed=seed)[0])
    for _ in range(max(steps // (ENVS * ROLLOUT), 1)):
        batch, observation = rollout(env, agent, observation)
        update(agent, optimizer, batch)
    yield act


if __name__ == "__main__":
    points = World(view="proto-action")
    main(
        "torch",
        [
            Recipe("PPO", points, 10_000, partial(train, True)),
            Recipe("PPO, scored by its mean", points, 10_000, partial(train, False)),
        ],
        "CleanRL style",
    )
