"""Logs with a JSON object a line, of which some fields are decoded, many lines at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import polars as pl

from recgym.data.parquet import first_line
from recgym.data.raw import ROW, RawTable
from recgym.data.raw_lines import opened
from recgym.errors import RecGymError, shortened

NO_SEPARATOR = "\x1f"
"""A character that neither JSON nor a list of ratings may hold: a line is one field."""
LINE = "line"
NO_OBJECT = "not a JSON object, such as {...}"


def whole_lines(path: Path) -> RawTable:
    """Opens a text of which each line is one field, named ``LINE``, and skips blank lines.

    Raises:
        RecGymError: see ``RawTable.delimited``.
    """
    return RawTable.delimited(path, NO_SEPARATOR, [LINE], header=False)


def read_json_lines(path: Path, fields: Mapping[str, Any]) -> tuple[RawTable, pl.DataFrame]:
    """Reads fields of the JSON object on each line; others are skipped.

    Args:
        path: a UTF-8 file.
        fields: name -> type. A number may be decoded as text, but not text as a number; floating-
            point numbers show what a whole one would lose.

    Returns:
        The file, for errors, and a row a line: ``ROW``, and the fields, null where missing.

    Raises:
        RecGymError: the file is missing or empty; or a line is no object with fields of these
            types, and is named.
    """
    table = whole_lines(path)
    type_ = pl.Struct(dict(fields))
    decoded = table.frame.select(ROW, pl.col(LINE).str.json_decode(type_))
    try:
        rows = decoded.collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        _refuse_first(table, type_, first_line(error))
    table.refuse(rows, pl.col(LINE).is_null(), LINE, NO_OBJECT)
    return table, rows.unnest(LINE)


def _refuse_first(table: RawTable, type_: Any, why: str) -> NoReturn:
    """Raises RecGymError at the first line that cannot be decoded."""
    with opened(table.path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                if not isinstance(json.loads(line), dict):
                    table.fail(number, LINE, NO_OBJECT)
                pl.Series([line.decode()]).str.json_decode(type_)
            except json.JSONDecodeError as error:
                table.fail(number, LINE, f"not JSON ({error})")
            except pl.exceptions.PolarsError as error:
                what = first_line(error).removeprefix("error deserializing JSON: ")
                table.fail(number, LINE, f"not as it should be ({shortened(what)})")
    raise RecGymError(f"{table.path}: cannot be read ({why})")
