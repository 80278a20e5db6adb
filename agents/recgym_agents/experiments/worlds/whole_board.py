"""Every agent in every environment that it can act in: one table to look things up in."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from recgym import ENVIRONMENTS
from recgym.collection import as_dataset, collect, uniform_policy
from recgym.data import split_users
from recgym.metrics import share_of_headroom
from recgym.planning import PlannerConfig
from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Experiment,
    Finished,
    Page,
    Place,
    Result,
    by_seed,
    folder_of,
    having,
)
from recgym_agents.experiments.results_report import seeds_text, share_text, table
from recgym_agents.protocols import Actor
from recgym_agents.runs.compatibility import why_not
from recgym_agents.runs.evaluation import Evaluation, evaluate, make_vector_env
from recgym_agents.runs.html_report import Section, html_text, sortable
from recgym_agents.runs.planned_sessions import PLANNING, planned_sessions
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train
from recgym_agents.user_support import Support
from recgym_agents.zoo import AGENTS, OFFLINE

PLANNER = "planner"
FLOORS = ("random", "popularity", "user-greedy")
"""The best of those that can act in a world is the floor of its headroom."""
ARGUMENTS: dict[str, dict[str, Any]] = {"InterestExploration-v0": {"horizon": 60}}
"""Of environments whose sessions are very long otherwise."""
OF_REWARDS = ("reward", "return")
"""What offline agents weigh by that learn from no log of rewards below 0."""
BELOW_0 = ("RecGAN-v0", "RecGAN-LSTM-v0", "M3Rec-v0", "KnownUsers-v0")
"""Environments where a click may be worth less than nothing."""
LUCK = 1_000
"""Added to a seed for the luck of its test sessions."""
LOG_ROWS = 64
"""Sessions that are logged at once, and first, to see how long they are."""
BUDGET: Budget = {
    "seeds": [0, 1, 2, 3, 4],
    "steps": 4_000,
    "reports": 2,
    "validation_episodes": 50,
    "episodes": 250,
    "planned_episodes": 32,
    "planner": asdict(PLANNING),
}
SMOKE: Budget = BUDGET | {
    "environments": ["SlateMDP-v0", "LongTermSatisfaction-v0"],
    "agents": ["random", "popularity", "cascading-dqn", "logging"],
    "seeds": [0, 1],
    "steps": 256,
    "reports": 1,
    "validation_episodes": 5,
    "episodes": 10,
    "planned_episodes": 2,
    "planner": asdict(PlannerConfig(rounds=1, episodes=2, pool=20)),
}
HEADER = (
    *("environment", "agent", "reward a session", "share of the headroom", "click rate"),
    *("distinct items", "slates in training", "seconds of training", "command"),
)


@cache
def able(env: str) -> tuple[str, ...]:
    """Returns the agents that can learn and act in an environment with the defaults of both."""
    refuse = [name for name, (config, _) in OFFLINE.items() if config.weight in OF_REWARDS]
    unable = refuse if env in BELOW_0 else []
    return tuple(name for name in AGENTS if name not in unable and not why_not(name, env))


def cells(budget: Budget) -> list[Cell]:
    """One cell an environment, agent and seed; the planner is among the agents."""
    wanted = budget.get("agents", list(AGENTS))
    return [
        {"env": env, "policy": policy, "seed": seed}
        for env in budget.get("environments", list(ENVIRONMENTS))
        for policy in (*(name for name in able(env) if name in wanted), PLANNER)
        for seed in budget["seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains an agent, or plans, and scores it in sessions that all of a world and seed meet."""
    env, policy, luck = cell["env"], cell["policy"], LUCK + cell["seed"]
    arguments = ARGUMENTS.get(env, {})
    if policy == PLANNER:
        planner = PlannerConfig(**budget["planner"])
        return _result(planned_sessions(env, arguments, budget["planned_episodes"], luck, planner))
    folder = folder_of(place.folder, budget)
    by_log = AGENTS.find(policy).schedule.log_use == "must"
    config = TrainConfig(
        env=env,
        agent=policy,
        steps=budget["steps"],
        seed=cell["seed"],
        out=str(folder),
        env_args=arguments,
        log=random_log(cell, budget, place) if by_log else None,
        reports=budget["reports"],
        validation_episodes=budget["validation_episodes"],
    )
    shutil.rmtree(folder, ignore_errors=True)  # half a training has half the seconds
    start = time.process_time()
    train(config)
    seconds = time.process_time() - start
    agent, _ = load_agent(folder, trust=True)  # trained here, just now
    seen = Seen(agent)
    found = _result(evaluate(seen, env, arguments, budget["episodes"], luck))
    return found | {"distinct": len(seen.items), "training_seconds": round(seconds, 2)}


def random_log(cell: Cell, budget: Budget, place: Place) -> str:
    """Returns the folder of a log of random slates, about as many as others show in training."""
    folder = folder_of(place.folder, {"log": "random", "steps": budget["steps"]})
    if not folder.exists():
        env = make_vector_env(cell["env"], ARGUMENTS.get(cell["env"], {}), LOG_ROWS, "disabled")
        show = uniform_policy(env.simulator.n_items, env.simulator.slate_size)
        some = collect(env, show, LOG_ROWS, seed=cell["seed"])  # tells how long sessions are
        sessions = -(-budget["steps"] * LOG_ROWS // some.n_pages)
        log = collect(env, show, sessions, seed=cell["seed"])
        dataset = as_dataset(env, log, f"random slates of {cell['env']}", cell["seed"])
        split = split_users(dataset.n_users, cell["seed"], (0.9, 0.1, 0.0))
        replace(dataset, split=split).save(folder)
    return str(folder)


class Seen:
    """An agent as it is, and the distinct items that it shows.

    Args:
        agent: that acts.
        items: where what is shown is kept.
    """

    def __init__(self, agent: Actor, items: set[int] | None = None) -> None:
        self.agent, self.spec = agent, agent.spec
        self.items: set[int] = set() if items is None else items

    def adapt(self, support: Support) -> Seen:
        """Returns the agent adapted to users, whose slates are kept here too."""
        return Seen(self.agent.adapt(support), self.items)

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Returns the agent's slates (B, K)."""
        slates = np.asarray(self.agent.act(observation))
        self.items.update(np.unique(slates).tolist())
        return slates


def _result(found: Evaluation) -> Result:
    return {
        "session": float(found.session_reward.mean()),
        "click_rate": float(found.click_rate.mean()),
    }


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds a table an environment, best agents first, and one page of all that can be sorted."""
    parts, rows = [], []
    for env in dict.fromkeys(one.cell["env"] for one in finished):
        runs: dict[str, list[Finished]] = {}
        for one in having(finished, env=env):
            runs.setdefault(one.cell["policy"], []).append(one)
        ordered = sorted(runs, key=lambda name: -by_seed(runs[name], "session").mean())
        of_world = [_row(env, policy, runs, budget) for policy in ordered]
        rows += of_world
        parts += [f"## {env}", table(HEADER[1:-1], [row[1:-1] for row in of_world])]
    intro = (
        f"The same as [a page that can be sorted and searched](board.html). {MEANING} In"
        " environments whose candidates change at every step, items are places among them."
    )
    return Page((), "\n\n".join([intro, *parts]), html={"board": _html(rows)})


MEANING = (
    "Mean ± standard error over seeds, each a training and a luck of the test sessions. A share is"
    " of the headroom between the best of random, popularity and user-greedy and a planner that"
    " knows the world and sees its state, with a 95% interval. A command is that of the first seed."
)


def _row(env: str, policy: str, runs: dict[str, list[Finished]], budget: Budget) -> tuple[str, ...]:
    own = runs[policy]
    floors = {name: by_seed(runs[name], "session") for name in FLOORS if name in runs}
    share = ""
    if policy not in (*floors, PLANNER) and len(own) > 1:
        ahead = by_seed(runs[PLANNER], "session")
        share = share_text(share_of_headroom(by_seed(own, "session"), floors, ahead))
    texts = [seeds_text(by_seed(own, "session"), 2), share]
    texts.append(seeds_text(by_seed(own, "click_rate"), 3))
    if policy == PLANNER:
        return env, policy, *texts, "–", "–", "–", "recgym reproduce board"
    steps = budget["steps"] if AGENTS.find(policy).loop or AGENTS.find(policy).library else 0
    return (
        *(env, policy, *texts),
        f"{by_seed(own, 'distinct').mean():,.0f}",
        f"{steps:,}",
        f"{by_seed(own, 'training_seconds').mean():,.1f}",
        _command(env, policy, steps, budget),
    )


def _command(env: str, policy: str, steps: int, budget: Budget) -> str:
    """Returns what trains one agent as the cell of the first seed does."""
    if AGENTS.find(policy).schedule.log_use == "must":
        return "recgym reproduce board"  # which collects its log
    given = "".join(f" --env-args {name}={value}" for name, value in ARGUMENTS.get(env, {}).items())
    return (
        f"recgym train --env {env}{given} --agent {policy} --steps {steps}"
        f" --seed {budget['seeds'][0]}"
        f" --reports {budget['reports']} --validation-episodes {budget['validation_episodes']}"
        f" --out {Path('runs') / 'board' / env / policy}"
    )


def _html(rows: Sequence[Sequence[str]]) -> str:
    text = "A click on a heading sorts by it, and another one the other way round."
    part = sortable(HEADER, rows, MEANING)
    return html_text("RecGym: every agent in every environment", [Section("Board", text, (part,))])


EXPERIMENT = Experiment(
    name="board",
    title="Every agent in every environment",
    reproduces="no table: what each agent of the zoo earns in each registered environment after the"
    " same short training",
    method=f"""
Every agent that can act in an environment with the defaults of both is trained for
{BUDGET["steps"]:,} slates and plays {BUDGET["episodes"]} test sessions, which are the same for all
agents of a seed. Agents that learn from logs alone read one of random slates, about as many as the
others show in training. This is a short training, at which an agent that learns from few steps
stands above one that ends higher: the pages of single environments train longer. Nothing was tuned.
A session of InterestExploration has 60 slates, as on [worlds](worlds.md), and not 27,000. Agents
that weigh what was done by its reward or return (reward-weighted, ips, pg-offline and ips-pg) learn
from no log of rewards below 0, and so are not in the environments that have them.

The planner ([planners](../method/planners.md)) plays {BUDGET["planned_episodes"]} sessions a seed.
It sees what agents may not. Seconds are of one core's processor time.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
