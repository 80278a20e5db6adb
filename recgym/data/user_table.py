"""The users of a log: their ids outside, and their features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recgym.arrays import Array
from recgym.data.catalog import check_rows, read_rows, write_rows

USER_ID = "user_id"


@dataclass(frozen=True, eq=False)
class UserTable:
    """U users; a user's number within RecGym is her row, 0..U-1."""

    user_id: tuple[str, ...]
    """the user's id in the raw log, by row; one whose pages are in several splits has several"""
    features: Array
    """(U, F) float32; F may be 0"""
    feature_names: tuple[str, ...]
    """F names, as in ``Catalog``"""

    def select(self, users: Array) -> UserTable:
        """Returns some of the users, by number (C,)."""
        ids = tuple(self.user_id[user] for user in users)
        return UserTable(ids, self.features[users], self.feature_names)

    def validate(self) -> None:
        """Checks shapes and values.

        Raises:
            RecGymError: shapes disagree, a feature name repeats, or a feature is not finite.
        """
        check_rows("users", self.user_id, self.features, self.feature_names, (USER_ID,))

    def save(self, path: Path | str) -> None:
        """Writes the users as Parquet, one row a user, one column a feature."""
        self.validate()
        write_rows(path, {USER_ID: self.user_id}, self.features, self.feature_names)

    @staticmethod
    def load(path: Path | str) -> UserTable:
        """Reads what ``save`` wrote.

        Raises:
            RecGymError: the file is missing or is not Parquet.
        """
        texts, features, names = read_rows(path, (USER_ID,))
        return UserTable(texts[USER_ID], features, names)
