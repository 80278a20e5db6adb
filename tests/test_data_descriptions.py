"""What a saved log says of itself: all that fitting and reports read, computed or by default."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recgym.data import Catalog, Dataset
from recgym.data.descriptions import click_facts, counts, described
from recgym.errors import RecGymError
from tests.fixtures.user_logs import small_dataset
from tests.test_data_sessions import TWO_USERS, sessions_of


def dataset() -> Dataset:
    catalog = Catalog(tuple("abcdefg"), None, np.zeros((7, 0), np.float32), ())
    return Dataset(sessions_of(TWO_USERS), catalog, np.array([0, 2], np.int8), {})


def test_facts_are_computed_and_what_cannot_be_has_a_default() -> None:
    info = described(dataset(), "mine")
    assert info["counts"] == {
        "users": 2,
        "pages": 5,
        "clicked_pages": 4,
        "events_without_slate": 1,
        "pages_of_one_item": 2,
        "items": 7,
    }
    # The test user's pages are {1, 2}, clicked 2, and {5}: rates of user 0's pages do not tell 1
    # from 2 but that 1 was shown and not clicked.
    assert info["floors"]["random"]["precision_at_1"] == 0.75
    assert info["floors"]["item_ctr"]["precision_at_1"] == 0.75
    assert info["floors"]["last_slot"]["precision_at_1"] == 1.0
    assert (info["no_click"], info["repeat_clicks"]) == (True, False)
    assert (info["name"], info["licence"], info["command"]) == ("mine", "not stated", "")
    assert (info["source"], info["mended"]) == ({}, {})
    json.dumps(info)


def test_what_is_given_is_kept_but_counts() -> None:
    given = {"name": "x", "repeat_clicks": True, "sha256": "0", "counts": {}, "year": 2024}
    info = described(replace(dataset(), info=given), "mine")
    assert (info["name"], info["repeat_clicks"], info["sha256"]) == ("x", True, "0")
    assert info["year"] == 2024
    assert info["counts"] == counts(dataset())
    with pytest.raises(RecGymError, match="dataset 'mine': info is not plain JSON"):
        described(replace(dataset(), info={"when": np.int64(3)}), "mine")


def test_the_digest_tells_logs_apart() -> None:
    one = described(dataset(), "mine")["sha256"]
    assert one == described(dataset(), "another")["sha256"]
    assert len(one) == 64
    other = replace(dataset(), split=np.array([1, 2], np.int8))
    assert described(other, "mine")["sha256"] != one
    named = replace(dataset().catalog, item_id=tuple("abcdefz"))
    assert described(replace(dataset(), catalog=named), "mine")["sha256"] != one


def test_click_facts() -> None:
    assert click_facts(sessions_of(TWO_USERS)) == {"no_click": True, "repeat_clicks": False}
    again = [(0, 0, [3, 1], 0, 3), (0, 0, [3], 0, 3)]
    assert click_facts(sessions_of(again)) == {"no_click": False, "repeat_clicks": True}


def test_a_log_that_says_nothing_of_itself_is_fitted_to(tmp_path: Path) -> None:
    """The way of docs/data.md: tables built in Python, saved, and read by fit.py."""
    from recgym.users.fitting import fit_user_model
    from tests.fixtures.user_logs import CONFIG, FIT

    replace(small_dataset(), info={}).save(tmp_path / "mine")
    loaded = Dataset.load(tmp_path / "mine")
    assert loaded.info["name"] == "mine"
    model = fit_user_model(loaded, CONFIG, FIT)
    assert model.info["data_sha256"] == loaded.info["sha256"]
    assert model.scores["floors"]["random"]["precision_at_1"] > 0
