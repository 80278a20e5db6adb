"""Logs of ratings, in which what is rated low is known too: sequences, and every rating imputed."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import polars as pl

from recgym.data import Dataset, fetch_movielens_100k, read_netflix
from recgym.data.dataset import split_users
from recgym.data.event_logs import (
    DIVISION,
    EventLog,
    Preset,
    events_dataset,
    one_file,
    reward_of_stars,
)
from recgym.data.movielens_files import find_files, read_ratings
from recgym.data.netflix import PRESETS
from recgym.data.raw import ROW, source_of
from recgym.data.sessions import rank_within
from recgym.errors import RecGymError
from recgym.rating_imputation import ImputationConfig, ImputedRatings, impute_ratings
from recgym_agents.experiments.experiment import Cell, DataNotAvailable, Place
from recgym_agents.experiments.offline.shop_logs import of_users

LOGS: dict[str, tuple[str, ...]] = {
    "ml-100k": (),
    "netflix": ("netflix/combined_data_1.txt",),
}
"""The raw file that says where each is; MovieLens 100K is downloaded."""
IMPUTATION = ImputationConfig()


def raw_logs(cell: Cell) -> tuple[str, ...]:
    """Returns the raw files that a cell reads."""
    return LOGS[cell["log"]]


def read_rating_log(name: str, place: Place, sequences: int, seed: int) -> Dataset:
    """Reads ratings with the paper's filters, and divides users 80 / 10 / 10 by a seed.

    Users of fewer than 5 ratings are left out, the last 200 of each are kept, and ratings are worth
    0, .5 or 1, see ``reward_of_stars``.

    Args:
        name: in ``LOGS``.
        place: where the raw files are.
        sequences: users that are drawn, at most; 0: all.
        seed: of the users drawn, of the order of ratings of one time, and of the division.

    Raises:
        DataNotAvailable: a raw file is not here, or MovieLens cannot be downloaded.
    """
    if name == "netflix":
        folder = place.raw(*LOGS[name]).parent
        whole = read_netflix(folder, preset="lpi", seed=seed)
    else:
        whole = _movielens(seed)
    if 0 < sequences < whole.n_users:
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        whole = of_users(whole, np.sort(rng.permutation(whole.n_users)[:sequences]))
    return replace(whole, split=split_users(whole.n_users, seed, DIVISION))


def imputed_rewards(dataset: Dataset) -> ImputedRatings:
    """Returns every item's reward for every user, fitted on all ratings, test users' too."""
    pages = dataset.sessions
    n_items = dataset.catalog.n_items
    given = pages.user, pages.item, pages.reward
    return impute_ratings(*given, dataset.n_users, n_items, IMPUTATION)


def last_ratings(dataset: Dataset, longest: int) -> Dataset:
    """Returns the log with the last ratings of each user."""
    user = dataset.sessions.user
    kept = dataset.sessions.select(rank_within(user[::-1])[::-1] < longest)
    return replace(dataset, sessions=replace(kept, step=rank_within(kept.user)))


def _movielens(seed: int) -> Dataset:
    try:
        files = find_files(fetch_movielens_100k("without it, this log is left out"))
    except RecGymError as error:
        raise DataNotAvailable(f"ml-100k: {error}") from None
    table, ratings = read_ratings(files)
    rows = ratings.select(
        ROW,
        "user",
        "item",
        time=1_000 * pl.col("timestamp"),
        reward=reward_of_stars(pl.col("rating")),
    )
    licence = "GroupLens ML-100K licence: research use, no redistribution without permission"
    info = {"name": files.name, "licence": licence, **source_of(files.ratings)}
    paper = PRESETS["lpi"]
    kept = Preset(paper.name, paper.source, paper.filters, {})
    return events_dataset(EventLog(rows, info, one_file(table, rows, {})), seed, kept, ties=True)
