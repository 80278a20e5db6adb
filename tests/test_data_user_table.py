"""The users of a log: kept beside it, and refused where they are not its users."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recgym.data import Dataset, UserTable, sessions_as_users
from recgym.errors import RecGymError
from tests.test_data_descriptions import dataset

USERS = UserTable(("ann", "bob"), np.array([[1.0], [2.0]], np.float32), ("age",))


def test_users_survive_their_folder(tmp_path: Path) -> None:
    replace(dataset(), users=USERS).save(tmp_path)
    found = Dataset.load(tmp_path).users
    assert found is not None
    assert found.user_id == USERS.user_id
    assert found.feature_names == USERS.feature_names
    np.testing.assert_array_equal(found.features, USERS.features)
    dataset().save(tmp_path)
    assert Dataset.load(tmp_path).users is None


def test_users_that_are_not_those_of_the_split_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match="1 users are named, the split names 2"):
        replace(dataset(), users=USERS.select(np.array([1]))).save(tmp_path)
    infinite = replace(USERS, features=np.array([[1.0], [np.inf]], np.float32))
    with pytest.raises(RecGymError, match="users: user 'bob' has a feature that is not a finite"):
        replace(dataset(), users=infinite).save(tmp_path)
    with pytest.raises(RecGymError, match="users: a column name occurs twice"):
        replace(dataset(), users=replace(USERS, feature_names=("user_id",))).save(tmp_path)


def test_sessions_that_are_users_keep_their_users_ids() -> None:
    by_session = sessions_as_users(replace(dataset(), info={}, users=USERS))
    assert by_session.users is not None
    assert by_session.users.user_id == ("ann", "ann", "bob")
    by_session.validate()
