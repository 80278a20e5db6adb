"""Tianshou: PPO among the items' features, and DQN that chooses among the items left."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from tianshou.algorithm import DQN, PPO
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Batch, Collector, VectorReplayBuffer
from tianshou.trainer import OffPolicyTrainerParams, OnPolicyTrainerParams
from tianshou.utils.net.common import Net
from tianshou.utils.net.continuous import ContinuousActorProbabilistic, ContinuousCritic
from torch import nn

from recgym.envs import TianshouVecEnv
from scoring import Policy, Recipe, World, main

ENVS, ROLLOUT = 32, 20


def begin(world: World, seed: int) -> tuple[TianshouVecEnv, Any, Any]:
    """Returns the environment, and the spaces of a row's observation and action."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # what Tianshou draws from
    torch.manual_seed(seed)
    env = TianshouVecEnv(world.env_id, ENVS, seed=seed, **world.all_arguments())
    return env, env.observation_space[0], env.action_space[0]


def gaussian(parameters: tuple[torch.Tensor, torch.Tensor]) -> torch.distributions.Distribution:
    """Returns the distribution of a mean and a standard deviation."""
    return torch.distributions.Independent(torch.distributions.Normal(*parameters), 1)


def ppo(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """PPO."""
    env, space, points = begin(world, seed)
    body = {"state_shape": space.shape, "hidden_sizes": (64, 64), "activation": nn.Tanh}
    actor = ContinuousActorProbabilistic(
        preprocess_net=Net(**body), action_shape=points.shape, unbounded=True
    )
    nn.init.zeros_(actor.sigma_param)
    policy = ProbabilisticActorPolicy(actor=actor, dist_fn=gaussian, action_space=points)
    algorithm = PPO(
        policy=policy,
        critic=ContinuousCritic(preprocess_net=Net(**body)),
        optim=AdamOptimizerFactory(lr=1e-3),
        gamma=0.9,
        ent_coef=0.0,
        max_grad_norm=0.5,
    )

    @torch.no_grad()
    def act(observation: Any, info: Any) -> Any:
        return policy.map_action(policy(Batch(obs=observation, info=Batch())).act)

    yield act
    buffer = VectorReplayBuffer(ENVS * ROLLOUT, ENVS)
    algorithm.run_training(
        OnPolicyTrainerParams(
            training_collector=Collector(algorithm, env, buffer),
            max_epochs=1,
            epoch_num_steps=steps,
            collection_step_num_env_steps=ENVS * ROLLOUT,
            batch_size=160,
            update_step_num_repetitions=10,
            verbose=False,
            show_progress=False,
        )
    )
    yield act


def dqn(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """DQN; acts with the best of the items that are left."""
    env, space, items = begin(world, seed)
    model = Net(state_shape=space["obs"].shape, action_shape=items.n, hidden_sizes=(64, 64))
    policy = DiscreteQLearningPolicy(model=model, action_space=items, eps_training=0.2)
    algorithm = DQN(
        policy=policy, optim=AdamOptimizerFactory(lr=1e-3), gamma=0.95, target_update_freq=100
    )

    @torch.no_grad()
    def act(observation: Any, info: Any) -> Any:
        return policy(Batch(obs=Batch(observation), info=Batch())).act

    yield act
    buffer = VectorReplayBuffer(20_000, ENVS)
    algorithm.run_training(
        OffPolicyTrainerParams(
            training_collector=Collector(algorithm, env, buffer, exploration_noise=True),
            max_epochs=1,
            epoch_num_steps=steps,
            collection_step_num_env_steps=ENVS,
            update_step_num_gradient_steps_per_sample=0.1,
            batch_size=128,
            verbose=False,
            show_progress=False,
        )
    )
    yield act


if __name__ == "__main__":
    masked = World("SlateMDP-v0", "item-by-item", ["obs", "mask"], {"n_items": 10, "slate_size": 2})
    main(
        "tianshou",
        [
            Recipe("PPO", World(view="proto-action"), 10_000, ppo),
            Recipe("DQN, masked", masked, 20_000, dqn),
        ],
    )
