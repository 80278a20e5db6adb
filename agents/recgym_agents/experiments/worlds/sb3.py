"""Stable-Baselines3's algorithms as they come, against random slates, in the slate MDP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from matplotlib.figure import Figure

import recgym  # noqa: F401  (registers the environments)
from recgym.metrics import holm, mean_and_error, paired_bootstrap
from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Claim,
    Experiment,
    Finished,
    Page,
    Place,
    Result,
    by_seed,
    folder_of,
    having,
)
from recgym_agents.experiments.results_report import dots, p_text, seeds_text, table
from recgym_agents.experiments.verdicts import Difference, differences, judge, limit
from recgym_agents.runs.evaluation import evaluate
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train
from recgym_agents.zoo import entry_of

ENVIRONMENT = "SlateMDP-v0"
LUCK = 1_000
"""Added to a seed for the luck of its test episodes."""


class Entrant(NamedTuple):
    """A row of the table."""

    agent: str
    slate_size: int
    steps: int
    """Slates shown in training."""
    agent_args: dict[str, Any]


ANY_ITEM = {"remove_clicked": False}
ENTRANTS = {
    "random": Entrant("random", 10, 0, ANY_ITEM),
    "ppo": Entrant("sb3-ppo", 10, 40_000, {}),
    "a2c": Entrant("sb3-a2c", 10, 64_000, {}),
    "dqn": Entrant("sb3-dqn", 10, 25_600, {"gradient_steps": 2}),
    "sac": Entrant("sb3-sac", 10, 20_000, {}),
    "td3": Entrant("sb3-td3", 10, 24_000, {}),
    "maskable-ppo": Entrant("sb3-maskable-ppo", 10, 19_200, {}),
    "random-2": Entrant("random", 2, 0, ANY_ITEM),
    "dqn-2": Entrant("sb3-dqn", 2, 16_000, {"view": "enumerated"}),
}
RANDOM = {10: "random", 2: "random-2"}
"""Slate size -> the random entrant that the others are held against."""
BUDGET: Budget = {
    "mdp_seed": 0,
    "seeds": [0, 1, 2, 3, 4],
    "steps": {name: one.steps for name, one in ENTRANTS.items() if one.steps},
    "reports": 10,
    "validation_episodes": 1_000,
    "episodes": 4_000,
}
SMOKE: Budget = BUDGET | {
    "seeds": [0, 1],
    "steps": dict.fromkeys(BUDGET["steps"], 256),
    "reports": 1,
    "validation_episodes": 50,
    "episodes": 100,
}


def cells(budget: Budget) -> list[Cell]:
    """One cell an entrant and seed."""
    return [{"entrant": name, "seed": seed} for name in ENTRANTS for seed in budget["seeds"]]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains an entrant, and scores it on sessions that all entrants of a seed meet."""
    entrant = ENTRANTS[cell["entrant"]]
    env_args = {"mdp_seed": budget["mdp_seed"], "slate_size": entrant.slate_size}
    folder = folder_of(place.folder, budget)
    config = TrainConfig(
        env=ENVIRONMENT,
        agent=entrant.agent,
        steps=budget["steps"].get(cell["entrant"], 0),
        seed=cell["seed"],
        out=str(folder),
        env_args=env_args,
        agent_args=entrant.agent_args,
        reports=budget["reports"],
        validation_episodes=budget["validation_episodes"],
    )
    train(config)
    agent, _ = load_agent(folder, trust=True)  # trained here, just now
    found = evaluate(agent, ENVIRONMENT, env_args, budget["episodes"], LUCK + cell["seed"])
    sessions = found.session_reward
    return {
        "session": float(sessions.mean()),
        "reward": float(found.reward.mean()),
        "click_rate": float(found.click_rate.mean()),
        "arrays": {"session": sessions.tolist()},
    }


class Known(NamedTuple):
    """What the planner says that a session is worth, in clicks."""

    optimum: float
    """Of the best policy that sees the state."""
    fixed: float
    """Of the best slate that was found to show always."""


def plan(slate_size: int, mdp_seed: int) -> Known:
    """Plans without discount, for an episode's horizon, from the state that sessions begin in."""
    env: Any = gymnasium.make(ENVIRONMENT, slate_size=slate_size, mdp_seed=mdp_seed)
    world = env.unwrapped.simulator
    best = world.optimal_policy(1.0, world.horizon)
    fixed = world.best_fixed_slate(1.0, world.horizon)
    return Known(float(best.values[0, 0]), float(fixed.values[0]))


@dataclass(frozen=True)
class Test:
    """An entrant against random slates: gain, and p-values that Holm corrected over the page."""

    gain: np.ndarray
    """Reward per session by seed."""
    over_seeds: Difference
    """Tested by a two-sided paired t-test."""
    p_sessions: float
    """One-sided paired bootstrap over sessions."""


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the table, the tests, and a verdict for each algorithm."""
    runs = {name: having(finished, entrant=name) for name in ENTRANTS}
    known = {size: plan(size, budget["mdp_seed"]) for size in RANDOM}
    tests = _tests(runs)
    header = ["policy", "slate", "view", "slates trained on", "reward per session"]
    header += ["share of optimum", "share of best fixed slate", "reward per step", "click rate"]
    rows = [_row(name, runs[name], known[ENTRANTS[name].slate_size], budget) for name in ENTRANTS]
    for size, worth in known.items():
        rows += [
            [f"best fixed slate of {size}", str(size), "", "", f"{worth.fixed:.3f}"]
            + [f"{worth.fixed / worth.optimum:.0%}", "100%", "", ""],
            [f"optimum, slates of {size}", str(size), "", "", f"{worth.optimum:.3f}"]
            + ["100%", f"{worth.optimum / worth.fixed:.0%}", "", ""],
        ]
    differences = [
        [
            f"{name} - {RANDOM[ENTRANTS[name].slate_size]}",
            f"{(gain := mean_and_error(test.gain)).mean:+.3f}",
            f"{gain.low:+.3f} .. {gain.high:+.3f}",
            p_text(test.over_seeds.p_for),
            p_text(test.p_sessions),
        ]
        for name, test in tests.items()
    ]
    parts = [
        "## Policies",
        "Mean ± standard error over seeds. A session's reward is its clicks; the optimum sees the "
        "user's state, which is hidden from all others.",
        table(header, rows),
        "## Against random slates",
        "Differences in reward per session, and p-values with Holm's correction over the "
        f"{len(tests)} tests of a column.",
        table(["policies", "difference", "95% over seeds", "p, seeds", "p, sessions"], differences),
        "![Reward by policy](sb3.png)",
    ]
    claims = tuple(_claim(name, runs, test) for name, test in tests.items())
    return Page(claims, "\n\n".join(parts), {"sb3": _figure(runs)})


def _tests(runs: dict[str, list[Finished]]) -> dict[str, Test]:
    """Holds every entrant against the random one of its slate size, seed by seed."""
    names = [name for name in ENTRANTS if name not in RANDOM.values()]
    pairs, p_sessions = [], []
    for name in names:
        other = RANDOM[ENTRANTS[name].slate_size]
        pairs.append((by_seed(runs[name], "session"), by_seed(runs[other], "session")))
        p_sessions.append(paired_bootstrap(_sessions(runs[name]), _sessions(runs[other])))
    tested = zip(pairs, differences(pairs), holm(np.array(p_sessions)).tolist(), strict=True)
    found = [Test(ours - theirs, seeds, p) for (ours, theirs), seeds, p in tested]
    return dict(zip(names, found, strict=True))


def _sessions(runs: list[Finished]) -> np.ndarray:
    """The rewards of all sessions of all seeds, one after the other."""
    return np.concatenate([one.result["arrays"]["session"] for one in runs])


def _row(name: str, runs: list[Finished], known: Known, budget: Budget) -> list[str]:
    entrant = ENTRANTS[name]
    session = by_seed(runs, "session")
    steps = budget["steps"].get(name)
    entry = entry_of(entrant.agent, entrant.agent_args, {})
    view = entry.config.view if entry.library else ""
    return [
        name,
        str(entrant.slate_size),
        view,
        "" if steps is None else f"{steps:,}",
        seeds_text(session),
        f"{session.mean() / known.optimum:.0%}",
        f"{session.mean() / known.fixed:.0%}",
        seeds_text(by_seed(runs, "reward")),
        seeds_text(by_seed(runs, "click_rate")),
    ]


def _claim(name: str, runs: dict[str, list[Finished]], test: Test) -> Claim:
    """Judges "beats": a gain with p < .05, corrected, over seeds and over sessions."""
    other = RANDOM[ENTRANTS[name].slate_size]
    ours, theirs = (by_seed(runs[one], "session").mean() for one in (name, other))
    seeds = test.over_seeds
    verdict = judge(replace(seeds, p_for=max(seeds.p_for, test.p_sessions)))
    return Claim(
        f"{name} beats random",
        verdict,
        f"{ours:.3f} clicks a session against {theirs:.3f} ({ours / theirs - 1:+.0%}), higher on "
        f"{int((test.gain > 0).sum())} of {len(test.gain)} seeds, p {p_text(seeds.p_for)} over "
        f"seeds, {p_text(test.p_sessions)} over sessions"
        + limit(verdict, f"{seeds.detectable:.3f} clicks"),
    )


def _figure(runs: dict[str, list[Finished]]) -> Figure:
    """Reward per session and per step of every entrant and seed."""
    metrics = {"reward per session": "session", "reward per step": "reward"}
    panels = {
        title: {name: by_seed(runs[name], metric) for name in ENTRANTS}
        for title, metric in metrics.items()
    }
    return dots(panels, "reward")


EXPERIMENT = Experiment(
    name="sb3",
    title="Stable-Baselines3 in SlateMDP-v0",
    reproduces="no table: the algorithms of Stable-Baselines3 as they come, against random slates",
    method="""
A user of SlateMDP-v0 clicks one item of a slate and goes on, or clicks nothing and leaves: a
session's reward is its clicks. Which state the user is in is hidden; policies observe the last five
clicked items, as one-hot features. A click hardly decides the next state (transition rows are
nearly uniform), so what there is to learn is mostly one good slate, and the better one for the
state that every session begins in; the best fixed slate is therefore a fair bar, the optimum, which
sees the state, one that nobody here can reach.

Each algorithm trains by its own `learn`, through `SB3VecEnv`, and is trained and scored by the code
behind `recgym train` and `recgym evaluate`, as the zoo's agents are. dqn and maskable-ppo
choose item by item, sac and td3 by a point among the items' features, dqn-2 (slates of 2) by the
number of one of all 1,225 slates. Settings are the agents' defaults, but for dqn's 2 updates a step
at slates of 10; they were chosen by hand, from up to ten for each algorithm, in another world
(mdp_seed 100), with one seed. Trainings take about as long as each other, not equally many slates:
this holds each algorithm against random slates, not against the others. Of the policies at ten
reports the one with the highest reward per session in validation episodes is kept.

A seed is a training, and a luck of the test sessions that random slates of that seed meet too.
random draws slates uniformly, clicked items included. The planner's values are exact for what they
value (no discount, the horizon of an episode, the state that sessions begin in); at slates of 10
the best fixed slate is the best that exchanging single items found.

Rule: an algorithm beats random if its mean reward per session is higher, with p < .05 both in a
two-sided paired t-test over seeds and in a one-sided paired bootstrap over the sessions of all
seeds, each corrected by Holm's method for the seven algorithms; that it does is contradicted if the
mean is lower, with p < .05 over seeds.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
)
