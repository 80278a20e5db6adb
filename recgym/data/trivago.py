"""trivago's RecSys Challenge 2019 log: true impressions, prices, and clickouts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from recgym.arrays import Array
from recgym.data.catalog import Catalog
from recgym.data.dataset import Dataset, split_users
from recgym.data.descriptions import click_facts
from recgym.data.raw import ROW, RawTable, source_of
from recgym.data.session_filters import filter_sessions
from recgym.data.sessions import Sessions, rank_within
from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, check_number

Interactions = Literal["history", "clicks"]
"""What a user's interaction with one item is: an event of her history, or a click on a page."""
CLICKOUT = "clickout item"
TYPES = {
    "user_id": pl.String,
    "session_id": pl.String,
    "timestamp": pl.Int64,
    "step": pl.Int64,
    "action_type": pl.String,
    "reference": pl.String,
    "impressions": pl.String,
    "prices": pl.String,
}
FEATURES = ("log price", "price rank", "displayed rank")


def read_trivago(
    path: Path | str, *, interactions: Interactions = "history", seed: int = 0
) -> Dataset:
    """Reads the log of the RecSys Challenge 2019 (``train.csv``, or the same table as Parquet).

    A clickout is a page: its impressions as displayed, and its click. What a user does with one
    item (its images, ratings, deals or info; a search for it) is an event without a slate, which
    enters the user's history; the same item several times running is one event. Users without a
    clickout are left out, and so are events after a user's last clickout. A user's sessions follow
    one another by their first row's time. An item's features are means over its impressions to
    *training* users, standardised over the items these saw, 0 for the others: log price, the rank
    of the price on its page (0 cheapest, 1 dearest), and the displayed rank (0 first).

    With ``interactions="clicks"`` an event is a page too, with a reward of 0: it shows the
    impressions of its session's next clickout, which are what the user is looking at if the item
    is among them. Other events are dropped, and counted in ``mended``: those after a session's
    last clickout, and those with an item that is not displayed there. Sessions and items are then
    those of ``filter_sessions``, which counts what it leaves out; features stay those of all pages
    before it, an event's among them.

    Args:
        path: a file.
        interactions: what users do with single items: "history", events without a slate, or
            "clicks", pages.
        seed: of the split of the users.

    Raises:
        RecGymError: the file is missing or empty, lacks a column, or has a malformed row, which is
            named with its column.
    """
    check_number("seed", seed, AT_LEAST_0)
    path = Path(path)
    if path.suffix == ".parquet":
        table = RawTable.parquet(path, list(TYPES))
    else:
        table = RawTable.delimited(path, ",", list(TYPES), quote='"')
    rows = table.parse(TYPES, optional=("reference", "impressions", "prices"))
    mended: dict[str, int] = {}
    rows = _item_rows(rows, mended)
    slots, mended_slots = _slots(table, rows)
    log = _in_order(_mend_clickouts(rows, slots, mended), mended)
    if log.is_empty():
        raise RecGymError(f"{path}: an empty log (no clickout with a click among its impressions)")
    left_out = rows["user_id"].n_unique() - log["user_id"].n_unique()
    log = _with_lists(log, slots, interactions, mended)
    lines = table.account({"pages_and_events": len(log), **mended})
    mended |= mended_slots | {"users_without_clickout_dropped": left_out}
    slots = log.select("page", "list").join(slots, left_on="list", right_on=ROW)
    slots = slots.sort("page", "slot")
    dataset = _dataset(path, log, slots, {"mended": mended, "lines": lines}, seed)
    if interactions == "history":
        return dataset
    return filter_sessions(replace(dataset, info=dataset.info | {"name": "trivago-clicks"}))


def _item_rows(rows: pl.DataFrame, mended: dict[str, int]) -> pl.DataFrame:
    """Returns the rows about an item: clickouts, and events with one item; counts the others."""
    clickout = pl.col("action_type") == CLICKOUT
    event = pl.col("action_type").str.starts_with("interaction item")
    event = event | (pl.col("action_type") == "search for item")
    about = rows.with_columns(
        clickout=clickout,
        item=pl.col("reference").cast(pl.Int64, strict=False),
        start=pl.col("timestamp").min().over("user_id", "session_id"),
    ).filter(clickout | event)
    kept = about.filter(pl.col("clickout") | pl.col("item").is_not_null())
    mended["actions_not_about_an_item_dropped"] = len(rows) - len(about)
    mended["events_without_item_id_dropped"] = len(about) - len(kept)
    return kept


def _slots(table: RawTable, rows: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """Returns the impressions of all clickouts: ``ROW``, ``slot``, ``shown``, ``price``; counts."""
    pages = rows.filter("clickout").with_columns(
        pl.col("impressions").str.split("|"), pl.col("prices").str.split("|")
    )
    table.refuse(pages, pl.col("impressions").is_null(), "impressions", "a clickout without any")
    unequal = pl.col("prices").list.len() != pl.col("impressions").list.len()
    unequal = pl.col("prices").is_null() | unequal
    table.refuse(pages, unequal, "prices", "not one price for each impression")
    slots = pages.select(ROW, "impressions", "prices").explode("impressions", "prices")
    slots = slots.select(
        ROW,
        slot=pl.int_range(pl.len()).over(ROW),
        shown=pl.col("impressions").cast(pl.Int64, strict=False),
        price=pl.col("prices").cast(pl.Float64, strict=False),
    )
    table.refuse(slots, pl.col("shown").is_null(), "impressions", "an item id is not a number")
    no_price = pl.col("price").is_null() | ~pl.col("price").is_finite() | (pl.col("price") <= 0)
    table.refuse(slots, no_price, "prices", "a price is not a number above 0")
    once = slots.unique([ROW, "shown"], keep="first", maintain_order=True)
    mended = {"repeats_within_a_page_dropped": len(slots) - len(once)}
    return once.with_columns(slot=pl.int_range(pl.len()).over(ROW)), mended


def _mend_clickouts(
    rows: pl.DataFrame, slots: pl.DataFrame, mended: dict[str, int]
) -> pl.DataFrame:
    """Returns the rows without clickouts that click no impression; ``slot`` is the clicked one."""
    clicks = slots.select(ROW, "slot", item="shown")
    rows = rows.join(clicks, on=[ROW, "item"], how="left", maintain_order="left")
    hidden = pl.col("clickout") & pl.col("reference").is_null()
    outside = pl.col("clickout") & pl.col("slot").is_null() & ~hidden
    mended["clickouts_without_reference_dropped"] = len(rows.filter(hidden))
    mended["clicks_outside_their_page_dropped"] = len(rows.filter(outside))
    return rows.filter(~(hidden | outside))


def _in_order(rows: pl.DataFrame, mended: dict[str, int]) -> pl.DataFrame:
    """Returns the log's pages and events, sorted and numbered by ``user`` and ``session``."""
    rows = rows.sort("user_id", "start", "session_id", "step", ROW)
    session = pl.struct("user_id", "start", "session_id")
    run = pl.struct("user_id", "session_id", "clickout", "item").rle_id()
    once = rows.filter(pl.col("clickout") | run.is_first_distinct())
    kept = once.filter(pl.col("clickout").cum_sum(reverse=True).over("user_id") > 0)
    mended["repeated_item_events_dropped"] = len(rows) - len(once)
    mended["events_after_last_clickout_dropped"] = len(once) - len(kept)
    return kept.with_columns(
        user=pl.col("user_id").rle_id().cast(pl.Int64),
        session=session.rle_id().cast(pl.Int64),
    )


def _with_lists(
    log: pl.DataFrame, slots: pl.DataFrame, interactions: Interactions, mended: dict[str, int]
) -> pl.DataFrame:
    """Returns the log numbered by ``page``; ``list`` is the ``ROW`` of the impressions shown."""
    shown_by = pl.when("clickout").then(ROW)
    if interactions == "history":
        return log.with_columns(list=shown_by, page=pl.int_range(pl.len()))
    on_page = slots.select("slot", list=ROW, item="shown")
    found = (
        log.drop("slot")
        .with_columns(list=shown_by.backward_fill().over("session"))
        .join(on_page, on=["list", "item"], how="left", maintain_order="left")
    )
    kept = found.filter(pl.col("slot").is_not_null())
    mended["events_off_the_next_clickouts_page_dropped"] = len(found) - len(kept)
    return kept.with_columns(page=pl.int_range(pl.len()))


def _dataset(
    path: Path, log: pl.DataFrame, slots: pl.DataFrame, counts: dict[str, Any], seed: int
) -> Dataset:
    raw_ids = np.union1d(slots["shown"].to_numpy(), log["item"].to_numpy())
    session = log["session"].to_numpy()
    shown = np.searchsorted(raw_ids, slots["shown"].to_numpy())
    sizes = np.bincount(slots["page"].to_numpy(), minlength=len(log))
    clicked = log["clickout"].to_numpy()
    sessions = Sessions(
        user=log["user"].to_numpy(),
        session=session,
        step=rank_within(session),
        slate_offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]),
        slate_items=shown,
        click=log["slot"].fill_null(-1).to_numpy(),
        item=np.searchsorted(raw_ids, log["item"].to_numpy()),
        reward=clicked.astype(np.float32),
        timestamp=log["timestamp"].to_numpy(),
    )
    split = split_users(int(sessions.user[-1]) + 1, seed)
    training = split[sessions.user[slots["page"].to_numpy()]] == 0
    catalog = Catalog(
        item_id=tuple(str(item) for item in raw_ids),
        title=None,
        features=_item_features(slots, shown, training, len(raw_ids)),
        feature_names=FEATURES,
    )
    info = {
        "name": "trivago",
        "licence": "none stated (RecSys Challenge 2019)",
        **source_of(path),
        **counts,
        **click_facts(sessions),
    }
    return Dataset(sessions, catalog, split, info)


def _item_features(slots: pl.DataFrame, shown: Array, training: Array, n_items: int) -> Array:
    """(N, 3) float32 standardised means over the impressions to training users."""
    price = pl.col("price")
    dearer = (price.rank("average").over("page") - 1) / (pl.len().over("page") - 1)
    values = slots.select(
        price.log().alias("log price"),
        dearer.fill_nan(0.5).alias("price rank"),
        pl.col("slot").cast(pl.Float64).alias("displayed rank"),
    )
    counts = np.bincount(shown[training], minlength=n_items)
    seen = counts > 0
    features = np.zeros((n_items, len(FEATURES)), np.float32)
    for column, name in enumerate(FEATURES):
        sums = np.bincount(shown[training], values[name].to_numpy()[training], n_items)
        means = sums[seen] / counts[seen]
        spread = means.std() if len(means) else 0.0
        features[seen, column] = (means - means.mean()) / spread if spread > 0 else 0.0
    return features
