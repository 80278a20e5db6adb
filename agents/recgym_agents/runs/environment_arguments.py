"""What an environment is made with, for an agent to learn, to be scored, or to serve in."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

import recgym  # noqa: F401  (registers the environments)
from recgym.errors import RecGymError
from recgym.simulators import SIMULATORS

OWNED = (
    *("id", "num_envs", "vectorization_mode", "vector_kwargs", "wrappers", "simulator"),
    *("view", "autoreset_mode", "backend", "device", "compile", "render_mode"),
)
"""Arguments of an environment that whoever makes it sets, not ``env_args``."""


def find_environment(env_id: str) -> EnvSpec:
    """Returns what Gymnasium knows of an environment.

    Args:
        env_id: its id, or ``module:id`` of one that a module registers when it is imported.

    Raises:
        RecGymError: there is none, its module cannot be imported, or it is not RecGym's.
    """
    module, colon, name = env_id.partition(":")
    try:
        if colon:
            importlib.import_module(module)
        spec = gymnasium.spec(name if colon else env_id)
    except (gymnasium.error.Error, ImportError, ValueError) as error:
        raise RecGymError(f"environment {env_id!r}: {error}") from None
    if spec.vector_entry_point != "recgym.envs:SlateVectorEnv":
        raise RecGymError(f"environment {env_id!r}: not one of RecGym's slate environments")
    return spec


def arguments_for(spec: EnvSpec, env_args: Mapping[str, Any], ids: bool) -> dict[str, Any]:
    """Returns the arguments that an environment is made with.

    Args:
        spec: the environment.
        env_args: those that are given.
        ids: whether item ids are observed where ``env_args`` do not say and the world shows them,
            which is one that shows the items' features by default.

    Raises:
        RecGymError: an argument that is not for the user to set.
    """
    for name in env_args:
        if name in OWNED:
            raise RecGymError(
                f"environment argument {name!r}: set by training and evaluation, omit it"
            )
    known = _parameters(spec)
    shows_items = "observe" in known and known["observe"].default == "features"
    observed = {"observe": "items"} if ids and shows_items else {}
    return {**observed, **env_args}


def with_own(
    agent: str, own: Mapping[str, Any], env_id: str | None, env_args: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the arguments of the environment that an agent learns in.

    Args:
        agent: its name, for messages.
        own: the arguments that it learns with where they are not given, see ``Entry``.
        env_id: the environment; None for a log alone.
        env_args: those that are given.

    Raises:
        RecGymError: there is no such environment, or it does not know the agent's own arguments.
    """
    known = _parameters(find_environment(env_id)) if own and env_id is not None else own
    unknown = [name for name in own if name not in known]
    if unknown:
        raise RecGymError(
            f"{agent}: learns in an environment with the arguments {', '.join(own)}, and {env_id}"
            f" has no {', '.join(unknown)}; choose one of a fitted user model, such as RecGAN-v0"
        )
    return {**own, **env_args}


def _parameters(spec: EnvSpec) -> Mapping[str, inspect.Parameter]:
    """Returns what the simulator of an environment is made with."""
    return inspect.signature(SIMULATORS.find(spec.kwargs["simulator"])).parameters
