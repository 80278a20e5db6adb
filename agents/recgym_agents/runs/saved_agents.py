"""A trained agent as a folder: what it does, and what it was trained for."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from recgym.errors import RecGymError
from recgym.files import load_arrays, read_json, save_arrays
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.stable_baselines import MODEL
from recgym_agents.checkpointing import Arrays, within
from recgym_agents.protocols import Actor, Agent, Policy
from recgym_agents.runs.run_files import CONFIG, PARAMS, check_done
from recgym_agents.runs.trained_agent import TrainedAgent
from recgym_agents.zoo import Entry, entry_of

WORLD = ("n_items", "slate_size", "window", "ids", "candidate_features")
"""What of its world an agent's folder keeps, beside the features."""
TRUST = "if you made it or trust who did, pass --trust (in Python, trust=True)"


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
        trust: allow what can run code as it is read: the ``model.zip`` of a library's agent, which
            holds pickled Python, and the module of an agent or of its environment named
            "module:name", where it is not imported yet. Other agents are read without.

    Returns:
        The agent, and what was saved about it.

    Raises:
        RecGymError: a file is missing, truncated or altered, or holds something else; or an agent
            that needs ``trust``.
    """
    folder = Path(folder)
    path = folder / PARAMS
    check_done(folder)
    if not path.exists():
        if (folder / CONFIG).exists():
            raise RecGymError(
                f"{folder}: its training has not finished; the same command again goes on"
            )
        raise RecGymError(f"{folder}: no trained agent here; make one with recgym train")
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
        about: dict[str, Any] = stored["about"]
        return TrainedAgent(_built(folder, name, arrays, stored, trust), about), about
    except RecGymError as error:
        raise RecGymError(f"{folder}: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise RecGymError(f"{path}: not a policy of {name!r} ({text})") from None


def _built(folder: Path, name: str, arrays: Arrays, stored: dict[str, Any], trust: bool) -> Policy:
    """Builds an agent as it was when it was saved; nothing runs that needs trust without it."""
    for named in (name, stored["about"].get("env")):
        if named is not None:
            check_import(named, trust)
    spec = EnvironmentSpec(**stored["world"], features=arrays.get("features"))
    entry = entry_of(name, stored["config"], {})
    if entry.library and not trust:
        raise RecGymError(
            f"{MODEL} holds pickled Python, which can run any code as it is read; {TRUST}"
        )
    if entry.library:
        policy: Policy = entry.builder(entry.config, spec, folder)
        return policy
    agent: Agent[Any] = entry.builder(entry.config, spec, int(stored["about"].get("seed", 0)))
    agent.load_policy(within(arrays, "policy."), stored["policy"])
    return agent


def check_import(name: str, trust: bool) -> None:
    """Checks that what a folder names, an agent or an environment, may be looked up.

    Raises:
        RecGymError: it is named "module:name", and the module is not imported yet, nor trusted.
    """
    module, colon, _ = name.partition(":")
    if colon and module not in sys.modules and not trust:
        raise RecGymError(f"{name!r} is of a module, which would be imported; {TRUST}")


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
