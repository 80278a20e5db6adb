"""The items of a log: their ids and titles outside, and their features."""

from __future__ import annotations

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
        shape = (self.n_items, len(self.feature_names))
        if self.features.shape != shape:
            raise RecGymError(f"catalog features have shape {self.features.shape}, not {shape}")
        if self.title is not None and len(self.title) != self.n_items:
            raise RecGymError(f"catalog has {len(self.title)} titles for {self.n_items} items")
        names = (ITEM_ID, TITLE, *self.feature_names)
        for values, what in ((self.item_id, "item id"), (names, "column name")):
            if len(set(values)) != len(values):
                raise RecGymError(f"catalog: an {what} occurs twice; they must be unique")
        finite = np.isfinite(self.features).all(axis=1)
        if not finite.all():
            name = self.item_id[int(np.argmin(finite))]
            name = shortened(repr(name))
            raise RecGymError(f"catalog: item {name} has a feature that is not a finite number")

    def save(self, path: Path | str) -> None:
        """Writes the items as Parquet, one row an item, one column a feature."""
        self.validate()
        columns = [pl.Series(ITEM_ID, self.item_id, dtype=pl.String)]
        if self.title is not None:
            columns.append(pl.Series(TITLE, self.title, dtype=pl.String))
        columns += [
            pl.Series(name, self.features[:, column].astype(np.float32))
            for column, name in enumerate(self.feature_names)
        ]
        write_parquet(pl.DataFrame(columns), path)

    @staticmethod
    def load(path: Path | str) -> Catalog:
        """Reads what ``save`` wrote.

        Raises:
            RecGymError: the file is missing, is not Parquet, or breaks a rule of ``validate``.
        """
        names = _feature_names(path)
        types = {ITEM_ID: pl.String, **dict.fromkeys(names, pl.Float32)}
        frame = read_parquet(path, types, {TITLE: pl.String})
        features = [frame[name].to_numpy() for name in names]
        catalog = Catalog(
            item_id=tuple(frame[ITEM_ID].to_list()),
            title=tuple(frame[TITLE].to_list()) if TITLE in frame.columns else None,
            features=np.column_stack([np.zeros((frame.height, 0), np.float32), *features]),
            feature_names=names,
        )
        try:
            catalog.validate()
        except RecGymError as error:
            raise RecGymError(f"{path}: {error}") from None
        return catalog


def _feature_names(path: Path | str) -> tuple[str, ...]:
    try:
        names = pl.scan_parquet(polars_name(path), glob=False).collect_schema()
    except UNREADABLE:
        return ()  # read_parquet says what is wrong
    return tuple(name for name in names if name not in (ITEM_ID, TITLE))
