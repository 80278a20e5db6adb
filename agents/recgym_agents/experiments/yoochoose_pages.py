"""The clicks of the RecSys Challenge 2015 (YooChoose) as display sets.

The log says what was clicked, not what was shown. A page is made up for each click, as the GAN
paper does for Last.fm: the clicked item, and those that were clicked nearest in time in other
sessions (nine, for pages of ten), of those that its own session never clicks. So they are about as
popular as the clicked one, at that time.

Four things would give the clicked item away, and are avoided:

- An item's later clicks in a session are left out. Among items that the session never clicks, it
  would be the one that was clicked before.
- No item is shown twice in a session. Those nearest in time are the same from page to page, and the
  clicked item would be the one that was not shown before.
- No other session gives two items to the pages of a session. What it clicks is alike, so that the
  clicked item would be the one unlike the others, of its page and of pages before.
- The other sessions are of the same split. Were those of training among them, the other items of a
  test page would have been clicked in training, and the clicked one often not.

Splits are of unequal sizes, so that "nearest" is farther in validation, the smallest.
"""

from __future__ import annotations

import math
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
FEWEST_CLICKS, MOST_CLICKS = 3, 10
"""Different items that a session has clicked, to be a user; and how many of them, the first, are
read, since a small split has no more sessions that give."""


def read_yoochoose_pages(
    path: Path, page_size: int = PAGE_SIZE, sessions: int | None = None, seed: int = 0
) -> Dataset:
    """Reads the clicks, each session as a user.

    Args:
        path: the file in its published form: session, time, item, category; no header.
        page_size: items of a page.
        sessions: how many are read, the latest, of those with three clicks at least; None for all.
            As items come and go, fewer sessions that are near in time share more of them than as
            many drawn at random.
        seed: of the division of the users, and of the clicked item's slot.

    Raises:
        RecGymError: there are too few items to fill a page.
    """
    columns = {"session": pl.Int64, "time": pl.String, "item": pl.Int64, "category": pl.String}
    clicks = pl.read_csv(path, has_header=False, schema=columns)
    times = pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ")
    clicks = clicks.with_columns(times.dt.epoch("ms").alias("time")).sort("session", "time", "item")
    clicks = clicks.filter(pl.struct("session", "item").is_first_distinct())
    clicks = clicks.filter(pl.len().over("session") >= FEWEST_CLICKS)
    clicks = clicks.group_by("session", maintain_order=True).head(MOST_CLICKS)
    rng = np.random.default_rng(seed)
    begins = clicks.group_by("session").agg(pl.col("time").min()).sort("time", "session")
    kept = np.sort(begins["session"].tail(sessions or len(begins)).to_numpy())
    clicks = clicks.filter(pl.col("session").is_in(kept.tolist()))
    session = np.searchsorted(kept, clicks["session"].to_numpy())
    names, item = np.unique(clicks["item"].to_numpy(), return_inverse=True)
    split = split_users(len(kept), seed)
    others = np.empty((len(item), page_size - 1), np.int64)
    for part in np.unique(split):
        here = np.flatnonzero(split[session] == part)
        time = clicks["time"].to_numpy()[here]
        others[here] = _others(item[here], time, session[here], page_size - 1)
    slot = rng.integers(page_size, size=len(item))
    slates = np.column_stack([item, others])
    first = np.arange(len(item))
    slates[first, 0], slates[first, slot] = slates[first, slot], item
    pages = Sessions(
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
        **click_facts(pages),
    }
    return Dataset(pages, catalog, split, info)


def _others(item: Array, time: Array, session: Array, count: int) -> Array:
    """Returns ``count`` items (P, count) for the page of each click: those nearest in time.

    They are none that its session clicks or was shown before, and each is from another session.

    Args:
        item: of each click (P,).
        time: its time (P,).
        session: its session (P,), whose clicks follow one another.
        count: of a page.

    Raises:
        RecGymError: there are too few items.
    """
    order = np.argsort(time, kind="stable")
    place_of = np.argsort(order).tolist()
    by_time = list(zip(item[order].tolist(), session[order].tolist(), strict=True))
    times = time[order].tolist()
    found = np.empty((len(item), count), np.int64)
    starts = np.flatnonzero(np.diff(session, prepend=-1))
    for clicks in np.split(np.arange(len(item)), starts[1:]):
        left_out, givers = set(item[clicks].tolist()), set(session[clicks].tolist())
        for click in clicks.tolist():
            at = times[place_of[click]]
            earlier, later = place_of[click] - 1, place_of[click] + 1
            nearest: list[int] = []
            while len(nearest) < count:
                before = at - times[earlier] if earlier >= 0 else math.inf
                after = times[later] - at if later < len(times) else math.inf
                if before == after == math.inf:
                    raise RecGymError(f"too few items for pages of {count + 1}; read more sessions")
                if before <= after:
                    (one, giver), earlier = by_time[earlier], earlier - 1
                else:
                    (one, giver), later = by_time[later], later + 1
                if one not in left_out and giver not in givers:
                    nearest.append(one)
                    left_out.add(one)
                    givers.add(giver)
            found[click] = nearest
    return found
