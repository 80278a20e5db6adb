"""Which agents can act in which worlds, with the defaults of both."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import gymnasium

from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.stable_baselines import view_name
from recgym_agents.runs.environment_arguments import with_own
from recgym_agents.runs.evaluation import make_vector_env
from recgym_agents.zoo import entry_of


def why_not(
    agent: str,
    env: str,
    env_args: Mapping[str, Any] | None = None,
    agent_args: Mapping[str, Any] | None = None,
) -> str:
    """Returns why an agent cannot act in a world; "" if it can.

    Args:
        agent: name in ``AGENTS``.
        env: environment id.
        env_args: the environment's arguments.
        agent_args: settings of the agent that are not its defaults.
    """
    entry = entry_of(agent, agent_args or {}, {})
    ids = not entry.library
    try:
        arguments = with_own(agent, entry.env_args, env, env_args or {})
        spec = _spec(env, arguments, ids) if arguments else _default_spec(env, ids)
        if entry.library:
            view = view_name(entry.config.suited(spec))
            gymnasium.make(env, view=view, **arguments).close()
        else:
            entry.builder(entry.config, spec, 0).policy()
    except RecGymError as error:
        return str(error)
    return ""


@cache
def _default_spec(env: str, ids: bool) -> EnvironmentSpec:
    """Returns what agents are told of a world with its defaults, which all of them ask for."""
    return _spec(env, {}, ids)


def _spec(env: str, env_args: Mapping[str, Any], ids: bool) -> EnvironmentSpec:
    return EnvironmentSpec.of(make_vector_env(env, env_args, 1, "disabled", ids=ids), ids=ids)
