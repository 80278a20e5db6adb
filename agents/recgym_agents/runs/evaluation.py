"""How good a policy is: reward per step and click rate, with intervals over users."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from recgym.envs import SlateVectorEnv
from recgym.errors import RecGymError
from recgym.files import read_json
from recgym.metrics import Estimate, mean_and_error
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.protocols import Actor
from recgym_agents.runs.environment_arguments import arguments_for, find_environment
from recgym_agents.runs.saved_agents import check_spec
from recgym_agents.user_support import Support

ROWS = 250
"""Episodes that are run at once."""
ESTIMATES = ("reward per step", "click rate", "reward per session")
"""What is estimated of a policy."""


@dataclass(frozen=True)
class Evaluation:
    """What happened in E episodes, one entry an episode."""

    user: np.ndarray
    """Whose episode it was, int64 (E,); each has one of its own where users are not named."""
    reward: np.ndarray
    """Reward per step, averaged over the episode (E,)."""
    click_rate: np.ndarray
    """Clicks per step (E,)."""
    steps: np.ndarray
    """Slates shown in the episode (E,)."""

    @property
    def session_reward(self) -> np.ndarray:
        """Reward, summed over the episode (E,)."""
        total: np.ndarray = self.reward * self.steps
        return total

    def by_user(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Returns the users (U,), and each one's reward, click rate and session reward."""
        users, index, count = np.unique(self.user, return_inverse=True, return_counts=True)
        reward, click_rate, session_reward = (
            np.bincount(index, values) / count
            for values in (self.reward, self.click_rate, self.session_reward)
        )
        return users, reward, click_rate, session_reward

    def estimates(self) -> tuple[Estimate, Estimate, Estimate]:
        """Returns reward and click rate a step, and reward a session.

        They are averaged over time (or summed), then episodes, then users; the intervals are over
        users (Student's t, 95%).
        """
        _, *values = self.by_user()
        reward, click_rate, session_reward = (mean_and_error(value) for value in values)
        return reward, click_rate, session_reward

    def __str__(self) -> str:
        """Writes the estimates with their intervals, a line each."""
        lines = []
        for name, found in zip(ESTIMATES, self.estimates(), strict=True):
            interval = f" ({found.low:.4f} .. {found.high:.4f})" if math.isfinite(found.low) else ""
            lines.append(f"{name:18} {found.mean:.4f}{interval}")
        return "\n".join(lines)


def make_vector_env(
    env_id: str, env_args: Mapping[str, Any], num_envs: int, autoreset_mode: str, ids: bool = True
) -> SlateVectorEnv:
    """Makes a vector environment for an agent to learn or to be scored in.

    Args:
        env_id: environment id, or ``module:id``.
        env_args: the environment's arguments.
        num_envs: rows.
        autoreset_mode: as the environment's.
        ids: whether item ids are observed where ``env_args`` do not say and the world shows them.

    Raises:
        RecGymError: an unknown environment or argument, an environment that is not RecGym's, or
            an argument that is not for the user to set.
    """
    spec = find_environment(env_id)
    arguments = {"autoreset_mode": autoreset_mode, **arguments_for(spec, env_args, ids)}
    env = gymnasium.make_vec(spec, num_envs, **arguments)
    assert isinstance(env, SlateVectorEnv)
    return env


def evaluate(
    agent: Actor, env_id: str, env_args: Mapping[str, Any], episodes: int, seed: int
) -> Evaluation:
    """Runs greedy episodes of users 0, 1, ..; the same seed gives every agent the same draws.

    Args:
        agent: acts without exploration.
        env_id: environment id.
        env_args: the environment's arguments.
        episodes: how many; episode e is of user e modulo the number of users.
        seed: of the users' choices, drawn anew for each ``ROWS`` episodes.

    Raises:
        RecGymError: the environment's catalog is not the agent's.
    """
    if episodes < 1:
        raise RecGymError(f"episodes={episodes}: at least 1 is needed")
    if seed < 0:
        raise RecGymError(f"seed={seed}: must be at least 0")
    env = make_vector_env(env_id, env_args, min(episodes, ROWS), "next-step", agent.spec.ids)
    return run_episodes(agent, env, episodes, seed)


def run_episodes(agent: Actor, env: SlateVectorEnv, episodes: int, seed: int) -> Evaluation:
    """As ``evaluate``, in an environment that is there already (next-step autoreset)."""
    check_spec(agent, EnvironmentSpec.of(env, agent.spec.ids))
    rows, n_users = env.num_envs, env.simulator.n_users
    batches = -(-episodes // rows)
    seeds = np.random.SeedSequence(seed).generate_state(batches)
    user = np.arange(batches * rows) % n_users
    parts = [
        _run_batch(agent, env, user[i * rows : (i + 1) * rows], int(seeds[i]))
        for i in range(batches)
    ]
    whole = (np.concatenate(part)[:episodes] for part in zip(*parts, strict=True))
    return Evaluation((user if n_users > 1 else np.arange(len(user)))[:episodes], *whole)


def evaluation_file(
    folder: Path, about: Mapping[str, Any], env_id: str, env_args: Mapping[str, Any]
) -> Path:
    """Returns where the numbers of an evaluation go, in an agent's folder.

    That is ``evaluation.json`` for the world that the agent was trained in, and
    ``evaluation-test.json`` for that of the test users; the name of another environment has its id
    in it. An earlier evaluation in the same world is written over, whatever its episodes and seed.

    Args:
        folder: of the agent.
        about: what was saved about the agent.
        env_id: where it is evaluated.
        env_args: arguments of that.

    Raises:
        RecGymError: the file holds an evaluation in a world with other arguments.
    """
    default = {"split": "train"}
    split = (default | dict(env_args))["split"]
    trained = (default | about.get("env_args", {}))["split"]
    parts = ["evaluation"]
    parts += [env_id.replace("/", "-").replace(":", "-")] * (env_id != about.get("env"))
    parts += [str(split)] * (split != trained)
    path = folder / ("-".join(parts) + ".json")
    if path.exists():
        other = read_json(path)
        found = other.get("env_args") if isinstance(other, dict) else None
        if not isinstance(found, dict) or default | found != default | dict(env_args):
            raise RecGymError(
                f"{path}: holds an evaluation with env_args={found}; name another file with --out"
            )
    return path


def _run_batch(
    agent: Actor, env: SlateVectorEnv, user: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs one episode a row; returns reward and clicks per step (B,), and the steps."""
    observation, info = env.reset(seed=seed, options={"user": user})
    support = Support.of(info)
    if support is not None:
        agent = agent.adapt(support)
    reward, clicks, steps = (np.zeros(len(user)) for _ in range(3))
    running = np.ones(len(user), np.bool_)
    while running.any():
        observation, gained, terminated, truncated, info = env.step(agent.act(observation))
        reward[running] += gained[running]
        clicks[running] += info["item"][running] >= 0
        steps[running] += 1
        running &= ~(terminated | truncated)
    return reward / steps, clicks / steps, steps
