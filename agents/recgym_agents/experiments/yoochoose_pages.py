"""The clicks of the RecSys Challenge 2015 (YooChoose) as display sets.

The log says what was clicked, not what was shown. A page is made up for each click, as the GAN
paper does for Last.fm: the clicked item, and those that were clicked nearest in time in other
sessions (nine, for pages of ten), of those that its own session never clicks. They are so as
popular as the clicked one, at that time of day. An item's later clicks in a session are left out:
among items that the session never clicks, one that was clicked before would give itself away.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from recgym.arrays import Array
from recgym.data import Catalog, Dataset, Sessions
from recgym.data.dataset import split_users
from recgym.data.descriptions import click_facts
from recgym.data.raw import source_of
from recgym.data.sessions import rank_within
from recgym.errors import RecGymError

CLICKS = "yoochoose-clicks.dat"
PAGE_SIZE = 10
MOST_SESSIONS = 3_000
"""Drawn of those with three clicks at least, to keep a fit short."""
SEED = 0


def read_yoochoose_pages(path: Path, page_size: int = PAGE_SIZE) -> Dataset:
    """Reads the clicks, each session as a user.

    Args:
        path: the file in its published form: session, time, item, category; no header.
        page_size: items of a page.

    Raises:
        RecGymError: there are too few items to fill a page.
    """
    columns = {"session": pl.Int64, "time": pl.String, "item": pl.Int64, "category": pl.String}
    clicks = pl.read_csv(path, has_header=False, schema=columns)
    times = pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ")
    clicks = clicks.with_columns(times.dt.epoch("ms").alias("time")).sort("session", "time", "item")
    clicks = clicks.filter(pl.struct("session", "item").is_first_distinct())
    clicks = clicks.filter(pl.len().over("session") >= 3)
    ids = np.unique(clicks["session"].to_numpy())
    rng = np.random.default_rng(SEED)
    kept = np.sort(rng.choice(ids, min(MOST_SESSIONS, len(ids)), replace=False))
    clicks = clicks.filter(pl.col("session").is_in(kept.tolist()))
    session = np.searchsorted(kept, clicks["session"].to_numpy())
    names, item = np.unique(clicks["item"].to_numpy(), return_inverse=True)
    others = _nearest_in_time(item, clicks["time"].to_numpy(), session, page_size - 1)
    slot = rng.integers(page_size, size=len(item))
    slates = np.column_stack([item, others])
    first = np.arange(len(item))
    slates[first, 0], slates[first, slot] = slates[first, slot], item
    sessions = Sessions(
        user=session,
        session=session.copy(),
        step=rank_within(session),
        slate_offsets=np.arange(len(item) + 1) * page_size,
        slate_items=slates.reshape(-1),
        click=slot,
        item=item,
        reward=np.ones(len(item), np.float32),
    )
    catalog = Catalog(
        item_id=tuple(str(name) for name in names),
        title=tuple(str(name) for name in names),
        features=np.zeros((len(names), 0), np.float32),
        feature_names=(),
    )
    info = {
        "name": "yoochoose",
        "licence": "CC BY-NC-ND 4.0",
        **source_of(path),
        **click_facts(sessions),
    }
    return Dataset(sessions, catalog, split_users(len(kept), SEED), info)


def _nearest_in_time(item: Array, time: Array, session: Array, count: int) -> Array:
    """Returns ``count`` items (P, count) clicked nearest in time, none of the click's session."""
    starts = np.flatnonzero(np.diff(session, prepend=-1))
    own = [set(part.tolist()) for part in np.split(item, starts[1:])]
    order = np.argsort(time, kind="stable")
    by_time, times = item[order], time[order]
    found = np.empty((len(item), count), np.int64)
    for place, click in enumerate(order):
        reach = count + 1
        nearest: list[int] = []
        while len(nearest) < count:
            low, high = max(0, place - reach), min(len(order), place + reach + 1)
            window = low + np.argsort(np.abs(times[low:high] - times[place]), kind="stable")
            seen = dict.fromkeys(by_time[window].tolist())
            nearest = [one for one in seen if one not in own[session[click]]][:count]
            if len(nearest) < count and high - low == len(order):
                raise RecGymError(f"too few items for pages of {count + 1} that a session left out")
            reach *= 2
        found[click] = nearest
    return found
