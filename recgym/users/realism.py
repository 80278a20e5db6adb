"""How real a fitted user model is, held against held-out users of the log it was fitted on.

Probabilities are compared page by page, with what was shown and clicked before as in the log. All
else compares sessions: those of held-out users with those of the model's users, who are shown the
same pages and live with their own clicks (see ``replayed_sessions``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.arrays import Array
from recgym.data import Dataset
from recgym.errors import RecGymError
from recgym.users import scoring
from recgym.users.folder import FittedUserModel
from recgym.users.kinds import kind_of, name_of
from recgym.users.page_arrays import pages_of
from recgym.users.replayed_sessions import Behaviour, logged, replayed

BINS = 10
"""Of predicted probabilities in the reliability curve, with as many options in each."""
RIDGE, NEWTON_STEPS = 1.0, 25
FEATURES = ("pages", "clicks", "click rate", "mean slot", "mean popularity", "repeats", "distinct")
"""Of a session, for the classifier that tells simulated from real ones."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often options were chosen that the model gave some probability."""

    predicted: Array
    """(b,) mean probability in each bin"""
    observed: Array
    """(b,) share that was chosen"""
    count: Array
    """(b,) options"""

    @property
    def error(self) -> float:
        """The expected calibration error: how far predicted and observed are apart, on average."""
        gaps = np.abs(self.predicted - self.observed)
        return float((gaps * self.count).sum() / self.count.sum())


@dataclass(frozen=True)
class Discrimination:
    """How well a classifier tells simulated sessions from real ones."""

    auc: float
    """area under its ROC curve on sessions that it was not fitted on; .5 is chance"""
    low: float
    """of the 95% interval (Hanley and McNeil, 1982)"""
    high: float


@dataclass(frozen=True, eq=False)
class Realism:
    """What a realism report shows of a user model."""

    scores: dict[str, float]
    """mean log-likelihood and precision on the held-out pages"""
    floors: dict[str, dict[str, float]]
    """the same of what needs no user model"""
    reliability: Reliability
    slots: tuple[Array, Array]
    """(K,) share of pages on which a slot was clicked: in the log, and as the model expects"""
    real: Behaviour
    """held-out users"""
    simulated: Behaviour
    """the model's users on the same pages"""
    discrimination: Discrimination
    identified: str
    """what the log fixes of the rewards, in words"""
    level_share: float
    """how much of the level of rewards carries over to other users, 0..1"""
    agreement: dict[str, float]
    """rank correlations of the rewards of models of training and test users; may be empty"""

    @property
    def popularity(self) -> tuple[Array, Array]:
        """(N,) share of all clicks on each item: real and simulated, the real's order of items."""
        n_items = int(max(self.real.item.max(), self.simulated.item.max())) + 1
        shares = [click_shares(one, n_items) for one in (self.real, self.simulated)]
        order = np.argsort(-shares[0], kind="stable")
        return shares[0][order], shares[1][order]

    @property
    def popularity_distance(self) -> float:
        """The total variation distance of both distributions of clicks over items, 0..1."""
        real, simulated = self.popularity
        return float(0.5 * np.abs(real - simulated).sum())

    @property
    def repeats(self) -> tuple[float, float]:
        """The share of clicks on an item that the user had clicked before: real and simulated."""
        found = [one.repeated.sum() / max(1, one.clicks.sum()) for one in self._both]
        return float(found[0]), float(found[1])

    @property
    def _both(self) -> tuple[Behaviour, Behaviour]:
        return self.real, self.simulated

    def summary(self) -> dict[str, Any]:
        """Returns the numbers of the report as plain JSON."""
        real, simulated = self._both
        return {
            **self.scores,
            "calibration_error": self.reliability.error,
            "session_auc": self.discrimination.auc,
            "session_auc_low": self.discrimination.low,
            "session_auc_high": self.discrimination.high,
            "clicks_per_user": float(real.clicks.mean()),
            "clicks_per_user_simulated": float(simulated.clicks.mean()),
            "pages_per_user": float(real.pages.mean()),
            "pages_per_user_simulated": float(simulated.pages.mean()),
            "popularity_distance": self.popularity_distance,
            "repeats": self.repeats[0],
            "repeats_simulated": self.repeats[1],
            "level_share": self.level_share,
        }


def realism_of(model: FittedUserModel, dataset: Dataset, seed: int = 0) -> Realism:
    """Measures how real the member fitted on training users is, on the test users' pages.

    Args:
        model: the fitted user model.
        dataset: the log that it was fitted on.
        seed: of the simulated clicks.

    Raises:
        RecGymError: the model says no choice probabilities, or was fitted on another log; or the
            log has fewer than four test users.
    """
    if not kind_of(model.config).chooses:
        raise RecGymError(
            f"a user model of the kind {name_of(model.config)!r} says no choice probabilities, so"
            " that there is no behaviour to compare with users'"
        )
    if dataset.info["sha256"] != model.info["data_sha256"]:
        raise RecGymError(
            f"the user model was fitted on other data than {dataset.info['name']} as prepared here;"
            " name the folder that recgym fit was given"
        )
    pages = pages_of(model.config, dataset.pages("test"), model.n_items)
    logits = scoring.choice_logits(model, pages)
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    chosen = pages.target[:, None] == np.arange(logits.shape[1])
    there = np.isfinite(logits)
    real = logged(pages)
    if real.n_users < 4:
        raise RecGymError(
            f"dataset {dataset.info['name']}: {real.n_users} test users with pages; a realism"
            " report needs 4 at least"
        )
    simulated = replayed(model, pages, np.random.default_rng(seed))
    floors = scoring.floors(dataset)
    popularity = np.log1p(training_clicks(model, dataset))
    return Realism(
        scores=scoring.score_choices(logits, pages.target).means(),
        floors={name: floors[name].means() for name in scoring.CHOICE_MODELS},
        reliability=reliability(probabilities[there], chosen[there]),
        slots=(chosen[:, :-1].mean(axis=0), probabilities[:, :-1].mean(axis=0)),
        real=real,
        simulated=simulated,
        discrimination=told_apart(
            session_features(real, popularity), session_features(simulated, popularity), seed
        ),
        identified=model.identified,
        level_share=model.level_share,
        agreement=dict(model.scores.get("agreement", {})),
    )


def training_clicks(model: FittedUserModel, dataset: Dataset) -> Array:
    """Returns how often training users clicked each item (N,) on the pages of a log."""
    item = logged(pages_of(model.config, dataset.pages("train"), model.n_items)).item
    return np.bincount(item[item >= 0], minlength=model.n_items)


def reliability(probabilities: Array, chosen: Array) -> Reliability:
    """Returns the reliability curve of probabilities (n,) of options, each chosen or not (n,)."""
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return Reliability(
        predicted=np.array([probabilities[part].mean() for part in parts]),
        observed=np.array([chosen[part].mean() for part in parts]),
        count=np.array([len(part) for part in parts]),
    )


def click_shares(behaviour: Behaviour, n_items: int) -> Array:
    """Returns the share (N,) of all clicks on each item."""
    clicks = np.bincount(behaviour.item[behaviour.item >= 0], minlength=n_items)
    return clicks / max(1, clicks.sum())


def session_features(behaviour: Behaviour, popularity: Array) -> Array:
    """Returns what a classifier reads of each user's session, (U, 7), see ``FEATURES``.

    Args:
        behaviour: the users.
        popularity: (N,) logarithm of 1 + how often training users clicked each item.
    """
    users, clicked = behaviour.n_users, behaviour.item >= 0
    clicks = behaviour.clicks
    some = np.maximum(clicks, 1)
    of_click, item = behaviour.user[clicked], behaviour.item[clicked]
    slot = np.bincount(of_click, behaviour.slot[clicked], minlength=users) / some
    popular = np.bincount(of_click, popularity[item], minlength=users) / some
    repeats = np.bincount(behaviour.user, behaviour.repeated, minlength=users)
    columns = (
        behaviour.pages,
        clicks,
        clicks / behaviour.pages,
        slot,
        popular,
        repeats,
        clicks - repeats,
    )
    return np.stack(columns, axis=1).astype(np.float64)


def told_apart(real: Array, simulated: Array, seed: int = 0) -> Discrimination:
    """Tells simulated sessions from real ones by logistic regression, cross-fitted on two halves.

    Args:
        real: (U, F) features of each user's real session.
        simulated: (U, F) of the simulated session of the same user, who is in the same half.
        seed: of the halves.
    """
    half = np.random.default_rng(seed).permutation(len(real)) % 2
    features = np.concatenate([real, simulated])
    label = np.repeat([0.0, 1.0], len(real))
    of_half = np.concatenate([half, half])
    aucs = []
    for held_out in (0, 1):
        fitted, scored = of_half != held_out, of_half == held_out
        mean, spread = features[fitted].mean(axis=0), features[fitted].std(axis=0)
        inputs = (features - mean) / np.where(spread > 0, spread, 1.0)
        inputs = np.column_stack([inputs, np.square(inputs), np.ones(len(inputs))])
        weights = logistic_regression(inputs[fitted], label[fitted])
        aucs.append(area_under_curve(inputs[scored] @ weights, label[scored]))
    auc = float(np.mean(aucs))
    reach = 1.96 * _auc_error(auc, len(real))
    return Discrimination(auc, max(0.0, auc - reach), min(1.0, auc + reach))


def logistic_regression(inputs: Array, label: Array, ridge: float = RIDGE) -> Array:
    """Returns weights (F,) by Newton's method under a normal prior of this precision.

    Args:
        inputs: (n, F), a column of ones among them if there is to be an intercept.
        label: (n,) 0 or 1.
        ridge: the precision.
    """
    weights = np.zeros(inputs.shape[1])
    for _ in range(NEWTON_STEPS):
        probability = 1.0 / (1.0 + np.exp(-np.clip(inputs @ weights, -30.0, 30.0)))
        gradient = inputs.T @ (probability - label) + ridge * weights
        curvature = (inputs * (probability * (1.0 - probability))[:, None]).T @ inputs
        step = np.linalg.solve(curvature + ridge * np.eye(len(weights)), gradient)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def area_under_curve(score: Array, label: Array) -> float:
    """Returns the probability that a 1 scores above a 0, ties counted half.

    >>> area_under_curve(np.array([0.1, 0.4, 0.4, 0.8]), np.array([0, 0, 1, 1]))
    0.875
    """
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - 0.5 * (count - 1))[place]
    ones = label == 1
    n_ones, n_zeros = int(ones.sum()), int((~ones).sum())
    return float((rank[ones].sum() - 0.5 * n_ones * (n_ones + 1)) / (n_ones * n_zeros))


def _auc_error(auc: float, count: int) -> float:
    """Returns the standard error of an area by ``count`` sessions of each sort."""
    two_ones, two_zeros = auc / (2.0 - auc), 2.0 * auc * auc / (1.0 + auc)
    spread = two_ones + two_zeros - 2.0 * auc * auc
    return float(np.sqrt((auc * (1.0 - auc) + (count - 1) * spread) / (count * count)))
