"""What carries over from a user model to other users and, where it is known, to the truth."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from matplotlib.figure import Figure

from recgym.collection import as_dataset, collect, known_users_policy
from recgym.data.dataset import split_users
from recgym.envs import SlateVectorEnv
from recgym.planning import PlannerConfig
from recgym.users import FittedUserModel
from recgym.users.agreement import Agreement, agreement_of, compare_rewards, item_rewards
from recgym.users.fitting import fit_user_model
from recgym.users.presets import preset
from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Claim,
    Experiment,
    Finished,
    Page,
    Place,
    Result,
    Verdict,
    folder_of,
    having,
)
from recgym_agents.experiments.results_report import p_text, seeds_text, table
from recgym_agents.experiments.verdicts import differences, limit
from recgym_agents.runs.evaluation import ROWS, evaluate, make_vector_env
from recgym_agents.runs.planned_sessions import MYOPIC, PLANNING, planned_sessions, simulator_state
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train

TRUTH, LEARNED = "KnownUsers-v0", "RecGAN-v0"
LEVEL = 0.01
"""Of the tests, which the two claims share."""
PAGES = 40
"""Slates that the log shows each user."""
PAST = 20
"""Random slates before an episode in the truth; in the user models, users have clicked as well."""
HALVES = (0.45, 0.1, 0.45)
"""Shares of the users for the one model, for its validation, and for the other model."""
LUCK = 1_000
"""Added to a seed for the luck of its test episodes."""
STATES = 500
"""States in which the user model is held against the truth."""
WORLDS = ("train", "test", "truth")
WORLD_NAMES = {
    "train": "model of the training users",
    "test": "model of other users",
    "truth": "the truth",
}
AGENT, GREEDY = "cascading-dqn", "user-greedy"
POLICIES = ("random", "popularity", GREEDY, AGENT)
PLANNERS = ("greedy in the truth", "planner in the truth")
"""Policies that know the user's taste and what she remembers."""
MAIN: Cell = {"users": 3_000, "dynamics": 1.0, "logging": "random"}
AXES: dict[str, list[Any]] = {
    "users": [500, 3_000, 10_000],
    "dynamics": [0.0, 0.5, 1.0],
    "logging": ["random", "popular"],
}
"""What is changed, one at a time."""
WANTED = {"test": 0.08, "truth": 0.12}
"""World -> gain over greedy that is claimed."""
BUDGET: Budget = {
    "seeds": [1, 2, 3, 4, 5],
    "main_seeds": list(range(1, 13)),
    "axes": AXES,
    "main": MAIN,
    "epochs": None,
    "steps": 192_000,
    "num_envs": 256,
    "reports": 6,
    "validation_episodes": 200,
    "episodes": 1_000,
    "planned_episodes": 250,
    "planner": asdict(PLANNING),
}
SMOKE: Budget = BUDGET | {
    "seeds": [0, 1],
    "main_seeds": [0, 1],
    "axes": {"users": [60], "dynamics": [0.0]},
    "main": MAIN | {"users": 60},
    "epochs": 1,
    "steps": 192,
    "num_envs": 64,
    "reports": 1,
    "validation_episodes": 10,
    "episodes": 20,
    "planned_episodes": 5,
    "planner": asdict(PlannerConfig(rounds=1, episodes=2, pool=20)),
}


def settings(budget: Budget) -> list[Cell]:
    """Returns the main setting, and those that differ from it in one thing."""
    found = [budget["main"]]
    for name, values in budget["axes"].items():
        found += [budget["main"] | {name: value} for value in values]
    return [one for place, one in enumerate(found) if one not in found[:place]]


def cells(budget: Budget) -> list[Cell]:
    """One cell a setting and seed, which draws the population too."""
    return [
        one | {"seed": seed}
        for one in settings(budget)
        for seed in budget["main_seeds" if one == budget["main"] else "seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Collects a log, fits both models, trains in the one, and scores in both and in the truth."""
    folder = folder_of(place.folder, {"epochs": budget["epochs"]})
    if not (folder / "params.safetensors").exists():
        fit(cell, budget["epochs"]).save(folder)
    model = FittedUserModel.load(folder)
    result: Result = {
        "agreement": asdict(agreement_of(model)),
        "agreement_with_truth": asdict(_with_truth(model, cell)),
        "random_click_rate": model.info["random_click_rate"],
        "precision_at_1": model.scores["precision_at_1"],
    }
    for policy in POLICIES:
        own = place.folder / policy
        result[policy] = _scores(policy, cell, budget, folder, folder_of(own, budget))
    episodes, luck = budget["planned_episodes"], LUCK + cell["seed"]
    configs = (MYOPIC, PlannerConfig(**budget["planner"]))
    for name, config in zip(PLANNERS, configs, strict=True):
        found = planned_sessions(TRUTH, _truth(cell, past=PAST), episodes, luck, config)
        result[name] = {"truth": float(found.reward.mean())}
    return result


def fit(cell: Cell, epochs: int | None) -> FittedUserModel:
    """Fits the user models of both halves of the users on a log of a cell's population.

    Args:
        cell: its population, how many users there are, and what showed them slates.
        epochs: the most that are fitted; the preset's if None.
    """
    users = cell["users"]
    env = gymnasium.make_vec(
        TRUTH, min(users, ROWS), autoreset_mode="disabled", horizon=PAGES, **_truth(cell)
    )
    assert isinstance(env, SlateVectorEnv)
    show = known_users_policy(env.simulator, cell["logging"])
    log = collect(env, show, users, seed=cell["seed"], each_user=True)
    dataset = as_dataset(env, log, "known-users")
    dataset = replace(dataset, split=split_users(users, cell["seed"], HALVES))
    config, how = preset("known-users", "gan-pw")
    how = replace(how, epochs=epochs or how.epochs)
    return fit_user_model(dataset, config, how, seed=cell["seed"])


def _truth(cell: Cell, **more: Any) -> dict[str, Any]:
    """Returns the arguments of a cell's population."""
    return {
        "n_users": cell["users"],
        "dynamics": cell["dynamics"],
        "population_seed": cell["seed"],
        **more,
    }


def _with_truth(model: FittedUserModel, cell: Cell) -> Agreement:
    """Compares the training users' model with the truth, in states that its users come to."""
    users = np.arange(min(STATES, cell["users"]))
    env = make_vector_env(TRUTH, _truth(cell, past=PAST), len(users), "next-step")
    env.reset(seed=0, options={"user": users})
    state = simulator_state(env)
    rewards = env.simulator.rewards(state)  # type: ignore[attr-defined]
    return compare_rewards(item_rewards(model, "train", state["history"]), rewards)


def _scores(policy: str, cell: Cell, budget: Budget, model: Path, folder: Path) -> Result:
    """Trains a policy in the training users' model; returns its reward per slate by world."""
    learned = {"user_model": str(model)}
    train(
        TrainConfig(
            env=LEARNED,
            agent=policy,
            steps=budget["steps"],
            seed=cell["seed"],
            out=str(folder),
            env_args=learned,
            loop_args={"num_envs": budget["num_envs"]} if policy == AGENT else {},
            reports=budget["reports"],
            validation_episodes=budget["validation_episodes"],
        )
    )
    agent, _ = load_agent(folder)
    worlds = {
        "train": (LEARNED, learned),
        "test": (LEARNED, learned | {"split": "test"}),
        "truth": (TRUTH, _truth(cell, past=PAST, item_table=str(model))),
    }
    return {
        name: float(
            evaluate(agent, env, arguments, budget["episodes"], LUCK + cell["seed"]).reward.mean()
        )
        for name, (env, arguments) in worlds.items()
    }


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds a table of settings, one of the main setting's policies, and the verdicts."""
    main = having(finished, **budget["main"])
    parts = [
        f"## {_named(budget['main'])}",
        "Reward per slate, mean ± standard error over populations, where the policy was trained, in"
        " the model fitted on other users, and in the truth. The last two policies see the users'"
        " tastes and memories.",
        table(["policy", *WORLD_NAMES.values()], [_row(name, main) for name in _all_policies()]),
        _in_parts(main, budget),
        "## What carries over, and when",
        "Gain of cascading-dqn over user-greedy in each world, and of the planner over"
        " the greedy one in the truth, %; agreement is that of the two fitted models (Spearman):"
        " of the levels of states, and of the items within a state, and the same of the training"
        " users' model and the truth.",
        table(
            [
                "log",
                *(f"gain, {name}" for name in WORLD_NAMES.values()),
                "planner's gain",
                "agreement, levels",
                "items",
                "with the truth, levels",
                "items",
            ],
            [_setting(one, having(finished, **one)) for one in settings(budget)],
        ),
        "![Gain over greedy by setting](transfer.png)",
    ]
    figures = {"transfer": _figure(finished, budget)}
    return Page(tuple(_claims(main, budget)), "\n\n".join(parts), figures)


def _in_parts(main: list[Finished], budget: Budget) -> str:
    """Says what the populations that were run first gain alone, and those that were added."""
    first = [run for run in main if run.cell["seed"] in budget["seeds"]]
    added = [run for run in main if run not in first]
    lines = []
    for name, runs in (("run first", first), ("added later", added)):
        if len(runs) > 1:
            pairs = _pairs(runs)
            found = differences(list(pairs.values()), LEVEL)
            gains = [
                f"{100 * one.mean / theirs.mean():+.1f}% in {WORLD_NAMES[world]}"
                f" (p {p_text(one.p_for)})"
                for (world, (_, theirs)), one in zip(pairs.items(), found, strict=True)
            ]
            lines.append(f"- the {len(runs)} populations that were {name}: {' and '.join(gains)}")
    return "\n".join(
        ["Gain of cascading-dqn over user-greedy in parts of the populations:", "", *lines]
    )


def _pairs(runs: list[Finished]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns what the agent and the greedy policy earn in each world of the claims, by seed."""
    return {
        world: (
            np.array([run.result[AGENT][world] for run in runs]),
            np.array([run.result[GREEDY][world] for run in runs]),
        )
        for world in WANTED
    }


def _all_policies() -> tuple[str, ...]:
    return (*POLICIES, *PLANNERS)


def _named(setting: Cell) -> str:
    return f"{setting['users']} users, dynamics {setting['dynamics']:g}, {setting['logging']} log"


def _row(policy: str, runs: list[Finished]) -> list[str]:
    texts = [
        seeds_text(np.array([one.result[policy][world] for one in runs]))
        if world in runs[0].result[policy]
        else ""
        for world in WORLDS
    ]
    return [policy, *texts]


def _gain(runs: list[Finished], world: str, ours: str = AGENT, theirs: str = GREEDY) -> np.ndarray:
    """Returns by how many per cent one policy earns more than another, by seed."""
    one, other = (np.array([run.result[name][world] for run in runs]) for name in (ours, theirs))
    gain: np.ndarray = 100.0 * (one / other - 1.0)
    return gain


def _planned(runs: list[Finished]) -> np.ndarray:
    greedy, planner = PLANNERS
    return _gain(runs, "truth", planner, greedy)


def _setting(setting: Cell, runs: list[Finished]) -> list[str]:
    texts = [seeds_text(_gain(runs, world), 1) for world in WORLDS]
    texts.append(seeds_text(_planned(runs), 1))
    for with_whom in ("agreement", "agreement_with_truth"):
        for what in ("levels", "items"):
            texts.append(seeds_text(np.array([one.result[with_whom][what] for one in runs]), 2))
    return [_named(setting), *texts]


def _claims(main: list[Finished], budget: Budget) -> list[Claim]:
    """Judges "beats by": the mean gain is as large, and p < .01 over populations, corrected."""
    pairs = _pairs(main)
    claims = []
    found = differences(list(pairs.values()), LEVEL)
    for (world, (ours, theirs)), difference in zip(pairs.items(), found, strict=True):
        wanted, level = WANTED[world], float(theirs.mean())
        large = difference.mean >= wanted * level
        verdict: Verdict = "contradicted" if difference.high < wanted * level else "inconclusive"
        if large and difference.p_for < LEVEL:
            verdict = "reproduced"
        evidence = (
            f"reward {ours.mean():.3f} against {level:.3f}, gain"
            f" {100 * difference.mean / level:+.1f}% ({100 * difference.low / level:+.1f} .."
            f" {100 * difference.high / level:+.1f}), p {p_text(difference.p_for)}"
        )
        evidence += limit(verdict, f"{difference.detectable / level:.0%}")
        text = f"{AGENT} beats {GREEDY} by {100 * wanted:.0f}% in {WORLD_NAMES[world]},"
        claims.append(Claim(f"{text} {_named(budget['main'])}", verdict, evidence))
    return claims


def _figure(finished: list[Finished], budget: Budget) -> Figure:
    """The gain in each world along each axis."""
    axes_of = budget["axes"]
    figure = Figure(figsize=(3.6 * len(axes_of), 3.2), layout="constrained")
    panels = figure.subplots(1, len(axes_of), sharey=True, squeeze=False)[0]
    for panel, (name, values) in zip(panels, axes_of.items(), strict=True):
        runs = [having(finished, **(budget["main"] | {name: value})) for value in values]
        for world, label in WORLD_NAMES.items():
            gains = [_gain(found, world) for found in runs]
            panel.errorbar(
                range(len(values)),
                [gain.mean() for gain in gains],
                [gain.std(ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else 0.0 for gain in gains],
                marker="o",
                capsize=2,
                label=label,
            )
        panel.axhline(0.0, color="grey", linewidth=0.8)
        panel.set_xticks(range(len(values)), [str(value) for value in values])
        panel.set_xlabel({"users": "users in the log", "logging": "logging policy"}.get(name, name))
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("gain over greedy, %")
    panels[0].legend(fontsize=7)
    return figure


EXPERIMENT = Experiment(
    name="transfer",
    title="What carries over from a user model to the truth",
    reproduces="no table: the claim of Chen et al. (ICML 2019) that planning in a fitted user model"
    " pays, where the truth is known",
    method=f"""
The users are those of KnownUsers-v0, a population drawn anew for every seed. A log shows each of
them {PAGES} slates of 5 of 200 items. Her slates are random, or "popular": half of them drawn from
the fifth of the items that are liked most. On 45% of the users a user model is fitted, as `recgym
fit` does with the truth's item features for a catalog, 10% stop that fit, and on the others a
second one is fitted, with the item table of the first. Agents learn in the first model with their
default settings, but from 256 episodes at once, for the identified reward of that model, of whose
level the share is kept that the second model confirms. The policy of the highest reward in
validation episodes there is kept. None of them, user-greedy neither, shows an item that was among
the last ten clicked: a user may click it again, but the log hardly shows histories of one item.
They are scored there, in the model of the other users, and in the truth, where an episode begins
after {PAST} random slates.

user-greedy shows the items of the highest reward in the first model. Of the two policies that know
the truth, which may show any item, one shows the slate that earns most now, and the other plans
ahead (`recgym.planning`); what that earns is a lower bound of the optimum. With dynamics 0 nothing
that is shown changes what follows.

What was seen before the settings were final: the population of seed 0, which is not used here. A
cascading DQN trained there lost to user-greedy in the truth, and models agreed little with it
(levels .33, as users' tastes moved the level). The population's defaults were then changed, by what
the two policies that know the truth earn and by agreement, in that population and in another that
is not used here. With the new defaults the agent was trained again on seed 0: free to show what was
just clicked, and not, which its defaults are and which stayed; and for rewards without the level,
with all of it, and with the share that is kept now, from 64 and from 256 episodes at once.

The claims are on the first setting. Its first five populations had been run and published before
seven were added, because the gain in the model of other users differs much from population to
population; nothing else was changed. So the page also tests either part alone.

Agreement is what a user of a real log can compute without the truth: how far models of different
users rank states by their level, and items within a state, alike
(`recgym.users.agreement_of`). The second model shares the item table of the first, which
helps them to agree.

± is the standard error over populations: the log, both fits, training and luck change together.
Rule: "beats by" is a mean gain as large, with p < .01 in a two-sided paired t-test over
populations, Holm-corrected over the claims. It is contradicted where the interval of the gain, at
the confidence that the correction leaves to one claim, ends below what is claimed.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
)
