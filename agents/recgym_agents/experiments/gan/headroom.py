"""What agents earn of what can be earned in RecGAN-v0, for the identified reward."""

from __future__ import annotations

import itertools
from dataclasses import asdict

import numpy as np
from matplotlib.figure import Figure

from recgym.metrics import HeadroomShare, share_of_headroom
from recgym.planning import PlannerConfig
from recgym.users.agreement import agreement_of
from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Claim,
    Experiment,
    Finished,
    Page,
    Place,
    Result,
    folder_of,
    having,
)
from recgym_agents.experiments.results_report import dots, seeds_text, share_text, table
from recgym_agents.experiments.user_logs import fit_division
from recgym_agents.experiments.verdicts import differences, judge, judge_bound, limit
from recgym_agents.runs.evaluation import evaluate
from recgym_agents.runs.planned_sessions import PLANNING, planned_sessions
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train

ENV, LOG = "RecGAN-v0", "ml-100k"
LUCK = 1_000
"""Added to a division's number for the luck of its test sessions."""
WORLDS = ("train", "test")
BESIDE = "beside the planner"
"""The sessions in the model of training that the planner plays too."""
FLOORS = ("random", "popularity", "user-greedy")
FLAGSHIP, PLANNER = "slateq-user", "planner"
CAUTIOUS = "pessimistic slateq-user"
LEARNERS = ("cascading-dqn", FLAGSHIP, CAUTIOUS)
AVERAGED = "user-greedy-ensemble"
"""Greedy in the mean of the models that the pessimistic agent learns in, and no floor."""
POLICIES = (*FLOORS, AVERAGED, *LEARNERS)
PESSIMISM = 1.0
"""Standard deviations that are taken off the mean of the members' rewards."""
SHARE = 0.6
"""Of the headroom between the best floor and the planner, where an agent trained."""
MARGIN = 0.01
"""By which share an agent may fall short on other users and still be no worse."""
BUDGET: Budget = {
    "seeds": [1, 2, 3, 4, 5],
    "slate_sizes": [3, 5],
    "epochs": None,
    "bags": 5,
    "steps": {"popularity": 32_000, "cascading-dqn": 48_000, FLAGSHIP: 64_000, CAUTIOUS: 16_000},
    "reports": 8,
    "validation_episodes": 200,
    "episodes": 1_000,
    "planned_episodes": 128,
    "planner": asdict(PLANNING),
}
SMOKE: Budget = BUDGET | {
    "seeds": [1, 2],
    "slate_sizes": [3],
    "epochs": 1,
    "steps": dict.fromkeys(("popularity", *LEARNERS), 192),
    "reports": 1,
    "validation_episodes": 10,
    "episodes": 20,
    "planned_episodes": 4,
    "planner": asdict(PlannerConfig(rounds=1, episodes=2, pool=20)),
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a slate size and division, whose number is the seed of all that it does."""
    return [
        {"slate_size": size, "seed": seed}
        for size in budget["slate_sizes"]
        for seed in budget["seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Divides the users, fits both models, trains in the one, and scores in both."""
    folder = folder_of(place.folder, {name: budget[name] for name in ("epochs", "bags")})
    model = fit_division(LOG, budget["epochs"], cell["seed"], place, folder, budget["bags"])
    world = {"user_model": str(folder), "slate_size": cell["slate_size"]}
    luck = LUCK + cell["seed"]
    result: Result = {"agreement": asdict(agreement_of(model))}
    for policy in POLICIES:
        agent, changes = policy, {}
        if policy == CAUTIOUS:
            agent, changes = FLAGSHIP, {"ensemble": budget["bags"], "pessimism": PESSIMISM}
        own = folder_of(place.folder / policy, budget)
        train(
            TrainConfig(
                env=ENV,
                agent=agent,
                steps=budget["steps"].get(policy, 1),
                seed=cell["seed"],
                out=str(own),
                env_args=world | changes,
                reports=budget["reports"],
                validation_episodes=budget["validation_episodes"],
            )
        )
        trained, _ = load_agent(own)
        scored = {
            "train": evaluate(trained, ENV, world, budget["episodes"], luck),
            "test": evaluate(trained, ENV, world | {"split": "test"}, budget["episodes"], luck),
            BESIDE: evaluate(trained, ENV, world, budget["planned_episodes"], luck),
        }
        result[policy] = {name: float(one.session_reward.mean()) for name, one in scored.items()}
    planner = PlannerConfig(**budget["planner"])
    planned = planned_sessions(ENV, world, budget["planned_episodes"], luck, planner)
    return result | {PLANNER: {BESIDE: float(planned.session_reward.mean())}}


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds a table a slate size, and the verdicts."""
    if not finished:
        return Page((Claim("slateq-user in RecGAN-v0", "data not available here", ""),), "")
    parts, claims = [], []
    for size in budget["slate_sizes"]:
        runs = having(finished, slate_size=size)
        parts += [f"## Slates of {size}", _table(runs)]
        claims += _claims(runs, size)
    parts += [
        "Reward per session, mean ± standard error over divisions: in the model of the training"
        " users; in the sessions there that the planner plays too; and in the model of other users."
        " The share is of the headroom between the best of random, popularity and user-greedy and"
        " the planner, with its 95% interval.",
        "## Do the two models agree?",
        _agreement(finished, budget),
        "Gains are over user-greedy, on other users.",
        "![Gain over user-greedy](recgan-headroom.png)",
    ]
    return Page(tuple(claims), "\n\n".join(parts), {"recgan-headroom": _figure(finished, budget)})


def _earned(runs: list[Finished], policy: str, where: str) -> np.ndarray:
    return np.array([one.result[policy][where] for one in runs])


def _share(runs: list[Finished], policy: str) -> HeadroomShare:
    """Returns the share of the headroom with the training users, in the planner's sessions."""
    bars = {floor: _earned(runs, floor, BESIDE) for floor in FLOORS}
    return share_of_headroom(_earned(runs, policy, BESIDE), bars, _earned(runs, PLANNER, BESIDE))


def _table(runs: list[Finished]) -> str:
    rows = []
    for policy in (*POLICIES, PLANNER):
        texts = [
            seeds_text(_earned(runs, policy, where), 2) if where in runs[0].result[policy] else ""
            for where in ("train", BESIDE, "test")
        ]
        share = share_text(_share(runs, policy)) if policy in LEARNERS else ""
        rows.append([policy, *texts, share])
    return table(["policy", "train users", BESIDE, "test users", "share of the headroom"], rows)


def _claims(runs: list[Finished], size: int) -> list[Claim]:
    """Judges what is earned where agents were trained, and of other users."""
    share, where = _share(runs, FLAGSHIP), f"slates of {size}"
    verdict = judge_bound(share.low, share.high, SHARE)
    evidence = share_text(share) + limit(verdict, f"{(share.high - share.low) / 2:.0%} of it")
    text = f"{FLAGSHIP} closes {SHARE:.0%} of the planner's headroom where it was trained, {where}"
    claims = [Claim(text, verdict, evidence)]
    for agent, floor in itertools.product((FLAGSHIP, CAUTIOUS), ("user-greedy", "popularity")):
        ours, theirs = _earned(runs, agent, "test"), _earned(runs, floor, "test")
        (found,) = differences([(ours, theirs)])
        level = float(theirs.mean())
        verdict = judge_bound(found.low / level, found.high / level, -MARGIN)
        evidence = (
            f"{ours.mean():.2f} against {level:.2f} a session, {found.mean / level:+.1%}"
            f" ({found.low / level:+.1%} .. {found.high / level:+.1%})"
        )
        evidence += limit(verdict, f"{found.detectable / level:.1%}")
        text = f"{agent} is no worse than {floor} on other users, {where}"
        claims.append(Claim(text, verdict, evidence))
    (found,) = differences([(_earned(runs, CAUTIOUS, "test"), _earned(runs, FLAGSHIP, "test"))])
    verdict = judge(found)
    evidence = f"{found.mean:+.2f} ({found.low:+.2f} .. {found.high:+.2f}) a session"
    evidence += limit(verdict, f"{found.detectable:.2f}")
    return [
        *claims,
        Claim(f"{CAUTIOUS} earns more than {FLAGSHIP} there, {where}", verdict, evidence),
    ]


def _agreement(finished: list[Finished], budget: Budget) -> str:
    """What can be known before anything is trained, and gains over user-greedy on other users."""
    runs = having(finished, slate_size=budget["slate_sizes"][-1])
    levels, items = (
        np.array([one.result["agreement"][name] for one in runs]) for name in ("levels", "items")
    )
    columns = list(itertools.product((FLAGSHIP, CAUTIOUS), budget["slate_sizes"]))
    gains = [
        100.0 * (_earned(own, agent, "test") / _earned(own, "user-greedy", "test") - 1.0)
        for agent, size in columns
        for own in [having(finished, slate_size=size)]
    ]
    header = ["division", "agreement, levels", "items"]
    header += [f"{agent}, {size} items, %" for agent, size in columns]
    rows = [
        [str(one.cell["seed"]), f"{level:.2f}", f"{item:.2f}", *(f"{gain:+.1f}" for gain in own)]
        for one, level, item, *own in zip(runs, levels, items, *gains, strict=True)
    ]
    return table(header, rows)


def _figure(finished: list[Finished], budget: Budget) -> Figure:
    """Each division's gain over user-greedy by slate size, of training and of other users."""
    panels = {}
    for size in budget["slate_sizes"]:
        runs = having(finished, slate_size=size)
        for where in WORLDS:
            greedy = _earned(runs, "user-greedy", where)
            panels[f"{size} items, {where} users"] = {
                policy: 100.0 * (_earned(runs, policy, where) / greedy - 1.0)
                for policy in ("popularity", *LEARNERS)
            }
    return dots(panels, "gain over user-greedy, %")


EXPERIMENT = Experiment(
    name="recgan-headroom",
    title="What agents earn of what can be earned in RecGAN-v0",
    reproduces="no table: the claim of Chen et al. (ICML 2019) that planning in a fitted user model"
    " pays, for the reward that the log identifies",
    method=f"""
The users of MovieLens 100K are divided 50 / 12.5 / 37.5 anew for every replicate, one user model is
fitted on the training users and another on the test users (item features shared and frozen).
All policies but the pessimistic one learn in the first model, with their default settings, for its
identified reward, the environment's default; the policy of the highest reward in validation
episodes there is kept. They are scored there, and in the model of the other users. Nothing is told
apart from user to user but by clicks: an episode begins with a user's synthetic history.

user-greedy and slateq-user know the first model: user-greedy shows the items of the highest reward,
and slateq-user learns with SlateQ what each click makes of all that follows. cascading-dqn knows
nothing and learns from rewards alone, in a catalogue of 1,682 films. The planner
([planners](../method/planners.md)) knows the model, sees the state and the slates that are left,
and looks ahead by simulation; what it earns is a lower bound of the optimum.

The pessimistic slateq-user is the same agent, trained in five models at once, each fitted on other
training users, drawn with replacement (`ensemble=5 pessimism=1`). One of them answers in an episode
and is not told; a click is worth the mean of what all five say, less one standard deviation, and
the agent knows that and the mean of their utilities. What one fit makes too much of by chance is so
worth less. user-greedy-ensemble shows the items of the highest reward in their mean.

The settings of slateq-user were chosen in the shipped user model of RecGAN-v0, which is of another
division, with slates of 5 and one seed: windows of 10 and 20, discounts of .9, .95 and .98, more
units (which earned less), and 32,000 and 96,000 steps. Of the pessimistic one no other setting was
tried; its steps were halved after a training of twice as many in division 3 with slates of 3, whose
validation had settled by then. It was added, with its claims, after what the other policies earn in
these divisions was known, and shows a quarter of slateq-user's slates in training.

± is the standard error over divisions: the division, both fits, training and luck change together;
the models of different divisions share users of the one log. A share of the headroom is judged by
its interval (Fieller's, 95%), and "no worse" by the 95% interval of the difference, which must lie
above -{MARGIN:.0%} of the other's reward.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
