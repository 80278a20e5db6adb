"""Table 2 of the GAN user model: Shannon entropy against the L2 norm on Yelp."""

from __future__ import annotations

from typing import Any

import numpy as np

from recgym.metrics import mean_and_error, paired_t
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
from recgym_agents.experiments.pages import p_text, seeds_text, table
from recgym_agents.experiments.user_logs import divide_again, fit_and_score, read_log

VARIANTS: dict[str, dict[str, Any]] = {
    "entropy": {},
    "l2": {"regularizer": "l2"},
    "l2-frozen-reward": {"regularizer": "l2", "frozen_reward": True},
}
"""Regularised user models: both players of Eq. 6 move, or only the behaviour."""

PAPER = {
    ("entropy", 1): (73.1, 88.8),
    ("entropy", 2): (72.8, 89.0),
    ("entropy", 3): (73.1, 88.2),
    ("l2", 1): (73.5, 89.0),
    ("l2", 2): (78.8, 91.5),
    ("l2", 3): (76.1, 91.1),
}
"""Table 2: precision at 1 and at 2 in percent, by variant and split."""

BUDGET: Budget = {"seeds": [0, 1, 2, 3, 4], "splits": [1, 2, 3], "epochs": None}
SMOKE: Budget = {"seeds": [0, 1], "splits": [1, 2], "epochs": 1}


def cells(budget: Budget) -> list[Cell]:
    """One cell a split, variant and seed."""
    return [
        {"variant": variant, "split": split, "seed": seed}
        for split in budget["splits"]
        for variant in VARIANTS
        for seed in budget["seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Fits one gan-lstm; split 1 is the released one, the others are drawn by their number."""
    dataset = read_log("yelp", place)
    if cell["split"] != 1:
        dataset = divide_again(dataset, seed=cell["split"])
    return fit_and_score(
        dataset, "gan-lstm", budget["epochs"], cell["seed"], **VARIANTS[cell["variant"]]
    )


def precision(finished: list[Finished], **factors: Any) -> np.ndarray:
    """Returns precision at 1 and at 2 in percent by seed: (seeds, 2)."""
    names = ("precision_at_1", "precision_at_2")
    return np.array(
        [
            [100 * one.result["scores"]["gan-lstm"][name] for name in names]
            for one in having(finished, **factors)
        ]
    )


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the table, and a verdict for each split."""
    if not finished:
        claim = Claim("L2 predicts Yelp better than entropy", "data not available here", "")
        return Page((claim,), "")
    rows, claims = [], []
    for split in budget["splits"]:
        entropy = precision(finished, split=split, variant="entropy")
        for variant in VARIANTS:
            found = precision(finished, split=split, variant=variant)
            paper = PAPER.get((variant, split))
            texts = [seeds_text(found[:, at], 1) for at in (0, 1)]
            if variant == "entropy":
                texts += ["", ""]
            else:
                gain = seeds_text(found[:, 0] - entropy[:, 0], 1)
                texts += [gain, p_text(paired_t(found[:, 0], entropy[:, 0]))]
                claims.append(_claim(variant, split, found[:, 0], entropy[:, 0]))
            name = f"{split} (released)" if split == 1 else str(split)
            rows.append([name, variant, *texts, "" if paper is None else "{} / {}".format(*paper)])
    header = ["split", "regulariser", "P@1 %", "P@2 %", "P@1 over entropy", "p", "paper P@1 / P@2"]
    parts = [
        "## gan-lstm on Yelp by regulariser",
        "Mean ± standard error over seeds; two-sided paired t-test over seeds against entropy.",
        table(header, rows).replace("|---|---:|", "|---|---|", 1),
        "![Gain over entropy](regularizers.png)",
    ]
    return Page(tuple(claims), "\n\n".join(parts), {"regularizers": _figure(finished, budget)})


def _claim(variant: str, split: int, ours: np.ndarray, entropy: np.ndarray) -> Claim:
    gain, p = mean_and_error(ours - entropy), paired_t(ours, entropy)
    return Claim(
        f"{variant} predicts better than entropy on split {split}",
        "reproduced" if gain.mean > 0 and p < 0.05 else "not reproduced",
        f"{gain.mean:+.1f} ± {gain.standard_error:.1f} points of P@1, p {p_text(p)}",
    )


def _figure(finished: list[Finished], budget: Budget) -> Any:
    """Each seed's gain in precision at 1 over entropy."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    ticks: list[str] = []
    for split in budget["splits"]:
        entropy = precision(finished, split=split, variant="entropy")[:, 0]
        for variant in list(VARIANTS)[1:]:
            gain = precision(finished, split=split, variant=variant)[:, 0] - entropy
            axes.scatter(np.full(len(gain), len(ticks)), gain, s=18, color="#2458b3", alpha=0.6)
            axes.hlines(gain.mean(), len(ticks) - 0.25, len(ticks) + 0.25, color="#e07b1a")
            ticks.append(f"split {split}\n{variant}")
    axes.axhline(0, color="#8a8a8a", linewidth=1)
    axes.set_xticks(range(len(ticks)), ticks, fontsize=7)
    axes.set_ylabel("points of P@1 over entropy")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


EXPERIMENT = Experiment(
    name="regularizers",
    title="Shannon entropy against L2 regularisation",
    reproduces="Chen et al., Generative Adversarial User Model (ICML 2019), Table 2",
    method="""
gan-lstm on the authors' Yelp sample. Split 1 is the released one; splits 2 and 3 divide the users
50 / 12.5 / 37.5 anew, seeded by their number (the paper's own splits 2 and 3 are not published).
"entropy" is maximum likelihood (Lemma 2). "l2" starts from the entropy solution and alternates both
gradient steps of Eq. 6; in "l2-frozen-reward" only the behaviour moves, as in the code that the
authors published. Each stops early on the validation users' log-likelihood; the start counts as a
candidate. Rule: a gain in P@1 with p < .05 in a paired t-test over seeds.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
)
