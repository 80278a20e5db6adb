"""Self-supervised RL and its ablation: four encoders, each with five losses beside its own."""

from __future__ import annotations

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
    LOGS,
    REGULARISED,
    SMOKE_REGULARISED,
    missing,
    raw_logs,
    read_shop_log,
    score_one,
    train_one,
)
from recgym_agents.experiments.results_report import dots, p_text, seeds_text, table
from recgym_agents.experiments.verdicts import differences, judge, limit

ENCODERS = ("gru", "caser", "nextitnet", "sasrec")
PLAIN, SUPERVISED = "logging", "sqn-supervised"
RL = ("sqn", "sac-ss", "snqn", "sa2c")
AGENTS = (PLAIN, *RL, SUPERVISED)
OTHERS = {PLAIN: "no second loss", SUPERVISED: "the supervised second loss"}
"""What RL losses are held against -> what the page calls it."""
FLOORS = ("click-count", "last-item", "item-knn", "v-sknn")
METRICS = ("purchase HR@20", "purchase nDCG@20", "click HR@20", "click nDCG@20")
BUDGET: Budget = {"logs": list(LOGS), "encoders": list(ENCODERS), **REGULARISED, "epochs": 4}
SMOKE: Budget = {
    **BUDGET,
    "logs": ["retailrocket"],
    "encoders": ["caser", "sasrec"],
    **SMOKE_REGULARISED,
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a log, an encoder and a seed, in which it learns by each loss; and one of floors."""
    return [
        {"log": log, "encoder": encoder, "seed": seed}
        for log in budget["logs"]
        for encoder in ("none", *budget["encoders"])
        for seed in budget["seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains and scores one encoder with every loss, or the floors."""
    dataset = read_shop_log(cell["log"], place, budget["sequences"], cell["seed"])
    keep = budget["keep"]
    if cell["encoder"] == "none":
        floors = {name: train_one(name, dataset, cell, budget, place, keep) for name in FLOORS}
        return {name: score_one(agent, None, dataset) for name, agent in floors.items()}
    found: Result = {}
    for name in AGENTS:
        agent = train_one(name, dataset, cell, budget, place, keep, encoder=cell["encoder"])
        found[name] = score_one(agent, None, dataset)
    return found


def _values(
    finished: list[Finished], log: str, encoder: str, agent: str, metric: str
) -> np.ndarray:
    runs = having(finished, log=log, encoder=encoder)
    return np.array([one.result[agent].get(metric, np.nan) for one in runs])


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds a table of each log, and the verdicts."""
    parts: list[str] = []
    claims: list[Claim] = []
    figures: dict[str, Figure] = {}
    for log in budget["logs"]:
        if not having(finished, log=log):
            claims.append(missing(log))
            continue
        rows = []
        for encoder in ("none", *budget["encoders"]):
            for agent in FLOORS if encoder == "none" else AGENTS:
                texts = [seeds_text(_values(finished, log, encoder, agent, m)) for m in METRICS]
                rows.append(["" if encoder == "none" else encoder, agent, *texts])
        judged = [_claims(finished, log, encoder) for encoder in budget["encoders"]]
        claims += [claim for own in judged for claim in own]
        picture = f"![nDCG@20 of clicks, less that without a second loss](sqn-table-{log}.png)"
        parts += [f"## {log}", _in_words(judged)]
        parts += [table(["encoder", "loss", *METRICS], rows), picture]
        gains = {
            encoder: {
                agent: _values(finished, log, encoder, agent, "click nDCG@20")
                - _values(finished, log, encoder, PLAIN, "click nDCG@20")
                for agent in AGENTS[1:]
            }
            for encoder in budget["encoders"]
        }
        figures[f"sqn-table-{log}"] = dots(gains, "click nDCG@20, gain")
    return Page(tuple(claims), "\n\n".join(parts), figures)


def _in_words(judged: list[list[Claim]]) -> str:
    """Says with how many encoders an RL loss was shown to be of use, by the claims of each."""
    said = []
    for metric in METRICS[1::2]:
        shown = {
            text: sum(
                claim.verdict == "reproduced"
                for own in judged
                for claim in own
                if claim.text.endswith(f"beats {text}, {metric}")
            )
            for text in OTHERS.values()
        }
        counts = ", and above ".join(f"{text} with {count}" for text, count in shown.items())
        said.append(f"By {metric}, the best RL loss is shown to be above {counts} of them.")
    return f"There are {len(judged)} encoders. " + " ".join(said)


def _claims(finished: list[Finished], log: str, encoder: str) -> list[Claim]:
    """Judges what each RL loss adds to the encoder, and to the supervised one in its place."""
    claims = []
    for other, text in OTHERS.items():
        for metric in METRICS[1::2]:
            theirs = _values(finished, log, encoder, other, metric)
            if np.isnan(theirs).any():
                continue
            pairs = [(_values(finished, log, encoder, name, metric), theirs) for name in RL]
            found = differences(pairs)
            best = max(range(len(RL)), key=lambda place: found[place].mean)
            verdict = judge(found[best])
            evidence = "; ".join(
                f"{name} {one.mean:+.3f} ({one.low:+.3f} .. {one.high:+.3f}, p {p_text(one.p_for)})"
                for name, one in zip(RL, found, strict=True)
            )
            evidence += limit(verdict, f"{found[best].detectable:.3f}")
            claim = f"{log}, {encoder}: an RL loss ({RL[best]}) beats {text}, {metric}"
            claims.append(Claim(claim, verdict, evidence))
    return claims


EXPERIMENT = Experiment(
    name="sqn-table",
    title="Does Q-learning beside next-item prediction help?",
    reproduces=(
        "Xin et al. (SIGIR 2020), Tables 2 and 3; Xin et al. (WSDM 2022), Tables 3 and 4; Silva et"
        " al. (ICML 2024), the supervised loss in Q-learning's place"
    ),
    method="""
The logs, their division and the metrics are those of [lpi-table3](lpi-table3.md), unlike the
papers', whose figures differ threefold from each other by preparation and tuning: only differences
within one table mean anything. Each encoder learns next items alone
([logging](../agents/logging.md)), with Q-learning beside it ([sqn](../agents/sqn.md)), weighed by
what it values ([sac-ss](../agents/sac-ss.md)), both with items drawn at random as negatives
([snqn](../agents/snqn.md), [sa2c](../agents/sa2c.md)), and with a supervised task that knows no
reward ([sqn-supervised](../agents/sqn-supervised.md)). The floors read the same sequences. The
settings were chosen there, with the attention network (sasrec), no second loss and eight epochs,
and are the same for all encoders and losses here. There are four epochs, what two cores do in an
hour, so that policies are not at their best in clicks: differences between losses are those after
as much training. `--paper` has eight.

± is the standard error over seeds. An RL loss beats another where the best of the four is above it
with p < .05 in a two-sided paired t-test over seeds, Holm-corrected over the four. Claims are not
corrected for how many they are: of 32, one may be reproduced by chance.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    paper_budget=BUDGET | {"epochs": REGULARISED["epochs"]},
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    raw_logs=raw_logs,
    reads_arrays=False,
)
