"""What offline scores say of the value online: agents learn from logs, and play in their worlds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from recgym.data import Dataset
from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Experiment,
    Place,
    Result,
    folder_of,
)
from recgym_agents.experiments.offline.offline_to_online_page import (
    AFTER,
    CLAIMED,
    NOTHING,
    QUARTER,
    summarise,
)
from recgym_agents.experiments.offline.world_logs import (
    LOGS,
    MAIN,
    WORLDS,
    ClickRates,
    World,
    make_log,
    most_clicked,
    score_in_world,
    score_on_log,
    without_losses,
)
from recgym_agents.protocols import Policy
from recgym_agents.runs.next_items import ItemScorer
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train
from recgym_agents.zoo import AGENTS, FLOORS

LOGGER = "reinforce-top-k"
"""What is trained online, and makes the better logs."""
TUNED = "lpi-rl"
"""What goes on online after a log."""
METHOD = """
A log is made in a world that can be played: [SlateMDP-v0](../environments/SlateMDP-v0.md) with two
concentrations (the state hidden, the clicks of a session seen),
[KnownUsers-v0](../environments/KnownUsers-v0.md) and
[RecGAN-v0](../environments/RecGAN-v0.md). A seed is a world (RecGAN-v0 is one world), the log's
luck, a training of every agent, and the luck of the sessions in which all policies are scored. The
slates of the *random* log are drawn evenly; half of those of *mix*, and nine in ten of those of
*trained*, are the ones that [reinforce-top-k](../agents/reinforce-top-k.md) thinks best after it
was trained online. All slates have their propensities. Every session of a log counts as a user of
her own, because the worlds forget what was clicked in earlier episodes; what users of RecGAN-v0
clicked before their episode began is not in the log. 70% of the sessions are learned from, 10%
select the policy that is kept, 20% are scored on.

Agents have their default settings, but that those in SlateMDP-v0 may show any item again. Where
rewards or returns weigh what was done, rewards below 0 are learned from as 0, because the loss
would have no bound. A policy shows the items that it ranks highest; "popularity" ranks by clicks a
show in the log. *Value* is the mean reward of a session in the world.

Of the test sessions, HR and nDCG are of the item that was clicked next, among all items; JS is the
Jensen-Shannon divergence from the estimated logging policy (the agent "logging"), and "near the
logging policy" is that with its sign turned; floors that only count have no such policy. Estimators
are those of `recgym evaluate --log` ([the method](../method/off-policy-evaluation.md)): *ips* and
*doubly_robust* weigh whole slates, which hardly ever are the policy's own, *independent_ips* weighs
each slot, and the *direct_method* adds up what each item of a slate earned when shown. A score that
is the same for all policies has the correlation 0.

How much is trained was settled in worlds of seed 100, which is not used here; of lpi-rl, cql, sqn
and ips-pg, lpi-rl goes on online because it earned most there after a log.

Intervals are Student's, over worlds and seeds; ± is the standard error over seeds. That agents earn
more than the policy that logged: p < .01 in a two-sided paired t-test over worlds, Holm-corrected
over the agents. lpi-rl *reaches* what it reaches from nothing where the 95% interval of the
difference, as a share, lies above -5%; it does not where the interval lies below that. Online it
learns from what it plays, and the policy of the best validation sessions in the world is kept."""
POLICIES = (
    *("logging", "reward-weighted", "ips", "lpi-cb", "lpi-rl", "ips-pg", "sqn", "sac-ss"),
    *("bcq", "cql", "decision-transformer"),
)
BUDGET: Budget = {
    "worlds": list(WORLDS),
    "seeds": [0, 1],
    "claim_seeds": list(range(10)),
    "policies": list(POLICIES),
    "logger_steps": 64_000,
    "sessions": {"short": 5_000, "long": 600},
    "epochs": 3,
    "batch_size": 64,
    "reports": 3,
    "episodes": {"short": 2_000, "long": 500},
    "online_steps": 24_000,
    "validation_episodes": 200,
}
SMOKE: Budget = BUDGET | {
    "worlds": [MAIN, "KnownUsers"],
    "claim_seeds": [0, 1],
    "policies": ["logging", "ips", *CLAIMED],
    "logger_steps": 512,
    "sessions": {"short": 60, "long": 20},
    "epochs": 1,
    "reports": 1,
    "episodes": {"short": 20, "long": 10},
    "online_steps": 512,
    "validation_episodes": 10,
}
LARGE: Budget = BUDGET | {
    "seeds": [0, 1, 2, 3, 4],
    "policies": [*POLICIES, "pg-offline", "snqn", "sa2c", "rem", "ensemble-ucb", "sqn-supervised"],
    "logger_steps": 256_000,
    "sessions": {"short": 20_000, "long": 4_000},
    "epochs": 8,
    "reports": 8,
    "episodes": {"short": 8_000, "long": 2_000},
    "online_steps": 128_000,
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a world for the claims, and one with three logs a world and seed."""
    claims = [{"part": "claims", "world": MAIN, "seed": seed} for seed in budget["claim_seeds"]]
    return claims + [
        {"part": "scores", "world": world, "seed": seed}
        for seed in budget["seeds"]
        for world in budget["worlds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Runs a part of the experiment in one world."""
    return (_scores if cell["part"] == "scores" else _claims)(cell, budget, place)


def _scores(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains the logging agent, then all agents on each of three logs; scores them both ways."""
    world, seed = WORLDS[cell["world"]], cell["seed"]
    logger = _train_online(LOGGER, budget["logger_steps"], cell, budget, place)
    random = _random(cell, place)
    episodes = budget["episodes"][world.sessions]
    found: Result = {
        "random slates": score_in_world(random, world, seed, episodes),
        "trained agent": score_in_world(logger, world, seed, episodes),
    }
    for log, share in LOGS.items():
        dataset = make_log(world, seed, logger, share, budget["sessions"][world.sessions])
        found[log] = _on_one_log(dataset, log, cell, budget, place)
    return found


def _on_one_log(dataset: Dataset, log: str, cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains every agent on a log; returns what it earned, and its scores, by agent."""
    world, seed = WORLDS[cell["world"]], cell["seed"]
    episodes = budget["episodes"][world.sessions]
    sessions = dataset.sessions
    found: Result = {
        "log": {"value": float(sessions.reward.sum() / dataset.n_users), "pages": sessions.n_pages}
    }
    logging = _train_offline("logging", dataset, log, cell, budget, place)
    for name in (*budget["policies"], *FLOORS):
        agent = _train_offline(name, dataset, log, cell, budget, place)
        near = None if name in FLOORS else cast(ItemScorer, logging)
        found[name] = score_in_world(agent, world, seed, episodes)
        found[name] |= score_on_log(agent, cast(ItemScorer, agent), near, dataset)
    counted = most_clicked(dataset, logging.spec, world)
    found["popularity"] = score_in_world(counted, world, seed, episodes)
    found["popularity"] |= score_on_log(counted, ClickRates(counted), None, dataset)
    return found


def _claims(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains some agents on random sessions, and one online, from nothing and after them."""
    world, seed = WORLDS[cell["world"]], cell["seed"]
    size, episodes = (budget[what][world.sessions] for what in ("sessions", "episodes"))
    dataset = make_log(world, seed, _random(cell, place), 0.0, size)
    found: Result = {"log": float(dataset.sessions.reward.sum() / dataset.n_users)}
    for name in CLAIMED:
        agent = _train_offline(name, dataset, "random", cell, budget, place)
        found[name] = score_in_world(agent, world, seed, episodes)["value"]
    few = budget["online_steps"] // 4
    read = dataset.pages("train").n_pages * budget["epochs"]
    online = {"schedule": "online", "patience": 0}
    after = {
        "schedule": "offline-online",
        "log_share": read / (read + few),
        "batch_size": budget["batch_size"],
        "patience": 0,
    }
    log = _saved(dataset, "random", budget, place)
    ways: dict[str, tuple[int, dict[str, Any], Path | None]] = {
        NOTHING: (budget["online_steps"], online, None),
        QUARTER: (few, online, None),
        AFTER: (read + few, after, log),
    }
    for name, (steps, loop_args, path) in ways.items():
        agent = _train_online(TUNED, steps, cell, budget, place, loop_args, path)
        found[name] = score_in_world(agent, world, seed, episodes)["value"]
    return found


def _random(cell: Cell, place: Place) -> Policy:
    return _train(cell, place, {"agent": "random", "steps": 0, "validation_episodes": 0})


def _train_online(
    agent: str,
    steps: int,
    cell: Cell,
    budget: Budget,
    place: Place,
    loop_args: dict[str, Any] | None = None,
    log: Path | None = None,
) -> Policy:
    settings = {
        "agent": agent,
        "steps": steps,
        "loop_args": loop_args or {},
        "log": None if log is None else str(log),
        "reports": budget["reports"],
        "validation_episodes": budget["validation_episodes"],
    }
    return _train(cell, place, settings)


def _train_offline(
    name: str, dataset: Dataset, log: str, cell: Cell, budget: Budget, place: Place
) -> Policy:
    """Trains an agent on a log; one that weighs by rewards, on a log without losses."""
    config = AGENTS.find(name).config
    if getattr(config, "weight", None) in ("reward", "return"):
        dataset, log = without_losses(dataset), f"{log}, no losses"
    epochs = 1 if name in FLOORS else budget["epochs"]
    settings = {
        "agent": name,
        "steps": dataset.pages("train").n_pages * epochs,
        "loop_args": {"batch_size": budget["batch_size"]},
        "log": str(_saved(dataset, log, budget, place)),
        "reports": 1 if name in FLOORS else budget["reports"],
    }
    return _train(cell, place, settings)


def _train(cell: Cell, place: Place, settings: dict[str, Any]) -> Policy:
    """Trains an agent in a cell's world, or goes on with its training, and returns it."""
    world: World = WORLDS[cell["world"]]
    folder = folder_of(place.folder, settings)
    train(
        TrainConfig(
            env=world.env,
            seed=cell["seed"],
            out=str(folder),
            env_args=world.arguments(cell["seed"]),
            agent_args=dict(world.agent_args),
            **settings,
        )
    )
    return load_agent(folder)[0].inner


def _saved(dataset: Dataset, log: str, budget: Budget, place: Place) -> Path:
    """Writes a log once for what was spent on it; returns its folder."""
    names = ("sessions", "logger_steps", "reports", "validation_episodes")
    spent = {name: budget[name] for name in names}
    folder = folder_of(place.folder, {"log": log} | spent)
    if not folder.exists():
        dataset.save(folder)
    return folder


EXPERIMENT = Experiment(
    name="offline-to-online",
    title="What offline scores say of the value online",
    reproduces="no table: agents that learned from logs, in the worlds that made the logs",
    method=METHOD,
    budget=BUDGET,
    smoke_budget=SMOKE,
    paper_budget=LARGE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
