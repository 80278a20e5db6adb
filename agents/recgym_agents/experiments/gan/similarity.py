"""What the GAN user model gains if users like what is like their clicks."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from recgym.arrays import Array
from recgym.users.agreement import agreement_of
from recgym.users.scoring import score
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
from recgym_agents.experiments.gan.model_table import PLAIN, SIMILAR
from recgym_agents.experiments.results_report import dots, seeds_text, table
from recgym_agents.experiments.user_logs import divide_again, draw_users, fit_by_name, read_log
from recgym_agents.experiments.verdicts import LEVEL, claim_of, differences

LOG = "ml-100k"
OURS, THEIRS = SIMILAR, PLAIN
MEASURES = {
    "log_likelihood": "log-likelihood",
    "precision_at_1": "P@1",
    "tastes": "tastes",
    "levels": "levels",
    "items": "items",
    "level_share": "share of the level",
}
"""What is measured of a model -> what the page calls it."""
JUDGED = {
    "log_likelihood": ("predicts clicks with more log-likelihood than", "nats"),
    "precision_at_1": ("ranks more of the clicked items first than", "of P@1"),
    "tastes": ("recovers tastes on which other users agree more than those of", "of rho"),
    "levels": ("recovers levels on which other users agree more than those of", "of rho"),
}
"""Measure -> what is claimed of it, and its unit."""
LATER = f"{OURS} against {THEIRS}"
BUDGET: Budget = {"seeds": list(range(10, 20)), "users": None, "epochs": None}
SMOKE: Budget = {"seeds": [0, 1], "users": 60, "epochs": 1}


def cells(budget: Budget) -> list[Cell]:
    """One cell a division of the users and model."""
    return [{"model": model, "seed": seed} for seed in budget["seeds"] for model in (THEIRS, OURS)]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Divides the users, fits a model to those of training and one to those of test."""
    dataset = divide_again(draw_users(read_log(LOG, place), budget["users"]), cell["seed"])
    model = fit_by_name(
        dataset,
        PLAIN,
        budget["epochs"],
        cell["seed"],
        similarity=cell["model"] == SIMILAR,
        test_users=True,
    )
    predicted = score(model, dataset).means()
    found = asdict(agreement_of(model)) | {"level_share": model.level_share}
    return found | {name: predicted[name] for name in ("log_likelihood", "precision_at_1")}


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the table, the figure, and the verdicts."""
    if not finished:
        return Page((Claim(LATER, "data not available here", ""),), "")
    found = {model: _values(finished, model) for model in (THEIRS, OURS)}
    rows = [
        [model, *(seeds_text(values[name]) for name in MEASURES)] for model, values in found.items()
    ]
    pairs = [(found[OURS][name], found[THEIRS][name]) for name in JUDGED]
    claims = [
        claim_of(
            f"{OURS} {text} {THEIRS}",
            one,
            f"{ours.mean():.3f} against {theirs.mean():.3f}",
            LEVEL,
            unit,
        )
        for (text, unit), one, (ours, theirs) in zip(
            JUDGED.values(), differences(pairs), pairs, strict=True
        )
    ]
    panels = {
        MEASURES[name]: {model: values[name] for model, values in found.items()} for name in JUDGED
    }
    parts = [
        "## Two user models",
        "Mean ± standard error over divisions. Log-likelihood in nats a page, and precision, on"
        " pages of test users; rank correlations of the rewards that the model of the training"
        " users and that of the test users give in the same states; and the share of how the level"
        " differs from state to state that environments keep, since other users confirm it.",
        table(["model", *MEASURES.values()], rows),
        "![Two user models, a dot a division](gan-similarity.png)",
    ]
    return Page(tuple(claims), "\n\n".join(parts), {"gan-similarity": dots(panels, "")})


def _values(finished: list[Finished], model: str) -> dict[str, Array]:
    """Returns each measure of a model by division (S,)."""
    runs = having(finished, model=model)
    return {name: np.array([run.result[name] for run in runs]) for name in MEASURES}


EXPERIMENT = Experiment(
    name="gan-similarity",
    title="Users who like what is like their clicks",
    reproduces="no table: what a term that Chen et al. (ICML 2019) do not have adds to their model",
    method="""
gan-similarity is the GAN user model with position weights, gan-pw, fitted with `--similarity`: its
utilities have one term more, sum_k w_k f_k' f over the clicked items of the window, see
[user models](../user-models.md#the-gan-user-model). Both are fitted in the same way, with the
preset of the log, which was chosen for gan-pw.

The users of MovieLens 100K are divided 50 / 12.5 / 37.5 into training, validation and test users,
anew for each seed. Beside the model of the training users, which is scored on the test users, one
is fitted to the test users themselves, with the items' features of the first. What the two agree on
is what a policy that is trained in the one can use in the other. Levels are the mean rewards of
states over the items, tastes what a state makes an item worth more or less than it is in the mean;
correlations are Spearman's, in states of both. Part of the agreement is given: the term is the same
function of the same features in both, but for its weights. That clicks are predicted better says
that users are like that.

Precision in the division of seed 100, and agreement in those of 1 to 5, were seen before it was
decided to measure both here. The divisions here are others, but of the same users.

Rule: a claim is reproduced if the mean difference over divisions is above 0 with p < .05 in a
two-sided paired t-test, Holm-corrected over the four, contradicted if it is below 0 so, and
inconclusive otherwise.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
