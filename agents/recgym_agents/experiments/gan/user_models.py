"""Table 1 of the GAN user model: how well it predicts clicks of users it was not fitted on."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from recgym.metrics import Estimate, bootstrap, detectable_difference, paired_bootstrap
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
from recgym_agents.experiments.results_report import p_text, seeds_text, table
from recgym_agents.experiments.user_logs import (
    MODELS,
    fit_one,
    raw_log,
    read_log,
    score_floors,
    score_one,
)
from recgym_agents.experiments.verdicts import (
    Difference,
    judge,
    judge_bound,
    limit,
    p_of_the_contrary,
)

LOGS = ("yelp", "taobao", "trivago", "ml-100k", "ml-100k-click")

LEVEL = 0.01
"""Of the one-sided tests against item-CTR."""
MARGIN = 2.0
"""Points of precision at 1 by which a result may fall short and still be called as good."""

PAPER = {
    ("yelp", "gan-pw"): (72.0, 92.5),
    ("yelp", "gan-lstm"): (73.0, 88.7),
    ("taobao", "gan-pw"): (34.7, 54.1),
    ("taobao", "gan-lstm"): (35.9, 55.0),
    ("ml-100k", "gan-pw"): (66.6, 75.4),
    ("ml-100k", "gan-lstm"): (67.4, 76.3),
    ("ml-100k-click", "gan-pw"): (66.6, 75.4),
    ("ml-100k-click", "gan-lstm"): (67.4, 76.3),
}
"""Table 1: precision at 1 and at 2 in percent. Its MovieLens pages are other ones than ours."""

FLOORS = {
    "random": "random",
    "item_ctr": "item-CTR",
    "first_slot": "position 1",
    "oldest": "oldest",
    "newest": "newest",
}
"""Rule that needs no user model -> what the page calls it. Slots mean something on trivago only."""

VIEWS = {
    "yelp": ("yelp", 1),
    "yelp, pages of 2 or more": ("yelp", 2),
    "taobao": ("taobao", 1),
    "trivago": ("trivago", 1),
    "ml-100k": ("ml-100k", 1),
    "ml-100k-click": ("ml-100k-click", 1),
}
"""What is scored -> log, and the smallest slate that counts."""

BUDGET: Budget = {"seeds": [0, 1, 2, 3, 4], "logs": list(LOGS), "epochs": None}
SMOKE: Budget = {"seeds": [0, 1], "logs": ["yelp", "ml-100k"], "epochs": 1}


def cells(budget: Budget) -> list[Cell]:
    """One cell a log, model and seed; the floors of a log are a cell of their own."""
    floors = [{"log": log, "model": "floors", "seed": 0} for log in budget["logs"]]
    return floors + [
        {"log": log, "model": model, "seed": seed}
        for log in budget["logs"]
        for model in MODELS
        for seed in budget["seeds"]
    ]


def raw_logs(cell: Cell) -> tuple[str, ...]:
    """Returns the raw file that a cell reads, if any."""
    return raw_log(cell["log"])


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Fits and scores one user model, or scores the floors."""
    dataset = read_log(cell["log"], place)
    if cell["model"] == "floors":
        return score_floors(dataset)
    fitted = fit_one(dataset, cell["model"], budget["epochs"], cell["seed"])
    return score_one(dataset, cell["model"], fitted)


class Scored:
    """What a rule scored on one view of a log: by page, and by seed."""

    def __init__(self, finished: list[Finished], rule: str, smallest: int) -> None:
        """Reads the cells' arrays.

        Args:
            finished: the seeds of one model, or the one cell of the floors.
            rule: the model, or one of the floors.
            smallest: slates with fewer items do not count.
        """
        counts = np.array(finished[0].result["arrays"]["slate_size"]) >= smallest
        hits = np.array([one.result["arrays"][rule] for one in finished])[:, :, counts]
        self.hits = hits[:, 0].mean(axis=0)  # (P,) precision at 1 of each page, mean over seeds
        self.at_1, self.at_2 = (bootstrap(hits[:, at].mean(axis=0)) for at in (0, 1))
        self.seeds = hits.mean(axis=2)  # (seeds, 2)
        self.log_likelihood = [
            one.result["scores"][rule]["log_likelihood"]
            for one in finished
            if counts.all() and "log_likelihood" in one.result["scores"][rule]
        ]

    def row(self) -> list[str]:
        """Precision at 1 and 2 with their intervals, and log-likelihood."""
        precisions = [
            text
            for column, pages in enumerate((self.at_1, self.at_2))
            for text in (
                seeds_text(100 * self.seeds[:, column], 1),
                f"{100 * pages.low:.1f} .. {100 * pages.high:.1f}",
            )
        ]
        return [*precisions, seeds_text(self.log_likelihood)]


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the tables, the paired tests, and the verdicts."""
    views = {view: log for view, log in VIEWS.items() if log[0] in budget["logs"]}
    scored = {view: _score_view(finished, *log) for view, log in views.items()}
    header = ["log", "rule", "P@1 %", "95% over pages", "P@2 %", "95% over pages"]
    header += ["log-likelihood", "paper P@1 / P@2"]
    rows, tests, claims = [], [], []
    for view, rules in scored.items():
        for rule, one in rules.items():
            paper = PAPER.get((view, rule))
            figures = "" if paper is None else f"{paper[0]:.1f} / {paper[1]:.1f}"
            rows.append([view, FLOORS.get(rule, rule), *one.row(), figures])
        if not {"gan-pw", "item_ctr"} <= set(rules):
            claims.append(
                Claim(f"gan-pw beats item-CTR on {view} (p < .01)", "data not available here", "")
            )
            continue
        test, claim = _against_item_ctr(view, rules)
        tests.append(test)
        claims.append(claim)
        claims += _against_paper(view, rules)
    parts = [
        "## Precision of users not fitted on",
        "Mean ± standard error over seeds of the fit; the intervals are 95% bootstraps over test "
        "pages of the seeds' mean. Log-likelihood in nats a page, all test pages.",
        table(header, rows).replace("|---|---:|", "|---|---|", 1),
        "![Precision at 1](user-models.png)" if any(scored.values()) else "",
        "## gan-pw against item-CTR, precision at 1",
        "One-sided paired bootstrap over test pages, the model's hits averaged over seeds.",
        table(["log", "gan-pw %", "item-CTR %", "difference, 95% interval", "pages", "p"], tests),
    ]
    drawn = {"user-models": _figure(scored)} if any(scored.values()) else {}
    return Page(tuple(claims), "\n\n".join(parts), drawn)


def _score_view(finished: list[Finished], log: str, smallest: int) -> dict[str, Scored]:
    """Floors, then models; those that are there."""
    scored: dict[str, Scored] = {}
    for floor_cell in having(finished, log=log, model="floors"):
        for rule in floor_cell.result["scores"]:
            if not rule.endswith("_slot") or (rule, log) == ("first_slot", "trivago"):
                scored[rule] = Scored([floor_cell], rule, smallest)
    for model in MODELS:
        runs = having(finished, log=log, model=model)
        if runs:
            scored[model] = Scored(runs, model, smallest)
    return scored


def _against_item_ctr(view: str, rules: dict[str, Scored]) -> tuple[list[str], Claim]:
    ours, theirs = rules["gan-pw"].hits, rules["item_ctr"].hits
    p = paired_bootstrap(ours, theirs)
    gain = bootstrap(ours - theirs)
    difference = f"{100 * gain.mean:+.1f} ({100 * gain.low:+.1f} .. {100 * gain.high:+.1f})"
    row = [view, f"{100 * ours.mean():.1f}", f"{100 * theirs.mean():.1f}", difference]
    detectable = _detectable(gain, 2 * LEVEL)
    contrary = p_of_the_contrary(ours, theirs)
    tested = Difference(gain.mean, gain.low, gain.high, p, contrary, detectable)
    verdict = judge(tested, LEVEL)
    claim = Claim(
        f"gan-pw beats item-CTR on {view} (p < .01)",
        verdict,
        f"{difference} points of P@1, "
        + (
            f"p {p_text(contrary)} of the contrary"
            if verdict == "contradicted"
            else f"p {p_text(p)}"
        )
        + limit(verdict, f"{detectable:.1f} points"),
    )
    return [*row, str(gain.n), p_text(p)], claim


def _detectable(over_pages: Estimate, level: float = 0.05) -> float:
    """Returns the smallest difference, in points, that a two-sided test over pages finds."""
    return 100 * detectable_difference(over_pages.standard_error, over_pages.n - 1, level)


def _against_paper(view: str, rules: dict[str, Scored]) -> list[Claim]:
    """Whether precision at 1 is not inferior to the paper's, and gan-pw's not to gan-lstm's."""
    claims = []
    for model in ("gan-pw", "gan-lstm"):
        if (view, model) not in PAPER or model not in rules or view.startswith("ml-100k"):
            continue
        pages, paper = rules[model].at_1, PAPER[view, model][0]
        verdict = judge_bound(100 * pages.low, 100 * pages.high, paper - MARGIN)
        claims.append(
            Claim(
                f"{model} on {view}: Table 1's P@1, less at most {MARGIN:.0f} points",
                verdict,
                f"paper {paper:.1f}, ours {100 * pages.mean:.1f} "
                f"({100 * pages.low:.1f} .. {100 * pages.high:.1f})"
                + limit(verdict, f"{_detectable(pages):.1f} points"),
            )
        )
    if "gan-lstm" in rules:
        gap = bootstrap(rules["gan-lstm"].hits - rules["gan-pw"].hits)
        verdict = judge_bound(-100 * gap.high, -100 * gap.low, -MARGIN)
        claims.append(
            Claim(
                f"gan-pw is nearly as good as gan-lstm on {view} "
                f"(within {MARGIN:.0f} points of P@1)",
                verdict,
                f"gan-lstm {100 * gap.mean:+.1f} ({100 * gap.low:+.1f} .. {100 * gap.high:+.1f})"
                + limit(verdict, f"{_detectable(gap):.1f} points"),
            )
        )
    return claims


def _figure(scored: dict[str, dict[str, Scored]]) -> Figure:
    """Precision at 1 of every rule on every log, with intervals over pages."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    shown = {view: rules for view, rules in scored.items() if rules}
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (view, rules) in zip(panels, shown.items(), strict=True):
        low, means, high = (
            np.array([100 * getattr(one.at_1, name) for one in rules.values()])
            for name in ("low", "mean", "high")
        )
        reach = [means - low, high - means]
        colours = ["#2458b3" if name in MODELS else "#b8b8b8" for name in rules]
        axes.bar(range(len(rules)), means, yerr=reach, color=colours, capsize=2)
        names = [FLOORS.get(rule, rule) for rule in rules]
        axes.set_xticks(range(len(rules)), names, rotation=60, ha="right", fontsize=7)
        axes.set_title(view, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("precision at 1, %")
    return figure


EXPERIMENT = Experiment(
    name="user-models",
    title="Predicting clicks with GAN user models",
    reproduces="Chen et al., Generative Adversarial User Model (ICML 2019), Table 1",
    method="""
Users are divided 50 / 12.5 / 37.5 into training, validation and test users (Yelp and Taobao: the
division released with the samples). A model is fitted by maximum likelihood (Shannon entropy) on
training users, stops early on the validation users' log-likelihood, and is scored once on the test
users. Precision counts test pages with a click, ties broken at random in expectation. item-CTR
ranks by (clicks + 1/2) / (shows + 1) on training pages.

Yelp and Taobao are the samples that the authors released, smaller than the data of Table 1.
"ml-100k" takes ratings of 1 and 2 stars as pages without a click, "ml-100k-click" every rating as a
click. MovieLens pages show 39 other movies *of the rated movie's own release year*: movies near the
time of the rating, as the paper's sentence reads literally, would give the rated one away by its
age; Table 1's MovieLens column, which stands beside both, is therefore no yardstick for ours.

Rules: "beats" is reproduced by a one-sided paired bootstrap over test pages with p < .01, and
contradicted by one the other way. The others are non-inferiority with a margin of 2 points of P@1,
on 95% intervals over test pages: a figure of Table 1 counts as reproduced if our interval's lower
bound is at least the figure less 2 points, and as contradicted if the upper bound is below that;
gan-pw is nearly as good as gan-lstm if the upper bound of gan-lstm's lead is at most 2 points, and
is not if the lower bound is above that.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    raw_logs=raw_logs,
    summarise=summarise,
)
