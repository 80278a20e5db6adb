"""From rows with lists of what was shown and clicked to sessions, in order and by number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from recgym.arrays import Array
from recgym.data.raw import ROW, RawTable
from recgym.data.sessions import Sessions, rank_within
from recgym.errors import RecGymError, shortened


@dataclass(frozen=True, eq=False)
class Log:
    """A log with a row a page, as its file has it."""

    table: RawTable
    """for errors"""
    rows: pl.DataFrame
    """``ROW``; ``user`` and ``session``, text; ``time``, microseconds; ``split``, 0..2; ``shown``
    and ``clicked``, lists of text; ``reward``, a list of numbers, one a click; null is not known"""
    clicked_column: str
    reward_column: str
    """"" where clicks are worth 1"""
    dropped: dict[str, int]
    """rows of the file left out so far, by reason; more are added"""
    mended: dict[str, int]
    """what was left out within rows so far, by reason; more are added"""
    gap: int = 0
    """microseconds without a page after which a session is over; 0 for none"""


def pages_of_log(
    log: Log, shuffle: np.random.Generator | None
) -> tuple[Sessions, list[str], pl.DataFrame]:
    """Mends and orders the pages of a log.

    Args:
        log: whose ``dropped`` and ``mended`` are filled.
        shuffle: draws the slots of each page; None keeps them.

    Returns:
        The sessions; the ids of their items, by number; and a row a user, by number: ``user`` and
        ``split``.

    Raises:
        RecGymError: no click in the log, or none on its page; another number of rewards than of
            clicks; or sessions of a user that overlap.
    """
    slots = _slots(log, shuffle)
    pages = _ordered(log, _pages(log, slots))
    slots = pages.select("number", ROW).join(slots, on=ROW).sort("number", "slot")
    ids = pl.concat([slots["item"], pages["item"]]).drop_nulls().unique().sort()
    user = pages["user_number"].to_numpy()
    session = pages["session_number"].to_numpy()
    sizes = np.bincount(slots["number"].to_numpy(), minlength=len(pages))
    time = pages["time"]
    sessions = Sessions(
        user=user,
        session=session,
        step=rank_within(session),
        slate_offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]),
        slate_items=_numbers(slots["item"], ids),
        click=pages["slot"].fill_null(-1).to_numpy(),
        item=_numbers(pages["item"], ids),
        reward=pages["reward"].to_numpy().astype(np.float32),
        timestamp=None if time.null_count() else (time // 1_000_000).to_numpy(),
    )
    users = pages.unique("user_number").sort("user_number").select("user", "split")
    return sessions, ids.to_list(), users


def _slots(log: Log, shuffle: np.random.Generator | None) -> pl.DataFrame:
    """Returns what was shown, each item once on a page: ``ROW``, ``slot``, ``item``."""
    shown = log.rows.select(ROW, item="shown").filter(pl.col("item").list.len() > 0)
    every = shown.explode("item")
    once = every.unique([ROW, "item"], keep="first", maintain_order=True)
    if len(every) > len(once):
        log.mended["repeats_within_a_page_dropped"] = len(every) - len(once)
    if shuffle is not None:
        order = pl.Series("order", shuffle.permutation(len(once)))
        once = once.with_columns(order).sort(ROW, "order").drop("order")
    return once.with_columns(slot=pl.int_range(pl.len(), dtype=pl.Int64).over(ROW))


def _pages(log: Log, slots: pl.DataFrame) -> pl.DataFrame:
    """Returns a row a click, and one for each page without: ``slot``, ``item``, ``reward``."""
    clicks = _clicks(log).join(slots, on=[ROW, "item"], how="left", maintain_order="left")
    shows, clicked = slots.select(ROW).unique(), clicks.select(ROW).unique()
    off_page = pl.col("slot").is_null()
    outside = clicks.join(shows, on=ROW, how="semi").filter(off_page)
    if len(clicks) == 0:
        raise RecGymError(f"{log.table.path}: no click in the whole log; is clicked= right?")
    if len(outside) == len(clicks):
        line, item = outside.sort(ROW).select(ROW, "item").row(0)
        why = (
            f"{shortened(repr(item))} is clicked but not shown, as is every other clicked item"
            " (name ids here, not slots; text is cut into lists at --list-separator)"
        )
        log.table.fail(line, log.clicked_column, why)
    kept = clicks.join(outside.select(ROW, "item"), on=[ROW, "item"], how="anti")
    lost = clicked.join(kept, on=ROW, how="anti")
    nothing = log.rows.join(shows, on=ROW, how="anti").join(clicked, on=ROW, how="anti")
    log.mended["clicks_outside_their_page_dropped"] = len(outside)
    log.dropped["rows_whose_clicks_are_all_outside_their_page_dropped"] = len(lost)
    log.dropped["rows_that_show_and_click_nothing_dropped"] = len(nothing)
    unclicked = shows.join(clicked, on=ROW, how="anti").select(
        ROW,
        item=pl.lit(None, pl.String),
        order=pl.lit(0, pl.Int64),
        reward=pl.lit(0.0),
        slot=pl.lit(None, pl.Int64),
    )
    pages = pl.concat([kept.select(unclicked.columns), unclicked])
    return pages.join(log.rows.select(ROW, "user", "session", "split", "time"), on=ROW)


def _clicks(log: Log) -> pl.DataFrame:
    """Returns the clicks, each item once a row: ``ROW``, ``item``, ``order``, ``reward``."""
    rows = log.rows.select(
        ROW,
        pl.col("clicked").fill_null(pl.lit([], pl.List(pl.String))),
        pl.col("reward").fill_null(pl.lit([], pl.List(pl.Float64))),
    )
    n_clicks, n_rewards = pl.col("clicked").list.len(), pl.col("reward").list.len()
    if log.reward_column:
        wrong = (n_clicks > 0) & (n_clicks != n_rewards)
        why = "not one reward for each click"
        log.table.refuse(rows, wrong, log.reward_column, why)
        idle = rows.filter(
            (n_clicks == 0) & pl.col("reward").list.eval(pl.element() != 0).list.any()
        )
        log.mended.setdefault("rewards_without_a_click_ignored", len(idle))
    else:
        rows = rows.with_columns(reward=pl.col("clicked").list.eval(pl.lit(1.0)))
    clicks = rows.filter(n_clicks > 0).explode("clicked", "reward").rename({"clicked": "item"})
    once = clicks.unique([ROW, "item"], keep="first", maintain_order=True)
    log.mended["repeated_clicks_dropped"] = len(clicks) - len(once)
    return once.with_columns(order=pl.int_range(pl.len(), dtype=pl.Int64).over(ROW))


def _ordered(log: Log, pages: pl.DataFrame) -> pl.DataFrame:
    """Returns the pages in order, with ``number``, ``user_number`` and ``session_number``.

    Should a user have pages in several splits, those of each split count as a user of their own.
    """
    several = pages.select("user", "split").unique().group_by("user").len()
    log.mended["users_in_several_splits"] = len(several.filter(pl.col("len") > 1))
    when = pl.col(ROW) if pages["time"].null_count() else pl.col("time")
    user, session = ["user", "split"], ["user", "split", "session"]
    pages = pages.with_columns(
        when=when,
        user_number=pl.col(ROW).min().over(user).rank("dense").cast(pl.Int64) - 1,
        start=when.min().over(session),
        start_row=pl.col(ROW).min().over(session),
    ).sort("user_number", "start", "start_row", "when", ROW, "order")
    previous = pages.select(
        line=pl.col(ROW).shift(1).over("user_number"),
        late=pl.col("session").shift(1).over("user_number"),
        back=pl.col("when") < pl.col("when").shift(1).over("user_number"),
    )
    overlapping = pl.concat([pages, previous], how="horizontal").filter("back")
    if not overlapping.is_empty():
        line, *ids = overlapping.select("line", "late", "user", "session").row(0)
        late, user_id, session_id = (shortened(repr(name)) for name in ids)
        raise RecGymError(
            f"{log.table.path}, {log.table.unit} {line}: session {late} of user {user_id} goes on"
            f" after her session {session_id} has begun; leave session= out (--session-gap divides"
            " by time)"
        )
    number = _session_numbers(pages, log.gap)
    return pages.with_columns(
        number=pl.int_range(pl.len(), dtype=pl.Int64), session_number=pl.Series(number)
    )


def _session_numbers(pages: pl.DataFrame, gap: int) -> Array:
    """(P,) int64 numbers 0, 1, .. of the sessions of ordered pages."""
    opens = pages.select(pl.struct("user_number", "start_row").rle_id().diff() != 0)
    new = opens.to_series().fill_null(value=False).to_numpy()
    if gap:
        waited = np.diff(pages["time"].to_numpy(), prepend=pages["time"][0])
        new = new | (waited >= gap)
    return np.cumsum(new).astype(np.int64)


def _numbers(items: pl.Series, ids: pl.Series) -> Array:
    """(R,) int64 places of items among the sorted ids; -1 for none."""
    known = pl.DataFrame({"item": ids, "place": np.arange(len(ids), dtype=np.int64)})
    found = pl.DataFrame({"item": items}).join(known, on="item", how="left", maintain_order="left")
    return found["place"].fill_null(-1).to_numpy()
