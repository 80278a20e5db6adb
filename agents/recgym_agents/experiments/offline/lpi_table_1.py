"""Table 1 of local policy improvement: what the first item earns, in a log and as imputed."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Claim,
    Experiment,
    Finished,
    Page,
    Place,
    Result,
    having,
)
from recgym_agents.experiments.offline.rating_logs import (
    LOGS,
    imputed_rewards,
    last_ratings,
    raw_logs,
    read_rating_log,
)
from recgym_agents.experiments.offline.shop_logs import facts, train_one
from recgym_agents.experiments.results_report import dots, seeds_text, table
from recgym_agents.experiments.verdicts import claim_above
from recgym_agents.runs.next_items import divergence_on, rank_events

LOGGING, IPS, FURTHEST, NEAR = "logging", "ips", "lpi-cb, beta 0.001", "lpi-cb, beta 0.1"
BETAS = (0.001, 0.1, 1.0, 1000.0)
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    LOGGING: (LOGGING, {}),
    "reward-weighted": ("reward-weighted", {}),
    IPS: (IPS, {}),
    **{f"lpi-cb, beta {beta:g}": ("lpi-cb", {"beta": beta}) for beta in BETAS},
}
"""Row -> agent, and its settings that are no defaults; in the paper's order."""
METRICS = {"AR@1": "ar", "iAR@1": "iar", "JS": "js"}
PAPER = {
    LOGGING: (0.060, 0.696, None),
    "reward-weighted": (0.060, 0.727, 0.094),
    IPS: (0.030, 0.690, 0.504),
    "lpi-cb, beta 0.001": (0.023, 0.706, 0.223),
    "lpi-cb, beta 0.1": (0.061, 0.739, 0.118),
    "lpi-cb, beta 1": (0.061, 0.717, 0.087),
    "lpi-cb, beta 1000": (0.060, 0.698, 0.081),
}
"""Of Netflix, in the order of ``METRICS``."""
WINDOW = 50
"""Ratings of a user that are learned from and tested on, the last ones."""
BUDGET: Budget = {
    "logs": list(LOGS),
    "seeds": [0, 1, 2, 3, 4],
    "sequences": 943,
    "epochs": 12,
    "batch_size": 16,
    "agent_args": {"learning_rate": 3e-3},
}
SMOKE: Budget = BUDGET | {
    "logs": ["ml-100k"],
    "seeds": [0, 1],
    "sequences": 40,
    "epochs": 1,
    "agent_args": {"size": 8},
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a log and a seed, in which all agents learn."""
    return [{"log": log, "seed": seed} for log in budget["logs"] for seed in budget["seeds"]]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains and scores every row on one division of a log."""
    whole = read_rating_log(cell["log"], place, budget["sequences"], cell["seed"])
    imputed, dataset = imputed_rewards(whole), last_ratings(whole, WINDOW)
    test = dataset.pages("test")
    found: Result = {"log facts": facts(whole) | {"reward": float(test.reward.mean())}}
    agents = {
        row: train_one(agent, dataset, cell, budget, place, window=WINDOW, **settings)
        for row, (agent, settings) in ROWS.items()
    }
    for row, agent in agents.items():
        ranked = rank_events(agent, test, imputed)
        found[row] = {
            "ar": float(ranked.reward_at_1().mean()),
            "iar": float(ranked.imputed.mean()),
        }
        if row != LOGGING:
            found[row]["js"] = divergence_on(agent, agents[LOGGING], test).js
    return found


def _values(finished: list[Finished], log: str, row: str, metric: str) -> np.ndarray:
    """Returns one number of a row by seed (S,), NaN where it has none."""
    runs = having(finished, log=log)
    return np.array([one.result[row].get(metric, np.nan) for one in runs])


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds a table of each log beside the paper's, and the verdicts."""
    parts: list[str] = []
    claims: list[Claim] = []
    panels: dict[str, dict[str, np.ndarray]] = {}
    for log in budget["logs"]:
        if not having(finished, log=log):
            continue
        parts += [f"## {log}", _facts(finished, log), _table(finished, log)]
        claims += _claims(finished, log)
        for name, metric in list(METRICS.items())[:2]:
            panels[f"{log}, {name}"] = {row: _values(finished, log, row, metric) for row in ROWS}
    parts.append("![AR@1 and imputed AR@1](lpi-table1.png)")
    figures = {"lpi-table1": dots(panels, "reward of the first item")} if panels else {}
    return Page(tuple(claims), "\n\n".join(parts), figures)


def _facts(finished: list[Finished], log: str) -> str:
    known = [one.result["log facts"] for one in having(finished, log=log)]
    mean = {name: float(np.mean([one[name] for one in known])) for name in known[0]}
    return (
        f"{mean['sequences']:,.0f} sequences of {mean['items']:,.0f} items,"
        f" {mean['events']:,.0f} ratings, of which policies read each user's last {WINDOW} (the"
        " paper: 472,987 sequences of 17,770 items, 53 million ratings)."
        f" A rating of the test users is worth {mean['reward']:.3f} in the mean."
    )


def _table(finished: list[Finished], log: str) -> str:
    rows = []
    for row in ROWS:
        found = [_values(finished, log, row, metric) for metric in METRICS.values()]
        ours = ["–" if np.isnan(one).any() else seeds_text(one) for one in found]
        theirs = ["–" if one is None else f"{one:.3f}" for one in PAPER[row]]
        rows.append([row, *itertools.chain(*zip(ours, theirs, strict=True))])
    header = itertools.chain(*((name, "the paper") for name in METRICS))
    return table(["policy", *header], rows)


def _claims(finished: list[Finished], log: str) -> list[Claim]:
    def pairs(metric: str, *named: tuple[str, str]) -> list[tuple[str, str, Any, Any]]:
        return [
            (a, b, _values(finished, log, a, metric), _values(finished, log, b, metric))
            for a, b in named
        ]

    others = [row for row in ROWS if row not in (LOGGING, IPS)]
    by_beta = [row for row in ROWS if row.startswith("lpi-cb")]
    return [
        claim_above(
            f"{log}: ips is furthest from the logging policy",
            pairs("js", *((IPS, other) for other in others)),
        ),
        claim_above(
            f"{log}: JS falls from each beta to the next",
            pairs("js", *itertools.pairwise(by_beta)),
        ),
        claim_above(
            f"{log}: in the log, ips and the lowest beta earn less than the logging policy",
            pairs("ar", (LOGGING, IPS), (LOGGING, FURTHEST)),
        ),
        claim_above(
            f"{log}: as imputed, lpi-cb (beta .1) earns more than the logging policy",
            pairs("iar", (NEAR, LOGGING)),
        ),
    ]


EXPERIMENT = Experiment(
    name="lpi-table1",
    title="What the first item earns, in a log of ratings and as imputed",
    reproduces="Liang and Vlassis (2022), Table 1",
    method="""
Ratings as rewards: 1 and 2 stars are worth 0, 3 stars .5, and 4 and 5 stars 1. The paper's log is
the Netflix Prize, of which some users are drawn (the budget says how many) where it is at hand;
MovieLens 100K, 943 users in all, stands beside it. Users of fewer than 5 ratings are left out, and
the last 200 of each are kept. Policies learn from the last 50 of each user, as there, and are
tested on as many; they observe no earlier ones (200 in the paper).

All are the same network, [SASRec](../agents/logging.md) with one layer, one head and 64 numbers
(two, 8 and 200 in the paper), trained by Adam; rows differ as the agents' pages say:
[reward-weighted](../agents/reward-weighted.md), [ips](../agents/ips.md) with weights up to 30, and
[lpi-cb](../agents/lpi-cb.md) with other values of beta. The policy kept is the best on validation
users, by nDCG@20 (by AR@1 in the paper); nothing was chosen on test users.

AR@1 is the mean over the test users' ratings, from the second on, of the reward where the rated
item is the best one of the policy, and 0 elsewhere. All items are ranked, those that the user has
rated before too, which are never right here. iAR@1 is the mean reward of the best item as a
matrix factorisation of all ratings imputes it, test users' among them. In it a rating that is
missing counts as a reward of 0, with a weight of .005 (Steck, KDD 2010); the paper prints neither
of the two, nor the factors (20 here), so that its iAR@1 is not on the same level. JS is the
Jensen-Shannon divergence from `logging` over 2,000 test ratings.

± is the standard error over seeds, each of which draws users where there are more, orders what has
one time, divides the users 80 / 10 / 10 and begins a training. A claim is reproduced if each of its
differences is above 0 with p < .05 in a two-sided paired t-test over seeds, Holm-corrected within
the claim.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    raw_logs=raw_logs,
    reads_arrays=False,
)
