"""The Open Bandit Dataset: single items that two known policies showed, with propensities."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from recgym.arrays import Array
from recgym.data.catalog import Catalog
from recgym.data.dataset import Dataset, split_users
from recgym.data.descriptions import click_facts
from recgym.data.event_logs import DIVISION
from recgym.data.event_times import parse_times
from recgym.data.raw import ROW, RawTable, source_of
from recgym.data.sessions import Sessions, rank_within
from recgym.data.user_table import UserTable
from recgym.data.wheels import Wheel, fetch
from recgym.settings import AT_LEAST_0, check_number

Campaign = Literal["all", "men", "women"]
BehaviourPolicy = Literal["random", "bts"]
WHEEL = Wheel(
    data="the sample of the Open Bandit Dataset",
    requirement="obp==0.4.1",
    file="obp-0.4.1-py3-none-any.whl",
    sha256="87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208",
    folder="obp/dataset/obd/",
)
ITEMS = "item_context.csv"
USER_FEATURES = tuple(f"user_feature_{n}" for n in range(4))
WORDS_OF_ITEMS = tuple(f"item_feature_{n}" for n in (1, 2, 3))
NUMBER_OF_ITEMS = "item_feature_0"
TYPES: dict[str, Any] = {
    "timestamp": pl.String,
    "item_id": pl.Int64,
    "position": pl.Int64,
    "click": pl.Int64,
    "propensity_score": pl.Float64,
    **dict.fromkeys(USER_FEATURES, pl.String),
}
ITEM_TYPES: dict[str, Any] = {
    "item_id": pl.Int64,
    NUMBER_OF_ITEMS: pl.Float64,
    **dict.fromkeys(WORDS_OF_ITEMS, pl.String),
}
POSITIONS = 3


def read_open_bandit(
    folder: Path | str | None = None,
    *,
    campaign: Campaign = "all",
    policy: BehaviourPolicy = "random",
    seed: int = 0,
) -> Dataset:
    """Reads the Open Bandit Dataset (Saito et al., NeurIPS 2021 datasets and benchmarks).

    A row is a page of one item, which was clicked or not; the policy's probability of showing it at
    its position is in ``slot_propensities``. The log does not say which three rows were shown
    together, nor whom: a *user* is one combination of the four user features, which is all that the
    policies may know of a user, and her *session* is the position, 1 to 3. Pages are in the order
    of their times within it. Affinities of users with items are not read.

    Args:
        folder: below it is ``POLICY/CAMPAIGN/CAMPAIGN.csv`` and, beside that, ``item_context.csv``;
            None downloads the sample, 10,000 rows for each campaign and policy (12 MB).
        campaign: which items were shown.
        policy: what showed them, "random" or "bts" (Bernoulli Thompson sampling).
        seed: of the division of the users.

    Raises:
        RecGymError: a file is missing or empty, lacks a column, or has a malformed line, which is
            named with its column.
    """
    check_number("seed", seed, AT_LEAST_0)
    place = Path(policy) / campaign
    names = (place / f"{campaign}.csv", place / ITEMS)
    if folder is None:
        without = "name a folder that holds the dataset with --path"
        folder = fetch(WHEEL, [name.as_posix() for name in names], "open-bandit", without)
    path, items_path = (Path(folder) / name for name in names)
    catalog, of_items = _items(items_path)
    table = RawTable.delimited(path, ",", list(TYPES))
    rows = table.parse(TYPES)
    for bad, column, why in (
        (~pl.col("position").is_between(1, POSITIONS), "position", f"not 1 to {POSITIONS}"),
        (~pl.col("click").is_in([0, 1]), "click", "a click is 0 or 1"),
        (~pl.col("propensity_score").is_between(0, 1, closed="right"), "propensity_score",
         "not a probability above 0"),
        (~pl.col("item_id").is_in([int(item) for item in catalog.item_id]), "item_id",
         f"an item that {ITEMS} does not have"),
    ):  # fmt: skip
        table.refuse(rows, bad, column, why)
    time, _ = parse_times(table, rows, "timestamp")
    known = pl.concat_str(USER_FEATURES, separator="|")
    rows = rows.with_columns(time, known=known).sort("known", "position", "time", ROW)
    sessions = _sessions(rows, catalog)
    info = {
        "name": f"open-bandit-{campaign}-{policy}",
        "licence": "CC BY 4.0 (Open Bandit Dataset)",
        **source_of(path, items_path),
        "mended": {},
        "lines": table.account({"pages": len(rows)}) | of_items,
        "meaning": {"user": "the four user features", "session": "the position, 1 to 3"},
        **click_facts(sessions),
    }
    users = _users(rows)
    split = split_users(len(users.user_id), seed, DIVISION)
    return Dataset(sessions, catalog, split, info, users)


def _items(path: Path) -> tuple[Catalog, dict[str, dict[str, int]]]:
    """Returns the items in the order of their ids: one standardised number, and words."""
    table = RawTable.delimited(path, ",", list(ITEM_TYPES))
    rows = table.parse(ITEM_TYPES)
    table.refuse(rows, ~pl.col("item_id").is_first_distinct(), "item_id", "it has a line already")
    rows = rows.sort("item_id")
    number = rows[NUMBER_OF_ITEMS].to_numpy()
    spread = number.std()
    scaled = (number - number.mean()) / spread if spread > 0 else np.zeros(len(number))
    words, names = _one_hot(rows, WORDS_OF_ITEMS)
    features = np.column_stack([scaled, words]).astype(np.float32)
    ids = tuple(map(str, rows["item_id"]))
    return Catalog(ids, None, features, (NUMBER_OF_ITEMS, *names)), table.account(
        {"items": len(ids)}
    )


def _users(rows: pl.DataFrame) -> UserTable:
    """Returns the users of rows in order, whose features are words."""
    users = rows.unique("known", keep="first", maintain_order=True)
    features, names = _one_hot(users, USER_FEATURES)
    return UserTable(tuple(users["known"]), features, names)


def _one_hot(rows: pl.DataFrame, columns: tuple[str, ...]) -> tuple[Array, tuple[str, ...]]:
    """Returns (R, F) float32, one column a word, and their F names, such as ``column:word``."""
    words = [(name, word) for name in columns for word in rows[name].unique().sort()]
    features = np.column_stack([(rows[name] == word).to_numpy() for name, word in words])
    return features.astype(np.float32), tuple(f"{name}:{word}" for name, word in words)


def _sessions(rows: pl.DataFrame, catalog: Catalog) -> Sessions:
    """Returns a page of one item a row, from rows in order."""
    ids = np.array(catalog.item_id).astype(np.int64)
    item = np.searchsorted(ids, rows["item_id"].to_numpy())
    clicked = rows["click"].to_numpy() == 1
    user = rows.select(pl.col("known").rle_id().cast(pl.Int64)).to_series().to_numpy()
    session = rows["position"].to_numpy()
    return Sessions(
        user=user,
        session=session,
        step=rank_within(user * (POSITIONS + 1) + session),
        slate_offsets=np.arange(len(item) + 1),
        slate_items=item,
        click=np.where(clicked, 0, -1),
        item=np.where(clicked, item, -1),
        reward=clicked.astype(np.float32),
        timestamp=(rows["time"] // 1_000_000).to_numpy(),
        slot_propensities=rows["propensity_score"].to_numpy().astype(np.float32),
    )
