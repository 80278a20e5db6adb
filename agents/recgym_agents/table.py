"""The agents by name: what builds each, with which configuration, and how it learns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from recgym.errors import RecGymError
from recgym_agents.baselines import (
    BaselineConfig,
    Popularity,
    RandomAgent,
    UserGreedy,
    UserGreedyConfig,
)
from recgym_agents.cascading_dqn import SlateDQN, SlateDQNConfig
from recgym_agents.loops import Agent, LoopConfig, World


@dataclass(frozen=True)
class Entry:
    """A row of ``AGENTS``."""

    builder: Callable[[Any, World, int], Agent]
    """Called with the configuration, the world, and a seed."""
    config: Any
    """A frozen dataclass."""
    loop: LoopConfig | None
    """How it learns; None for an agent with nothing to learn."""


COUNTING = LoopConfig(fresh=True, capacity=1, warm_up=0, explore_end=1.0)
"""Random slates throughout, each step counted once."""

AGENTS = {
    "cascading-dqn": Entry(SlateDQN, SlateDQNConfig(), LoopConfig()),
    "cascading-dqn-click": Entry(SlateDQN, SlateDQNConfig(reward="click"), LoopConfig()),
    "additive-dqn": Entry(SlateDQN, SlateDQNConfig(head="additive"), LoopConfig()),
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
        loop_args: fields of ``LoopConfig``, by name; ignored by an agent with nothing to learn.

    Raises:
        RecGymError: no such agent, no such field, or a value that does not fit.
    """
    if agent not in AGENTS:
        raise RecGymError(f"agent {agent!r}: unknown; there are {', '.join(AGENTS)}")
    entry = AGENTS[agent]
    loop = None if entry.loop is None else changed(entry.loop, loop_args, "loop")
    return Entry(entry.builder, changed(entry.config, agent_args, agent), loop)


def changed(config: Any, values: Mapping[str, Any], where: str) -> Any:
    """Returns a frozen dataclass with some fields changed.

    Raises:
        RecGymError: an unknown field, or a value of another type than the field's.
    """
    types = get_type_hints(type(config))
    for name, value in values.items():
        if name not in types:
            raise RecGymError(f"{where}: no setting {name!r}; there are {', '.join(types)}")
        if not _fits(value, types[name]):
            raise RecGymError(f"{where}: {name}={value!r} does not fit {_text(types[name])}")
    return dataclasses.replace(config, **values)


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _text(kind: Any) -> str:
    return (
        " | ".join(map(str, get_args(kind))) if get_origin(kind) is Literal else str(kind.__name__)
    )
