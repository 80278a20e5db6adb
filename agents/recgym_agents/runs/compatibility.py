"""Which agents can act in which worlds, with the defaults of both."""

from __future__ import annotations

from collections.abc import Mapping
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
    try:
        arguments = with_own(agent, entry.env_args, env, env_args or {})
        own = make_vector_env(env, arguments, 1, "disabled", ids=not entry.library)
        spec = EnvironmentSpec.of(own, ids=not entry.library)
        if entry.library:
            view = view_name(entry.config.suited(spec))
            gymnasium.make(env, view=view, **arguments).close()
        else:
            entry.builder(entry.config, spec, 0).policy()
    except RecGymError as error:
        return str(error)
    return ""
