"""Which sessions and items a log for reranking keeps, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recgym.data import Catalog, Dataset, Sessions, filter_sessions, sessions_as_users
from recgym.errors import RecGymError
from tests.fixtures.readers import clicked, shown

ITEMS = ("a", "b", "c", "d", "e")


def log(*sessions: tuple[int, list[tuple[str, str]]]) -> Dataset:
    """A log of sessions, each of a user and with what its pages show and have clicked."""
    pages = [(user, n, *page) for n, (user, own) in enumerate(sessions) for page in own]
    number = np.array([n for _, n, _, _ in pages])
    sizes = [len(slate) for _, _, slate, _ in pages]
    users = 1 + max(user for user, _ in sessions)
    return Dataset(
        Sessions(
            user=np.array([user for user, _, _, _ in pages]),
            session=number,
            step=np.arange(len(pages)),
            slate_offsets=np.append(0, np.cumsum(sizes)),
            slate_items=np.array([ITEMS.index(i) for _, _, slate, _ in pages for i in slate]),
            click=np.array([slate.index(item) for _, _, slate, item in pages]),
            item=np.array([ITEMS.index(item) for _, _, _, item in pages]),
            reward=np.arange(len(pages), dtype=np.float32),
        ),
        Catalog(ITEMS, None, np.arange(5, dtype=np.float32)[:, None], ("place",)),
        (np.arange(users) % 3).astype(np.int8),
        {"name": "log", "mended": {"before": 7}},
    )


SESSIONS = [
    (0, [("ab", "b")]),  # a single page
    (1, [("abc", "c"), ("dca", "d"), ("cb", "c")]),
    (1, [("de", "d"), ("ad", "d")]),
    (2, [("da", "a")] * 41),  # too many pages
    (4, [("bde", "e"), ("bac", "c")]),
]


def test_sessions_of_other_lengths_and_items_that_nobody_clicks_are_left_out() -> None:
    dataset = log(*SESSIONS)
    kept = filter_sessions(dataset)
    kept.validate()
    assert kept.catalog.item_id == ("c", "d", "e")
    assert kept.catalog.features.tolist() == [[2], [3], [4]]
    pages = ["c", "cd", "c", "de", "d", "de", "c"]
    assert [shown(kept, page) for page in range(7)] == [set(page) for page in pages]
    assert kept.sessions.slate_items.tolist() == [0, 1, 0, 0, 1, 2, 1, 1, 2, 0]  # in their order
    assert clicked(kept) == ["c", "d", "c", "d", "d", "e", "c"]
    assert kept.sessions.reward.tolist() == [1, 2, 3, 4, 5, 47, 48]
    assert kept.sessions.user.tolist() == [0] * 5 + [1] * 2
    assert kept.split.tolist() == [1, 1]  # of the users 1 and 4
    assert kept.info == {
        "name": "log",
        "no_click": False,
        "repeat_clicks": True,
        "mended": {
            "before": 7,
            "sessions_of_other_lengths_left_out": 2,
            "items_not_clicked_or_not_popular_left_out": 2,
            "pages_without_their_click_left_out": 0,
            "sessions_of_one_page_then_left_out": 0,
        },
    }
    assert dataset.sessions.n_pages == 49  # as it was


def test_a_session_of_40_pages_is_kept() -> None:
    kept = filter_sessions(log((0, [("ab", "a")] * 40), (1, [("ab", "b")] * 41)))
    assert kept.sessions.n_pages == 40
    assert kept.catalog.item_id == ("a",)


def test_the_most_clicked_items_are_the_candidates() -> None:
    kept = filter_sessions(log(*SESSIONS), candidates=2)
    kept.validate()
    assert kept.catalog.item_id == ("c", "d")  # 3 clicks each; e has 1
    assert clicked(kept) == ["c", "d", "c", "d", "d"]
    mended = kept.info["mended"]
    assert mended["pages_without_their_click_left_out"] == 1
    assert mended["sessions_of_one_page_then_left_out"] == 1
    tied = filter_sessions(log((0, [("ab", item) for item in "baab"])), candidates=1)
    assert tied.catalog.item_id == ("a",)


def test_a_log_of_which_nothing_is_left_is_refused() -> None:
    with pytest.raises(RecGymError, match="log: no session of 2 to 40 pages is left"):
        filter_sessions(log((0, [("ab", "b")]), (1, [("ab", "b")])))


@pytest.mark.parametrize("event", [False, True])
def test_a_page_without_a_click_is_refused(event: bool) -> None:
    """An item opened from elsewhere is no click on a slate either."""
    dataset = log((0, [("ab", "b"), ("ab", "a"), ("ab", "b")]))
    sessions, none = dataset.sessions, np.array([1, -1, 1])
    item = sessions.item if event else np.where(none < 0, -1, sessions.item)
    with pytest.raises(RecGymError, match="log, page 1: no click on a slate"):
        filter_sessions(replace(dataset, sessions=replace(sessions, click=none, item=item)))


def test_sessions_become_users_with_the_split_of_their_user() -> None:
    alone = sessions_as_users(filter_sessions(log(*SESSIONS)))
    alone.validate()
    assert alone.sessions.user.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert alone.split.tolist() == [1, 1, 1]
    assert alone.sessions.histories(2, 3)[3].tolist() == [3, 3]


def test_an_item_clicked_in_two_sessions_is_no_repeat_of_either() -> None:
    twice = filter_sessions(log((0, [("ab", "a"), ("ab", "b")]), (0, [("ab", "a"), ("ab", "b")])))
    assert twice.info["repeat_clicks"] is True
    assert sessions_as_users(twice).info["repeat_clicks"] is False
