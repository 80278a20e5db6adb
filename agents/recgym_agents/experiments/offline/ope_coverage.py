"""Whether the intervals of off-policy evaluation hold the truth as often as they say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

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
    having,
)
from recgym_agents.experiments.offline.coverage_replicates import (
    Pages,
    estimates,
    exact,
    log_of,
    make_world,
    policies,
)
from recgym_agents.experiments.results_report import table
from recgym_agents.experiments.verdicts import judge_all, limit

WORLD: dict[str, Any] = {
    "n_states": 4,
    "n_items": 8,
    "slate_size": 3,
    "horizon": 3,
    "concentration": 0.1,
}
TARGETS = {
    "near": {"sharpness": 0.6, "avoids_last": 0.0},
    "far": {"sharpness": 1.2, "avoids_last": 1.0},
}
"""Target policies: how sharply they prefer what is liked, and shun what was clicked last."""
LOW, HIGH = 0.93, 0.97
"""Shares of intervals that hold the truth, where 95% should."""
FOUND = (1.959964 + 0.841621) / 1.959964
"""How many times the reach of its 95% interval a share must be from a bound to be told from it four
times in five."""
CLAIMED = (
    ("page", "dr", "doubly robust"),
    ("page", "cascade-dr", "cascade-DR, a page's click in its last slot"),
    ("session", "dr", "doubly robust over whole sessions"),
    ("page", "cascade-dr, clicks by slot", "cascade-DR, clicks in their slots"),
)
"""What is estimated, by what, and what a claim calls it."""
ESTIMATORS = {
    "page": (
        *("ips", "ips, bootstrap", "ips, bernstein", "snips", "direct method", "dr", "cascade-dr"),
        *("iips", "rips", "cascade-dr, clicks by slot", "pseudo-inverse"),
    ),
    "session": ("ips", "dr"),
}
"""What is estimated -> by what, in the order of the tables."""
BUDGET: Budget = {"seeds": [0, 1, 2, 3], "sessions": [250, 1_000, 4_000], "replicates": 500}
SMOKE: Budget = {"seeds": [0, 1], "sessions": [100, 400], "replicates": 20}


def cells(budget: Budget) -> list[Cell]:
    """One cell a target policy, log size and world."""
    return [
        {"target": target, "sessions": sessions, "seed": seed}
        for target in TARGETS
        for sessions in budget["sessions"]
        for seed in budget["seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Draws the replicates, and counts how often each estimator's interval holds the truth."""
    n, count = cell["sessions"], budget["replicates"]
    env, world = make_world(WORLD | {"mdp_seed": cell["seed"]})
    logging, target = policies(world, **TARGETS[cell["target"]])
    truth = exact(world, target)
    log = log_of(env, world, logging, n * count, seed=cell["seed"])
    found: dict[str, list[tuple[float, ...]]] = {}
    for start in range(0, n * count, n):
        replicate = Pages(*(column[start : start + n] for column in log))
        for value, name, one in estimates(replicate, logging, target):
            held = one.low <= truth[value] <= one.high
            row = (held, one.estimate - truth[value], one.high - one.low, one.effective_sample_size)
            found.setdefault(f"{value}: {name}", []).append(row)
    result: Result = {f"exact {value}": number for value, number in truth.items()}
    for name, rows in found.items():
        held, off, width, size = np.array(rows).T
        result[name] = {
            "held": int(held.sum()),
            "bias": float(off.mean()),
            "spread": float(off.std(ddof=1)),
            "width": float(width.mean()),
            "effective": float(size.mean()),
        }
    return result


def coverage(held: int, count: int) -> tuple[float, float, float]:
    """Returns a share and its 95% interval (Wilson, JASA, 1927).

    >>> [round(number, 3) for number in coverage(95, 100)]
    [0.95, 0.888, 0.978]
    """
    share, z2 = held / count, 1.959964**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    reach = math.sqrt(z2 * (share * (1 - share) + z2 / (4 * count)) / count) / (1 + z2 / count)
    return share, middle - reach, middle + reach


def judge_coverage(low: float, high: float) -> Verdict:
    """Judges "93-97% of the intervals hold the truth", by an interval of that share."""
    if low >= LOW and high <= HIGH:
        return "reproduced"
    return "contradicted" if high < LOW or low > HIGH else "inconclusive"


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the verdicts, a table for each value and target policy, and the figure."""
    claims = [
        _claim(finished, budget, f"{value}: {name}", text, sessions)
        for value, name, text in CLAIMED
        for sessions in budget["sessions"]
    ]
    parts = []
    for value, unit in (("page", "Clicks on the first page"), ("session", "Clicks a session")):
        for target in TARGETS:
            truth = np.mean(
                [one.result[f"exact {value}"] for one in having(finished, target=target)]
            )
            parts += [
                f"## {unit}, {target} target policy",
                f"The exact value is {truth:.3f}, mean over worlds.",
                _table(finished, budget, value, target),
            ]
    parts.append("![Coverage by log size](ope-coverage.png)")
    figure = _figure(finished, budget)
    return Page(tuple(claims), "\n\n".join(parts), {"ope-coverage": figure})


def _pooled(
    finished: list[Finished], budget: Budget, name: str, target: str, sessions: int
) -> dict[str, float]:
    """Returns what an estimator did, over the replicates of all worlds."""
    runs = [one.result[name] for one in having(finished, target=target, sessions=sessions)]
    share, low, high = coverage(sum(run["held"] for run in runs), budget["replicates"] * len(runs))
    shares = [run["held"] / budget["replicates"] for run in runs]
    means = {key: float(np.mean([run[key] for run in runs])) for key in runs[0] if key != "held"}
    return means | {
        "share": share,
        "low": low,
        "high": high,
        "least": min(shares),
        "most": max(shares),
    }


def _claim(finished: list[Finished], budget: Budget, name: str, text: str, sessions: int) -> Claim:
    """Judges an estimator at a log size: the claim is of both target policies."""
    verdicts, numbers = [], []
    for target in TARGETS:
        found = _pooled(finished, budget, name, target, sessions)
        verdict = judge_coverage(found["low"], found["high"])
        detectable = 100.0 * FOUND * (found["high"] - found["low"]) / 2
        numbers.append(
            f"{target}: {found['share']:.1%} ({found['low']:.1%} .. {found['high']:.1%};"
            f" worlds {found['least']:.1%} .. {found['most']:.1%})"
            + limit(verdict, f"{detectable:.1f} points from a bound")
        )
        verdicts.append(verdict)
    claim = f"{text}: 93-97% of 95% intervals hold the truth, logs of {sessions:,} sessions"
    return Claim(claim, judge_all(verdicts), "; ".join(numbers))


def _table(finished: list[Finished], budget: Budget, value: str, target: str) -> str:
    sizes = budget["sessions"]
    rows = []
    for name in ESTIMATORS[value]:
        found = [
            _pooled(finished, budget, f"{value}: {name}", target, sessions) for sessions in sizes
        ]
        error = found[-1]["spread"] / math.sqrt(budget["replicates"] * len(budget["seeds"]))
        rows.append(
            [
                name,
                *(f"{100 * one['share']:.1f}" for one in found),
                f"{found[-1]['bias']:+.4f} ± {error:.4f}",
                *(f"{one['width']:.3f}" for one in found),
                *(f"{one['effective']:,.0f}" for one in found),
            ]
        )
    header = ["estimator", *(f"% held, {sessions:,}" for sessions in sizes)]
    header.append(f"bias, {sizes[-1]:,}")
    header += [f"width, {sessions:,}" for sessions in sizes]
    header += [f"effective of {sessions:,}" for sessions in sizes]
    return table(header, rows)


FIGURE = {
    "page: ips": "#9aa3ad",
    "page: snips": "#5b6770",
    "page: dr": "#2458b3",
    "page: cascade-dr": "#1a9988",
    "page: iips": "#c23b3b",
    "page: rips": "#e07b1a",
    "page: cascade-dr, clicks by slot": "#8a4fb0",
    "session: ips": "#9aa3ad",
    "session: dr": "#2458b3",
}
"""Colours of what the figure shows; dashed for whole sessions."""


def _figure(finished: list[Finished], budget: Budget) -> Figure:
    """Coverage by log size: a line for each estimator, a band where it should be."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, len(TARGETS), sharey=True)
    sizes = budget["sessions"]
    for panel, target in zip(panels, TARGETS, strict=True):
        panel.axhspan(100 * LOW, 100 * HIGH, color="#2458b3", alpha=0.1)
        for name, colour in FIGURE.items():
            held = [
                100 * _pooled(finished, budget, name, target, sessions)["share"]
                for sessions in sizes
            ]
            style = "--" if name.startswith("session") else "-"
            panel.plot(sizes, held, style, color=colour, marker="o", markersize=4, label=name)
        panel.set_xscale("log")
        panel.set_xticks(sizes, [f"{sessions:,}" for sessions in sizes])
        panel.minorticks_off()
        panel.set_xlabel("sessions in the log")
        panel.set_title(f"{target} target policy", fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("% of 95% intervals that hold the truth")
    panels[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)
    return figure


EXPERIMENT = Experiment(
    name="ope-coverage",
    title="Off-policy evaluation: how often an interval holds the truth",
    reproduces="no table: estimators of recgym.ope where the truth is known",
    method="""
Logs of a small [SlateMDP-v0](../environments/SlateMDP-v0.md): 4 hidden states, 8 items, slates of
3, at most 3 pages a session, concentration .1. A seed is a world. The logging policy draws slates
without replacement, in proportion to weights that know a little of what is liked; every page has
its propensities. The target policies draw by sharper weights: "near" by weights that never
change, "far" by weights twice as sharp, which also shun the item that was clicked last. Their
true values, the expected clicks on the first page and in a session, are computed exactly over all
slates, states and last clicks.

A replicate is a log of so many sessions, and every estimator's 95% interval from it (the normal
one, where nothing else is said). [The method](../method/off-policy-evaluation.md) says what each
estimator assumes. Users of a slate MDP compare all items of a slate, so that what *iips*, *rips*,
*cascade-dr, clicks by slot* and *pseudo-inverse* assume is not true here; *ips*, *snips*, *dr* and
*cascade-dr*, which has a page's click in its last slot, assume nothing about users. The direct
method's interval knows nothing of its model's error.

Models are linear in the items of a slate (those of cascade-dr in the items down to each slot), with
a ridge penalty; they learn from every other session, and are used for those between. A session's
model adds what later pages are worth, whatever was clicked: it is wrong, on purpose.

The share of intervals that hold the truth is over the replicates of all worlds, with Wilson's 95%
interval. "93-97%" is reproduced if that interval lies within, contradicted if it lies outside, and
inconclusive otherwise, for both target policies. The bias is the mean estimate less the truth, at
the largest logs, ± its standard error; the width is the intervals' mean; "effective" is the mean
effective sample size. The bernstein bound is told the highest weight that can be.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
