"""Parquet in and out: columns checked by name and type, lists of unequal length as flat arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import polars as pl

from recgym.arrays import Array
from recgym.errors import RecGymError, shortened
from recgym.files import atomic_write, reason

UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
"""What polars raises for a file that is damaged or not there."""


def read_parquet(
    path: Path | str, required: Mapping[str, Any], optional: Mapping[str, Any] | None = None
) -> pl.DataFrame:
    """Reads the named columns of a Parquet file, cast to the given types.

    Raises:
        RecGymError: the file is missing or not Parquet; a required column is missing; a column has
            another type, or a null.
    """
    try:
        file = pl.scan_parquet(polars_name(path), glob=False)
        present = file.collect_schema().names()
        for name in required:
            if name not in present:
                have = shortened(", ".join(present))
                raise RecGymError(f"{path}: no column {name!r} (it has {have})")
        types = {n: t for n, t in {**required, **(optional or {})}.items() if n in present}
        frame = file.select(*types).collect()
    except FileNotFoundError:
        raise RecGymError(f"{path}: no such file") from None
    except UNREADABLE as error:
        raise RecGymError(f"{path}: not a Parquet file ({first_line(error)})") from None
    for name, type_ in types.items():
        try:
            frame = frame.with_columns(pl.col(name).cast(type_))
        except pl.exceptions.PolarsError as error:
            message = f"{path}: column {name!r} is not {type_} ({first_line(error)})"
            raise RecGymError(message) from None
        if frame[name].null_count():
            row = int(frame[name].is_null().arg_max() or 0)
            raise RecGymError(f"{path}: row {row}, column {name!r}: no value")
    return frame


def flat_to_lists(values: Array, offsets: Array) -> pl.Series:
    """Returns a list column whose row p is ``values[offsets[p]:offsets[p + 1]]``."""
    sizes = np.diff(offsets)
    pages = pl.DataFrame({"page": np.repeat(np.arange(len(sizes)), sizes), "value": values})
    lists = pages.group_by(pl.col("page").set_sorted(), maintain_order=True).agg("value")
    every = pl.DataFrame({"page": np.arange(len(sizes))})
    joined = every.join(lists, on="page", how="left", maintain_order="left")["value"]
    return joined.fill_null(pl.Series([[]], dtype=joined.dtype)).rename("")


def lists_to_flat(lists: pl.Series, path: Path | str) -> tuple[Array, Array]:
    """Returns the values of a list column end to end, and the (P + 1,) int64 offsets of its rows.

    Raises:
        RecGymError: a null within a list; ``path`` is named.
    """
    sizes = lists.list.len().to_numpy().astype(np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    values = lists.filter(lists.list.len() > 0).explode()
    if values.null_count():
        row = int(np.searchsorted(offsets, values.is_null().arg_max() or 0, side="right")) - 1
        raise RecGymError(f"{path}: row {row}, column {lists.name!r}: a value is missing")
    return values.to_numpy(), offsets


def write_parquet(frame: pl.DataFrame, path: Path | str) -> None:
    """Writes a table atomically.

    Raises:
        RecGymError: it cannot be written, see ``atomic_write``.
    """
    with atomic_write(path) as temporary:
        try:
            frame.write_parquet(polars_name(temporary))
        except UNREADABLE as error:
            raise RecGymError(f"{path}: cannot be written ({first_line(error)})") from None


def polars_name(path: Path | str) -> str:
    """Returns the name by which polars opens a file.

    Raises:
        RecGymError: the name is not UTF-8, which polars needs.
    """
    try:
        os.fsencode(path).decode()
    except UnicodeDecodeError:
        name = os.fsencode(path).decode(errors="replace")
        raise RecGymError(f"{name}: the name is not UTF-8; rename the file or folder") from None
    return str(path)


def refuse_file(path: Path | str, error: BaseException) -> NoReturn:
    """Raises RecGymError for a file that polars could not read."""
    if isinstance(error, FileNotFoundError):
        raise RecGymError(f"{path}: no such file") from None
    raise RecGymError(f"{path}: cannot be read ({first_line(error)})") from None


def first_line(error: BaseException) -> str:
    """Returns what an error says, on one line."""
    if isinstance(error, OSError):
        return reason(error)
    return shortened(str(error).strip().split("\n", 1)[0])
