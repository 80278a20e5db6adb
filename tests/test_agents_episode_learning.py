"""What agents that learn from episodes come to earn, beside the exact optimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recgym_agents.agent import EnvironmentSpec
from recgym_agents.runs.assembly import loop_of
from recgym_agents.runs.evaluation import make_vector_env
from recgym_agents.zoo import entry_of
from tests.fixtures.slate_mdp_runs import (
    LEARNING,
    WORLD,
    random_log,
    session_rewards,
    slate_mdp,
)


def learned_online(arguments: dict[str, Any], rounds: int, seed: int, **changes: Any) -> float:
    """The reward a session after some rounds, as a share of what the best policy earns."""
    env = make_vector_env("SlateMDP-v0", arguments, 64, "disabled")
    entry = entry_of("reinforce", LEARNING | changes, {})
    agent = entry.builder(entry.config, EnvironmentSpec.of(env), seed)
    loop = loop_of(agent, env, entry.loop, 100_000, (seed, seed))
    for _ in range(rounds):
        loop.iterate()
    optimum = env.simulator.optimal_policy(1.0, arguments["horizon"]).values[0, 0]
    return float(session_rewards(agent, arguments).mean() / optimum)


def fixed_share(arguments: dict[str, Any]) -> float:
    """The best fixed slate's share of what the best policy earns."""
    world = make_vector_env("SlateMDP-v0", arguments, 1, "disabled").simulator
    optimum = world.optimal_policy(1.0, arguments["horizon"]).values[0, 0]
    return float(world.best_fixed_slate(1.0, arguments["horizon"]).values[0] / optimum)


CERTAIN = {"n_states": 2, "horizon": 10, "window": 10, "concentration": 0.02}
"""Transitions are nearly certain, so that the clicks observed tell the state."""


def test_online_it_learns_more_than_the_best_fixed_slate() -> None:
    arguments = CERTAIN | {"n_items": 12, "slate_size": 3, "concentration": 0.1, "mdp_seed": 4}
    found = learned_online(arguments, 120, 0, learning_rate=0.003)
    assert found > 1.01 * fixed_share(arguments)


EXACT = {"log_probability": "slate", "advantage": "centred", "learning_rate": 0.003}


def test_online_with_the_slates_own_probability_it_mostly_finds_the_optimum() -> None:
    """Of three seeds; one that settles too early is better than the best fixed slate still."""
    arguments = CERTAIN | {"n_items": 6, "slate_size": 1}
    fixed = fixed_share(arguments)
    assert fixed < 0.6
    lowest, middle, _ = sorted(learned_online(arguments, 160, seed, **EXACT) for seed in range(3))
    assert lowest > 1.05 * fixed
    assert middle > 0.95


def test_the_slates_own_probability_finds_the_slate_that_the_clicked_item_does_not() -> None:
    """Here the items of the highest rewards make a slate that is far from the best."""
    arguments = CERTAIN | {"n_items": 6, "slate_size": 2}
    assert learned_online(arguments, 120, 0, **EXACT) > 0.93
    assert learned_online(arguments, 60, 0) < 0.85


POLICY_GRADIENTS = [
    "reinforce",
    "reinforce-slate",
    "reinforce-is",
    "reinforce-top-k",
    "actor-critic",
]
ADVERSARIAL = {"pretraining": 40, "discriminator_pretraining": 10, "horizon": 6}
"""Little enough of it that the rounds begin within the test."""


@pytest.mark.parametrize(
    ("name", "settings"),
    [(name, {}) for name in POLICY_GRADIENTS]
    + [(name, ADVERSARIAL) for name in ("irecgan", "pgu", "acu", "user-lstm", "user-lstm-d")],
)
def test_offline_it_beats_the_logging_policy(name: str, settings: dict[str, Any]) -> None:
    arguments = {"concentration": 0.05, "mdp_seed": 2}
    log = random_log(2_500, **arguments)
    logged = np.bincount(log.sessions.user, log.sessions.reward)
    entry = entry_of(name, LEARNING | settings, {"schedule": "offline"})
    env = slate_mdp(**arguments)
    agent = entry.builder(entry.config, EnvironmentSpec.of(env), 0)
    loop = loop_of(agent, env, entry.loop, 100_000, (0, 1), log)
    for _ in range(2 * loop.memory.batches):
        loop.iterate()
    assert not getattr(agent, "pretraining", False)
    found = session_rewards(agent, WORLD | arguments)
    error = np.hypot(found.std() / len(found) ** 0.5, logged.std() / len(logged) ** 0.5)
    assert found.mean() - logged.mean() > 5 * error
    if not name.startswith("user-"):  # a user model looks no step ahead
        assert found.mean() > env.simulator.best_fixed_slate(1.0, 6).values[0]
