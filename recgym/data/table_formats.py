"""Tables in the formats that logs come in, with every cell as text or as a list of texts."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from recgym.data.parquet import UNREADABLE, polars_name, refuse_file
from recgym.data.raw import ROW, RawTable
from recgym.errors import RecGymError

SEPARATORS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
LINES_AT_ONCE = 65_536


def read_table(
    path: Path | str,
    columns: Sequence[str] | None = None,
    lists: Sequence[str] = (),
    separator: str = "|",
) -> tuple[RawTable, pl.DataFrame]:
    """Reads a table: ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet``, or any of them with ``.gz``.

    Numbers and dates come as the text that names them (in Parquet 3.0 is "3"; ISO-8601), spaces
    around a text are no part of it, and an empty text is no value.

    Args:
        path: the file, in UTF-8 unless it is Parquet; text has a first line of column names. In
            ``.csv`` fields may be quoted, in ``.tsv`` a quote is a character like any other.
        columns: those wanted; None for all.
        lists: those whose cells are lists: of JSON (where a text is a list of one), of Parquet, or
            text of any other format, which is cut at ``separator``.
        separator: between the texts of a list.

    Returns:
        The table, for errors, and its rows: ``ROW``, and columns of text or lists of text.

    Raises:
        RecGymError: another kind of file, one that cannot be read, has no rows, or lacks a column;
            or a cell that is neither a text, a number, a date, nor such a list.
    """
    path = Path(path)
    with _unpacked(path) as plain:
        kind = plain.suffix.lower()
        if kind in SEPARATORS:
            quote = '"' if kind == ".csv" else None
            wanted = _header(plain, SEPARATORS[kind], quote) if columns is None else columns
            table = RawTable.delimited(plain, SEPARATORS[kind], wanted, quote=quote)
            rows = table.parse(dict.fromkeys(wanted, pl.String), optional=wanted)
        elif kind == ".parquet":
            wanted = _parquet_names(plain) if columns is None else columns
            table = RawTable.parquet(plain, wanted)
            rows = _parquet_rows(table, wanted, lists)
        elif kind in JSON_LINES:
            rows, blank = _json_rows(plain, columns, lists)
            table = RawTable(plain, rows.lazy(), "line", {"blank": blank})
        else:
            known = ", ".join([*SEPARATORS, *JSON_LINES, ".parquet"])
            raise RecGymError(f"{path}: not a table (its name must end in {known}, or so with .gz)")
    if rows.is_empty():
        raise RecGymError(f"{path}: an empty log (no rows)")
    table = replace(table, path=path)
    return table, _tidy(table, rows, lists, separator)


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """Yields the file, or what is in it if its name ends in ``.gz``; errors name ``path``."""
    if path.suffix.lower() != ".gz":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.stem
        try:
            with gzip.open(path) as packed, open(plain, "wb") as file:
                shutil.copyfileobj(packed, file, 1 << 20)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise RecGymError(f"{path}: not a whole gzip file ({error})") from None
        except OSError as error:
            refuse_file(path, error)
        try:
            yield plain
        except RecGymError as error:
            raise RecGymError(str(error).replace(str(plain), str(path))) from None


def _header(path: Path, separator: str, quote: str | None) -> list[str]:
    """The column names of delimited text, without types (see ``RawTable.delimited``)."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            lines = csv.reader(file, delimiter=separator, quotechar=quote)
            names = next((fields for fields in lines if any(fields)), [])
    except OSError:
        names = []  # RawTable says what is wrong
    except csv.Error as error:
        raise RecGymError(f"{path}: the column names cannot be read ({error})") from None
    return [name.split(":")[0] for name in names]


def _parquet_names(path: Path) -> list[str]:
    try:
        return list(pl.read_parquet_schema(polars_name(path)))
    except UNREADABLE:
        return []  # RawTable says what is wrong


def _parquet_rows(table: RawTable, columns: Sequence[str], lists: Sequence[str]) -> pl.DataFrame:
    types = table.frame.collect_schema()
    cells = []
    for name in columns:
        type_ = types[name]
        nested = isinstance(type_, pl.List | pl.Array)
        inner: Any = type_.inner if isinstance(type_, pl.List | pl.Array) else type_
        text = _text_of(pl.element() if nested else pl.col(name), inner)
        if text is None:
            raise RecGymError(f"{table.path}: column {name!r} holds {type_}, which is no text")
        values = pl.col(name).cast(pl.List(inner)) if nested else text
        cells.append(values.list.eval(text) if nested else values)
    try:
        return table.frame.select(ROW, *cells).collect(engine="streaming")
    except UNREADABLE as error:
        refuse_file(table.path, error)


def _text_of(values: pl.Expr, type_: Any) -> pl.Expr | None:
    """Values of a type as text, or None if they have none."""
    if type_.is_float():
        whole = values.cast(pl.Int64, strict=False)
        number = pl.when(values == whole).then(whole.cast(pl.String))
        return pl.when(values.is_not_nan()).then(number.otherwise(values.cast(pl.String)))
    if isinstance(type_, pl.Datetime):
        utc = values if type_.time_zone is None else values.dt.convert_time_zone("UTC")
        zone = "" if type_.time_zone is None else "Z"
        return utc.dt.strftime(f"%Y-%m-%dT%H:%M:%S%.6f{zone}")
    plain = (pl.String, pl.Boolean, pl.Date, pl.Categorical, pl.Enum, pl.Decimal, pl.Null)
    return values.cast(pl.String) if type_.is_integer() or type_ in plain else None


def _json_rows(
    path: Path, columns: Sequence[str] | None, lists: Sequence[str]
) -> tuple[pl.DataFrame, int]:
    """One JSON object a line, which may lack a column that others have; and blank lines."""
    parts: list[pl.DataFrame] = []
    seen: dict[str, None] = {}
    missing = set(columns or ())
    batch: list[tuple[int, dict[str, Any]]] = []
    blank = 0
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                blank += 1
                continue
            cells = _json_object(path, number, line)
            if columns is None or missing:
                seen |= dict.fromkeys(cells)
                missing -= cells.keys()
            batch.append((number, cells))
            if columns is not None and len(batch) == LINES_AT_ONCE:
                parts.append(_json_frame(path, batch, columns, lists))
                batch = []
    if not seen:
        raise RecGymError(f"{path}: an empty log (no rows)")
    if missing:
        first = next(name for name in columns or () if name in missing)
        raise RecGymError(f"{path}: no column {first!r} (it has {', '.join(seen)})")
    if batch:
        parts.append(_json_frame(path, batch, list(seen) if columns is None else columns, lists))
    return pl.concat(parts), blank


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        refuse_file(path, error)


def _json_object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        # Numbers stay as they are written: an id may have more digits than a number can.
        found = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    except UnicodeDecodeError:
        raise RecGymError(f"{path}, line {number}: not UTF-8") from None
    except json.JSONDecodeError as error:
        why = f"{error.msg} at character {error.pos + 1}"
        raise RecGymError(f"{path}, line {number}: not JSON ({why})") from None
    except RecursionError:
        raise RecGymError(f"{path}, line {number}: JSON that is nested too deeply") from None
    if not isinstance(found, dict):
        raise RecGymError(f"{path}, line {number}: not a JSON object, such as {{...}}")
    return found


def _json_frame(
    path: Path,
    batch: Sequence[tuple[int, dict[str, Any]]],
    columns: Sequence[str],
    lists: Sequence[str],
) -> pl.DataFrame:
    series = [pl.Series(ROW, [number for number, _ in batch], dtype=pl.Int64)]
    for name in columns:
        values = [_json_text(path, number, name, cells.get(name)) for number, cells in batch]
        if name in lists or any(isinstance(value, list) for value in values):
            values = [[value] if isinstance(value, str) else value for value in values]
            series.append(pl.Series(name, values, dtype=pl.List(pl.String)))
        else:
            series.append(pl.Series(name, values, dtype=pl.String))
    return pl.DataFrame(series)


def _json_text(path: Path, number: int, name: str, value: Any) -> str | list[str | None] | None:
    """A value of JSON, whose numbers are text already, as text or as a list of texts."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list) and not any(isinstance(part, list | dict) for part in value):
        return [None if part is None else str(part) for part in value]
    kind = "an object" if isinstance(value, dict) else "a list of lists or objects"
    raise RecGymError(f"{path}, line {number}, column {name!r}: {kind} is no text, number or list")


def _tidy(
    table: RawTable, rows: pl.DataFrame, lists: Sequence[str], separator: str
) -> pl.DataFrame:
    """Strips spaces, cuts lists, and makes empty texts null."""
    for name, type_ in rows.schema.items():
        if name == ROW:
            continue
        if type_ == pl.String:
            text = rows[name].str.strip_chars()
            text = text.set(text == "", None)
            rows = rows.with_columns(text)
            if name not in lists:
                continue
            why = f"a list in brackets; write its ids with {separator!r} between them"
            table.refuse(rows, pl.col(name).str.starts_with("["), name, why)
            rows = rows.with_columns(pl.col(name).str.split(separator))
        rows = rows.with_columns(pl.col(name).list.eval(pl.element().str.strip_chars()))
        empty = pl.element().is_null() | (pl.element() == "")
        holes = pl.col(name).list.eval(empty).list.any()
        table.refuse(rows, holes, name, "a list with an empty id")
    return rows
