"""The display sets that the authors of the GAN user model released, as tab-separated text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from recgym.data.catalog import Catalog
from recgym.data.dataset import Dataset
from recgym.data.descriptions import click_facts
from recgym.data.raw import ROW, RawTable, source_of
from recgym.data.sessions import Sessions, rank_within
from recgym.settings import AT_LEAST_0, check_number

TYPES = {
    "SessionId": pl.String,
    "Time": pl.Int64,
    "ItemId": pl.String,
    "is_click": pl.Int64,
    "tr_val_tst": pl.Int64,
}


def read_display_sets(path: Path | str, *, seed: int = 0) -> Dataset:
    """Reads display sets: a row is an item shown to ``SessionId`` on the page ``Time``.

    ``SessionId`` is the user; the column ``tr_val_tst`` is the split (0 train, 1 validation, 2
    test). Should a user have pages in several splits, the pages of each split count as a user of
    their own, so that no history crosses from one split into another. An item that a page shows
    twice is kept once, as its clicked copy if there is one; of several clicked items the first is
    kept, and the others leave the page. The released files list the clicked item last on every
    page, so a page's slots are put in a random order. The items have no features.

    Args:
        path: a file.
        seed: of the order of the slots.

    Raises:
        RecGymError: the file is missing or empty, lacks a column, or has a malformed row, which is
            named by line and column.
    """
    check_number("seed", seed, AT_LEAST_0)
    path = Path(path)
    table = RawTable.delimited(path, "\t", list(TYPES))
    rows = table.parse(TYPES)
    _check(table, rows)
    rows = rows.with_columns(
        user=pl.col(ROW).min().over("SessionId", "tr_val_tst").rank("dense").cast(pl.Int64) - 1,
        item=pl.col("ItemId").rank("dense").cast(pl.Int64) - 1,
    ).sort("user", "Time", ROW)
    catalog = Catalog(
        item_id=tuple(rows.unique("item").sort("item")["ItemId"]),
        title=None,
        features=np.zeros((rows["item"].n_unique(), 0), np.float32),
        feature_names=(),
    )
    users = rows.unique("user").sort("user")
    kept, mended = _mend(rows)
    lines = table.account({"items_on_pages": len(kept), **mended})
    order = pl.Series(np.random.default_rng(seed).permutation(len(kept)))
    kept = kept.sort("user", "Time", order)
    sessions = _sessions(kept)
    mended["users_in_several_splits"] = len(users) - users["SessionId"].n_unique()
    info = {
        "name": path.stem,
        "licence": "none stated by its authors",
        **source_of(path),
        "mended": mended,
        "lines": lines,
        **click_facts(sessions),
    }
    return Dataset(sessions, catalog, users["tr_val_tst"].to_numpy().astype(np.int8), info)


def _check(table: RawTable, rows: pl.DataFrame) -> None:
    table.refuse(rows, ~pl.col("is_click").is_in([0, 1]), "is_click", "a click is 0 or 1")
    table.refuse(rows, ~pl.col("tr_val_tst").is_in([0, 1, 2]), "tr_val_tst", "a split is 0, 1 or 2")
    first = pl.col("tr_val_tst").first().over("SessionId", "Time")
    table.refuse(rows, pl.col("tr_val_tst") != first, "tr_val_tst", "a page has one split only")


def _mend(rows: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """Returns rows in which a page shows an item once and has at most one click; and counts."""
    page = ["user", "Time"]
    clicked_first = rows.sort(
        *page, pl.col("is_click"), ROW, descending=[False, False, True, False]
    )
    once = clicked_first.unique([*page, "item"], keep="first").sort(*page, ROW)
    extra = (pl.col("is_click") == 1) & (pl.col("is_click").cum_sum().over(page) > 1)
    kept = once.filter(~extra)
    return kept, {
        "repeats_within_a_page_dropped": len(rows) - len(once),
        "clicks_after_the_first_of_a_page_dropped": len(once) - len(kept),
    }


def _sessions(rows: pl.DataFrame) -> Sessions:
    """Returns one session a user, from rows sorted by user, page and slot."""
    page = rows.select(pl.struct("user", "Time").rle_id().cast(pl.Int64)).to_series().to_numpy()
    offsets = np.append(np.flatnonzero(np.diff(page, prepend=-1)), len(page))
    user = rows["user"].to_numpy()[offsets[:-1]]
    click = np.full(len(user), -1)
    item = np.full(len(user), -1)
    clicked = np.flatnonzero(rows["is_click"].to_numpy())
    click[page[clicked]] = clicked - offsets[page[clicked]]
    item[page[clicked]] = rows["item"].to_numpy()[clicked]
    return Sessions(
        user=user,
        session=user.copy(),
        step=rank_within(user),
        slate_offsets=offsets,
        slate_items=rows["item"].to_numpy(),
        click=click,
        item=item,
        reward=(click >= 0).astype(np.float32),
    )
