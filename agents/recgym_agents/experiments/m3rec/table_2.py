"""Table 2 of M3Rec: reranking what users were shown after a single sequence that tells of them."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from recgym.arrays import Array
from recgym.data import Dataset
from recgym.users.fitting import fit_user_model
from recgym.users.kinds import functions_of
from recgym.users.likelihood import FitConfig
from recgym.users.neighbours import NeighbourConfig
from recgym_agents.agent import EnvironmentSpec
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
from recgym_agents.experiments.irecgan.reranking import Lists, floor_scores
from recgym_agents.experiments.m3rec.logged_methods import (
    GROUPS,
    SIMILAR,
    SUPPORT_PAGES,
    WINDOW,
    Learning,
)
from recgym_agents.experiments.m3rec.logged_users import (
    LOGS,
    METRICS,
    HeldOutUsers,
    ranking_metrics,
    read_users,
)
from recgym_agents.experiments.results_report import dots, seeds_text, table
from recgym_agents.experiments.user_logs import raw_log
from recgym_agents.experiments.verdicts import claim_above

METHODS = tuple(method for methods in GROUPS.values() for method in methods)
RIVALS = ("meta-lstm", "meta-pg", "irecgan", "gan-pg", "melu")
PARTS = {
    "m3rec-no-mi": "without mutual information",
    "m3rec-no-context": "without a context",
    "m3rec-log": "on the log alone, without the meta-level user model",
}
"""What M3Rec is without one of its parts."""
FLOORS = {
    "random": "random",
    "first_slot": "as logged",
    "popularity": "popularity",
    "item_ctr": "item-CTR",
    "last_click": "last click",
    "sknn": "nearest sessions",
}
"""What is told from the log by counting -> what the page calls it."""
EVERY = 100_000
"""Training sessions that the nearest are looked for among, at most: more than any log here has."""
YOOCHOOSE_SESSIONS = 3_000
"""Read of YooChoose, unless a budget says how many."""
ORDERED = ("trivago",)
"""Logs whose lists are in the order in which they were shown."""
PAPER = {
    "m3rec": (7.26, 28.42, 40.02, 17.89, 21.63, 7.04, 9.16),
    "meta-lstm": (4.43, 22.81, 36.81, 13.75, 18.24, 5.75, 8.69),
    "meta-pg": (5.99, 20.85, 32.13, 13.61, 17.21, 4.98, 8.02),
    "irecgan": (6.83, 24.36, 36.84, 15.60, 19.60, 5.43, 8.49),
    "gan-pg": (3.62, 17.26, 29.09, 10.42, 14.19, 4.57, 7.78),
    "melu": (5.47, 21.73, 34.27, 13.81, 17.80, 5.94, 8.97),
}
"""Table 2, in percent and in the order of ``METRICS``, on the CIKM Cup's log."""
DRAWN = ("P@1", "NDCG@10")
BUDGET: Budget = {
    "logs": list(LOGS),
    "seeds": [0, 1, 2, 3, 4],
    "users": {"trivago": 1_500},
    "passes": 20,
    "batch_users": 16,
    "pages": 4,
    "fit_epochs": 20,
    "fit_rounds": 4,
    "gan_fit_epochs": 40,
    "gan_steps": 25_600,
    "pretraining": 10,
    "discriminator_pretraining": 20,
    "discriminator_learning_rate": 0.01,
    "user_learning_rate": 0.01,
}
SMOKE: Budget = BUDGET | {
    "logs": ["yoochoose"],
    "seeds": [0, 1],
    "users": {"yoochoose": 2_500},
    "passes": 1,
    "fit_epochs": 1,
    "fit_rounds": 1,
    "gan_fit_epochs": 1,
    "gan_steps": 1_000,
    "pretraining": 1,
    "discriminator_pretraining": 1,
}
LARGE: Budget = BUDGET | {
    "users": {"yoochoose": 12_000},
    "passes": 40,
    "fit_epochs": 40,
    "fit_rounds": 20,
    "gan_steps": 200_000,
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a log, group of methods and seed; how many sessions are read of YooChoose."""
    sessions = {"sessions": budget["users"].get("yoochoose", YOOCHOOSE_SESSIONS)}
    return [
        {"log": log, "methods": methods, "seed": seed} | (sessions if log == "yoochoose" else {})
        for log in budget["logs"]
        for methods in ("floors", *GROUPS)
        for seed in budget["seeds"]
    ]


def raw_logs(cell: Cell) -> tuple[str, ...]:
    """Returns the raw files that a cell reads."""
    return raw_log(cell["log"])


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Learns from a seed's training users, and reranks what its test users were shown."""
    users = cell.get("sessions", budget["users"].get(cell["log"]))
    dataset = read_users(cell["log"], place, cell["seed"], users)
    spec = EnvironmentSpec(
        n_items=dataset.catalog.n_items,
        slate_size=int(dataset.sessions.slate_sizes.max()),
        window=WINDOW,
        features=None,
    )
    test = HeldOutUsers.of(dataset, spec, SUPPORT_PAGES)
    lists = test.lists(spec.n_items)
    if cell["methods"] == "floors":
        rules = floor_scores(dataset, lists) | {
            "popularity": _popularity(dataset, lists),
            "sknn": _nearest_sessions(dataset, lists, cell["seed"]),
        }
        scores = {
            rule: ranking_metrics(lists, rules[rule])
            for rule in FLOORS
            if rule != "first_slot" or cell["log"] in ORDERED
        }
        return {"scores": scores, "facts": _facts(dataset, lists)}
    folder = folder_of(place.folder, budget)
    learning = Learning(dataset, spec, cell["seed"], budget, folder)
    return {
        "scores": {
            method: ranking_metrics(lists, learning.scores(method, test, lists))
            for method in GROUPS[cell["methods"]]
        }
    }


def _popularity(dataset: Dataset, lists: Lists) -> Array:
    """Returns how often each item of the pages was clicked in training (P, K)."""
    clicks = np.bincount(dataset.pages("train").item, minlength=dataset.catalog.n_items)
    found: Array = clicks[np.maximum(lists.slate, 0)].astype(np.float64)
    return found


def _nearest_sessions(dataset: Dataset, lists: Lists, seed: int) -> Array:
    """Returns how like the clicks before a page the sessions are that hold its items (P, K)."""
    config = NeighbourConfig("sessions", stored=EVERY, window=WINDOW)
    model = fit_user_model(dataset, config, FitConfig(), test_users=False, seed=seed)
    functions = functions_of(model.config)
    tables = functions.prepare(model.config, model.members["train"], model.features)
    slate = np.where(lists.slate >= 0, lists.slate, model.n_items)
    state = {"history": lists.observation}
    found: Array = functions.respond(model.config, tables, state, slate)[0][:, :-1]
    return found


def _facts(dataset: Dataset, lists: Lists) -> dict[str, float]:
    """Returns what the pages that are reranked are like, for the page of results."""
    return {
        "training_users": len(np.unique(dataset.pages("train").user)),
        "users": len(np.unique(lists.session)),
        "pages": len(lists.click),
        "items": float(lists.size.mean()),
        "above_5": int((lists.size > 5).sum()),
        "above_10": int((lists.size > 10).sum()),
    }


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds a table for each log, and judges what the paper says of its Table 2."""
    claims: list[Claim] = []
    parts: list[str] = []
    panels: dict[str, dict[str, Array]] = {}
    for log in budget["logs"]:
        floors = having(finished, log=log, methods="floors")
        if not floors:
            texts = [*(_text(log, rival) for rival in (*RIVALS, *PARTS)), _similar(log)]
            claims += [Claim(text, "data not available here", "") for text in texts]
            continue
        found = _values(finished, log)
        claims += _claims(log, found)
        parts += [f"## {log}", _about(floors[0].result["facts"]), _table(found)]
        shown = [name for name in found if name not in PARTS]
        for metric in DRAWN:
            panels[f"{log}, {metric}"] = {_label(name): found[name][metric] for name in shown}
    figures: dict[str, Figure] = {}
    if panels:
        every = list(dict.fromkeys(name for panel in panels.values() for name in panel))
        same = {
            title: {name: panel.get(name, np.full(1, np.nan)) for name in every}
            for title, panel in panels.items()
        }
        figures["m3rec-table2"] = dots(same, "%")
        parts.append("![Reranking by method](m3rec-table2.png)")
    return Page(tuple(claims), "\n\n".join(parts), figures)


def _values(finished: list[Finished], log: str) -> dict[str, dict[str, Array]]:
    """Returns method or rule -> metric -> percent by seed (S,)."""
    found: dict[str, dict[str, Array]] = {}
    for methods in (*GROUPS, "floors"):
        scores = [one.result["scores"] for one in having(finished, log=log, methods=methods)]
        for name in scores[0]:
            found[name] = {m: 100.0 * np.array([one[name][m] for one in scores]) for m in METRICS}
    return found


def _claims(log: str, found: dict[str, dict[str, Array]]) -> list[Claim]:
    """Judges M3Rec against its rivals, itself without its parts, and the best floor."""

    def above(text: str, other: str) -> Claim:
        pairs = [
            (f"{m}: m3rec", _label(other), found["m3rec"][m], found[other][m]) for m in METRICS
        ]
        return claim_above(text, pairs)

    claims = [above(_text(log, other), other) for other in (*RIVALS, *PARTS)]
    pairs = [(f"{m}: {SIMILAR}", "m3rec", found[SIMILAR][m], found["m3rec"][m]) for m in METRICS]
    claims.append(claim_above(_similar(log), pairs))
    floors = [rule for rule in FLOORS if rule in found]
    best = max(floors, key=lambda rule: found[rule]["NDCG@10"].mean())
    text = f"{log}: m3rec > {FLOORS[best]}, the best rule by NDCG@10, in all metrics"
    return [*claims, above(text, best)]


def _text(log: str, other: str) -> str:
    """Returns the claim that M3Rec is above another method."""
    against = f"itself {PARTS[other]}" if other in PARTS else f"{other}, each as built"
    return f"{log}: m3rec > {against}, in all metrics"


def _similar(log: str) -> str:
    """Returns the claim that M3Rec gains by a user model with similarity."""
    return f"{log}: {SIMILAR} > m3rec, in all metrics"


def _label(name: str) -> str:
    return FLOORS.get(name, name)


def _about(facts: dict[str, float]) -> str:
    return (
        f"In the division of seed 0: {facts['training_users']:,} training users; {facts['users']:,}"
        f" test users with {facts['pages']:,} pages after their support, of {facts['items']:.1f}"
        f" items in the mean; {facts['above_5']:,} have more than 5 items, {facts['above_10']:,}"
        " more than 10."
    )


def _table(found: dict[str, dict[str, Array]]) -> str:
    """Methods, then rules: every metric in percent; below a method, the paper's."""
    rows = []
    for name, values in found.items():
        rows.append([_label(name), *(seeds_text(values[metric], 2) for metric in METRICS)])
        if name in PAPER:
            rows.append(["paper, on CIKM", *(f"{value:.2f}" for value in PAPER[name])])
    return table(["%", *METRICS], rows)


EXPERIMENT = Experiment(
    name="m3rec-table2",
    title="Reranking for users seen once",
    reproduces="Wang et al., M3Rec, Table 2",
    method="""
Each session of a log is a user. Users are divided 50 / 12.5 / 37.5 into training, validation and
test users, anew for every seed (cikm: as many as IRecGAN's paper has). Of a test user, the first
half of her pages is her sequence of support, the last 20 of them at most; every page of the second
half is reranked. All methods observe the last 40 clicks before a page, those of the support among
them. M3Rec, Meta-LSTM, Meta-PG and MeLU are also given the support, pages and clicks, and adapt to
it; IRecGAN and GAN-PG know a user by her clicks alone.

The paper says of its test that it is "offline reranking" of the CIKM Cup 2016 with a single
sequence of each test user, and no more. What it leaves open, and what was chosen:

- *Logs.* cikm is the paper's, prepared as IRecGAN's paper does, and was not at hand. trivago is
  prepared in the same way: see [irecgan-table1](irecgan-table1.md), also for what the filters tell
  of test pages. yoochoose is a sample of the clicks of the RecSys Challenge 2015, which does not
  say what was shown: a page is the clicked item and 19 others that were clicked at about that time,
  each by another session of the same split, and never by its own; no item is shown twice to a
  session. So what was shown to a user says nothing of her there but what she clicked. The latest
  3,000 sessions of three clicks or more are read, the first eight clicks of each. By
  this construction item-CTR says nothing there, and popularity little: as no item is shown twice,
  popular ones are clicked somewhat more often than they are shown.
- *Users.* The log names few users, so sessions are users, and a sequence is half a session.
- *Metrics.* P@k is the share of pages on which the clicked item is among the first k, over pages of
  more than k items, as in IRecGAN's paper, whose P@10 and P@1 on this log are near the paper's
  here. NDCG@k is that of the one clicked item. Recall cannot be that of the one clicked item, which
  is P@k: in the paper it is a fourth of that. Here Recall@k is the share found among the first k of
  all different items that the user clicks on this page and later. Ties count by their expectation.
- *M3Rec.* Half of its updates are taken in [M3Rec-v0](../environments/M3Rec-v0.md), with the
  meta-level user model that was fitted to the training users and the reward that it recovered, and
  half on training users of the log (Eqs. 4, 5 and 7, `schedule=online-offline`): "the policy can
  also be optimized by policy gradient using the true offline data". The rewards of support are not
  read, since the two are of different kinds. The policy kept is the last. Without mutual
  information and without a context are the zoo's ablations; "m3rec-log" has no user model, and
  learns from the log alone. There is none without the adversary alone: its reward is that of a
  random start. M3Rec learns embeddings of the items, and does not read those of its user model
  (`item_features=learned`).
- *m3rec-similarity* is not the paper's: it is M3Rec whose user model is fitted with `--similarity`:
  users rather choose what is like their clicks, see [user
  models](../user-models.md#the-gan-user-model). Rewards are recovered as without it. It was added
  after figures of the other methods had been seen, those of trivago here, and of yoochoose on other
  pages.
- *The others.* Meta-LSTM, Meta-PG and MeLU learn from training users of the log
  (`schedule=offline`), each of whom is cut in two at a page drawn anew; kept is the policy of the
  best NDCG on validation users. IRecGAN learns as in irecgan-table1. GAN-PG is REINFORCE in
  RecGAN-v0, with a GAN user model fitted to the training users; the policy kept is the last.
- *Item features* are not the same for all: methods are compared as built. Meta-LSTM, Meta-PG and
  MeLU read the log's features of items where it has some (trivago), and else learn an embedding,
  as M3Rec does in either. IRecGAN and GAN-PG learn embeddings of their own.
  So a difference between methods may be one of features.
- *Rewards* of logged pages are 1 + 3 r, as in IRecGAN (its Eq. 10), those of test users' support
  among them; a log's reward is a purchase, a clickout, or 1.

Settings are the zoo's, and IRecGAN's those of irecgan-table1, which were chosen on trivago. Of
M3Rec's two are not: it learns an embedding of the items, and of the running mean that acts an
update keeps .9 and not .99. A pass draws as many users as there are training users, in batches, for
each method that learns from the log; M3Rec takes as many batches again in M3Rec-v0, and always
twelve at a time. trivago is read as far as its first 1,500 sessions, since Meta-PG keeps a table of
items for each user of a batch; `--paper` reads all, and 12,000 sessions of yoochoose, twice as
often. Pages learned from are the first four after a cut, because most sessions are short.

Runs before this one were thrown away: the first, and yoochoose's part of two others. In the first,
with two passes in batches of 64 users, most methods were at chance in yoochoose. Passes and
batches, for all methods, and the embedding of M3Rec's items were then chosen in the division of
seed 100, by its test pages. That division is not used here; in trivago part of its test users are
test users here. What is M3Rec's alone of this is the embedding. Four things were mended that a
reading of the code had found: rewards of test users' support, which had another scale than in
training; M3Rec's running mean; the passes of methods that adapt, which were counted in pages; and
M3Rec's loss, which had no bound where recovered rewards are negative.

Then yoochoose's pages turned out to give the clicked item away. The others of a test page came from
training sessions too, so that an item never clicked in training was likely the clicked one, and
what was shown once was shown again. Passes, batches and the embedding were chosen on such pages,
and were not chosen again. Pages are now as said above; rules that read what was shown before, or
with an item, find no more there than popularity does. Sessions had been drawn from half a year, and
share few items; so the latest are read.

"nearest sessions" scores an item by the training sessions that hold it, by how like they are to the
last 40 clicks before the page (contextual kNN: cosine similarity, the 100 nearest and ties; else by
click rate). "last click" ranks the items clicked before first, the latest one highest; popularity
is how often an item was clicked in training; item-CTR is (clicks + 1/2) / (shows + 1); "as logged"
is the order in which the list was shown, known for trivago alone.

Rule: "X > Y" is reproduced if the mean over seeds is higher in all seven metrics, each with p < .05
in a two-sided paired t-test over seeds, with Holm's correction for the seven; contradicted if it is
significantly lower in one of them; inconclusive otherwise. The paper's sizes are those of another
log, and decide nothing.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    paper_budget=LARGE,
    cells=cells,
    run_cell=run_cell,
    raw_logs=raw_logs,
    summarise=summarise,
    reads_arrays=False,
)
