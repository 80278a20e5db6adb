"""The items of a log: their ids and titles outside, and their features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recgym.arrays import Array
from recgym.data.parquet import UNREADABLE, polars_name, read_parquet, write_parquet
from recgym.errors import RecGymError, shortened

ITEM_ID = "item_id"
TITLE = "title"


@dataclass(frozen=True, eq=False)
class Catalog:
    """N items; an item's id within RecGym is its row, 0..N-1."""

    item_id: tuple[str, ...]
    """the item's id in the raw log, by row"""
    title: tuple[str, ...] | None
    """what to call the item, by row"""
    features: Array
    """(N, F) float32; F may be 0"""
    feature_names: tuple[str, ...]
    """F names; features that exclude one another or form a set share a prefix: ``genre:Comedy``"""

    @property
    def n_items(self) -> int:
        """N."""
        return len(self.item_id)

    def groups(self, prefix: str) -> dict[str, Array]:
        """Returns which items belong to each group, such as each genre for ``genre:``.

        Args:
            prefix: the start of the names of the wanted one-hot features.

        Returns:
            name without prefix -> (N,) bool.
        """
        return {
            name.removeprefix(prefix): self.features[:, column] > 0
            for column, name in enumerate(self.feature_names)
            if name.startswith(prefix)
        }

    def validate(self) -> None:
        """Checks shapes and values.

        Raises:
            RecGymError: shapes disagree, an id or a feature name repeats, or a feature is not
                finite.
        """
        if self.title is not None and len(self.title) != self.n_items:
            raise RecGymError(f"catalog has {len(self.title)} titles for {self.n_items} items")
        if len(set(self.item_id)) != self.n_items:
            raise RecGymError("catalog: an item id occurs twice; they must be unique")
        names = (ITEM_ID, TITLE)
        check_rows("catalog", self.item_id, self.features, self.feature_names, names)

    def save(self, path: Path | str) -> None:
        """Writes the items as Parquet, one row an item, one column a feature."""
        self.validate()
        texts = {ITEM_ID: self.item_id}
        if self.title is not None:
            texts[TITLE] = self.title
        write_rows(path, texts, self.features, self.feature_names)

    @staticmethod
    def load(path: Path | str) -> Catalog:
        """Reads what ``save`` wrote.

        Raises:
            RecGymError: the file is missing, is not Parquet, or breaks a rule of ``validate``.
        """
        texts, features, names = read_rows(path, (ITEM_ID,), (TITLE,))
        catalog = Catalog(texts[ITEM_ID], texts.get(TITLE), features, names)
        try:
            catalog.validate()
        except RecGymError as error:
            raise RecGymError(f"{path}: {error}") from None
        return catalog


def check_rows(
    what: str,
    ids: Sequence[str],
    features: Array,
    feature_names: Sequence[str],
    others: Sequence[str],
) -> None:
    """Checks the features of items or users.

    Args:
        what: they are of, for messages.
        ids: R of them.
        features: (R, F).
        feature_names: F names.
        others: names of columns that are no features.

    Raises:
        RecGymError: shapes disagree, a name repeats, or a feature is not finite.
    """
    shape = (len(ids), len(feature_names))
    if features.shape != shape:
        raise RecGymError(f"{what} features have shape {features.shape}, not {shape}")
    names = (*others, *feature_names)
    if len(set(names)) != len(names):
        raise RecGymError(f"{what}: a column name occurs twice; they must be unique")
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        name = ids[int(np.argmin(finite))]
        one = "item" if what == "catalog" else "user"
        name = shortened(repr(name))
        raise RecGymError(f"{what}: {one} {name} has a feature that is not a finite number")


def write_rows(
    path: Path | str,
    texts: Mapping[str, Sequence[str]],
    features: Array,
    feature_names: Sequence[str],
) -> None:
    """Writes columns of text, and one column a feature, as Parquet."""
    columns = [pl.Series(name, values, dtype=pl.String) for name, values in texts.items()]
    columns += [
        pl.Series(name, features[:, column].astype(np.float32))
        for column, name in enumerate(feature_names)
    ]
    write_parquet(pl.DataFrame(columns), path)


def read_rows(
    path: Path | str, texts: Sequence[str], optional: Sequence[str] = ()
) -> tuple[dict[str, tuple[str, ...]], Array, tuple[str, ...]]:
    """Reads what ``write_rows`` wrote: columns of text by name, features (R, F), their F names.

    Raises:
        RecGymError: the file is missing, is not Parquet, or lacks a column.
    """
    names = _feature_names(path, (*texts, *optional))
    types = {**dict.fromkeys(texts, pl.String), **dict.fromkeys(names, pl.Float32)}
    frame = read_parquet(path, types, dict.fromkeys(optional, pl.String))
    columns = [frame[name].to_numpy() for name in names]
    found = {
        name: tuple(frame[name].to_list()) for name in (*texts, *optional) if name in frame.columns
    }
    return found, np.column_stack([np.zeros((frame.height, 0), np.float32), *columns]), names


def _feature_names(path: Path | str, others: Sequence[str]) -> tuple[str, ...]:
    try:
        names = pl.scan_parquet(polars_name(path), glob=False).collect_schema()
    except UNREADABLE:
        return ()  # read_parquet says what is wrong
    return tuple(name for name in names if name not in others)
