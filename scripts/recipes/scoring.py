"""What every recipe shares: whole sessions played by a policy, random ones beside, and a record.

Each recipe is a function that takes a world, environment steps and a seed, and yields its policy
twice: before learning and after it. Both are scored in the same unseen sessions.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import recgym  # noqa: F401  # registers the ids

Policy = Callable[[Any, dict[str, Any]], Any]
"""Observations and infos of B rows -> their actions, NumPy (B, ...)."""

SESSIONS = 512
"""Sessions behind every mean."""
UNSEEN = 10_000
"""Seed of these sessions; trainings have the seeds 0, 1, ..."""


@dataclass(frozen=True)
class World:
    """An environment: its id, what is acted with, and its other arguments."""

    env_id: str = "RecGAN-v0"
    view: str | None = None
    mask_keys: list[str] | None = None
    arguments: dict[str, Any] = field(default_factory=dict)

    def all_arguments(self) -> dict[str, Any]:
        """Returns the arguments of ``gymnasium.make`` and of the vector environments."""
        masks = {} if self.mask_keys is None else {"mask_keys": self.mask_keys}
        return {"view": self.view, **masks, **self.arguments}

    def mean_return(self, policy: Policy | None = None, sessions: int = SESSIONS) -> float:
        """Returns the mean return of whole sessions, one a row; random actions for None."""
        env: Any = gymnasium.make_vec(
            self.env_id, sessions, autoreset_mode="disabled", **self.all_arguments()
        )
        env.action_space.seed(UNSEEN)
        observation, info = env.reset(seed=UNSEEN)
        total, going = np.zeros(sessions), np.ones(sessions, np.bool_)
        while going.any():
            action = env.action_space.sample() if policy is None else policy(observation, info)
            observation, reward, terminated, truncated, info = env.step(action)
            total += reward * going
            done = terminated | truncated
            going &= ~done
            if done.any():
                observation, info = env.reset(options={"reset_mask": done})
        return float(total.mean())


@dataclass(frozen=True)
class Recipe:
    """One algorithm in one world."""

    algorithm: str
    world: World
    steps: int
    """Environment steps of one training, all rows together."""
    train: Callable[[World, int, int], Iterator[Policy]]
    """World, steps and seed -> the policy before learning, and the one after it."""

    def run(self, steps: int, seeds: Sequence[int], sessions: int) -> dict[str, Any]:
        """Trains once a seed; returns what came of it, as plain JSON."""
        start, firsts, lasts = time.process_time(), [], []
        for seed in seeds:
            first, last = (
                self.world.mean_return(policy, sessions)
                for policy in self.train(self.world, steps, seed)
            )
            firsts.append(first)
            lasts.append(last)
        seconds = (time.process_time() - start) / len(seeds)
        slates = World(self.world.env_id, arguments=self.world.arguments)
        return {
            "algorithm": self.algorithm,
            "world": asdict(self.world),
            "steps": steps,
            "first": firsts,
            "last": lasts,
            "random": self.world.mean_return(None, sessions),
            "random_slates": slates.mean_return(None, sessions),
            "seconds": round(seconds, 1),
        }


def main(library: str, recipes: Sequence[Recipe], name: str | None = None) -> None:
    """Runs a library's recipes as the command line asks, and prints the returns.

    Args:
        library: its distribution, whose version is told.
        recipes: what to train.
        name: what the library is called, if not as its distribution.
    """
    parser = argparse.ArgumentParser(description=f"Trains agents of {name or library} in RecGym.")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each algorithm")
    parser.add_argument("--steps", type=int, help="environment steps of each, instead of its own")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="behind every mean")
    parser.add_argument("--out", type=Path, help="JSON file for the returns")
    given = parser.parse_args()
    facts = {"library": name or library, "version": importlib.metadata.version(library)}
    facts["gymnasium"] = gymnasium.__version__
    rows = []
    for recipe in recipes:
        row = facts | recipe.run(given.steps or recipe.steps, range(given.seeds), given.sessions)
        rows.append(row)
        print(
            f"{row['library']} {row['version']}: {recipe.algorithm} in {recipe.world.env_id},"
            f" view {recipe.world.view}: {np.mean(row['first']):.2f} -> {np.mean(row['last']):.2f},"
            f" random {row['random']:.2f}, {row['seconds']} s",
            flush=True,
        )
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
