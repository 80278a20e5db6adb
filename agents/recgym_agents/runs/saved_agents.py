"""A trained agent as a folder: what it does, and what it was trained for."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from recgym.errors import RecGymError
from recgym.files import load_arrays, save_arrays
from recgym_agents.agent import Actor, EnvironmentSpec, Policy
from recgym_agents.checkpointing import within
from recgym_agents.runs.trained_agent import TrainedAgent
from recgym_agents.zoo import Entry, entry_of

PARAMS = "params.safetensors"
WORLD = ("n_items", "slate_size", "window", "ids", "candidate_features")
"""What of its world an agent's folder keeps, beside the features."""


def save_agent(
    folder: Path | str, agent: Policy, name: str, entry: Entry, about: dict[str, Any]
) -> None:
    """Writes ``params.safetensors``: the policy, the catalog's features, and how to build it again.

    Args:
        folder: where the file goes.
        agent: to be saved.
        name: of the agent in ``AGENTS``.
        entry: that it was built with.
        about: kept beside it, plain JSON, such as the environment; its "seed" (0 if there is none)
            seeds the loaded agent.
    """
    arrays, info = agent.policy()
    contents = {f"policy.{key}": array for key, array in arrays.items()}
    spec = agent.spec
    if spec.features is not None:
        contents["features"] = spec.features
    stored = {
        "agent": name,
        "config": asdict(entry.config),
        "policy": info,
        "world": {key: getattr(spec, key) for key in WORLD},
        "about": about,
    }
    save_arrays(Path(folder) / PARAMS, contents, stored)


def load_agent(folder: Path | str) -> tuple[TrainedAgent, dict[str, Any]]:
    """Reads the folder of a trained agent; no environment is needed.

    A ``model.zip`` of Stable-Baselines3 holds pickled Python: load only what you trust.

    Returns:
        The agent, and what was saved about it.

    Raises:
        RecGymError: the file is missing, truncated or altered, or holds something else.
    """
    path = Path(folder) / PARAMS
    arrays, stored = load_arrays(path)
    if not isinstance(stored, dict) or "agent" not in stored:
        raise RecGymError(f"{path}: not an agent")
    name, about = stored["agent"], stored["about"]
    spec = EnvironmentSpec(**stored["world"], features=arrays.get("features"))
    entry = entry_of(name, stored["config"], {})
    if entry.library:
        return TrainedAgent(entry.builder(entry.config, spec, Path(folder)), about), about
    agent = entry.builder(entry.config, spec, int(about.get("seed", 0)))
    agent.load_policy(within(arrays, "policy."), stored["policy"])
    return TrainedAgent(agent, about), about


def check_spec(agent: Actor, spec: EnvironmentSpec) -> None:
    """Checks that an agent can act in a world.

    Raises:
        RecGymError: the catalog, the slate size, or what is observed is another one.
    """
    own = agent.spec
    for name in WORLD:
        value = getattr(spec, name)
        if getattr(own, name) != value:
            raise RecGymError(
                f"the environment has {name}={value}, the agent was trained for"
                f" {getattr(own, name)}; make the environment as it was made for training"
            )
    ours, theirs = (np.empty(0) if f is None else f for f in (own.features, spec.features))
    if not np.array_equal(ours, theirs):
        raise RecGymError(
            "the environment's catalog differs from the agent's (other item features): use the"
            " user model that the agent was trained with, or one that shares its item table"
        )
