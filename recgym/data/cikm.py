"""The log of the CIKM Cup 2016, track 2 (DIGINETICA): lists that a shop's search showed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recgym.data.catalog import Catalog
from recgym.data.dataset import Dataset, split_users
from recgym.data.descriptions import click_facts
from recgym.data.raw import ROW, RawTable, source_of
from recgym.data.session_filters import filter_sessions, select_pages
from recgym.data.sessions import Sessions, rank_within
from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, check_number

QUERIES, CLICKS, PURCHASES = "train-queries.csv", "train-clicks.csv", "train-purchases.csv"
QUERY_TYPES: dict[str, Any] = {"queryId": pl.Int64, "sessionId": pl.Int64, "items": pl.String}
CLICK_TYPES: dict[str, Any] = {"queryId": pl.Int64, "timeframe": pl.Int64, "itemId": pl.Int64}
PURCHASE_TYPES: dict[str, Any] = {"sessionId": pl.Int64, "timeframe": pl.Int64, "itemId": pl.Int64}
OF_CLICKS = (
    "repeated_clicks_dropped",
    "clicks_of_unknown_queries_dropped",
    "clicks_outside_their_page_dropped",
)
"""Why a click is no page."""
DIVISION = (65_284, 1_718, 1_820)
"""Training, validation and test sessions (Bai et al., NeurIPS 2019, section 7.2)."""


def read_cikm_cup(folder: Path | str, *, seed: int = 0) -> Dataset:
    """Reads the training log of the CIKM Cup 2016, track 2.

    A click is a page, which shows the items of its query as they are listed; a query that was
    clicked several times is as many pages, by the time of the clicks. The reward is 1 if the item
    is bought in the same session at the time of the click or later, else 0. Each session counts as
    a user: most users are not named. Sessions and items are those of ``filter_sessions``, of which
    68,822 sessions are drawn and divided as in the paper (65,284 for training, 1,718 for
    validation, 1,820 for test); if there are fewer, all are divided in these proportions. Views of
    items (``train-item-views.csv``) are not read: they have no list. The items have no features.

    Args:
        folder: with ``train-queries.csv``, ``train-clicks.csv`` and ``train-purchases.csv``, fields
            separated by semicolons.
        seed: of the drawn sessions and their division.

    Raises:
        RecGymError: a file is missing or empty, lacks a column, or has a malformed row, which is
            named by line and column; or no session is left.
    """
    check_number("seed", seed, AT_LEAST_0)
    paths = [Path(folder) / name for name in (QUERIES, CLICKS, PURCHASES)]
    tables = [
        RawTable.delimited(path, ";", list(types))
        for path, types in zip(paths, (QUERY_TYPES, CLICK_TYPES, PURCHASE_TYPES), strict=True)
    ]
    mended: dict[str, int] = {}
    queries = tables[0].parse(QUERY_TYPES, optional=("items",))
    twice = ~pl.col("queryId").is_first_distinct()
    tables[0].refuse(queries, twice, "queryId", "the query has a line already")
    clicks = _clicks(tables[1].parse(CLICK_TYPES), queries, mended)
    slots = _slots(tables[0], queries.join(clicks, on="queryId", how="semi"), mended)
    purchases = tables[2].parse(PURCHASE_TYPES)
    pages = _pages(clicks, slots, purchases, mended)
    if pages.is_empty():
        raise RecGymError(f"{paths[1]}: an empty log (no click among the items of its query)")
    clicked = pages["queryId"].n_unique()
    lines = {
        **tables[0].account({"queries": clicked, "queries_without_pages": len(queries) - clicked}),
        **tables[1].account({"pages": len(pages)} | {name: mended[name] for name in OF_CLICKS}),
        **tables[2].account({"purchases": len(purchases)}),
    }
    slots = pages.select("page", "queryId").join(slots, on="queryId").sort("page", "slot")
    dataset = _dataset(paths, pages, slots, {"mended": mended, "lines": lines})
    return _drawn(filter_sessions(dataset), seed)


def _clicks(clicks: pl.DataFrame, queries: pl.DataFrame, mended: dict[str, int]) -> pl.DataFrame:
    """Returns the clicks with their sessions, each click once."""
    once = clicks.unique(list(CLICK_TYPES), keep="first", maintain_order=True)
    found = once.join(queries.select("queryId", "sessionId"), on="queryId", maintain_order="left")
    mended["repeated_clicks_dropped"] = len(clicks) - len(once)
    mended["clicks_of_unknown_queries_dropped"] = len(once) - len(found)
    return found


def _slots(table: RawTable, queries: pl.DataFrame, mended: dict[str, int]) -> pl.DataFrame:
    """Returns what the queries showed: ``queryId``, ``slot``, ``shown``."""
    listed = queries.filter(pl.col("items").is_not_null())
    listed = listed.select(ROW, "queryId", pl.col("items").str.split(",")).explode("items")
    slots = listed.select(
        ROW, "queryId", shown=pl.col("items").str.strip_chars().cast(pl.Int64, strict=False)
    )
    table.refuse(slots, pl.col("shown").is_null(), "items", "an item id is not a number")
    once = slots.unique(["queryId", "shown"], keep="first", maintain_order=True)
    mended["repeats_within_a_page_dropped"] = len(slots) - len(once)
    return once.select("queryId", "shown", slot=pl.int_range(pl.len()).over("queryId"))


def _pages(
    clicks: pl.DataFrame, slots: pl.DataFrame, purchases: pl.DataFrame, mended: dict[str, int]
) -> pl.DataFrame:
    """Returns the clicks on listed items, in order: ``page``, ``user``, ``slot``, ``reward``."""
    bought = purchases.group_by("sessionId", "itemId").agg(last=pl.col("timeframe").max())
    listed = slots.rename({"shown": "itemId"})
    pages = clicks.join(listed, on=["queryId", "itemId"]).join(
        bought, on=["sessionId", "itemId"], how="left"
    )
    mended["clicks_outside_their_page_dropped"] = len(clicks) - len(pages)
    return pages.sort("sessionId", "timeframe", ROW).with_columns(
        page=pl.int_range(pl.len()),
        user=pl.col("sessionId").rank("dense").cast(pl.Int64) - 1,
        reward=(pl.col("last") >= pl.col("timeframe")).fill_null(value=False),
    )


def _dataset(
    paths: list[Path], pages: pl.DataFrame, slots: pl.DataFrame, counts: dict[str, Any]
) -> Dataset:
    """Returns the log, still undivided: all sessions are for training."""
    raw_ids, shown = np.unique(slots["shown"].to_numpy(), return_inverse=True)
    user = pages["user"].to_numpy()
    sizes = np.bincount(slots["page"].to_numpy(), minlength=len(pages))
    sessions = Sessions(
        user=user,
        session=user.copy(),
        step=rank_within(user),
        slate_offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]),
        slate_items=shown,
        click=pages["slot"].to_numpy(),
        item=np.searchsorted(raw_ids, pages["itemId"].to_numpy()),
        reward=pages["reward"].to_numpy().astype(np.float32),
    )
    catalog = Catalog(
        item_id=tuple(str(item) for item in raw_ids),
        title=None,
        features=np.zeros((len(raw_ids), 0), np.float32),
        feature_names=(),
    )
    info = {
        "name": "cikm-cup",
        "licence": "none stated (CIKM Cup 2016, track 2)",
        **source_of(*paths),
        **counts,
        **click_facts(sessions),
    }
    return Dataset(sessions, catalog, np.zeros(int(user[-1]) + 1, np.int8), info)


def _drawn(dataset: Dataset, seed: int) -> Dataset:
    """Returns as many sessions as the paper has, or all, divided at random as there."""
    order = np.random.default_rng([seed, 1]).permutation(dataset.n_users)
    chosen = np.zeros(dataset.n_users, np.bool_)
    chosen[order[: sum(DIVISION)]] = True
    drawn = select_pages(dataset, chosen[dataset.sessions.user])
    train, validation, test = (count / sum(DIVISION) for count in DIVISION)
    split = split_users(drawn.n_users, seed, (train, validation, test))
    mended = dataset.info["mended"] | {"sessions_not_drawn": dataset.n_users - drawn.n_users}
    info = dataset.info | {"mended": mended, **click_facts(drawn.sessions)}
    return replace(drawn, split=split, info=info)
