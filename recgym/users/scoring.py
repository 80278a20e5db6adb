"""Held-out scores of user models, and of what needs no model at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recgym import metrics
from recgym.arrays import Array
from recgym.data import Dataset
from recgym.data.dataset import Split
from recgym.data.floors import rule_scores
from recgym.users import gan
from recgym.users.folder import FittedUserModel
from recgym.users.gan import GANUserConfig, Params
from recgym.users.pages import Pages

BLOCK = 1_024
"""Pages scored at a time."""
CHOICE_MODELS = ("random", "item_ctr")
"""Those of the floors that give probabilities; the others only rank."""


@dataclass(frozen=True, eq=False)
class PageScores:
    """How well each held-out page was predicted."""

    log_likelihood: Array
    """(P,) nats; every page"""
    precision_at_1: Array
    """(C,) expected under random ties; pages with a click, in the order of the log"""
    precision_at_2: Array
    """(C,) likewise"""

    def means(self) -> dict[str, float]:
        """Returns the mean of each score, by name."""
        return {
            "log_likelihood": float(self.log_likelihood.mean()),
            "precision_at_1": float(self.precision_at_1.mean()),
            "precision_at_2": float(self.precision_at_2.mean()),
        }


def score(model: FittedUserModel, dataset: Dataset, split: Split = "test") -> PageScores:
    """Scores the member fitted on training users on the pages of other users."""
    pages = Pages.of(dataset.pages(split), model.config.window, model.n_items)
    logits = page_logits(model.config, model.members["train"], model.features, pages)
    return score_choices(logits, pages.target)


def page_logits(config: GANUserConfig, params: Params, features: Array, pages: Pages) -> Array:
    """Returns the model's choice logits (P, K + 1), minus infinity where no option exists.

    The functions are those of the simulation, in NumPy.
    """
    tables = gan.prepare(config, params, features)
    logits = np.empty((pages.n_pages, pages.slates.shape[1] + 1), np.float32)
    units = _lstm_states(config, tables, pages) if config.history == "lstm" else None
    for start in range(0, pages.n_pages, BLOCK):
        block = slice(start, start + BLOCK)
        state = {"history": pages.histories[block]}
        if units is not None:
            state["hidden"] = units[pages.user[block], pages.clicks_before[block]]
        logits[block] = gan.respond(config, tables, state, pages.slates[block])[0]
    logits[:, :-1][pages.absent] = -np.inf
    return logits


def _lstm_states(config: GANUserConfig, tables: Params, pages: Pages) -> Array:
    """Hidden units of every user after each of her clicks: (U, T + 1, units)."""
    sequences = pages.sequences
    history = np.full((len(sequences), config.window), pages.n_items)
    state = gan.initial(config, tables, history)
    units = [state["hidden"]]
    for item in sequences.T:
        state = gan.advance(config, tables, state, np.where(item == pages.n_items, -1, item))
        units.append(state["hidden"])
    return np.stack(units, axis=1)


def score_choices(logits: Array, target: Array) -> PageScores:
    """Scores what was chosen on each page; precision ranks the items of pages with a click.

    Args:
        logits: (P, K + 1), the last column for no click; minus infinity where no option exists.
        target: (P,) column of the choice.
    """
    clicked = target < logits.shape[1] - 1
    items, slot = logits[clicked, :-1], target[clicked]
    return PageScores(
        log_likelihood=metrics.log_likelihood(logits, target),
        precision_at_1=metrics.precision(items, slot, 1),
        precision_at_2=metrics.precision(items, slot, 2),
    )


def floors(dataset: Dataset, split: Split = "test") -> dict[str, PageScores]:
    """Scores what needs no user model, on the pages of one split.

    Returns:
        Scores by rule, see ``recgym.data.floors.rule_scores``. "random" and "item_ctr" are choice
        models too: rates normalised within the page. Where pages without a click exist, they give
        them the training users' share, so that log-likelihoods compare.
    """
    pages = Pages.of(dataset.pages(split), 1, dataset.catalog.n_items)
    training = dataset.pages("train")
    no_click = 1.0 - float((training.click[training.slate_sizes > 0] >= 0).mean())
    found = {}
    for rule, utility in rule_scores(dataset, pages.slates).items():
        scores = score_choices(_with_outside(utility, no_click, pages), pages.target)
        if rule not in CHOICE_MODELS:
            scores = replace(scores, log_likelihood=np.full(pages.n_pages, np.nan))
        found[rule] = scores
    return found


def _with_outside(utility: Array, no_click: float, pages: Pages) -> Array:
    """Logits under which nothing is clicked with probability ``no_click`` on every page."""
    logits = np.where(pages.absent, -np.inf, utility)
    largest = logits.max(axis=1, keepdims=True)
    total = largest + np.log(np.exp(logits - largest).sum(axis=1, keepdims=True))
    with np.errstate(divide="ignore"):
        odds = np.log(no_click) - np.log1p(-no_click)
    return np.concatenate([logits, total + odds], axis=1)


def summary(scores: PageScores, floors: dict[str, PageScores]) -> dict[str, Any]:
    """Returns what ``scores.json`` holds: mean scores at the top, the floors' under "floors"."""
    below = {
        name: {key: value for key, value in floor.means().items() if np.isfinite(value)}
        for name, floor in floors.items()
    }
    return scores.means() | {
        "pages": len(scores.log_likelihood),
        "pages_with_click": len(scores.precision_at_1),
        "floors": below,
    }
