"""Held-out scores of user models, and of what needs no model at all."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from recgym import metrics
from recgym.arrays import Array
from recgym.data import Dataset
from recgym.data.dataset import Split
from recgym.data.trivial_rules import rule_scores
from recgym.users import recurrent
from recgym.users.folder import FittedUserModel
from recgym.users.gan import Params
from recgym.users.kinds import UserConfig, functions_of, kind_of
from recgym.users.page_arrays import Pages, pages_of
from recgym.users.recurrent import RecurrentUserConfig

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
    reward_log_likelihood: Array | None = None
    """(C,) nats, of the reward of what was clicked, by models that predict it"""

    def means(self) -> dict[str, float]:
        """Returns the mean of each score, by name."""
        return {
            field.name: float(getattr(self, field.name).mean())
            for field in fields(self)
            if getattr(self, field.name) is not None
        }


def score(model: FittedUserModel, dataset: Dataset, split: Split = "test") -> PageScores:
    """Scores the member fitted on training users on the pages of other users."""
    config, params = model.config, model.members["train"]
    pages = pages_of(config, dataset.pages(split), model.n_items)
    logits, rewards = kind_of(config).page_logits(config, params, model.features, pages)
    found = score_choices(logits, pages.target)
    if not kind_of(config).chooses:  # its scores rank, and no more
        found = replace(found, log_likelihood=np.full(pages.n_pages, np.nan))
    if rewards is None:
        return found
    return replace(found, reward_log_likelihood=_reward_log_likelihood(rewards, pages))


def choice_logits(model: FittedUserModel, pages: Pages) -> Array:
    """Returns the logits (P, K + 1) of the member fitted on training users, of any kind.

    Args:
        model: the fitted user model.
        pages: from ``pages_of`` its configuration.
    """
    config, params = model.config, model.members["train"]
    logits: Array = kind_of(config).page_logits(config, params, model.features, pages)[0]
    return logits


def page_logits(
    config: UserConfig, params: Params, features: Array, pages: Pages
) -> tuple[Array, None]:
    """Returns a model's choice logits (P, K + 1), minus infinity where no option exists.

    For kinds that learn no rewards beside them. The functions are the simulation's, in NumPy.
    """
    functions = functions_of(config)
    tables = functions.prepare(config, params, features)
    logits = np.empty((pages.n_pages, pages.slates.shape[1] + 1), np.float32)
    units = _units_after_clicks(config, tables, pages) if config.reads_sequences else None
    for start in range(0, pages.n_pages, BLOCK):
        block = slice(start, start + BLOCK)
        state = {"history": pages.histories[block]}
        if units is not None:
            state["hidden"] = units[pages.user[block], pages.clicks_before[block]]
        logits[block] = functions.respond(config, tables, state, pages.slates[block])[0]
    logits[:, :-1][pages.absent] = -np.inf
    return logits, None


def _units_after_clicks(config: UserConfig, tables: Params, pages: Pages) -> Array:
    """Hidden units of every user after each of her clicks: (U, T + 1, units)."""
    functions, sequences = functions_of(config), pages.sequences
    history = np.full((len(sequences), config.window), pages.n_items)
    state = functions.initial(config, tables, history)
    units = [state["hidden"]]
    for item in sequences.T:
        state = functions.advance(config, tables, state, np.where(item == pages.n_items, -1, item))
        units.append(state["hidden"])
    return np.stack(units, axis=1)


def session_logits(
    config: RecurrentUserConfig, params: Params, features: Array, pages: Pages
) -> tuple[Array, Array]:
    """Returns a recurrent model's logits of choices (P, K + 1) and of rewards (P, K).

    The functions are those of the simulation, in NumPy; choices that do not exist have minus
    infinity. All sessions are read together, click by click, the longest first among the rows, so
    that those that are over are the last, and left out.

    Args:
        config: the model's shape.
        params: one member's parameters.
        features: (N, D) item embeddings.
        pages: by session.
    """
    tables = recurrent.prepare(config, params, features)
    lengths = (pages.sequences < pages.n_items).sum(axis=1)
    longest_first = np.argsort(-lengths, kind="stable")
    row = np.empty_like(longest_first)
    row[longest_first] = np.arange(len(row))
    sequences = pages.sequences[longest_first]
    state = recurrent.initial(config, tables, np.full((len(row), 1), pages.n_items))
    logits = np.empty((pages.n_pages, pages.slates.shape[1] + 1), np.float32)
    rewards = np.empty(pages.slates.shape, np.float32)
    by_turn = np.argsort(pages.clicks_before, kind="stable")
    turns = np.split(by_turn, np.cumsum(np.bincount(pages.clicks_before))[:-1])
    for turn, shown in enumerate(turns):
        units = state[f"hidden{config.layers - 1}"]
        for start in range(0, len(shown), BLOCK):
            block = shown[start : start + BLOCK]
            logits[block], rewards[block] = recurrent.score(
                config, tables, units[row[pages.user[block]]], pages.slates[block]
            )
        if turn + 1 < len(turns):
            going_on = int((lengths > turn).sum())
            state = {name: values[:going_on] for name, values in state.items()}
            state = recurrent.advance(config, tables, state, sequences[:going_on, turn])
    logits[:, :-1][pages.absent] = -np.inf
    return logits, rewards


def _reward_log_likelihood(logits: Array, pages: Pages) -> Array:
    """Returns the log probability (C,) of the reward of each click, by logits (P, K)."""
    clicked = pages.clicked
    logit = logits[clicked, pages.target[clicked]].astype(np.float64)
    return _bernoulli(-np.logaddexp(0.0, -logit), -np.logaddexp(0.0, logit), pages)


def _bernoulli(log_one: Array, log_zero: Array, pages: Pages) -> Array:
    """Returns the log probability (C,) of the reward of each click, by those of 1 and of 0."""
    reward = pages.reward[pages.clicked].astype(np.float64)
    return reward * log_one + (1.0 - reward) * log_zero


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


def reward_floors(dataset: Dataset, split: Split = "test") -> dict[str, Array]:
    """Scores the rewards of clicks by what needs no user model.

    Returns:
        The log probability (C,) of each click's reward, by rule: "random" gives every click the
        training clicks' share of rewards; "item_ctr" the clicked item's own, (rewards + share) /
        (clicks + 1).
    """
    pages = Pages.of(dataset.pages(split), 1, dataset.catalog.n_items)
    training = Pages.of(dataset.pages("train"), 1, dataset.catalog.n_items)
    share, rates = reward_rates(training)
    by_rule = {"random": np.full(pages.n_items, share), "item_ctr": rates}
    clicked = _clicked_items(pages)
    return {
        rule: _bernoulli(np.log(rate[clicked]), np.log1p(-rate[clicked]), pages)
        for rule, rate in by_rule.items()
    }


def reward_rates(pages: Pages) -> tuple[float, Array]:
    """Returns how often clicks are rewarded.

    Returns:
        The share of all, (rewards + 1/2) / (clicks + 1); and of each item's (N,), (rewards + share)
        / (clicks + 1).
    """
    item, reward = _clicked_items(pages), pages.reward[pages.clicked]
    share = (float(reward.sum(dtype=np.float64)) + 0.5) / (len(reward) + 1.0)
    rewards = np.bincount(item, weights=reward, minlength=pages.n_items)
    clicks = np.bincount(item, minlength=pages.n_items)
    return share, (rewards + share) / (clicks + 1.0)


def _clicked_items(pages: Pages) -> Array:
    """Returns the items (C,) of the clicks."""
    return pages.slates[pages.clicked, pages.target[pages.clicked]]


def floors(dataset: Dataset, split: Split = "test") -> dict[str, PageScores]:
    """Scores what needs no user model, on the pages of one split.

    Returns:
        Scores by rule, see ``recgym.data.trivial_rules.rule_scores``. "random" and "item_ctr" are
        choice models too: rates normalised within the page. Where pages without a click exist, they
        give them the training users' share, so that log-likelihoods compare.
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
    below = {name: _known(floor.means()) for name, floor in floors.items()}
    return _known(scores.means()) | {
        "pages": len(scores.log_likelihood),
        "pages_with_click": len(scores.precision_at_1),
        "floors": below,
    }


def _known(means: dict[str, float]) -> dict[str, float]:
    """Returns the scores that there are: what only ranks has no likelihood."""
    return {name: value for name, value in means.items() if np.isfinite(value)}
