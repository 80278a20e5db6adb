"""The logs of the user-model experiments, and the fit of one user model in one cell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recgym.arrays import Array
from recgym.data import (
    Dataset,
    read_cikm_cup,
    read_display_sets,
    read_movielens,
    read_trivago,
    sessions_as_users,
)
from recgym.data.cikm import CLICKS as CIKM_CLICKS
from recgym.data.cikm import PURCHASES, QUERIES
from recgym.data.dataset import SPLITS, split_users
from recgym.data.session_filters import select_pages
from recgym.settings import changed
from recgym.users import FittedUserModel
from recgym.users.fitting import fit_user_model
from recgym.users.likelihood import FitConfig
from recgym.users.page_arrays import Pages
from recgym.users.page_tensors import Select
from recgym.users.presets import MODELS as MODELS_BY_NAME
from recgym.users.presets import Model, preset
from recgym.users.scoring import PageScores, floors, score
from recgym_agents.experiments.experiment import DataNotAvailable, Place, Result
from recgym_agents.experiments.yoochoose_pages import CLICKS

Regularizer = Literal["entropy", "l2"]

MODELS: tuple[Model, ...] = ("gan-pw", "gan-lstm")
"""The paper's names of its user models."""


MOVIELENS: dict[str, dict[str, Any]] = {
    "ml-100k": {"low_ratings": "no-click"},
    "ml-100k-click": {"low_ratings": "click"},
    "ml-100k-sessions": {
        "low_ratings": "click",
        "rewards": "five-stars",
        "session_gap": 30,
        "page_size": 10,
    },
}
"""MovieLens log -> what a rating of 1 or 2 stars is: a page without a click, or a click too; and
how its sessions end, as in the log behind IRecGAN-v0."""


def raw_log(name: str) -> tuple[str, ...]:
    """Returns the raw files of a log, if it has some that cannot be downloaded."""
    if name in MOVIELENS:
        return ()
    if name == "cikm":
        return tuple(f"cikm-cup/{file}" for file in (QUERIES, CIKM_CLICKS, PURCHASES))
    if name == "yoochoose":
        return (f"{name}/{CLICKS}",)
    return ("trivago.parquet" if name == "trivago" else f"gan_{name}.tsv",)


def read_log(name: str, place: Place) -> Dataset:
    """Reads and prepares a log: MovieLens in one of its forms, "yelp", "taobao" or "trivago".

    Raises:
        DataNotAvailable: its raw file is not here, or MovieLens cannot be downloaded.
    """
    if name in MOVIELENS:
        try:
            return read_movielens(**MOVIELENS[name])
        except ValueError as error:
            raise DataNotAvailable(f"{name}: {error}") from None
    path = place.raw(*raw_log(name))
    return read_trivago(path) if name == "trivago" else read_display_sets(path)


def read_lists(name: str, place: Place, sessions: int | None, seed: int = 0) -> Dataset:
    """Reads a log of the lists that were shown, each session of which is a user.

    Args:
        name: "cikm" or "trivago".
        place: where the raw files are.
        sessions: how many of the first are read; None for all.
        seed: of their division into training, validation and test sessions.

    Raises:
        DataNotAvailable: a raw file is not here.
    """
    path, *_ = [place.raw(file) for file in raw_log(name)]
    if name == "cikm":
        dataset = read_cikm_cup(path.parent, seed=seed)
    else:
        dataset = read_trivago(path, interactions="clicks", seed=seed)
    return first_users(sessions_as_users(dataset), sessions)


def first_users(dataset: Dataset, users: int | None) -> Dataset:
    """Returns the log of the first so many users, of all if None."""
    return select_pages(dataset, dataset.sessions.user < (users or dataset.n_users))


def divide_again(dataset: Dataset, seed: int) -> Dataset:
    """Returns the log with its users divided 50 / 12.5 / 37.5 at random instead of as released."""
    return replace(dataset, split=split_users(dataset.n_users, seed))


def fit_division(
    log: str, epochs: int | None, seed: int, place: Place, folder: Path, bags: int = 0
) -> FittedUserModel:
    """Fits both user models of a division of the users, unless the folder has them.

    Args:
        log: its name.
        epochs: the most that are fitted; the preset's if None.
        seed: of the division and of the fits.
        place: where the raw log is.
        folder: where the models are kept.
        bags: models of other training users, drawn with replacement.
    """
    if not (folder / "params.safetensors").exists():
        dataset = divide_again(read_log(log, place), seed)
        config, fit = preset(dataset.info["name"], "gan-pw")
        fit = replace(fit, epochs=epochs or fit.epochs)
        fit_user_model(dataset, config, fit, bags=bags, seed=seed).save(folder)
    return FittedUserModel.load(folder)


def draw_users(dataset: Dataset, count: int | None, seed: int = 0) -> Dataset:
    """Returns the log of some users, numbered anew.

    Args:
        dataset: the log.
        count: how many users are drawn at random; None for all.
        seed: of the draw.
    """
    if count is None or count >= dataset.n_users:
        return dataset
    drawn = np.sort(np.random.default_rng(seed).permutation(dataset.n_users)[:count])
    sessions = dataset.sessions.select(np.isin(dataset.sessions.user, drawn))
    sessions = replace(sessions, user=np.searchsorted(drawn, sessions.user))
    return replace(dataset, sessions=sessions, split=dataset.split[drawn], users=None)


def fit_by_name(
    dataset: Dataset,
    model: str,
    epochs: int | None,
    seed: int,
    *,
    similarity: bool = False,
) -> FittedUserModel:
    """Fits a user model of any name to the training users, as ``recgym fit --model`` does.

    Args:
        dataset: the log.
        model: its name.
        epochs: the most that are fitted; the preset's if None.
        seed: of the fit.
        similarity: of a GAN user model, whether users like what is like their clicks.
    """
    config, fit = MODELS_BY_NAME.find(model).preset(dataset.info["name"])
    if similarity:
        config = changed(config, {"similarity": True}, model)
    fit = replace(fit, epochs=epochs or fit.epochs)
    return fit_user_model(dataset, config, fit, test_users=False, seed=seed)


def fit_one(
    dataset: Dataset,
    model: Model,
    epochs: int | None,
    seed: int,
    regularizer: Regularizer = "entropy",
    select: Select = "log_likelihood",
    frozen_reward: bool = False,
    eta: float = 1.0,
    game_learning_rate: float = FitConfig.game_learning_rate,
) -> FittedUserModel:
    """Fits a user model to the training users, as ``recgym fit`` does.

    Args:
        dataset: the log.
        model: a name in ``MODELS``.
        epochs: the most that are fitted; the preset's if None.
        seed: of the fit.
        regularizer: of the user's behaviour.
        select: validation score that stops the fit, and the L2 game after it.
        frozen_reward: in the L2 game, move only the behaviour.
        eta: strength of exploitation (Eq. 2).
        game_learning_rate: step size of both players of the L2 game.
    """
    config, fit = preset(dataset.info["name"], model, regularizer)
    fit = replace(
        fit,
        epochs=epochs or fit.epochs,
        select=select,
        frozen_reward=frozen_reward,
        game_learning_rate=game_learning_rate,
    )
    return fit_user_model(dataset, replace(config, eta=eta), fit, test_users=False, seed=seed)


def score_one(dataset: Dataset, model: str, fitted: FittedUserModel) -> Result:
    """Scores a user model on test users; returns as ``result_of``."""
    return result_of(dataset, {model: score(fitted, dataset)})


def score_floors(dataset: Dataset) -> Result:
    """Scores what needs no user model on test users; returns as ``result_of``."""
    return result_of(dataset, floors(dataset))


def result_of(dataset: Dataset, found: dict[str, PageScores]) -> Result:
    """Returns each rule's mean scores under "scores", and its precision on each page in "arrays".

    A rule's array holds precision at 1 and at 2, (2, P), of the test pages with a click;
    "slate_size" holds the number of items on each, and "page" its row in the log.
    """
    arrays: dict[str, Any] = {
        name: [one.precision_at_1.round(4).tolist(), one.precision_at_2.round(4).tolist()]
        for name, one in found.items()
    }
    arrays["slate_size"] = _slate_sizes(dataset).tolist()
    arrays["page"] = _page_numbers(dataset).tolist()
    return {
        "scores": {name: _finite(one.means()) for name, one in found.items()},
        "pages": len(arrays["slate_size"]),
        "arrays": arrays,
    }


def _finite(scores: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if value == value}


def _slate_sizes(dataset: Dataset) -> Array:
    """Items on each clicked test page, in the order of ``PageScores.precision_at_1``."""
    pages = Pages.of(dataset.pages("test"), 1, dataset.catalog.n_items)
    return (~pages.absent).sum(axis=1)[pages.clicked]


def _page_numbers(dataset: Dataset) -> Array:
    """The row in the log of each clicked test page, in the same order."""
    sessions = dataset.sessions
    of_test = dataset.split[sessions.user] == SPLITS.index("test")
    return np.flatnonzero(of_test & (sessions.click >= 0))
