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
    known = inspect.signature(SIMULATORS.find(spec.kwargs["simulator"])).parameters
    shows_items = "observe" in known and known["observe"].default == "features"
    observed = {"observe": "items"} if ids and shows_items else {}
    return {**observed, **env_args}
