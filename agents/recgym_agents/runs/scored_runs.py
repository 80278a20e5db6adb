"""Trained agents and what they earned, in the world of their training and in other users'."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recgym.errors import RecGymError
from recgym.files import read_json
from recgym.simulators import SIMULATORS
from recgym.users.folder import load_user_model
from recgym_agents.runs.environment_arguments import find_environment
from recgym_agents.runs.evaluation import Evaluation, evaluate
from recgym_agents.runs.run_files import CONFIG
from recgym_agents.runs.saved_agents import check_import, load_agent

TRAINED_IN = ("ensemble", "pessimism", "entropy_bonus", "reward")
"""Arguments of a training's rewards: what is scored has one model of users, and the reward that is
the environment's default."""
SEEN = ("observe", "window", "split", *TRAINED_IN)
"""Arguments of what agents see or train in; those that differ in them alone share a world."""
TRAIN, TEST = "train users", "test users"


@dataclass(frozen=True)
class ScoredRun:
    """A trained agent and what it earned."""

    name: str
    folder: Path
    env: str
    env_args: dict[str, Any]
    """Of its training."""
    agent_args: dict[str, Any]
    """The agent's settings that were not left as they are."""
    found: dict[str, Evaluation]
    """By world, that of training first."""


def worlds_of(env_id: str, env_args: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the worlds that an agent is scored in, and the arguments of each.

    A fitted user model has up to two: "train users", and "test users" if it was fitted to them.
    Others have one, which is named after its id.
    """
    given = {**find_environment(env_id).kwargs, **env_args}
    if "split" not in inspect.signature(SIMULATORS.find(given["simulator"])).parameters:
        return {env_id: dict(env_args)}
    members = load_user_model(given["user_model"]).members
    alone = {name: value for name, value in env_args.items() if name not in TRAINED_IN}
    return {
        f"{split} users": {**alone, "split": split}
        for split in ("train", "test")
        if split in members
    }


def score_run(folder: Path, episodes: int, seed: int, *, trust: bool = False) -> ScoredRun:
    """Scores a trained agent in its world; in a fitted user model, in that of test users too.

    Args:
        folder: of the agent.
        episodes: in each world.
        seed: the same seed meets every agent with the same users and the same random numbers.
        trust: read what can run code as it is read too; see ``load_agent``.

    Raises:
        RecGymError: the folder holds no agent or no run, or one that learned from a log alone.
    """
    agent, about = load_agent(folder, trust=trust)
    config = read_json(folder / CONFIG)
    env, env_args = about["env"], about["env_args"]
    if env is None:
        raise RecGymError(f"{folder}: learned from a log alone; a report needs an environment")
    check_import(env, trust)
    found = {
        world: evaluate(agent, env, arguments, episodes, seed)
        for world, arguments in worlds_of(env, env_args).items()
    }
    return ScoredRun(config["agent"], folder, env, env_args, config["agent_args"], found)


def by_world(runs: Sequence[ScoredRun]) -> list[list[ScoredRun]]:
    """Groups runs that can stand in one table: those of the same users, items and slates."""
    groups: dict[str, list[ScoredRun]] = {}
    for run in runs:
        shared = {name: value for name, value in run.env_args.items() if name not in SEEN}
        key = json.dumps([run.env, list(run.found), shared], sort_keys=True)
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def titles(runs: Sequence[ScoredRun]) -> list[str]:
    """Returns what runs are called in a table: their agents.

    Where two are the same, with the settings that were changed, or with folders if those are the
    same too.

    Raises:
        RecGymError: a folder is named twice.
    """
    names = [run.name for run in runs]
    changed = [
        ", ".join([run.name, *(f"{name}={value}" for name, value in run.agent_args.items())])
        for run in runs
    ]
    folders = [f"{run.name} ({run.folder})" for run in runs]
    found = [
        name if names.count(name) == 1 else own if changed.count(own) == 1 else folder
        for name, own, folder in zip(names, changed, folders, strict=True)
    ]
    twice = [title for title in found if found.count(title) > 1]
    if twice:
        raise RecGymError(f"{twice[0]}: named twice; name each run once")
    return found
