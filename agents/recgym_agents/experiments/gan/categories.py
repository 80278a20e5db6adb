"""Figure 3 of the GAN user model: categories that users click over time, and those predicted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from recgym.arrays import Array
from recgym.data import Catalog
from recgym.errors import RecGymError
from recgym.users.page_arrays import Pages, pages_of
from recgym.users.scoring import choice_logits
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
from recgym_agents.experiments.gan.model_table import MODELS, SIMILAR
from recgym_agents.experiments.results_report import seeds_text, table
from recgym_agents.experiments.user_logs import divide_again, draw_users, fit_by_name, read_log
from recgym_agents.experiments.verdicts import claim_bound, claim_of, differences

LOG, CATEGORY = "ml-100k", "genre:"
OURS, STATIC = "gan-pw", "wide-deep-ccf"
LEVEL = 0.05
FLOOR = "random"
QUARTERS = 4
BUDGET: Budget = {
    "seeds": [0, 1, 2, 3, 4],
    "models": [name for name in MODELS if name != SIMILAR],
    "users": 300,
    "epochs": None,
    "least_clicks": 40,
}
SMOKE: Budget = BUDGET | {"seeds": [0, 1], "models": [STATIC, OURS], "users": 60, "epochs": 1}


def cells(budget: Budget) -> list[Cell]:
    """One cell a model and division; random items are a cell of their own."""
    return [
        {"model": model, "seed": seed}
        for seed in budget["seeds"]
        for model in (FLOOR, *budget["models"])
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Divides the users, fits a model, and compares what it predicts with what users clicked."""
    dataset = draw_users(read_log(LOG, place), budget["users"])
    dataset = divide_again(dataset, cell["seed"])
    if cell["model"] == FLOOR:
        pages = Pages.of(dataset.pages("test"), 1, dataset.catalog.n_items)
        scores = np.where(pages.absent, -np.inf, 0.0)
    else:
        fitted = fit_by_name(dataset, cell["model"], budget["epochs"], cell["seed"])
        pages = pages_of(fitted.config, dataset.pages("test"), fitted.n_items)
        scores = choice_logits(fitted, pages)[:, :-1]
    chosen = np.flatnonzero(pages.clicked)
    pages, scores = pages.select(chosen), scores[chosen]
    names, shares = categories(dataset.catalog)
    item = pages.slates[np.arange(pages.n_pages), pages.target]
    first = ranked_first(scores)
    found = by_time(first, shares[pages.slates], shares[item], pages.user, budget["least_clicks"])
    return found | {"categories": names}


def categories(catalog: Catalog) -> tuple[list[str], Array]:
    """Returns the names of C categories, and each item's shares of them (N + 1, C).

    An item of several categories has an equal share of each; the last row, of no item, is 0.
    """
    groups = catalog.groups(CATEGORY)
    member = np.array(list(groups.values()), np.float64).T
    shares = member / np.maximum(member.sum(axis=1, keepdims=True), 1.0)
    return list(groups), np.vstack([shares, np.zeros(member.shape[1])])


def ranked_first(scores: Array) -> Array:
    """Returns the chance (P, K) that each item of a page is ranked first, ties broken at random.

    Args:
        scores: of the items (P, K), minus infinity for empty slots.
    """
    best = scores == scores.max(axis=1, keepdims=True)
    found: Array = best / best.sum(axis=1, keepdims=True)
    return found


def by_time(first: Array, shown: Array, clicked: Array, user: Array, least_clicks: int) -> Result:
    """Compares the categories of predicted items with those of clicked ones, user by user.

    Args:
        first: chance that an item of a page is the predicted one (P, K).
        shown: shares of categories of the items of a page (P, K, C).
        clicked: those of the clicked one (P, C).
        user: whose page it is (P,), a user's pages in the order of time.
        least_clicks: of users who are compared.

    Returns:
        "agreement": the overlap sum_c min(predicted, true) in each quarter of a user's clicks, the
        mean over users; "kinds": how many categories a user's predicted items are spread over,
        exp(entropy of their shares), as a share of how many her clicks are; "users" compared; and
        the shares on the pages of the user with the median number of clicks.

    Raises:
        RecGymError: no user has so many clicks.
    """
    overlap = (first * np.minimum(shown, clicked[:, None]).sum(axis=2)).sum(axis=1)
    predicted = np.einsum("pk,pkc->pc", first, shown)
    users, count = np.unique(user, return_counts=True)
    kept = users[count >= least_clicks]
    if not len(kept):
        raise RecGymError(f"no test user has {least_clicks} clicks; draw more users")
    agreement, kinds = [], []
    for one in kept.tolist():
        own = user == one
        agreement.append([part.mean() for part in np.array_split(overlap[own], QUARTERS)])
        kinds.append(_kinds(predicted[own]) / _kinds(clicked[own]))
    median = kept[np.argsort(count[count >= least_clicks], kind="stable")[len(kept) // 2]]
    own = user == median
    return {
        "agreement": np.mean(agreement, axis=0).tolist(),
        "kinds": float(np.mean(kinds)),
        "users": len(kept),
        "arrays": {
            "predicted": predicted[own].round(3).tolist(),
            "true": clicked[own].round(3).tolist(),
        },
    }


def _kinds(shares: Array) -> float:
    """Returns exp(entropy) of the mean of shares (T, C): how many categories they amount to."""
    mean = shares.mean(axis=0)
    mean = mean[mean > 0] / mean.sum()
    return float(np.exp(-(mean * np.log(mean)).sum()))


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the table of all models, a user's trajectories, and the verdicts."""
    if not finished:
        return Page((Claim(_LATER, "data not available here", ""),), "")
    runs = {name: having(finished, model=name) for name in (FLOOR, *budget["models"])}
    agreement = {
        name: np.array([run.result["agreement"] for run in found]) for name, found in runs.items()
    }
    kinds = {name: np.array([run.result["kinds"] for run in found]) for name, found in runs.items()}
    rows = [
        [
            name,
            *(seeds_text(100.0 * agreement[name][:, quarter], 1) for quarter in range(QUARTERS)),
            seeds_text(100.0 * kinds[name], 0),
        ]
        for name in runs
    ]
    header = ["model", "first quarter", "second", "third", "last", "kinds, % of the true ones"]
    users = np.mean([run.result["users"] for run in runs[FLOOR]])
    parts = [
        "## Categories of the predicted item",
        f"How much its genres overlap with those of the item that was clicked, in %, by quarter of"
        f" a user's clicks, and over how many genres predictions are spread, of how many the user's"
        f" clicks are. {users:.0f} test users of {budget['least_clicks']} clicks or more, in the"
        " mean over the divisions; ± is the standard error over these.",
        table(header, rows),
        "One test user's clicks, and the items that two models ranked first:",
        "![Genres over time](gan-fig3.png)",
    ]
    shown = {name: runs[name][0].result for name in (OURS, STATIC)}
    return Page(tuple(_claims(agreement, kinds)), "\n\n".join(parts), {"gan-fig3": _figure(shown)})


_LATER = f"{OURS} predicts the categories of later clicks better than {STATIC}"


def _claims(agreement: Mapping[str, Array], kinds: Mapping[str, Array]) -> list[Claim]:
    """Judges what the paper says of its Figure 3."""
    lead = agreement[OURS] - agreement[STATIC]
    tested = [
        (f"{_LATER}, in the last quarter", agreement[OURS][:, -1], agreement[STATIC][:, -1]),
        (f"{OURS} gains on {STATIC} as time goes by", lead[:, -1], lead[:, 0]),
        (f"{OURS} predicts more kinds of categories than {STATIC}", kinds[OURS], kinds[STATIC]),
    ]
    units = ("of overlap", "of overlap", "of the true kinds")
    found = differences([(ours, theirs) for _, ours, theirs in tested], LEVEL)
    claims = [
        claim_of(text, one, f"{ours.mean():.3f} against {theirs.mean():.3f}", LEVEL, unit)
        for (text, ours, theirs), one, unit in zip(tested, found, units, strict=True)
    ]
    few = f"{STATIC} predicts fewer kinds of categories than are clicked"
    return [*claims, claim_bound(few, kinds[STATIC], 1.0, -1)]


def _figure(shown: Mapping[str, Result]) -> Figure:
    """One user's clicks by genre over time, and those that each model predicts."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    panels = figure.subplots(len(shown), 1, sharex=True)
    for axes, (name, result) in zip(panels, shown.items(), strict=True):
        names = result["categories"]
        for label, colour, marker in (("true", "#2458b3", "o"), ("predicted", "#e07b1a", "x")):
            step, genre = np.nonzero(np.array(result["arrays"][label]))
            axes.scatter(step, genre, s=12, color=colour, marker=marker, alpha=0.6, label=label)
        axes.set_yticks(range(len(names)), names, fontsize=6)
        axes.set_title(name, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(fontsize=7, loc="upper right")
    panels[-1].set_xlabel("clicks of one test user")
    return figure


EXPERIMENT = Experiment(
    name="gan-fig3",
    title="Categories over time, predicted and true",
    reproduces="Chen et al., Generative Adversarial User Model (ICML 2019), Figure 3",
    method="""
The users of MovieLens 100K are divided 50 / 12.5 / 37.5 anew for each seed, and every user model is
fitted on the training users, as on [gan-table1](gan-table1.md). On each page of a test user that
was clicked, a model predicts the item that it ranks first, by as many of the clicks before as it
reads: the GAN user model the last 10, W&D-CCF the last 20, recurrent models all. The paper draws
the trajectories of one user, and says that the GAN user model predicts "much better as time goes
by", while what W&D-CCF predicts is "concentrated on several categories". Here both are measured,
over users and models; the figure is one user's, the one of the median number of clicks in the first
division.

The paper has 80 categories of movies; the log has 18 genres and "unknown", and a movie of several
has an equal share of each. Two items agree by the overlap of their shares, from 0 to 1. Kinds are
exp(entropy) of the mean shares over a user's pages: 1 if all are of one genre. A page holds the
clicked movie and 39 others of its release year, which bounds what can be predicted: see the row of
random items, of which all of a page count alike.

Rule: "better", "gains" and "more" are reproduced if the mean difference over divisions is above 0,
with p < .05 in a two-sided paired t-test, Holm-corrected over the three, and contradicted if below.
"Fewer than are clicked" is reproduced if the 95% interval over divisions of their share lies below
1, and contradicted if above. Divisions share the users of one log.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
)
