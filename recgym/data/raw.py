"""Raw logs read lazily, row by row numbered, so that an error can say where it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import polars as pl

from recgym.data.parquet import UNREADABLE, polars_name, refuse_file
from recgym.data.raw_lines import check_lines
from recgym.errors import RecGymError, shortened
from recgym.files import sha256_of

ROW = "__row__"
"""The column that numbers a raw table's rows as its file does."""
ISO_TIME, EXAMPLE_TIME = "%Y-%m-%dT%H:%M:%S%.fZ", "2014-04-06T01:29:05.969Z"
MOST_EXACT = 2.0**53
"""From it on a floating-point number may stand for several whole ones."""


@dataclass(frozen=True, eq=False)
class RawTable:
    """A raw file: columns still unparsed, and the number of each row."""

    path: Path
    frame: pl.LazyFrame
    """the wanted columns, and ``ROW``"""
    unit: str
    """what ``ROW`` counts: ``line`` (of text, from 1) or ``row`` (of Parquet, from 0)"""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """lines of the file that are no rows: ``header``, ``blank``"""

    @staticmethod
    def delimited(
        path: Path,
        separator: str,
        columns: Sequence[str],
        header: bool = True,
        quote: str | None = None,
    ) -> RawTable:
        """Opens delimited text, checks its lines, and skips blank ones; every column is a string.

        Args:
            path: a UTF-8 file.
            separator: one byte.
            columns: names wanted of those in the header (where a ``:`` and what follows it, the
                type in an atomic file, are no part of a name). Without a header, names for all.
            header: whether the first line names the columns.
            quote: the character around fields that hold a separator; such a field ends on its line.

        Raises:
            RecGymError: the file is missing or empty, or lacks a column; or for a line that is
                malformed, see ``check_lines``.
        """
        try:
            name = polars_name(path)
            lines = check_lines(path, separator, quote)
            if len(lines.blank) == lines.total:
                raise RecGymError(f"{path}: an empty file")
            leading = int(
                np.argmax(np.append(lines.blank, 0) != np.arange(1, len(lines.blank) + 2))
            )
            frame = pl.scan_csv(
                name,
                separator=separator,
                has_header=header,
                new_columns=None if header else list(columns),
                skip_rows=0 if header else leading,  # before a header it does so itself
                infer_schema=False,
                quote_char=quote,
                row_index_name=ROW,
                row_index_offset=leading + (2 if header else 1),
                glob=False,
            )
            if lines.blank:
                frame = frame.filter(~pl.col(ROW).is_in(lines.blank))
            if header:
                frame = frame.rename(lambda name: name.split(":")[0])
            present = frame.collect_schema().names()
        except UNREADABLE as error:
            refuse_file(path, error)
        for column in columns:
            if f"{column}_duplicated_0" in present:
                raise RecGymError(f"{path}: two columns are named {column!r}")
        skipped = {"header": int(header), "blank": len(lines.blank)}
        return RawTable(path, _wanted(frame, path, present, columns), "line", skipped)

    @staticmethod
    def parquet(path: Path, columns: Sequence[str]) -> RawTable:
        """Opens Parquet.

        Raises:
            RecGymError: the file is missing, is not Parquet, or lacks a column.
        """
        try:
            frame = pl.scan_parquet(polars_name(path), row_index_name=ROW, glob=False)
            present = frame.collect_schema().names()
        except UNREADABLE as error:
            refuse_file(path, error)
        return RawTable(path, _wanted(frame, path, present, columns), "row")

    def parse(self, types: Mapping[str, Any], optional: Sequence[str] = ()) -> pl.DataFrame:
        """Reads the columns as the given types, with ``ROW`` first.

        Args:
            types: column -> type. Whole numbers may be written as ``3.0``; a time is written as
                the ``ISO_TIME`` of UTC, and becomes milliseconds since 1970; an ``Enum``, which
                names what a field can be, becomes the position of the name.
            optional: columns of strings in which a value may be missing; an empty one is.

        Raises:
            RecGymError: there are no rows; a field is missing or is not of its type. Names line (or
                row) and column.
        """
        parsed = self.collect(self.frame.select(ROW, *(_cast(n, t) for n, t in types.items())))
        if parsed.is_empty():
            raise RecGymError(f"{self.path}: an empty log (no rows)")
        for name in types:
            row = parsed.filter(pl.col(name).is_null())[ROW].min()
            if row is not None and name not in optional:
                self.fail(row, name, self._why_missing(row, name, types[name]))
        return parsed

    def account(self, became: Mapping[str, int]) -> dict[str, dict[str, int]]:
        """Returns what became of every line, by the name of the file, for a dataset's ``lines``.

        Args:
            became: what -> how many lines (or rows); together all that were parsed.
        """
        counts = {**self.skipped, **became}
        return {self.path.name: {what: count for what, count in counts.items() if count}}

    def refuse(self, rows: pl.DataFrame, bad: pl.Expr, column: str, why: str) -> None:
        """Raises RecGymError at the first of the rows (which have ``ROW``) that is bad."""
        failing = rows.filter(bad)
        if not failing.is_empty():
            self.fail(failing[ROW].min(), column, why)

    def fail(self, row: Any, column: str, why: str) -> NoReturn:
        """Raises RecGymError naming file, line (or row) and column."""
        raise RecGymError(f"{self.path}, {self.unit} {row}, column {column!r}: {why}")

    def _why_missing(self, row: Any, column: str, type_: Any) -> str:
        value = self.collect(self.frame.filter(pl.col(ROW) == row).select(column)).item()
        if value is None or value == "":
            return "no value"
        if isinstance(type_, pl.Enum):
            return f"{shortened(repr(value))} is none of {', '.join(type_.categories)}"
        if type_ == pl.Datetime:
            return f"{shortened(repr(value))} is no time such as {EXAMPLE_TIME}"
        try:
            float(value)
        except (ValueError, TypeError):
            return f"{shortened(repr(value))} is not a number"
        return f"{shortened(repr(value))} is not a whole number of 64 bits at most"

    def collect(self, frame: pl.LazyFrame) -> pl.DataFrame:
        """Runs a query of ``frame``; what polars cannot read is RecGymError."""
        try:
            return frame.collect(engine="streaming")
        except UNREADABLE as error:
            refuse_file(self.path, error)


def source_of(*paths: Path) -> dict[str, Any]:
    """Returns the ``source`` (file name -> sha256) and ``sha256`` entries of a dataset's info."""
    source = {path.name: sha256_of(path) for path in paths}
    if len(source) == 1:
        return {"source": source, "sha256": next(iter(source.values()))}
    together = "\n".join(f"{digest}  {name}" for name, digest in sorted(source.items()))
    return {"source": source, "sha256": hashlib.sha256(together.encode()).hexdigest()}


def _other_separator(names: Sequence[str]) -> str:
    """Returns what to say of a header that is read as one name, but seems to be several."""
    marks = [mark for mark in (";", "\t", ",", "|") if mark in names[0]] if len(names) == 1 else []
    if not marks:
        return ""
    wanted = "',' in a .csv, tabs in a .tsv"
    return f"; its fields seem to be separated by {marks[0]!r}: make that {wanted}"


def _wanted(
    frame: pl.LazyFrame, path: Path, present: Sequence[str], columns: Sequence[str]
) -> pl.LazyFrame:
    for name in columns:
        if name not in present:
            names = [n for n in present if n != ROW]
            have = shortened(", ".join(names))
            raise RecGymError(
                f"{path}: no column {name!r} (it has {have}){_other_separator(names)}"
            )
    return frame.select(ROW, *columns)


def _cast(name: str, type_: Any) -> pl.Expr:
    column = pl.col(name)
    if type_ == pl.String:
        text = column.cast(pl.String)
        return pl.when(text != "").then(text).alias(name)
    if type_.is_float():
        return column.cast(type_, strict=False)
    if isinstance(type_, pl.Enum):
        return column.cast(type_, strict=False).to_physical().cast(pl.Int8)
    if type_ == pl.Datetime:
        time = column.str.to_datetime(ISO_TIME, time_unit="ms", strict=False)
        return time.dt.timestamp("ms").alias(name)
    whole = whole_number(name).cast(type_, strict=False)
    return pl.coalesce(column.cast(type_, strict=False), whole).alias(name)


def whole_number(name: str) -> pl.Expr:
    """Returns a column of numbers as whole ones; null where they are not, or are not exact."""
    number = pl.col(name).cast(pl.Float64, strict=False)
    exact = (number == number.round()) & (number.abs() < MOST_EXACT)
    return pl.when(exact).then(number).cast(pl.Int64).alias(name)
