"""Policies that read observed numbers: what they remember, compute, and come to earn."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.policy_gradient import PolicyGradient, PolicyGradientConfig
from recgym_agents.learning.rollout_loop import roll_out
from recgym_agents.runs.assembly import loop_of
from recgym_agents.runs.evaluation import make_vector_env, run_episodes
from recgym_agents.zoo import entry_of

STATES: dict[str, Any] = {
    **{"observe": "state", "n_states": 2, "n_items": 6, "slate_size": 1, "horizon": 10},
    "concentration": 0.02,
}
"""A slate MDP of two states, which are seen, whose transitions are nearly certain."""


class Recorder(PolicyGradient):
    """Notes what it acted on."""

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        self.acted_on.append(observation.copy())
        return super().act(observation, explore)


def test_episodes_hold_what_was_observed_at_every_step_and_after_the_last() -> None:
    env = make_vector_env("SlateMDP-v0", STATES, 3, "disabled")
    agent = Recorder(PolicyGradientConfig(hidden=4), EnvironmentSpec.of(env), 0)
    agent.acted_on = []
    env.reset(seed=0)
    log = roll_out(agent, env, 2)
    batch = log.batch(np.arange(2))
    assert batch.seen is not None
    # Episodes 0 and 1 are the first ones of rows 0 and 1, and nothing else is acted on.
    asked = [batch.seen[batch.steps[:, step], step] for step in range(batch.steps.shape[1])]
    assert len(asked) == len(agent.acted_on)
    for seen, acted in zip(asked, agent.acted_on, strict=True):
        np.testing.assert_array_equal(seen, acted)
    for episode, length in enumerate(batch.steps.sum(axis=1)):
        left = batch.terminated[episode]
        assert batch.seen[episode, length].sum() == 1.0 or left
    joined = log.joined(log).batch(np.array([3, 0]))
    np.testing.assert_array_equal(joined.seen, batch.seen[[1, 0]])


def test_candidates_are_ranked_by_one_hidden_layer() -> None:
    spec = EnvironmentSpec(2, 1, 2 * 2 + 1, None, ids=False, candidate_features=2)
    agent = PolicyGradient(PolicyGradientConfig(hidden=1), spec, 0)
    for name, value in {
        "encoder.weight": [[2.0]],
        "encoder.bias": [1.0],
        "of_state.weight": [[3.0]],
        "of_state.bias": [-1.0],
        "of_candidate.weight": [[1.0, -4.0]],
        "of_candidate.bias": [0.5],
        "output.weight": [[-2.0]],
        "output.bias": [10.0],
    }.items():
        agent.network.get_parameter(name).data = torch.tensor(value)
    # Candidates [1, 0] and [0, 5]; the state 0.5 is 2 * .5 + 1 = 2, its share 3 * 2 - 1 = 5.
    observation = np.array([[1.0, 0.0, 0.0, 5.0, 0.5]], np.float32)
    # relu(5 + 1 + .5) = 6.5 -> 10 - 13; relu(5 - 20 + .5) = 0 -> 10.
    logits = agent.logits(observation)[0].tolist()
    assert logits == [-3.0, 10.0, -np.inf]
    assert agent.act(observation).tolist() == [[1]]


def test_where_the_state_is_seen_it_earns_more_than_what_does_not_look() -> None:
    env = make_vector_env("SlateMDP-v0", STATES, 32, "disabled")
    world = env.simulator
    settings = {"hidden": 8, "learning_rate": 0.05, "log_probability": "slate"}
    entry = entry_of("reinforce", settings | {"advantage": "centred"}, {})
    agent = entry.builder(entry.config, EnvironmentSpec.of(env), 0)
    loop = loop_of(agent, env, entry.loop, 100_000, (0, 0))
    for _ in range(40):
        loop.iterate()
    played = make_vector_env("SlateMDP-v0", STATES, 250, "next-step")
    earned = run_episodes(agent, played, 1_000, seed=1).session_reward.mean()
    optimum = world.optimal_policy(1.0, 10).values[0, 0]
    fixed = world.best_fixed_slate(1.0, 10).values[0]
    assert earned > fixed + 0.8 * (optimum - fixed)
