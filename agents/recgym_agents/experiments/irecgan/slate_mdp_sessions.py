"""The slate MDP as IRecGAN's experiments meet it: its worlds, its logs, and sessions in it."""

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
from recgym_agents.experiments.experiment import Result
from recgym_agents.protocols import Agent
from recgym_agents.runs.evaluation import make_vector_env

ENVIRONMENT = "SlateMDP-v0"
PAPER = "paper"
WORLDS: dict[str, dict[str, Any]] = {PAPER: {}, "concentration .01": {"concentration": 0.01}}
"""A kind of world -> its arguments."""
Logging = Literal["random", "max", "mix"]
LOGGING: tuple[Logging, ...] = ("random", "max", "mix")
"""The logging policies of section 7.1."""
RANKS = (1, 10)
"""The r of coverage@r."""
MEASURES = ("clicks", "coverage@1", "coverage@10")
"""What is measured of sessions; clicks are those of a session."""
AUTHORS = "authors"
"""Where a result holds what was measured by the protocol of the authors' code."""
CAP = 40
"""The slates of a session at most, and the clicks that are observed."""
NO_CAP = 200
"""The slates of a session at most by the authors' protocol; not even the optimum's last so long."""
ROWS = 250
"""Sessions that are played at once."""


class Found(NamedTuple):
    """What S sessions of a policy brought."""

    reward: np.ndarray
    """Clicks of each session (S,)."""
    coverage: dict[int, float]
    """r -> share of the r most rewarding items in the user's state that her slate held, mean over
    all slates (Bai et al., section 7.1)."""


def env_args(world: str, seed: int) -> dict[str, Any]:
    """Returns the arguments of a world of a kind, whose observations hold a session's clicks."""
    return WORLDS[world] | {"mdp_seed": seed, "window": CAP}


def make_world(arguments: dict[str, Any], rows: int = ROWS) -> tuple[SlateVectorEnv, SlateMDP]:
    """Makes an environment that ``sessions_in`` and ``make_log`` can play, and its simulator."""
    env = make_vector_env(ENVIRONMENT, arguments, rows, "disabled")
    world: Any = env.simulator
    return env, world


def make_log(policy: Logging, sessions: int, arguments: dict[str, Any], seed: int) -> Dataset:
    """Returns sessions of a logging policy, one in five to select by."""
    env, world = make_world(arguments)
    log = collect(env, slate_mdp_policy(world, policy), sessions, seed)
    dataset = as_dataset(env, log, f"slate-mdp-{policy}")
    return replace(dataset, split=split_users(dataset.n_users, seed, (0.8, 0.2, 0.0)))


def exploring_policy(agent: Agent[Any]) -> LoggingPolicy:
    """Returns the policy of an agent that draws its slates, as it does in training."""

    def show(observation: np.ndarray, info: Mapping[str, np.ndarray], rng: Any) -> Shown:
        return as_shown(agent.act(observation, explore=1.0))

    return show


def as_shown(slate: np.ndarray) -> Shown:
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


def measures(found: Found, with_a_click: bool = False) -> dict[str, float]:
    """Returns ``MEASURES`` of sessions.

    Args:
        found: the sessions.
        with_a_click: count the clicks of sessions that have any, as the authors' code does, which
            drops the others; coverage is of all slates either way.
    """
    reward = found.reward[found.reward > 0] if with_a_click else found.reward
    coverage = [found.coverage[rank] for rank in RANKS]
    values = (round(float(value), 5) for value in (reward.mean(), *coverage))
    return dict(zip(MEASURES, values, strict=True))


def measure_both(
    ours: LoggingPolicy,
    authors: LoggingPolicy,
    arguments: dict[str, Any],
    sessions: int,
    seed: int,
) -> Result:
    """Measures a policy in sessions by our protocol, and under ``AUTHORS`` by the authors'.

    Args:
        ours: what shows slates in sessions of ``CAP`` slates at most, all of which count.
        authors: what draws slates in sessions without a cap, whose clicks count if there are any.
        arguments: of the world.
        sessions: of each.
        seed: of their luck.
    """
    capped = sessions_in(*make_world(arguments), ours, sessions, seed)
    endless = sessions_in(*make_world(arguments | {"horizon": NO_CAP}), authors, sessions, seed)
    return measures(capped) | {AUTHORS: measures(endless, with_a_click=True)}
