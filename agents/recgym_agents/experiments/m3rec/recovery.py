"""What M3Rec's user model recovers where the truth is known: users, rewards, and information."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.nn import functional

from recgym.arrays import Array
from recgym.users import FittedUserModel, meta
from recgym.users.fitting import fit_user_model
from recgym.users.likelihood import FitConfig
from recgym.users.meta import MetaUserConfig
from recgym.users.meta_scoring import context_of
from recgym.users.meta_sequences import Sequences
from recgym.users.meta_settings import MetaFit
from recgym.users.page_arrays import pages_of
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
    having,
)
from recgym_agents.experiments.m3rec.two_tastes import TwoTastes, told_apart
from recgym_agents.experiments.results_report import seeds_text, table
from recgym_agents.experiments.verdicts import claim_bound
from recgym_agents.networks.pair_statistic import PairStatistic
from recgym_agents.policy_losses import information_bound

FITS: dict[str, dict[str, Any]] = {
    "likelihood": {"rounds": 0},
    "mixed": {},
    "adversary": {"likelihood_weight": 0.0},
}
"""Maximum likelihood alone, the game beside it, and the game by itself once likelihood is done."""
SHAPE = MetaUserConfig(context=2, latent=8, hidden=(32,), units=32, features=8)
FIT: dict[str, Any] = {
    "epochs": 40,
    "patience": 10,
    "batch_users": 16,
    "weight_decay": 0.05,
    "embedding_scale": 0.5,
    "item_dropout": 0.0,
}
BUDGET: Budget = {
    "seeds": list(range(12)),
    "added": list(range(5, 12)),
    "users": 400,
    "rounds": 8,
    "correlations": [0.0, 0.9],
    "steps": 1_000,
    "pairs": 200_000,
}
SMOKE: Budget = BUDGET | {
    "seeds": [0, 1],
    "added": [0, 1],
    "users": 60,
    "rounds": 1,
    "steps": 50,
    "pairs": 2_000,
}
SESSIONS, PAGES, SLATE, ITEMS = 3, 10, 4, 24
NOTHING = 1e-3
"""Nats of information that pass for none: a seven-hundredth of the most there can be."""
GRID = np.linspace(-7.0, 7.0, 1_401)
"""Of the quadrature, in standard deviations."""


def cells(budget: Budget) -> list[Cell]:
    """One cell a fit and seed, and one a correlation and seed."""
    fits = [{"fit": fit, "seed": seed} for fit in FITS for seed in budget["seeds"]]
    return fits + [
        {"correlation": correlation, "seed": seed}
        for correlation in budget["correlations"]
        for seed in budget["seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Fits a user model to a world of its own, or a bound to Gaussians."""
    if "correlation" in cell:
        return _information(cell["correlation"], budget, cell["seed"])
    rng = np.random.default_rng(cell["seed"])
    world = TwoTastes.draw(ITEMS, rng)
    cluster = rng.choice([-1.0, 1.0], budget["users"])
    log, truth = world.log(cluster, SESSIONS, PAGES, SLATE, rng)
    dataset = world.dataset(log, cell["seed"])
    settings = MetaFit(**({"rounds": budget["rounds"]} | FITS[cell["fit"]]))
    fit = FitConfig(**FIT, meta=settings)
    model = fit_user_model(dataset, SHAPE, fit, test_users=False, seed=cell["seed"])
    scores, rounds = model.scores, model.scores["adversary"]["train"]
    test = dataset.split == 2
    ended = {name: rounds[-1][name] for name in ("accuracy", "reward_scale")} if rounds else {}
    return {
        "log_likelihood": scores["log_likelihood"],
        "unknown_log_likelihood": scores["support"]["0"]["log_likelihood"],
        "true_log_likelihood": float(truth[test].mean()),
        "item_ctr": scores["floors"]["item_ctr"]["log_likelihood"],
        **ended,
        **_recovered(world, cluster, dataset.pages("test"), model),
    }


def _recovered(
    world: TwoTastes, cluster: Array, log: Any, model: FittedUserModel
) -> dict[str, float]:
    """Compares users and rewards of a model with the truth, given one sequence of each test user.

    Rewards are those of all items in the states of the pages that follow the sequence.
    """
    pages = pages_of(model.config, log, model.n_items)
    sequences = Sequences.of(pages, PAGES, ends=False)
    user = log.user[log.slate_sizes > 0]
    first = np.unique(sequences.first)
    context = context_of(model, sequences.support[first][:, None], sequences.reward[first][:, None])
    likes = cluster[user[sequences.page[first, 0]]] > 0
    later = sequences.first[sequences.of_page] != sequences.of_page
    row = np.searchsorted(first, sequences.first[sequences.of_page[later]])
    history = pages.histories[later]
    last = np.where(history[:, -1] == model.n_items, -1, history[:, -1])
    true = world.rewards(cluster[user[later]], last).ravel()
    tables = meta.prepare(SHAPE, model.members["train"], model.features)
    every = np.broadcast_to(np.arange(model.n_items), (len(history), model.n_items))
    state = {"history": history, "context": context.mean[row]}
    logits, rewards = meta.respond(SHAPE, tables, state, every)
    return {
        "auc": told_apart(context.mean, likes),
        "reward_pearson": float(np.corrcoef(true, rewards[:, :-1].ravel())[0, 1]),
        "choice_pearson": float(np.corrcoef(true, logits[:, :-1].ravel())[0, 1]),
        "slope": float(np.polyfit(true, rewards[:, :-1].ravel(), 1)[0]),
    }


def _information(correlation: float, budget: Budget, seed: int) -> Result:
    """Trains a statistic on pairs of correlated Gaussians, and bounds their information anew."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    statistic = PairStatistic(1, 1)
    optimizer = torch.optim.Adam(statistic.parameters(), lr=1e-3)

    def draw(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        one, noise = rng.standard_normal((2, rows, 1)).astype(np.float32)
        other = correlation * one + (1.0 - correlation**2) ** 0.5 * noise
        first, second = torch.from_numpy(one), torch.from_numpy(other)
        return statistic(first, second), statistic(first, second.roll(1, 0))

    for _ in range(budget["steps"]):
        optimizer.zero_grad()
        torch.autograd.backward(-information_bound(*draw(512)))
        optimizer.step()
    with torch.no_grad():
        joint, product = draw(budget["pairs"])
    terms = -0.5 * (functional.softplus(-joint) + functional.softplus(product))
    return {
        "bound": float(information_bound(joint, product)),
        "error": float(terms.std()) / budget["pairs"] ** 0.5,
        "divergence": divergence(correlation),
    }


@cache
def divergence(correlation: float) -> float:
    """Returns the Jensen-Shannon divergence of correlated Gaussians from independent ones."""
    x, y = np.meshgrid(GRID, GRID)
    rest = 1.0 - correlation**2
    joint = -0.5 * ((x**2 - 2.0 * correlation * x * y + y**2) / rest + np.log(rest))
    product = -0.5 * (x**2 + y**2)
    middle = np.logaddexp(joint, product) - np.log(2.0)
    terms = np.exp(joint) * (joint - middle) + np.exp(product) * (product - middle)
    return float(0.5 * terms.sum() * (GRID[1] - GRID[0]) ** 2 / (2.0 * np.pi))


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the tables, and a verdict for each claim."""
    rows = []
    for fit in FITS:
        runs = having(finished, fit=fit)
        names = ("auc", "reward_pearson", "choice_pearson", "log_likelihood")
        cells = [seeds_text(by_seed(runs, name)) for name in names]
        if fit == "likelihood":
            cells[1] = "–"
            cells += ["–", "–"]
        else:
            cells += [seeds_text(by_seed(runs, name)) for name in ("accuracy", "reward_scale")]
        rows.append([fit, *cells])
    runs = having(finished, fit="likelihood")
    known = [
        [label, seeds_text(by_seed(runs, name))]
        for label, name in (
            ("the truth", "true_log_likelihood"),
            ("likelihood, given one sequence", "log_likelihood"),
            ("likelihood, given none", "unknown_log_likelihood"),
            ("item-CTR", "item_ctr"),
        )
    ]
    pairs = [
        [
            f"{correlation:g}",
            seeds_text(by_seed(cells, "bound"), 5),
            f"{by_seed(cells, 'error').mean():.5f}",
            f"{abs(true):.5f}",
        ]
        for correlation in budget["correlations"]
        for cells in [having(finished, correlation=correlation)]
        for true in [divergence(correlation)]
    ]
    header = ["fit", "AUC", "r, true reward", "r, choice utilities", "log-likelihood"]
    parts = [
        "## What is recovered",
        "Mean ± standard error over seeds, each a world of its own. AUC: of the clusters by the"
        " contexts that one sequence of ten pages gives; r: Pearson's correlation with the true"
        " rewards of all items in the test users' states; nats a test page; accuracy of the"
        " discriminator and spread of g - log pi (nats) in the last round.",
        table([*header, "accuracy", "reward scale"], rows),
        "Log-likelihood of a test page:",
        table(["", "nats"], known),
        "## Information of correlated Gaussians",
        "Nats, on pairs that the statistic was not trained on: the mean over seeds, the standard"
        " error of one seed's bound over its pairs, and the divergence by quadrature.",
        table(["correlation", "bound", "of one seed", "divergence"], pairs),
        "![True and recovered](m3rec-recovery.png)",
    ]
    return Page(
        _claims(finished, budget), "\n\n".join(parts), {"m3rec-recovery": _figure(finished)}
    )


def _claims(finished: list[Finished], budget: Budget) -> tuple[Claim, ...]:
    likely = by_seed(having(finished, fit="likelihood"), "log_likelihood")
    claims = []
    for fit in ("mixed", "adversary"):
        runs = having(finished, fit=fit)
        lost = 100.0 * (likely - by_seed(runs, "log_likelihood")) / np.abs(likely)
        accuracy = by_seed(runs, "accuracy")
        later = [run for run in runs if run.cell["seed"] in budget["added"]]
        claims += [
            claim_bound(
                f"{fit}: one sequence tells the clusters apart (AUC > .95)",
                by_seed(runs, "auc"),
                0.95,
            ),
            claim_bound(
                f"{fit}: r is the true reward up to an affine map (Pearson > .9)",
                by_seed(runs, "reward_pearson"),
                0.9,
            ),
            claim_bound(
                f"{fit}: r is the true reward, Pearson > .9, in the worlds added later alone",
                by_seed(later, "reward_pearson"),
                0.9,
            ),
            claim_bound(
                f"{fit}: the discriminator's accuracy ends at .9 at most", accuracy, 0.9, -1.0
            ),
            claim_bound(
                f"{fit}: its likelihood is within 1% of maximum likelihood's", lost, 1.0, -1.0
            ),
        ]
    for correlation in budget["correlations"]:
        cells = having(finished, correlation=correlation)
        bound, true = by_seed(cells, "bound"), divergence(correlation)
        if correlation == 0.0:
            name = f"the bound of independent Gaussians is 0 to {NOTHING} nats"
            claims.append(claim_bound(name, np.abs(bound), NOTHING, -1.0))
        else:
            apart = 100.0 * np.abs(bound - true) / true
            name = f"the bound of correlation {correlation:g} is within 10% of the divergence"
            claims.append(claim_bound(name, apart, 10.0, -1.0))
    return tuple(claims)


def _figure(finished: list[Finished]) -> Figure:
    """Every seed's correlation and AUC."""
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    panels = {
        "reward_pearson": "Pearson's r with the true reward",
        "auc": "AUC of the clusters",
    }
    drawn = figure.subplots(1, 2, sharey=True)
    for axes, (metric, title) in zip(drawn, panels.items(), strict=True):
        for place, fit in enumerate(FITS):
            if fit == "likelihood" and metric == "reward_pearson":
                continue
            values = by_seed(having(finished, fit=fit), metric)
            axes.scatter(values, np.full(len(values), place), s=16, color="#2458b3", alpha=0.6)
        axes.set_yticks(range(len(FITS)), list(FITS))
        axes.set_title(title, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


EXPERIMENT = Experiment(
    name="m3rec-recovery",
    title="What the meta-level user model recovers",
    reproduces="Wang et al., M3Rec, section 4.1 (Eqs. 1-3 and 7), in a world whose truth is known",
    method="""
A world for each seed: 24 items of two sides and three topics, and users who like one side as much
as they dislike the other (`recgym_agents.experiments.m3rec.two_tastes`). Each is logged for three
sessions of ten random slates of four. Half of the users are for training, an eighth for validation,
the others for testing: their first session is the one sequence that tells of them, and the states
are those of their later sessions.

- "likelihood" is maximum likelihood with the bound of Eq. 1. Its reward was not fitted.
- "mixed" goes on with the adversarial game beside the likelihood, as `recgym fit --model m3rec`.
- "adversary" goes on with the game alone: Eq. 2 moves the user policy, and likelihood does not.

Correlations are of the recovered r(s, x, c), without shaping, with the true reward of all items, of
which most were not on the page. The direction that tells the clusters apart is the difference of
their mean contexts in every other test user; AUC is that of the others.

Fitting stops after 10 epochs without a better validation score. With 5, as it was at first, it
stopped in one of the worlds that were added: until the context tells users apart, which takes some
epochs, validation gets slightly worse. All worlds were then fitted anew.

Worlds were added (`added` in the budget) after those of the other seeds had left open whether the
correlation is above .9. What they say alone stands beside what all say, and is what decides: the
interval over all seeds does not hold its level, since the first ones were the reason to go on.

Rule: a claim on a mean is reproduced if its 95% interval over seeds lies on the right side of the
bound, contradicted if it lies on the wrong one.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
