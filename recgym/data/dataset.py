"""A prepared log: its sessions, its catalog, and which users are for training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from recgym.arrays import Array
from recgym.data.catalog import Catalog
from recgym.data.descriptions import described
from recgym.data.parquet import read_parquet, write_parquet
from recgym.data.sessions import Sessions
from recgym.data.user_table import UserTable
from recgym.errors import RecGymError
from recgym.files import read_json, settle, write_json
from recgym.whole_folders import DIGESTS, check_digests, replace_folder, write_digests

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
"""Names of the splits; a user's split is stored as the position of its name here."""
REQUIRED_INFO = ("name", "licence", "sha256", "no_click", "repeat_clicks")
"""What every prepared log says of itself."""

FILES = ("sessions.parquet", "catalog.parquet", "split.parquet", "users.parquet", "info.json")
"""The files of a prepared dataset; beside them stands ``SHA256SUMS``. One that does not name its
users has no ``users.parquet``."""
FOLDER = "prepared data"
"""What a folder of them is called in messages."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A log whose users are divided into training, validation and test users."""

    sessions: Sessions
    catalog: Catalog
    split: Array
    """(U,) int8: 0 train, 1 validation, 2 test, by user id"""
    info: dict[str, Any]
    """where the log comes from and what was done to it, in plain JSON: ``name``, ``licence``,
    ``source`` (file name -> sha256), ``sha256``, ``mended`` (what -> count), ``lines`` (file
    name -> what became of its lines -> how many; they add up to the file's), ``command``,
    ``no_click`` (pages without a click exist), ``repeat_clicks`` (a user clicks an item twice),
    ``division`` (the shares of the splits), ``preset`` (which filters were applied, and a paper's
    counts beside those found), ``counts`` and ``floors``; ``save`` fills in what is missing, see
    ``described``"""
    users: UserTable | None = None
    """what the raw log calls its users, and their features"""

    @property
    def n_users(self) -> int:
        """U."""
        return len(self.split)

    def pages(self, split: Split) -> Sessions:
        """Returns the pages of the users of one split, with their ids unchanged."""
        return self.sessions.select(self.split[self.sessions.user] == SPLITS.index(split))

    def validate(self) -> None:
        """Checks sessions, catalog, split and users.

        Raises:
            RecGymError: see ``validate`` of each; or a user has no split, or a split outside 0..2;
                or there are more or fewer users than the split has.
        """
        self.catalog.validate()
        self.sessions.validate(self.catalog.n_items)
        if self.sessions.user.max() >= self.n_users:
            user, count = int(self.sessions.user.max()), self.n_users
            raise RecGymError(f"user {user} has no split: the split names {count} users")
        bad = (self.split < 0) | (self.split >= len(SPLITS))
        if bad.any():
            raise RecGymError(f"user {int(np.argmax(bad))}: a split is 0, 1 or 2")
        if self.users is not None:
            self.users.validate()
            if len(self.users.user_id) != self.n_users:
                named, count = len(self.users.user_id), self.n_users
                raise RecGymError(f"{named} users are named, the split names {count}")

    def save(self, folder: Path | str) -> None:
        """Writes the tables as Parquet, and ``info.json``, complete (see ``described``).

        Their digests are in ``SHA256SUMS``. Prepared data that is there already is replaced as a
        whole: stopped at any moment, the folder is the one before or the one after.

        Raises:
            RecGymError: a rule of ``validate`` is broken, ``info`` is not plain JSON, or the folder
                holds something else, or cannot be written.
        """
        self.validate()
        info = described(self, Path(folder).resolve().name)
        with replace_folder(folder, (*FILES, DIGESTS), FOLDER) as fresh:
            self.sessions.save(fresh / "sessions.parquet")
            self.catalog.save(fresh / "catalog.parquet")
            split = pl.DataFrame({"user": np.arange(self.n_users), "split": self.split})
            write_parquet(split, fresh / "split.parquet")
            if self.users is not None:
                self.users.save(fresh / "users.parquet")
            write_json(fresh / "info.json", info)
            write_digests(fresh)

    @staticmethod
    def load(folder: Path | str) -> Dataset:
        """Reads what ``save`` wrote, and checks it.

        Raises:
            RecGymError: the folder or a file in it is missing, damaged or altered, or a rule of
                ``validate`` is broken.
        """
        folder = Path(folder)
        if not folder.exists():
            settle(folder.resolve())
        if not (folder / "info.json").exists():
            message = f"{folder}: no prepared data here; make it with recgym prepare"
            raise RecGymError(message)
        check_digests(folder, FILES)
        split = read_parquet(folder / "split.parquet", {"user": pl.Int64, "split": pl.Int8})
        split = split.sort("user")
        if not np.array_equal(split["user"].to_numpy(), np.arange(len(split))):
            raise RecGymError(f"{folder / 'split.parquet'}: users must be 0..U-1, a row each")
        info = read_json(folder / "info.json")
        missing = [name for name in REQUIRED_INFO if not isinstance(info, dict) or name not in info]
        if missing:
            raise RecGymError(f"{folder / 'info.json'}: lacks {', '.join(missing)}")
        dataset = Dataset(
            sessions=Sessions.load(folder / "sessions.parquet"),
            catalog=Catalog.load(folder / "catalog.parquet"),
            split=split["split"].to_numpy(),
            info=info,
            users=UserTable.load(users) if (users := folder / "users.parquet").exists() else None,
        )
        try:
            dataset.validate()
        except RecGymError as error:
            raise RecGymError(f"{folder}: {error}") from None
        return dataset


def split_users(
    n_users: int, seed: int, fractions: tuple[float, float, float] = (0.5, 0.125, 0.375)
) -> Array:
    """Divides users at random into training, validation and test users.

    Args:
        n_users: U.
        seed: same seed, same division.
        fractions: the shares of the three; the default is the paper's (section 6.1).

    Returns:
        (U,) int8: 0 train, 1 validation, 2 test. The counts are the rounded shares, but of three
        users or more each split has one that has a share at all.
    """
    bounds = np.rint(np.cumsum(fractions) * n_users)[:2]
    if n_users >= len(SPLITS):
        train, validation, test = (int(share > 0) for share in fractions)
        bounds[1] = np.clip(bounds[1], train + validation, n_users - test)
        bounds[0] = np.clip(bounds[0], train, bounds[1] - validation)
    rank = np.random.default_rng(seed).permutation(n_users)
    return np.searchsorted(bounds, rank, side="right").astype(np.int8)
