"""The clicks of the RecSys Challenge 2015 (YooChoose) as display sets.

The log says what was clicked, not what was shown. A page is made up for each click, much as the GAN
paper does for Last.fm: the clicked item, and others that its session never clicks, but that were
clicked at about that time. They are from the sessions that began nearest to when its own began.

What would give the clicked item away is avoided:

- An item's later clicks in a session are left out. Among items that the session never clicks, it
  would be the one that was clicked before.
- No item is shown twice in a session: the clicked item would be the one not shown before.
- No other session gives two items to the pages of a session. What it clicks is alike, so that the
  clicked item would be the one unlike the others, of its page and of pages before.
- Any click of another session gives its item about as often: a session gives with a chance in
  proportion to its clicks, and any of them. Else some items would be clicked more often than they
  are shown. A little of that is left, as none is shown twice: popular items are clicked somewhat
  more often than they are shown, most on first pages.
- The other sessions are of the same split. Were those of training among them, the other items of a
  test page would have been clicked in training, and the clicked one often not.

Splits are of unequal sizes, so that "nearest" is farther in validation, the smallest.
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
FEWEST_CLICKS, MOST_CLICKS = 3, 8
"""Different items that a session must have clicked to be a user; and how many of them are read, the
first ones, as a small split has no sessions enough to fill more pages."""


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
        seed: of the division of the users, of the other items of a page, and of the clicked one's
            slot.

    Raises:
        RecGymError: a split has too few sessions to fill the pages of one.
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
        others[here] = _others(item[here], time, session[here], page_size - 1, rng)
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


def _others(
    item: Array, time: Array, session: Array, count: int, rng: np.random.Generator
) -> Array:
    """Returns ``count`` other items (P, count) for the page of each click.

    Args:
        item: of each click (P,).
        time: its time (P,).
        session: its session (P,), whose clicks follow one another in time.
        count: of a page.
        rng: draws which sessions give, and what.

    Raises:
        RecGymError: there are too few sessions.
    """
    starts = np.flatnonzero(np.diff(session, prepend=-1))
    clicks = [part.tolist() for part in np.split(item, starts[1:])]
    begins = time[starts]
    found = []
    for own, begin in zip(clicks, begins, strict=True):
        shown, missing = set(own), count * len(own)
        given: list[int] = []
        for other in np.argsort(np.abs(begins - begin), kind="stable").tolist():
            theirs = clicks[other]
            one = theirs[rng.integers(len(theirs))]
            if theirs is not own and rng.random() < len(theirs) / MOST_CLICKS and one not in shown:
                shown.add(one)
                given.append(one)
                if len(given) == missing:
                    break
        if len(given) < missing:
            raise RecGymError(f"too few sessions for pages of {count + 1}; read more")
        found.append(rng.permutation(given).reshape(-1, count))
    return np.concatenate(found)
