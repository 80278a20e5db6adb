"""Table 1 of IRecGAN: reranking the lists of a log, with policies learned from the log alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from recgym.data import Dataset
from recgym.metrics import holm, paired_bootstrap
from recgym_agents.algorithms.policy_gradient import PolicyGradient
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
from recgym_agents.experiments.irecgan.reranking import (
    TOP,
    Lists,
    Reranked,
    agent_scores,
    facts_of,
    floor_scores,
)
from recgym_agents.experiments.irecgan.shared_settings import as_irecgan_is_paid, with_users
from recgym_agents.experiments.results_report import dots, p_text, seeds_text, table
from recgym_agents.experiments.user_logs import raw_log, read_lists
from recgym_agents.experiments.verdicts import differences, judge, limit
from recgym_agents.runs.run_metrics import kept_report
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train

LOGS = ("cikm", "trivago")
ORDERED = ("trivago",)
"""Logs whose lists are in the order in which they were shown."""
SLATE_SIZE, WINDOW = 10, 40
"""Items of the slates that are generated; the window covers the longest session."""
METHODS = {
    "LSTM": "user-lstm",
    "LSTMD": "user-lstm-d",
    "PG": "reinforce",
    "PGIS": "reinforce-is",
    "AC": "actor-critic",
    "PGU": "pgu",
    "ACU": "acu",
    "IRecGAN": "irecgan",
}
"""The paper's name of a method -> the zoo's."""
WATCHED = ("steps", "discriminator_accuracy", "score", "score_share")
"""What is published of the report whose policy was kept."""
ADVERSARIAL = ("LSTMD", "IRecGAN")
"""Methods with a discriminator."""
WITH_USERS = ("LSTM", "LSTMD", "PGU", "ACU", "IRecGAN")
"""Those that have a user model, and its settings."""
Metric = Literal["at_10", "at_1"]
METRICS: dict[Metric, str] = {"at_10": "P@10", "at_1": "P@1"}
PAPER = {
    "LSTM": (32.89, 8.20),
    "LSTMD": (33.42, 8.55),
    "PG": (33.28, 6.25),
    "PGIS": (28.13, 4.61),
    "AC": (31.93, 6.54),
    "PGU": (34.12, 6.44),
    "ACU": (32.43, 6.63),
    "IRecGAN": (35.06, 6.79),
}
"""Table 1: precision at 10 and at 1 in percent, on the CIKM Cup's log."""
FLOORS = {
    "random": "random",
    "item_ctr": "item-CTR",
    "last_click": "last click",
    "not_clicked": "no click in training",
    "first_slot": "position 1, 2, ...",
}
"""Rule that learns nothing of sessions -> what the page calls it."""


class Ordering(NamedTuple):
    """What Table 1 says: one method is better than another."""

    better: str
    worse: str
    metric: Metric


ORDERINGS = (
    *(Ordering("IRecGAN", other, "at_10") for other in METHODS if other != "IRecGAN"),
    Ordering("LSTMD", "LSTM", "at_10"),
    Ordering("PG", "PGIS", "at_10"),
    Ordering("PGU", "PG", "at_10"),
    Ordering("LSTMD", "LSTM", "at_1"),
    Ordering("LSTMD", "IRecGAN", "at_1"),
    Ordering("PG", "PGIS", "at_1"),
    Ordering("IRecGAN", "PG", "at_1"),
    Ordering("IRecGAN", "PGU", "at_1"),
)
BUDGET: Budget = {
    "logs": list(LOGS),
    "seeds": [0, 1, 2, 3, 4],
    "sessions": None,
    "passes": 5,
    "pretraining": 10,
    "discriminator_pretraining": 20,
    "discriminator_learning_rate": 0.01,
    "batch_size": 64,
    "user_learning_rate": 0.01,
    "reports": 15,
}
SMOKE: Budget = BUDGET | {
    "logs": ["trivago"],
    "seeds": [0, 1],
    "sessions": 200,
    "passes": 2,
    "pretraining": 2,
    "discriminator_pretraining": 1,
    "reports": 1,
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a log, method and seed; the floors of a log are a cell of their own."""
    floors = [{"log": log, "method": "floors", "seed": 0} for log in budget["logs"]]
    return floors + [
        {"log": log, "method": method, "seed": seed}
        for log in budget["logs"]
        for method in METHODS
        for seed in budget["seeds"]
    ]


def raw_logs(cell: Cell) -> tuple[str, ...]:
    """Returns the raw files that a cell reads."""
    return raw_log(cell["log"])


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Learns from a log's training sessions and reranks its test pages, or scores the floors."""
    dataset = read_lists(cell["log"], place, budget["sessions"])
    lists = Lists.of(dataset, "test", WINDOW)
    if cell["method"] == "floors":
        found = {
            rule: Reranked.of(lists, scores).means()
            for rule, scores in floor_scores(dataset, lists).items()
            if rule in FLOORS and (rule != "first_slot" or cell["log"] in ORDERED)
        }
        sessions = {"at_1": lists.session, "at_10": lists.session[lists.size > TOP]}
        arrays = {name: ids.tolist() for name, ids in sessions.items()}
        return {"scores": found, "facts": facts_of(dataset, lists), "arrays": arrays}
    folder = folder_of(place.folder, budget)
    config = _config(cell, budget, dataset, folder)
    as_irecgan_is_paid(dataset, config.agent).save(str(config.log))
    train(config)
    loaded, _ = load_agent(folder)
    agent = loaded.inner
    assert isinstance(agent, PolicyGradient)
    reranked = Reranked.of(lists, agent_scores(agent, lists))
    arrays = {name: getattr(reranked, name).round(4).tolist() for name in METRICS}
    kept = kept_report(folder)
    watched = {name: kept[name] for name in WATCHED if name in kept}
    return reranked.means() | watched | {"arrays": arrays}


def _config(cell: Cell, budget: Budget, dataset: Dataset, folder: Path) -> TrainConfig:
    """Returns how a method learns: for a number of passes over the training sessions."""
    pages = dataset.pages("train")
    agent_args: dict[str, Any] = {"remove_clicked": False}
    if cell["method"] in WITH_USERS:
        agent_args |= with_users(pages, budget)
    return TrainConfig(
        env=None,
        agent=METHODS[cell["method"]],
        steps=budget["passes"] * pages.n_pages,
        seed=cell["seed"],
        out=str(folder),
        env_args={"slate_size": SLATE_SIZE, "window": WINDOW},
        agent_args=agent_args,
        loop_args={"schedule": "offline", "batch_size": budget["batch_size"], "patience": 0},
        log=str(folder.with_name("log")),
        reports=budget["reports"],
    )


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the table, the paired tests, and a verdict for each ordering of Table 1."""
    claims: list[Claim] = []
    parts, panels = ["## Precision of reranked pages"], {}
    for log in budget["logs"]:
        runs = {method: having(finished, log=log, method=method) for method in METHODS}
        if not all(runs.values()):
            claims += [Claim(_text(log, one), "data not available here", "") for one in ORDERINGS]
            continue
        (floors,) = having(finished, log=log, method="floors")
        claims += _claims(log, runs, floors.result["arrays"])
        parts += [f"### {log}", _facts(floors.result["facts"]), _table(runs, floors.result)]
        parts += [
            "The adversary when the policy was kept: how often the discriminator is right, its "
            "mean score of generated steps, and their effective sample size as a share of the "
            "steps (1: the scores do not reweigh).",
            _adversary(runs),
        ]
        for metric, title in METRICS.items():
            shown = {method: 100 * by_seed(one, metric) for method, one in runs.items()}
            rules = {FLOORS[rule]: rule for rule in ("random", "item_ctr", "last_click")}
            scores = floors.result["scores"]
            shown |= {name: np.array([100 * scores[rule][metric]]) for name, rule in rules.items()}
            panels[f"{log}, {title}"] = shown
    if panels:
        parts.append("![Precision by method](irecgan-table1.png)")
    drawn: dict[str, Figure] = {"irecgan-table1": dots(panels, "%")} if panels else {}
    return Page(tuple(claims), "\n\n".join(parts), drawn)


def _facts(facts: dict[str, float]) -> str:
    return (
        f"{facts['sessions']:,} test sessions, {facts['pages']:,} pages with "
        f"{facts['items']:.1f} items in the mean; {facts['single']:.1%} have one item, "
        f"{facts['long']:,} have more than {TOP}. {facts['new']:.1%} of the clicked items were not "
        f"clicked in training sessions, and {facts['shown_new']:.1%} of those shown. "
        f"{facts['reward']:.1%} of the clicks pay."
    )


def _table(runs: dict[str, list[Finished]], floors: Result) -> str:
    """Methods, then floors: precision at 10 and at 1, when policies were kept, and the paper's."""
    header = ["rule", "P@10 %", "P@1 %", "kept after, pages read"]
    header += ["paper, CIKM: P@10", "P@1"]
    rows = []
    for method, one in runs.items():
        ours = [seeds_text(100 * by_seed(one, metric), 2) for metric in METRICS]
        kept = f"{by_seed(one, 'steps').mean():,.0f}"
        rows.append([method, *ours, kept, *(f"{value:.2f}" for value in PAPER[method])])
    for rule, name in FLOORS.items():
        if rule in floors["scores"]:
            scores = floors["scores"][rule]
            ours = [f"{100 * scores[metric]:.2f}" for metric in METRICS]
            rows.append([name, *ours, "", "", ""])
    return table(header, rows)


def _adversary(runs: dict[str, list[Finished]]) -> str:
    rows = [
        [method, *(seeds_text(by_seed(runs[method], name)) for name in WATCHED[1:])]
        for method in ADVERSARIAL
    ]
    return table(["method", "accuracy", "score", "effective share"], rows)


def _claims(
    log: str, runs: dict[str, list[Finished]], session: dict[str, list[int]]
) -> list[Claim]:
    """Judges every ordering: higher, with p < .05, corrected, over seeds and over test sessions.

    Args:
        log: its name.
        runs: of every method.
        session: whose page each value of a metric is of.
    """
    pairs, sessions = [], []
    for better, worse, metric in ORDERINGS:
        pair = runs[better], runs[worse]
        pairs.append((100 * by_seed(pair[0], metric), 100 * by_seed(pair[1], metric)))
        ours, theirs = (_by_session(one, metric, session[metric]) for one in pair)
        sessions.append(paired_bootstrap(ours, theirs))
    claims = []
    tested = zip(
        ORDERINGS, pairs, differences(pairs), holm(np.array(sessions)).tolist(), strict=True
    )
    for one, (ours, theirs), found, p_sessions in tested:
        verdict = judge(replace(found, p_for=max(found.p_for, p_sessions)))
        at = list(METRICS).index(one.metric)
        evidence = (
            f"{ours.mean():.2f} against {theirs.mean():.2f}, higher on {(ours > theirs).sum()} of "
            f"{len(ours)} seeds, p {p_text(found.p_for)} over seeds, {p_text(p_sessions)} over "
            f"sessions; paper, on CIKM: {PAPER[one.better][at]:.2f} against "
            f"{PAPER[one.worse][at]:.2f}" + limit(verdict, f"{found.detectable:.2f} points")
        )
        claims.append(Claim(_text(log, one), verdict, evidence))
    return claims


def _text(log: str, one: Ordering) -> str:
    return f"{log}: {one.better} > {one.worse} on {METRICS[one.metric]}"


def _by_session(runs: list[Finished], metric: Metric, session: list[int]) -> np.ndarray:
    """(S,) the sum over each test session's pages of their precision, the mean over seeds."""
    by_page = np.mean([one.result["arrays"][metric] for one in runs], axis=0)
    return np.bincount(np.unique(session, return_inverse=True)[1], by_page)


EXPERIMENT = Experiment(
    name="irecgan-table1",
    title="Reranking logged lists with IRecGAN",
    reproduces="Bai et al., IRecGAN (NeurIPS 2019), Table 1",
    method="""
Every method learns from a log's training sessions alone, without an environment, by `train` with
`schedule=offline`, and then ranks the items of each test page by its own scores: the policy's
logits, or for LSTM and LSTMD the user model's liking of items (Eq. 1). It reads the items clicked
before in the session, and may rank them again (`remove_clicked=false`). P@1 is the share of pages
on which the clicked item comes first, P@10 the share on which it is among the first ten, over pages
with more than ten items, as in the authors' code. Ties count by their expectation.

"cikm" is the paper's log, CIKM Cup 2016, with its filters and its numbers of sessions. "trivago" is
another, the RecSys Challenge 2019's, with the same filters; a click on a hotel's images or the like
is a page that shows the list of the session's next clickout, and does not pay; a clickout does, so
that most clicks pay (in the paper 2.4%). Its users are divided 50 / 12.5 / 37.5 into training,
validation and test users, not 95 / 2.5 / 2.5 as the paper's sessions are, which would leave too few
test pages. As in the paper, items that nobody clicks leave the pages, and test users are among
those who click. That tells something: an item on a test page that was not clicked in training is
known to be clicked in some other session, and that may be this one. "No click in training" ranks by
this alone, and methods that favour what training sessions clicked can fall below random where most
clicked items are new.

All policies learn from 1 + 3 r for a reward of r, as IRecGAN's does on logged steps (Eq. 10 with
lambda_r = 3), which a click that does not pay has, too.

Sessions in these logs have no page on which the user leaves, and generated users learn not to: in
the first rounds some still do, later most sessions have twice the mean length of those in training,
as the authors bound theirs. Slates of 10 are generated. Networks are smaller than the paper's (one
GRU of 64 units, or LSTM in LSTM and LSTMD, against two LSTMs of 512). All methods read the training
sessions equally often, though twenty batches of IRecGAN and LSTMD are the discriminator's alone;
pre-training is short, so that rounds begin before the user model has learned too much by heart. The
policy kept is the one with the best score on validation sessions after pre-training, by each
method's own objective (the paper has no such rule); "kept after" says when.

Settings are the zoo's defaults but for the user model's step size and the lengths of pre-training.
The discriminator's step size of .01, for 20 updates before the first round, has it right on 60% of
the training sessions; with .001 it was on 50%. The others were chosen on trivago's validation
users, with one seed, from step sizes of .0001 (IRecGAN alone), .0003, .001 and .003 of the policy,
which hardly differ there; .001, .003 and .01 of the user model, of which .01 was best; embeddings
of 32 and 64 (LSTM alone), 3 and 5 passes, and pre-training of 10 and 35 updates. With 35 the score
of LSTMD was slightly better (-8.08 nats against -8.20), but it was reached before the first round,
where LSTMD is LSTM; so 10 it is. The log was filtered, and the smoke run seen, on its first 200
sessions, test pages included, before the budget was set.

"last click" ranks the items clicked before in the session first, the latest one highest; item-CTR
is (clicks + 1/2) / (shows + 1) in training sessions; "position" is the order in which the list was
shown, which the paper's log does not have.

Rule: "A > B" is reproduced if the mean over seeds is higher, with p < .05 both in a two-sided
paired t-test over seeds and in a one-sided paired bootstrap over test sessions (the sums of their
pages, in the mean of the seeds: most pages show the list of the one before), each corrected by
Holm's method for the orderings of a log. It is contradicted if the mean is lower, with p < .05 over
seeds. The paper's sizes are those of another log, and decide nothing.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    raw_logs=raw_logs,
    summarise=summarise,
)
