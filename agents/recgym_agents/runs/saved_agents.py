"""A trained agent as a folder: what it does, and what it was trained for."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from recgym.errors import RecGymError
from recgym.files import load_arrays, read_json, save_arrays
from recgym_agents.agent import Actor, EnvironmentSpec, Policy
from recgym_agents.algorithms.stable_baselines import MODEL
from recgym_agents.checkpointing import Arrays, within
from recgym_agents.runs.run_files import CONFIG, PARAMS, check_done
from recgym_agents.runs.trained_agent import TrainedAgent
from recgym_agents.zoo import Entry, entry_of

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


def load_agent(folder: Path | str, *, trust: bool = False) -> tuple[TrainedAgent, dict[str, Any]]:
    """Reads the folder of a trained agent; no environment is needed.

    Args:
        folder: that ``train`` or ``save_agent`` wrote.
        trust: allow an agent of Stable-Baselines3 to be read, whose ``model.zip`` holds pickled
            Python: whoever made the file can make it run anything. Others are read without.

    Returns:
        The agent, and what was saved about it.

    Raises:
        RecGymError: a file is missing, truncated or altered, or holds something else; or an agent
            of Stable-Baselines3 without ``trust``.
    """
    folder = Path(folder)
    path = folder / PARAMS
    check_done(folder)
    arrays, stored = load_arrays(path)
    if not isinstance(stored, dict) or "agent" not in stored:
        raise RecGymError(f"{path}: not an agent")
    name = stored["agent"]
    if (folder / CONFIG).exists():
        record = read_json(folder / CONFIG)
        if not isinstance(record, dict) or record.get("agent") != name:
            raise RecGymError(
                f"{folder}: {CONFIG} and {PARAMS} are of different agents; put back those of one"
                " run, or train again"
            )
    try:
        entry = entry_of(name, stored["config"], {})
    except (RecGymError, AttributeError, KeyError, TypeError) as error:
        raise RecGymError(f"{folder}: {error}") from None
    if entry.library and not trust:
        raise RecGymError(
            f"{folder / MODEL}: holds pickled Python, which can run any code as it is read; if you"
            " made it or trust who did, pass --trust (in Python, trust=True)"
        )
    try:
        about: dict[str, Any] = stored["about"]
        return TrainedAgent(_built(folder, entry, arrays, stored), about), about
    except RecGymError as error:
        raise RecGymError(f"{folder}: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise RecGymError(f"{path}: not a policy of {name!r} ({text})") from None


def _built(folder: Path, entry: Entry, arrays: Arrays, stored: dict[str, Any]) -> Policy:
    """Builds an agent as it was when it was saved."""
    spec = EnvironmentSpec(**stored["world"], features=arrays.get("features"))
    if entry.library:
        model: Policy = entry.builder(entry.config, spec, folder)
        return model
    agent: Any = entry.builder(entry.config, spec, int(stored["about"].get("seed", 0)))
    agent.load_policy(within(arrays, "policy."), stored["policy"])
    loaded: Policy = agent
    return loaded


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
