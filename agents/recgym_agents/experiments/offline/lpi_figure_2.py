"""Figure 2 of local policy improvement: how far its multipliers let it move from the log."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

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
    having,
)
from recgym_agents.experiments.offline.shop_logs import (
    SMOKE_TRAINING,
    TRAINING,
    raw_logs,
    read_shop_log,
    score_one,
    train_one,
)
from recgym_agents.experiments.results_report import p_text, seeds_text, table
from recgym_agents.experiments.verdicts import differences, judge, judge_all, limit

BETAS = (0.01, 0.1, 1.0, 10.0, 100.0)
LAMBDAS = (0.1, 0.3, 1.0, 3.0, 10.0)
SETTINGS = {"beta": BETAS, "value_weight": LAMBDAS}
METRICS = ("js", "purchase nDCG@20", "click nDCG@20")
BUDGET: Budget = {"log": "yoochoose", **TRAINING}
SMOKE: Budget = BUDGET | SMOKE_TRAINING


def cells(budget: Budget) -> list[Cell]:
    """One cell a multiplier and a seed, in which every value of it is tried."""
    return [
        {"log": budget["log"], "setting": setting, "seed": seed}
        for setting in SETTINGS
        for seed in budget["seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains the logging policy, and lpi-rl with each value of one setting."""
    dataset = read_shop_log(cell["log"], place, budget["sequences"], cell["seed"])
    logging = train_one("logging", dataset, cell, budget, place, "last")
    found: Result = {}
    for value in SETTINGS[cell["setting"]]:
        changes = {cell["setting"]: value}
        agent = train_one("lpi-rl", dataset, cell, budget, place, "last", **changes)
        found[f"{value:g}"] = score_one(agent, logging, dataset)
    return found


def _values(finished: list[Finished], setting: str, value: float, metric: str) -> np.ndarray:
    runs = having(finished, setting=setting)
    return np.array([one.result[f"{value:g}"].get(metric, np.nan) for one in runs])


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds a table and a figure of both multipliers, and the verdicts."""
    parts = []
    for setting, values in SETTINGS.items():
        rows = [
            [f"{value:g}", *(seeds_text(_values(finished, setting, value, m)) for m in METRICS)]
            for value in values
        ]
        parts += [f"## {setting}", table([setting, *METRICS], rows)]
    parts.append("![Divergence and nDCG@20 by both multipliers](lpi-fig2.png)")
    falls = itertools.pairwise(BETAS)
    grows = ((after, before) for before, after in itertools.pairwise(LAMBDAS))
    claims = (
        _ordered(finished, "beta", "JS falls with beta, from each value to the next", falls),
        _ordered(finished, "beta", "JS falls from the lowest to the highest beta", _ends(BETAS)),
        _ordered(finished, "value_weight", "JS grows with lambda, from each to the next", grows),
    )
    return Page(claims, "\n\n".join(parts), {"lpi-fig2": _figure(finished)})


def _ends(values: tuple[float, ...]) -> list[tuple[float, float]]:
    return [(values[0], values[-1])]


def _ordered(
    finished: list[Finished], setting: str, text: str, pairs: Iterable[tuple[float, float]]
) -> Claim:
    """Judges that the divergence of the first of each pair is above that of the second."""
    named = list(pairs)
    js = [tuple(_values(finished, setting, value, "js") for value in pair) for pair in named]
    found = differences([(ours, theirs) for ours, theirs in js])
    verdict = judge_all([judge(one) for one in found])
    evidence = "; ".join(
        f"{a:g} {ours.mean():.3f}, {b:g} {theirs.mean():.3f} (p {p_text(one.p_for)})"
        for (a, b), (ours, theirs), one in zip(named, js, found, strict=True)
    )
    detectable = max(one.detectable for one in found)
    return Claim(text, verdict, evidence + limit(verdict, f"{detectable:.4f}"))


def _figure(finished: list[Finished]) -> Figure:
    """Each metric over both multipliers: every seed a dot, the mean a line."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    panels = figure.subplots(2, 3, sharex="row")
    for row, (setting, values) in zip(panels, SETTINGS.items(), strict=True):
        for axes, metric in zip(row, METRICS, strict=True):
            found = [_values(finished, setting, value, metric) for value in values]
            for value, seeds in zip(values, found, strict=True):
                axes.scatter(np.full(len(seeds), value), seeds, s=12, color="#2458b3", alpha=0.5)
            axes.plot(values, [seeds.mean() for seeds in found], color="#e07b1a")
            axes.set_xscale("log")
            axes.set_title(metric, fontsize=9)
            axes.set_xlabel(setting, fontsize=8)
            axes.spines[["top", "right"]].set_visible(False)
    return figure


EXPERIMENT = Experiment(
    name="lpi-fig2",
    title="How far local policy improvement moves from the log",
    reproduces="Liang and Vlassis (2022), Figure 2",
    method="""
[lpi-rl](../agents/lpi-rl.md) on the sample of YooChoose that [lpi-table3](lpi-table3.md) describes,
scored in the same way, with other values of beta, which weighs the divergence from the logging
policy, and of lambda (`value_weight`), which weighs the loss of the values. The paper shows
validation sequences; these are test sequences, of which nothing is selected, and the policy kept is
that of the last epoch, so that all are equally far trained.

JS is the Jensen-Shannon divergence from [logging](../agents/logging.md), which begins with the same
network and reads the sequences in the same order. A policy that is not weighed at all is a little
apart from it all the same, because values move its encoder.

± is the standard error over seeds. A claim is reproduced if each of its differences is above 0 with
p < .05 in a two-sided paired t-test over seeds, Holm-corrected within the claim.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    raw_logs=raw_logs,
    reads_arrays=False,
)
