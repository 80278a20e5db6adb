"""The slate MDP as IRecGAN's experiments meet it: its logs, its oracles, and sessions in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np

from recgym.collection import LoggingPolicy, Shown, as_dataset, collect, slate_mdp_policy
from recgym.collection.collecting import play
from recgym.data import Dataset, split_users
from recgym.envs import SlateVectorEnv
from recgym.simulators.slate_mdp import SlateMDP
from recgym_agents.agent import Agent
from recgym_agents.runs.evaluation import make_vector_env

ENVIRONMENT = "SlateMDP-v0"
Logging = Literal["random", "max", "mix"]
LOGGING: tuple[Logging, ...] = ("random", "max", "mix")
"""The logging policies of section 7.1."""
RANKS = (1, 10)
"""The r of coverage@r."""
ROWS = 250
"""Sessions that are played at once."""


class Found(NamedTuple):
    """What S sessions of a policy brought."""

    reward: np.ndarray
    """Clicks of each session (S,)."""
    coverage: dict[int, float]
    """r -> share of the r most rewarding items in the user's state that her slate held, mean over
    all slates (Bai et al., section 7.1)."""


def env_args(mdp_seed: int) -> dict[str, Any]:
    """Returns the arguments of a world whose observations hold a whole session's clicks."""
    return {"mdp_seed": mdp_seed, "window": 40}


def make_world(mdp_seed: int, rows: int = ROWS) -> tuple[SlateVectorEnv, SlateMDP]:
    """Makes an environment that ``sessions_in`` and ``make_log`` can play, and its simulator."""
    env = make_vector_env(ENVIRONMENT, env_args(mdp_seed), rows, "disabled")
    world: Any = env.simulator
    return env, world


def make_log(policy: Logging, sessions: int, mdp_seed: int, seed: int) -> Dataset:
    """Returns sessions of a logging policy, one in five to select by."""
    env, world = make_world(mdp_seed)
    log = collect(env, slate_mdp_policy(world, policy), sessions, seed)
    dataset = as_dataset(env, log, f"slate-mdp-{policy}")
    return replace(dataset, split=split_users(dataset.n_users, seed, (0.8, 0.2, 0.0)))


def oracles(world: SlateMDP) -> dict[str, np.ndarray]:
    """Returns the slates (M, K) of policies that know the world, by the user's state.

    "optimum" is best without discount, and without a horizon, which hardly matters; "myopic oracle"
    shows the K most rewarding items, as the logging policy max does; "best fixed slate" is the best
    that was found to show always, and needs not see the state.
    """
    fixed = world.best_fixed_slate(1.0, world.horizon).slates
    return {
        "optimum": world.optimal_policy(1.0).slates,
        "myopic oracle": np.argsort(-world.click_rewards, axis=1)[:, : world.slate_size],
        "best fixed slate": np.tile(fixed, (world.n_states, 1)),
    }


def oracle_policy(slates: np.ndarray) -> LoggingPolicy:
    """Returns the policy that shows ``slates`` (M, K) by the user's state."""

    def show(observation: np.ndarray, info: Mapping[str, np.ndarray], rng: Any) -> Shown:
        return _shown(slates[info["state"]])

    return show


def exploring_policy(agent: Agent[Any]) -> LoggingPolicy:
    """Returns the policy of an agent that draws its slates, as it does in training."""

    def show(observation: np.ndarray, info: Mapping[str, np.ndarray], rng: Any) -> Shown:
        return _shown(agent.act(observation, explore=1.0))

    return show


def _shown(slate: np.ndarray) -> Shown:
    """Returns slates as logged, but for their propensities, which nothing reads."""
    return Shown(slate, np.ones(slate.shape), np.ones(len(slate)))


def sessions_in(
    env: SlateVectorEnv, world: SlateMDP, policy: LoggingPolicy, sessions: int, seed: int
) -> Found:
    """Plays sessions, and counts clicks and coverage."""
    ranking = np.argsort(-world.click_rewards, axis=1, kind="stable")
    reward = np.zeros(sessions)
    covered: dict[int, list[np.ndarray]] = {rank: [] for rank in RANKS}
    for played in play(env, policy, sessions, seed):
        wanted = played.session < sessions
        np.add.at(reward, played.session[wanted], played.reward[wanted])
        ranked, slate = ranking[played.info["state"]][wanted], played.shown.slate[wanted]
        for rank in RANKS:
            held = (ranked[:, :rank, None] == slate[:, None, :]).any(2)
            covered[rank].append(held.mean(1))
    return Found(reward, {rank: float(np.concatenate(covered[rank]).mean()) for rank in RANKS})
