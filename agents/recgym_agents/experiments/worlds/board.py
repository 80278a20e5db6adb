"""Every world with its floors, agents and a planner: who learns what can be learned?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from recgym.metrics import HeadroomShare, share_of_headroom
from recgym.planning import PlannerConfig
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
from recgym_agents.experiments.results_report import p_text, seeds_text, share_text, table
from recgym_agents.experiments.verdicts import differences, judge, limit
from recgym_agents.experiments.worlds.pace import CAPTION, HEADER, ninety, pace_row
from recgym_agents.runs.evaluation import Evaluation, evaluate
from recgym_agents.runs.planned_sessions import MYOPIC, PLANNING, planned_sessions
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train

LUCK = 1_000
"""Added to a seed for the luck of its test sessions."""
LEVEL = 0.01
"""Of the tests, which the claims of the page share."""


@dataclass(frozen=True)
class Scene:
    """A world as its policies meet it; the last of its learners is the one of the claims."""

    env: str
    learners: tuple[str, ...]
    floors: tuple[str, ...] = ("random", "popularity")
    env_args: dict[str, Any] = field(default_factory=dict)


NOW, AHEAD = "best slate for now", "planner"
"""Policies that know the world and see its state, hidden from agents or not."""
ITEMS = ("cascading-dqn", "slateq")
USERS = ("cascading-dqn", "slateq-user")
GREEDY = ("random", "popularity", "user-greedy")
SCENES = {
    "RecGAN-v0": Scene("RecGAN-v0", USERS, GREEDY),
    "RecGAN-LSTM-v0": Scene("RecGAN-LSTM-v0", USERS, GREEDY),
    "IRecGAN-v0": Scene("IRecGAN-v0", ITEMS),
    "KnownUsers-v0": Scene("KnownUsers-v0", ITEMS),
    "InterestEvolution-v0": Scene("InterestEvolution-v0", ITEMS, ("random", NOW)),
    "InterestExploration-v0": Scene("InterestExploration-v0", ITEMS, ("random",), {"horizon": 60}),
    "LongTermSatisfaction-v0": Scene("LongTermSatisfaction-v0", ITEMS, ("random", NOW)),
}
"""The best slate for now is a floor where it is chosen by no more than agents see."""
BUDGET: Budget = {
    "seeds": [0, 1, 2, 3, 4],
    "steps": 32_000,
    "reports": 10,
    "validation_episodes": 200,
    "episodes": 1_000,
    "planned_episodes": 64,
    "planner": asdict(PLANNING),
}
SMOKE: Budget = BUDGET | {
    "worlds": ["RecGAN-v0", "LongTermSatisfaction-v0"],
    "seeds": [0, 1],
    "steps": 192,
    "reports": 1,
    "validation_episodes": 10,
    "episodes": 40,
    "planned_episodes": 4,
    "planner": asdict(PlannerConfig(rounds=1, episodes=2, pool=20)),
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a world, policy and seed."""
    return [
        {"world": name, "policy": policy, "seed": seed}
        for name in _worlds(budget)
        for policy in _policies(SCENES[name])
        for seed in budget["seeds"]
    ]


def _worlds(budget: Budget) -> list[str]:
    worlds: list[str] = budget.get("worlds", list(SCENES))
    return worlds


def _policies(scene: Scene) -> tuple[str, ...]:
    simple = [name for name in scene.floors if name != NOW]
    return (*simple, *scene.learners, NOW, AHEAD)


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains a policy or plans, and scores it in sessions that all of a world and seed meet."""
    scene, policy = SCENES[cell["world"]], cell["policy"]
    episodes, planned, luck = budget["episodes"], budget["planned_episodes"], LUCK + cell["seed"]
    if policy == AHEAD:
        config = PlannerConfig(**budget["planner"])
        return {BESIDE: _mean(planned_sessions(scene.env, scene.env_args, planned, luck, config))}
    if policy == NOW:
        found, beside = (
            planned_sessions(scene.env, scene.env_args, count, luck, MYOPIC)
            for count in (episodes, planned)
        )
        return {**_result(found), BESIDE: _mean(beside)}
    folder = folder_of(place.folder, budget)
    train(
        TrainConfig(
            env=scene.env,
            agent=policy,
            steps=budget["steps"],
            seed=cell["seed"],
            out=str(folder),
            env_args=scene.env_args,
            reports=budget["reports"],
            validation_episodes=budget["validation_episodes"],
        )
    )
    agent, _ = load_agent(folder)
    found = evaluate(agent, scene.env, scene.env_args, episodes, luck)
    beside = evaluate(agent, scene.env, scene.env_args, planned, luck)
    pace = ninety(folder) if policy in scene.learners else {}
    return {**_result(found), BESIDE: _mean(beside), **pace}


BESIDE = "beside the planner"
"""Reward per session in the sessions that the planner plays too."""


def _mean(found: Evaluation) -> float:
    return float(found.session_reward.mean())


def _result(found: Evaluation) -> Result:
    return {
        "session": _mean(found),
        "click_rate": float(found.click_rate.mean()),
        "steps": float(found.steps.mean()),
    }


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds a table a world, the pace of learning, and the verdicts."""
    runs = {
        name: {policy: having(finished, world=name, policy=policy) for policy in _policies(scene)}
        for name, scene in SCENES.items()
        if name in _worlds(budget)
    }
    parts = []
    for name, found in runs.items():
        parts += [f"## {name}", _table(SCENES[name], found)]
    pace = [
        [name, policy, *pace_row(runs[name][policy])]
        for name in runs
        for policy in SCENES[name].learners
    ]
    parts += ["## How fast", CAPTION, table(["world", "agent", *HEADER], pace)]
    parts += ["![Reward by world and policy](worlds.png)"]
    return Page(tuple(_claims(runs)), "\n\n".join(parts), {"worlds": _figure(runs)})


def _share(scene: Scene, runs: Mapping[str, list[Finished]], policy: str) -> HeadroomShare:
    floors = {name: by_seed(runs[name], BESIDE) for name in scene.floors}
    return share_of_headroom(by_seed(runs[policy], BESIDE), floors, by_seed(runs[AHEAD], BESIDE))


def _table(scene: Scene, runs: Mapping[str, list[Finished]]) -> str:
    rows = []
    for policy, found in runs.items():
        beside = by_seed(found, BESIDE)
        texts = [
            seeds_text(by_seed(found, name), digits) if name in found[0].result else ""
            for name, digits in (("session", 2), ("click_rate", 3), ("steps", 1))
        ]
        share = ""
        if policy not in (*scene.floors, AHEAD):
            share = share_text(_share(scene, runs, policy))
        rows.append([policy, *texts, seeds_text(beside, 2), share])
    header = ["policy", "reward per session", "click rate", "slates a session", BESIDE]
    return table([*header, "share of the headroom"], rows)


def _best_floor(scene: Scene, runs: Mapping[str, list[Finished]]) -> str:
    return max(scene.floors, key=lambda name: float(by_seed(runs[name], "session").mean()))


def _claims(runs: Mapping[str, Mapping[str, list[Finished]]]) -> list[Claim]:
    """Judges "beats every floor" by the floor that earns most, one claim a world."""
    pairs, floors = [], []
    for name, found in runs.items():
        floors.append(_best_floor(SCENES[name], found))
        agent = SCENES[name].learners[-1]
        pairs.append((by_seed(found[agent], "session"), by_seed(found[floors[-1]], "session")))
    claims = []
    for name, floor, (ours, theirs), difference in zip(
        runs, floors, pairs, differences(pairs, LEVEL), strict=True
    ):
        verdict, agent = judge(difference, LEVEL), SCENES[name].learners[-1]
        evidence = (
            f"{ours.mean():.2f} against {theirs.mean():.2f} a session of the best, {floor}"
            f" ({difference.low:+.2f} .. {difference.high:+.2f}), p {p_text(difference.p_for)}"
            f"{limit(verdict, f'{difference.detectable:.2f}')}"
        )
        if np.isnan(_share(SCENES[name], runs[name], agent).share):
            evidence += "; the planner earns no more than that floor: there is no headroom"
        claims.append(Claim(f"{name}: {agent} beats every floor", verdict, evidence))
    return claims


def _figure(runs: Mapping[str, Mapping[str, list[Finished]]]) -> Figure:
    """What every policy earns between random slates (0) and the planner (1), a row a world."""
    figure = Figure(figsize=(8, 0.8 + 0.5 * len(runs)), layout="constrained")
    axes = figure.subplots()
    shown = (*GREEDY[1:], "cascading-dqn", "slateq", "slateq-user", NOW)
    for number, policy in enumerate(shown):
        found = []
        for place, by_policy in enumerate(runs.values()):
            if policy in by_policy:
                low, own, high = (
                    by_seed(by_policy[name], BESIDE).mean() for name in ("random", policy, AHEAD)
                )
                found.append((place, (own - low) / (high - low)))
        places, shares = ([pair[i] for pair in found] for i in range(2))
        axes.scatter(shares, places, marker="osD^vP"[number], s=30, alpha=0.8, label=policy)
    axes.axvline(1.0, color="grey", linewidth=0.8)
    axes.set_yticks(range(len(runs)), runs, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("reward per session, from random slates (0) to the planner (1)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


EXPERIMENT = Experiment(
    name="worlds",
    title="Agents in every world, of what can be earned there",
    reproduces="no table: the agents of the zoo in the environments of RecGym, beside floors and a"
    " planner",
    method=f"""
Every learner shows {BUDGET["steps"]:,} slates in training with its default settings, the same in
every world, and the policy of the highest reward per session in validation episodes is kept.
Nothing was tuned here. Larger trainings, in which agents earn more, are on the pages
[recgan-headroom](recgan-headroom.md), [transfer](transfer.md) and [slate-mdp](slate-mdp.md); the
slate MDP, whose optimum is known, is on the last alone.

Floors learn little or nothing. random draws slates, and popularity shows what is clicked most often
when shown, which is the best fixed slate that counting finds, less what was clicked lately (where
candidates change at every step, an id is a place in a list, and there is nothing to count).
user-greedy shows the items of the highest reward in the world's own user model. The best slate for
now and the planner ([planners](../method/planners.md)) know the world and see its state; the first
looks at the next click alone. It is a floor where it is chosen by no more than agents see: in
InterestEvolution interests are observed, and in LongTermSatisfaction it shows the most clickbait,
which is; elsewhere it stands above what any agent can see. What the planner earns is a lower bound
of the optimum of who sees the state.

slateq-user knows the user model of the RecGAN worlds, as user-greedy does; all other learners know
nothing of a world. Rewards are the environments' defaults: in the RecGAN worlds what the log
identifies. Learned users are scored where policies trained, in the model of the training users. A
session of InterestExploration has 60 slates; others are those of the environments' defaults. What
agents of Stable-Baselines3 earn in the slate MDP is on [sb3](sb3.md). Cells ran beside other work:
their seconds are more than those of a quiet machine, by up to four times.

In IRecGAN-v0, a catalogue of 1,682 films whose users come with no history, 32,000 slates are too
few for slateq to learn who clicks what: its loss of that still falls. With four times as many
(`recgym train --env IRecGAN-v0 --agent slateq --steps 128000 --seed 7 --reports 10
--validation-episodes 200`, one seed that this page does not use) validation goes on rising, to
above popularity.

A seed is a training, and a luck of the test sessions that all policies of that seed meet; ± is the
standard error over seeds. A share is (agent - best floor) / (planner - best floor), in the sessions
that the planner plays, with Fieller's 95% interval. Rule: an agent beats every floor if it earns
more than the best one, with p < {LEVEL} in a two-sided paired t-test over seeds, Holm-corrected
over the worlds.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
