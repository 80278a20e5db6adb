"""Raw logs read lazily, row by row numbered, so that an error can say where it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import polars as pl

from recgym.data.parquet import first_line
from recgym.errors import RecGymError
from recgym.files import sha256_of

ROW = "__row__"
"""The column that numbers a raw table's rows as its file does."""


@dataclass(frozen=True, eq=False)
class RawTable:
    """A raw file: columns still unparsed, and the number of each row."""

    path: Path
    frame: pl.LazyFrame
    """the wanted columns, and ``ROW``"""
    unit: str
    """what ``ROW`` counts: ``line`` (of text, from 1) or ``row`` (of Parquet, from 0)"""
    separator: str = ""
    width: int = 0
    """fields on a line; 0 where that is not checked (Parquet, and text with quoted fields)"""

    @staticmethod
    def delimited(
        path: Path,
        separator: str,
        columns: Sequence[str],
        header: bool = True,
        quote: str | None = None,
    ) -> RawTable:
        """Opens delimited text; every column is a string.

        Args:
            path: a UTF-8 file (bytes that are not UTF-8 are replaced).
            separator: one byte.
            columns: names wanted of those in the header (where a ``:`` and what follows it, the
                type in an atomic file, are no part of a name). Without a header, names for all.
            header: whether the first line names the columns.
            quote: the character around fields that hold a separator.

        Raises:
            RecGymError: the file is missing or empty, or lacks a column.
        """
        try:
            frame = pl.scan_csv(
                path,
                separator=separator,
                has_header=header,
                new_columns=None if header else list(columns),
                infer_schema=False,
                quote_char=quote,
                encoding="utf8-lossy",
                row_index_name=ROW,
                row_index_offset=2 if header else 1,
            )
            if header:
                frame = frame.rename(lambda name: name.split(":")[0])
            present = frame.collect_schema().names()
        except (pl.exceptions.PolarsError, OSError) as error:
            _refuse_file(path, error)
        width = 0 if quote else len(present) - 1
        return RawTable(path, _wanted(frame, path, present, columns), "line", separator, width)

    @staticmethod
    def parquet(path: Path, columns: Sequence[str]) -> RawTable:
        """Opens Parquet.

        Raises:
            RecGymError: the file is missing, is not Parquet, or lacks a column.
        """
        try:
            frame = pl.scan_parquet(path, row_index_name=ROW)
            present = frame.collect_schema().names()
        except (pl.exceptions.PolarsError, OSError) as error:
            _refuse_file(path, error)
        return RawTable(path, _wanted(frame, path, present, columns), "row")

    def parse(self, types: Mapping[str, Any], optional: Sequence[str] = ()) -> pl.DataFrame:
        """Reads the columns as the given types, with ``ROW`` first.

        Args:
            types: column -> type. Whole numbers may be written as ``3.0``.
            optional: columns of strings in which a value may be missing.

        Raises:
            RecGymError: there are no rows; a line has another number of fields; a field is missing
                or is not of its type. Names line (or row) and column.
        """
        self._check_widths()
        parsed = self._collect(self.frame.select(ROW, *(_cast(n, t) for n, t in types.items())))
        if parsed.is_empty():
            raise RecGymError(f"{self.path}: an empty log (no rows)")
        for name in types:
            row = parsed.filter(pl.col(name).is_null())[ROW].min()
            if row is not None and name not in optional:
                text = self._collect(self.frame.filter(pl.col(ROW) == row).select(name)).item()
                self.fail(row, name, "no value" if text is None else f"{text!r} is not a number")
        return parsed

    def refuse(self, rows: pl.DataFrame, bad: pl.Expr, column: str, why: str) -> None:
        """Raises RecGymError at the first of the rows (which have ``ROW``) that is bad."""
        failing = rows.filter(bad)
        if not failing.is_empty():
            self.fail(failing[ROW].min(), column, why)

    def fail(self, row: Any, column: str, why: str) -> NoReturn:
        """Raises RecGymError naming file, line (or row) and column."""
        raise RecGymError(f"{self.path}, {self.unit} {row}, column {column!r}: {why}")

    def _collect(self, frame: pl.LazyFrame) -> pl.DataFrame:
        try:
            return frame.collect(engine="streaming")
        except pl.exceptions.PolarsError as error:
            raise RecGymError(f"{self.path}: cannot be read ({first_line(error)})") from None

    def _check_widths(self) -> None:
        """Raises RecGymError at the first line with another number of fields than the file has."""
        if not self.width:
            return
        lines = pl.scan_csv(
            self.path,
            separator="\x1f",  # in no log: a line is one field
            has_header=False,
            new_columns=["text"],
            infer_schema=False,
            quote_char=None,
            truncate_ragged_lines=True,
            encoding="utf8-lossy",
            row_index_name=ROW,
            row_index_offset=1,
        )
        fields = pl.col("text").str.count_matches(self.separator, literal=True) + 1
        wrong = self._collect(
            lines.select(ROW, fields=fields).filter(pl.col("fields") != self.width)
        )
        if not wrong.is_empty():
            line, count = wrong.sort(ROW).row(0)
            raise RecGymError(f"{self.path}, line {line}: {count} fields, not {self.width}")


def source_of(*paths: Path) -> dict[str, Any]:
    """Returns the ``source`` (file name -> sha256) and ``sha256`` entries of a dataset's info."""
    source = {path.name: sha256_of(path) for path in paths}
    if len(source) == 1:
        return {"source": source, "sha256": next(iter(source.values()))}
    together = "\n".join(f"{digest}  {name}" for name, digest in sorted(source.items()))
    return {"source": source, "sha256": hashlib.sha256(together.encode()).hexdigest()}


def _wanted(
    frame: pl.LazyFrame, path: Path, present: Sequence[str], columns: Sequence[str]
) -> pl.LazyFrame:
    for name in columns:
        if name not in present:
            have = ", ".join(n for n in present if n != ROW)
            raise RecGymError(f"{path}: no column {name!r} (it has {have})")
    return frame.select(ROW, *columns)


def _cast(name: str, type_: Any) -> pl.Expr:
    column = pl.col(name)
    if type_ == pl.String:
        return column.cast(pl.String)
    if type_.is_float():
        return column.cast(type_, strict=False)
    fraction = column.cast(pl.Float64, strict=False)
    whole = pl.when(fraction == fraction.round()).then(fraction).cast(type_, strict=False)
    return pl.coalesce(column.cast(type_, strict=False), whole).alias(name)


def _refuse_file(path: Path, error: Exception) -> NoReturn:
    if isinstance(error, FileNotFoundError):
        raise RecGymError(f"{path}: no such file") from None
    if isinstance(error, pl.exceptions.NoDataError):
        raise RecGymError(f"{path}: an empty file") from None
    raise RecGymError(f"{path}: cannot be read ({first_line(error)})") from None
