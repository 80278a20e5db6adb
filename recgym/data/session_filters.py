"""Which sessions and items a log for reranking keeps (Bai et al., NeurIPS 2019, section 7.2)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recgym.arrays import Array
from recgym.data.catalog import Catalog
from recgym.data.dataset import Dataset
from recgym.data.descriptions import click_facts
from recgym.data.sessions import Sessions
from recgym.errors import RecGymError

SHORTEST, LONGEST = 2, 40
"""Pages of a session that is kept."""
CANDIDATES = 40_000
"""Items that are kept, at most."""


def filter_sessions(dataset: Dataset, candidates: int = CANDIDATES) -> Dataset:
    """Returns the sessions of 2 to 40 pages, with the items that are clicked most.

    Shorter and longer sessions are left out; of the items that the others click, the most clicked
    are the candidates (the lower id first where two are clicked equally often). Other items leave
    the pages they are on. A page that clicks none of the candidates is left out, and so is a
    session that then has a single page. Which items are clicked is counted over all users, test
    users among them, as the paper does: an item that is still on a page was clicked by somebody.

    Args:
        dataset: a log with a click on each page.
        candidates: items that are kept, at most.

    Returns:
        The log with users and items numbered anew; what was left out is counted in ``mended``.

    Raises:
        RecGymError: a page has no click, or no slate; or no session is left.
    """
    if (dataset.sessions.click < 0).any():
        page = int(np.argmax(dataset.sessions.click < 0))
        raise RecGymError(
            f"{dataset.info['name']}, page {page}: no click on a slate; logs are filtered for"
            " reranking if every page has one (of trivago's, with interactions='clicks')"
        )
    of_length = select_pages(dataset, _has_length(dataset.sessions))
    clicks = np.bincount(of_length.sessions.item, minlength=dataset.catalog.n_items)
    popular = np.lexsort((np.arange(len(clicks)), -clicks))[:candidates]
    kept = np.zeros(len(clicks), np.bool_)
    kept[popular] = clicks[popular] > 0
    clicking = select_pages(of_length, kept[of_length.sessions.item])
    shown = _with_items(clicking, kept)
    whole = select_pages(shown, _has_length(shown.sessions))
    if whole.sessions.n_pages == 0:
        raise RecGymError(
            f"{dataset.info['name']}: no session of {SHORTEST} to {LONGEST} pages is left"
        )
    mended = {
        "sessions_of_other_lengths_left_out": _n_sessions(dataset) - _n_sessions(of_length),
        "items_not_clicked_or_not_popular_left_out": int((~kept).sum()),
        "pages_without_their_click_left_out": of_length.sessions.n_pages - shown.sessions.n_pages,
        "sessions_of_one_page_then_left_out": _n_sessions(clicking) - _n_sessions(whole),
    }
    info = dataset.info | {"mended": dataset.info["mended"] | mended, **click_facts(whole.sessions)}
    return replace(whole, info=info)


def select_pages(dataset: Dataset, pages: Array) -> Dataset:
    """Returns a log with some of its pages, and with the users who have any, numbered anew.

    Args:
        dataset: a log.
        pages: (P,) bool.
    """
    sessions = dataset.sessions.select(pages)
    users, user = np.unique(sessions.user, return_inverse=True)
    return replace(
        dataset,
        sessions=replace(sessions, user=user),
        split=dataset.split[users],
        users=None if dataset.users is None else dataset.users.select(users),
    )


def sessions_as_users(dataset: Dataset) -> Dataset:
    """Returns a log in which each session is of a user of its own, in the split of its user.

    What reads histories then goes back to the start of the session, and no further; and whether
    users click an item twice is said of sessions.
    """
    number = dataset.sessions.session_number
    first = np.flatnonzero(np.diff(number, prepend=-1))
    sessions = replace(dataset.sessions, user=number, session=number)
    split = dataset.split[dataset.sessions.user[first]]
    user = dataset.sessions.user[first]
    return replace(
        dataset,
        sessions=sessions,
        split=split,
        users=None if dataset.users is None else dataset.users.select(user),
        info=dataset.info | click_facts(sessions),
    )


def _has_length(sessions: Sessions) -> Array:
    """(P,) bool: whether the page's session has 2 to 40 pages."""
    number = sessions.session_number
    length = np.bincount(number)[number]
    return (length >= SHORTEST) & (length <= LONGEST)


def _n_sessions(dataset: Dataset) -> int:
    return len(np.unique(dataset.sessions.session_number))


def _with_items(dataset: Dataset, kept: Array) -> Dataset:
    """Returns a log, whose clicked items are all kept, without the items that are not (N,)."""
    sessions, catalog = dataset.sessions, dataset.catalog
    stays = kept[sessions.slate_items]
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(stays)])
    offsets = before[sessions.slate_offsets]
    number = np.cumsum(kept) - 1
    shorter = replace(
        sessions,
        slate_offsets=offsets,
        slate_items=number[sessions.slate_items[stays]],
        click=before[sessions.slate_offsets[:-1] + sessions.click] - offsets[:-1],
        item=number[sessions.item],
    )
    rows = np.flatnonzero(kept)
    titles = None if catalog.title is None else tuple(catalog.title[row] for row in rows)
    smaller = Catalog(
        item_id=tuple(catalog.item_id[row] for row in rows),
        title=titles,
        features=catalog.features[rows],
        feature_names=catalog.feature_names,
    )
    return replace(dataset, sessions=shorter, catalog=smaller)
