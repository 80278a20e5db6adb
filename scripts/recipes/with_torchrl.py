"""TorchRL: PPO among the items' features, and PPO that chooses among the items left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import torch
from tensordict.nn import InteractionType, TensorDictModule
from tensordict.nn.distributions import NormalParamExtractor
from torch import Tensor, nn
from torchrl.collectors import Collector
from torchrl.envs import DTypeCastTransform, GymWrapper, TransformedEnv
from torchrl.modules import MaskedCategorical, ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from scoring import Policy, Recipe, World, main

ENVS, ROLLOUT, EPOCHS, MINIBATCH, GAMMA = 32, 20, 10, 160, 0.9


def environment(world: World, seed: int) -> Any:
    """Returns the vector environment; TorchRL resets the rows that are done."""
    torch.manual_seed(seed)
    env = GymWrapper(
        gymnasium.make_vec(world.env_id, ENVS, autoreset_mode="disabled", **world.all_arguments()),
        categorical_action_encoding=True,
    )
    env.set_seed(seed)
    return env


def network(n_inputs: int, n_outputs: int) -> nn.Sequential:
    """Returns two hidden layers of 64."""
    return nn.Sequential(
        nn.Linear(n_inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, n_outputs)
    )


def learn(env: Any, actor: Any, steps: int) -> None:
    """Lets PPO learn for so many environment steps."""
    critic = ValueOperator(network(env.observation_spec["observation"].shape[-1], 1))
    advantage = GAE(gamma=GAMMA, lmbda=0.95, value_network=critic, average_gae=True)
    loss_of = ClipPPOLoss(actor, critic, entropy_bonus=False, critic_coeff=0.5)
    optimizer = torch.optim.Adam(loss_of.parameters(), lr=1e-3)
    frames = ENVS * ROLLOUT
    collector = Collector(
        env, actor, frames_per_batch=frames, total_frames=max(steps // frames, 1) * frames
    )
    for batch in collector:
        for _ in range(EPOCHS):
            advantage(batch)
            flat = batch.reshape(-1)
            for rows in torch.randperm(len(flat)).split(MINIBATCH):
                losses = loss_of(flat[rows])
                optimizer.zero_grad()
                (losses["loss_objective"] + losses["loss_critic"]).backward()
                nn.utils.clip_grad_norm_(loss_of.parameters(), 0.5)
                optimizer.step()
    collector.shutdown()


def points(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """PPO."""
    env = environment(world, seed)
    n_inputs, n_outputs = (
        spec.shape[-1] for spec in (env.observation_spec["observation"], env.action_spec)
    )
    mean_and_scale = nn.Sequential(network(n_inputs, 2 * n_outputs), NormalParamExtractor())
    actor = ProbabilisticActor(
        TensorDictModule(mean_and_scale, ["observation"], ["loc", "scale"]),
        spec=env.action_spec,
        in_keys=["loc", "scale"],
        distribution_class=TanhNormal,
        return_log_prob=True,
        default_interaction_type=InteractionType.RANDOM,
    )

    @torch.no_grad()
    def act(observation: Any, info: Any) -> Any:
        loc, scale = mean_and_scale(torch.as_tensor(observation))
        return TanhNormal(loc, scale).sample().numpy()

    yield act
    learn(env, actor, steps)
    yield act


def items(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """PPO that draws from the items that are left."""
    boolean = DTypeCastTransform(torch.int8, torch.bool, in_keys=["action_mask"])
    env = TransformedEnv(environment(world, seed), boolean)
    n_inputs = env.observation_spec["observation"].shape[-1]
    logits = network(n_inputs, env.action_spec.space.n)
    actor = ProbabilisticActor(
        TensorDictModule(logits, ["observation"], ["logits"]),
        spec=env.action_spec,
        in_keys={"logits": "logits", "mask": "action_mask"},
        distribution_class=MaskedCategorical,
        return_log_prob=True,
        default_interaction_type=InteractionType.RANDOM,
    )

    @torch.no_grad()
    def act(observation: Any, info: Any) -> Any:
        scores: Tensor = logits(torch.as_tensor(observation["observation"]))
        left = torch.as_tensor(observation["action_mask"], dtype=torch.bool)
        return MaskedCategorical(scores, mask=left).sample().numpy()

    yield act
    learn(env, actor, steps)
    yield act


if __name__ == "__main__":
    masked = World(
        "SlateMDP-v0",
        "item-by-item",
        ["observation", "action_mask"],
        {"n_items": 10, "slate_size": 2},
    )
    main(
        "torchrl",
        [
            Recipe("PPO", World(view="proto-action"), 10_000, points),
            Recipe("PPO, masked", masked, 20_000, items),
        ],
    )
