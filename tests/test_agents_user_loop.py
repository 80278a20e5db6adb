"""The loop that meets users, adapts to them, and learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.learning.user_loop import UserLoop, UserLoopConfig, UserMemory
from recgym_agents.learning.user_play import RandomSlates, play, played_support
from recgym_agents.runs.evaluation import evaluate, make_vector_env
from recgym_agents.zoo import entry_of

KNOWN = {"n_items": 12, "slate_size": 2, "horizon": 5, "n_users": 6, "n_topics": 3, "window": 3}
HIDDEN = {
    "observe": "clicks",
    "population": "train",
    "support": 1,
    "support_steps": 4,
    "num_candidates": 5,
    "horizon": 6,
}
CONFIG = UserLoopConfig(
    num_envs=4, slates=3, support_slates=4, kept_users=6, batch_users=5, updates=2
)


def loop_for(env_id: str, args: dict[str, Any], name: str = "melu", seed: int = 0) -> UserLoop:
    env = make_vector_env(env_id, args, CONFIG.num_envs, "disabled")
    entry = entry_of(name, {}, {})
    agent = entry.builder(entry.config, EnvironmentSpec.of(env), seed)
    return CONFIG.loop(agent, env, 1_000, (seed, seed), None)


def test_support_is_played_with_the_same_users() -> None:
    env = make_vector_env("KnownUsers-v0", KNOWN, 5, "disabled")
    _, info = env.reset(seed=3)
    spec = EnvironmentSpec.of(env)
    rng = np.random.default_rng(0)
    support, observation = played_support(spec, env, info, 2, 4, rng)
    assert support.slate.shape == (5, 2, 4, 2)
    assert support.there.all()
    support.check(12, 2, 0)
    assert (observation == 12).all()
    after = env.step(np.tile([0, 1], (5, 1)))[4]
    np.testing.assert_array_equal(after["user"], info["user"])


def test_what_follows_an_end_is_not_there() -> None:
    """Episodes of 5 slates, and 8 asked for."""
    env = make_vector_env("KnownUsers-v0", KNOWN, 3, "disabled")
    observation, _ = env.reset(seed=0)
    spec = EnvironmentSpec.of(env)
    steps = play(RandomSlates(spec, np.random.default_rng(0)), env, observation, 8, 1.0)
    assert steps.there[:, 0].tolist() == [[True] * 5 + [False] * 3] * 3
    assert (steps.slot[:, 0, 5:] == 2).all()
    assert (steps.reward[:, 0, 5:] == 0.0).all()
    assert steps.goes_on[:, 0, 4].all()  # truncated, not left


def test_a_round_counts_what_was_shown() -> None:
    played, handed = loop_for("KnownUsers-v0", KNOWN), loop_for("InterestExploration-v0", HIDDEN)
    report = played.iterate()
    assert set(report) == {"loss", "gradient_norm", "reward", "click_rate"}
    assert (played.steps_done, played.updates_done) == (4 * 4 + 4 * 3, 2)
    handed.iterate()
    assert handed.steps_done == 4 * 3


def test_where_users_are_not_named_and_nothing_is_handed_over_there_is_no_support() -> None:
    loop = loop_for("InterestExploration-v0", HIDDEN | {"support": 0})
    loop.iterate()
    assert loop.memory.users is not None
    assert not loop.memory.users.support.there.any()


def test_the_last_users_are_kept() -> None:
    loop = loop_for("InterestExploration-v0", HIDDEN)
    loop.iterate()
    users = loop.memory.users
    assert users is not None
    memory = UserMemory(6)
    for _ in range(2):
        memory.add(users)
    assert memory.users is not None
    assert len(memory.users.query.there) == 6
    np.testing.assert_array_equal(memory.users.query.slate[2:], users.query.slate)
    drawn = memory.sample(np.random.default_rng(0), 5)
    assert len(drawn.support.there) == 5


@pytest.mark.parametrize("name", ["cascading-dqn-maml", "meta-pg", "meta-lstm", "m3rec", "melu"])
def test_it_goes_on_from_its_state(name: str) -> None:
    """Loop and agent, bit for bit."""
    first = loop_for("InterestEvolution-v0", HIDDEN, name)
    first.iterate()
    second = loop_for("InterestEvolution-v0", HIDDEN, name, seed=1)
    second.agent.set_state(*first.agent.state())
    second.set_state(*first.state())
    assert first.iterate() == second.iterate()
    ours, theirs = (loop.agent.state()[0] for loop in (first, second))
    for key, array in ours.items():
        np.testing.assert_array_equal(array, theirs[key])


def test_evaluation_adapts_to_what_is_handed_over() -> None:
    """An agent that shows what it was told of, in the order of the users."""
    loop = loop_for("InterestExploration-v0", HIDDEN)
    told = []

    def adapt(support: Any) -> Any:
        told.append(support.slate.shape)
        return loop.agent.nobody

    loop.agent.adapt, plain = adapt, loop.agent.adapt
    evaluate(loop.agent, "InterestExploration-v0", HIDDEN | {"support": 2}, 7, seed=0)
    loop.agent.adapt = plain
    assert told[0] == (7, 2, 4, 3)


@pytest.mark.parametrize("setting", ["num_envs", "slates", "sequences", "updates"])
def test_counts_are_at_least_1(setting: str) -> None:
    with pytest.raises(RecGymError, match=f"{setting}=0: must be at least 1"):
        UserLoopConfig(**{setting: 0})
