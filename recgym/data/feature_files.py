"""Files of features beside a log: a row an item, or a row a user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from recgym.arrays import Array
from recgym.data.catalog import TITLE, Catalog
from recgym.data.raw import ROW, RawTable
from recgym.data.table_formats import read_table
from recgym.data.user_table import UserTable
from recgym.errors import RecGymError, shortened

MOST_WORDS = 100
"""Different words in a column, of which each is a feature."""


Lines = dict[str, dict[str, int]]
"""What became of the lines of files, see ``RawTable.account``."""


def read_items(
    path: Path | str, used: Sequence[str], separator: str = "|"
) -> tuple[Catalog, Lines]:
    """Reads a file of items: the first column is the id, ``title`` what to call the item.

    Every other column is features. Numbers are one, standardised over the items of the file. Words
    are one each (``genre:Comedy``), 1 where the item has it; a cell may hold several of them, as a
    list, or none.

    Args:
        path: as for ``read_table``.
        used: ids that the log has; the file may have more, which then belong to the catalogue.
        separator: between the words of a cell.

    Returns:
        The items in the order of the file, and what became of its lines.

    Raises:
        RecGymError: the file cannot be read, lacks an item or has it twice; or a column has numbers
            and something else, or too many words.
    """
    table, rows, ids = _read(Path(path), "item", used)
    title = None
    if TITLE in rows.columns[2:]:
        if rows[TITLE].dtype != pl.String:
            raise RecGymError(f"{path}: column {TITLE!r} holds lists; a title is a text")
        titles = rows[TITLE].fill_null(rows[rows.columns[1]])
        title, rows = tuple(titles), rows.drop(TITLE)
    features, names = _features(table, rows, separator)
    catalog = Catalog(item_id=ids, title=title, features=features, feature_names=names)
    return catalog, table.account({"items": len(ids)})


def read_users(
    path: Path | str, used: Sequence[str], separator: str = "|"
) -> tuple[UserTable, Lines]:
    """Reads a file of users: the first column is the id, every other one is as in ``read_items``.

    Args:
        path: as for ``read_table``.
        used: ids of the log's users, by number; one may occur twice.
        separator: between the words of a cell.

    Returns:
        The log's users, in its order, where others in the file are left out, after standardising;
        and what became of the file's lines.

    Raises:
        RecGymError: see ``read_items``.
    """
    table, rows, ids = _read(Path(path), "user", used)
    features, names = _features(table, rows, separator)
    row = {user: number for number, user in enumerate(ids)}
    found = UserTable(tuple(used), features[[row[user] for user in used]], names)
    known = len(set(used))
    return found, table.account({"users": known, "users_not_in_the_log": len(ids) - known})


def _read(
    path: Path, what: str, used: Sequence[str]
) -> tuple[RawTable, pl.DataFrame, tuple[str, ...]]:
    """Returns the file, and its ids, each of which it has once, and all of ``used``."""
    table, rows = read_table(path)
    name = rows.columns[1]
    if rows[name].dtype != pl.String:
        raise RecGymError(f"{path}: column {name!r}, the first, holds lists; it must be the id")
    table.refuse(rows, pl.col(name).is_null(), name, "no value")
    twice = rows.filter(~pl.col(name).is_first_distinct())
    if not twice.is_empty():
        line, known = twice.select(ROW, name).row(0)
        table.fail(line, name, f"{what} {shortened(repr(known))} has a {table.unit} already")
    ids = tuple(rows[name])
    lacking = sorted(set(used).difference(ids))
    if lacking:
        first = shortened(repr(lacking[0]))
        others = f", nor for {len(lacking) - 1:,} others" if len(lacking) > 1 else ""
        raise RecGymError(
            f"{path}, column {name!r}: no {table.unit} for {what} {first}{others}, which the log"
            f" has; add it (the first column must be the {what}'s id)"
        )
    return table, rows, ids


def _features(table: RawTable, rows: pl.DataFrame, separator: str) -> tuple[Array, tuple[str, ...]]:
    """Returns (R, F) float32 features of all columns but ``ROW`` and the first, and F names."""
    columns: list[Array] = []
    names: list[str] = []
    for name in rows.columns[2:]:
        column = rows.select(ROW, name)
        number = None
        if column[name].dtype == pl.String:
            number = column[name].cast(pl.Float64, strict=False)
        if number is not None and 2 * number.count() > column[name].count():
            columns.append(_standardised(table, column, number))
            names.append(name)
            continue
        if number is not None:
            split = pl.col(name).str.split(separator)
            column = column.with_columns(split.list.eval(pl.element().str.strip_chars()))
        words = _words(table, column)
        sets = [set(cell or ()) for cell in column[name].to_list()]
        columns += [np.array([word in cell for cell in sets], np.float32) for word in words]
        names += [f"{name}:{word}" for word in words]
    features = np.column_stack([np.zeros((len(rows), 0), np.float32), *columns])
    return features.astype(np.float32), tuple(names)


def _standardised(table: RawTable, column: pl.DataFrame, number: pl.Series) -> Array:
    """(R,) float32 with mean 0 and deviation 1, or zeros if all are equal."""
    name = column.columns[1]
    bad = column.filter(~(number.is_finite().fill_null(value=False)))
    if not bad.is_empty():
        line, cell = bad.row(0)
        why = "no value" if cell is None else f"{shortened(repr(cell))} is not a finite number"
        table.fail(line, name, f"{why}, in a column of numbers")
    values = number.to_numpy()
    spread = values.std()
    scaled: Array = (values - values.mean()) / spread if spread > 0 else np.zeros(len(values))
    return scaled.astype(np.float32)


def _words(table: RawTable, column: pl.DataFrame) -> list[str]:
    """The different words of a column of lists, sorted."""
    name = column.columns[1]
    cells = column[name]
    words = cells.filter(cells.list.len() > 0).explode().unique()
    found = sorted(word for word in words if word)
    if len(found) > MOST_WORDS:
        raise RecGymError(
            f"{table.path}, column {name!r}: {len(found):,} different words, each of which would"
            f" be a feature, {MOST_WORDS} are the most; take the column out, or make it numbers"
        )
    return found
