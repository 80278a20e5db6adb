"""The agents by name: what builds each, with which configuration, and how it learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from recgym.errors import RecGymError
from recgym.settings import changed
from recgym_agents.agent import Agent, EnvironmentSpec
from recgym_agents.algorithms.baselines import (
    BaselineConfig,
    Popularity,
    RandomAgent,
    UserGreedy,
    UserGreedyConfig,
)
from recgym_agents.algorithms.cascading_dqn import SlateDQN, SlateDQNConfig
from recgym_agents.algorithms.irecgan import IRecGAN, IRecGANConfig
from recgym_agents.algorithms.policy_gradient import PolicyGradient, PolicyGradientConfig
from recgym_agents.algorithms.stable_baselines import STABLE_BASELINES
from recgym_agents.learning.episode_memory import EpisodeLoopConfig
from recgym_agents.learning.replay_loop import LoopConfig


@dataclass(frozen=True)
class Entry:
    """A row of ``AGENTS``."""

    builder: Callable[[Any, EnvironmentSpec, int], Agent[Any]]
    """Called with the configuration, the world, and a seed."""
    config: Any
    """A frozen dataclass."""
    loop: LoopConfig | EpisodeLoopConfig | None
    """How it learns, from transitions or whole episodes; None for one with nothing to learn."""


COUNTING = LoopConfig(fresh=True, capacity=1, warm_up=0, explore_end=1.0)
"""Random slates throughout, each step counted once."""

AGENTS = {
    "cascading-dqn": Entry(SlateDQN, SlateDQNConfig(), LoopConfig()),
    "cascading-dqn-click": Entry(SlateDQN, SlateDQNConfig(reward="click"), LoopConfig()),
    "additive-dqn": Entry(SlateDQN, SlateDQNConfig(head="additive"), LoopConfig()),
    "reinforce": Entry(PolicyGradient, PolicyGradientConfig(), EpisodeLoopConfig()),
    "reinforce-is": Entry(
        PolicyGradient, PolicyGradientConfig(importance=True), EpisodeLoopConfig()
    ),
    "reinforce-top-k": Entry(
        PolicyGradient, PolicyGradientConfig(importance=True, top_k=True), EpisodeLoopConfig()
    ),
    "actor-critic": Entry(
        PolicyGradient, PolicyGradientConfig(advantage="critic"), EpisodeLoopConfig()
    ),
    "irecgan": Entry(IRecGAN, IRecGANConfig(), EpisodeLoopConfig()),
    "pgu": Entry(IRecGAN, IRecGANConfig(adversary=False), EpisodeLoopConfig()),
    "acu": Entry(
        IRecGAN,
        IRecGANConfig(adversary=False, advantage="critic"),
        EpisodeLoopConfig(),
    ),
    "user-lstm": Entry(
        IRecGAN,
        IRecGANConfig(ranking="user", cell="lstm", adversary=False, generated=0.0),
        EpisodeLoopConfig(),
    ),
    "user-lstm-d": Entry(IRecGAN, IRecGANConfig(ranking="user", cell="lstm"), EpisodeLoopConfig()),
    "user-greedy": Entry(UserGreedy, UserGreedyConfig(), None),
    "user-greedy-ensemble": Entry(UserGreedy, UserGreedyConfig(bagged=True), None),
    "popularity": Entry(Popularity, BaselineConfig(), COUNTING),
    "random": Entry(RandomAgent, BaselineConfig(), None),
}
"""The zoo. Variants of one family are rows, not classes."""


def entry_of(agent: str, agent_args: Mapping[str, Any], loop_args: Mapping[str, Any]) -> Entry:
    """Returns the row of an agent, with some settings changed.

    Args:
        agent: its name.
        agent_args: fields of its configuration, by name.
        loop_args: fields of its loop's configuration; none for one with nothing to learn.

    Raises:
        RecGymError: no such agent, no such field, or a value that does not fit.
    """
    if agent not in AGENTS:
        known = ", ".join((*AGENTS, *STABLE_BASELINES))
        raise RecGymError(f"agent {agent!r}: unknown; there are {known}")
    entry = AGENTS[agent]
    if entry.loop is None and loop_args:
        raise RecGymError(f"{agent}: learns nothing, and has no loop_args; leave them out")
    loop = None if entry.loop is None else changed(entry.loop, loop_args, "loop")
    return Entry(entry.builder, changed(entry.config, agent_args, agent), loop)
