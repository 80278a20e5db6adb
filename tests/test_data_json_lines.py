"""JSON lines, decoded many at a time: what is read, and which line is at fault."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from recgym.data.json_lines import read_json_lines
from recgym.data.raw import ROW
from recgym.errors import RecGymError

FIELDS = {"a": pl.Float64, "b": pl.List(pl.Float64)}


def test_fields_are_read_by_name_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text('\ufeff{"b": [1, 2], "other": {"a": 5}, "a": 3}\n\n{"a": 4.5}\r\n{}')
    table, rows = read_json_lines(path, FIELDS)
    assert rows[ROW].to_list() == [1, 3, 4]
    assert rows["a"].to_list() == [3, 4.5, None]
    assert rows["b"].to_list() == [[1, 2], None, None]
    assert table.account({"objects": 3}) == {"log.json": {"blank": 1, "objects": 3}}
    (tmp_path / "log.json.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert read_json_lines(tmp_path / "log.json.gz", FIELDS)[1].equals(rows)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"a": 1', "line 3, column 'line': not JSON (Expecting ',' delimiter"),
        ("5", "line 3, column 'line': not a JSON object, such as {...}"),
        ('{"a": "one"}', "line 3, column 'line': not as it should be ("),
        ('{"b": {"x": 1}}', "line 3, column 'line': not as it should be ("),
        ('{"a": 1} {"a": 2}', "line 3, column 'line': not JSON (Extra data"),
        ("\x1f", "line 3: 2 fields, not 1"),
    ],
)
def test_a_line_that_is_no_such_object_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text('{"a": 1}\n\n' + line + '\n{"a": "later"}\n')
    with pytest.raises(RecGymError) as caught:
        read_json_lines(path, FIELDS)
    assert str(caught.value).startswith(f"{path}, {message}")
    assert "\n" not in str(caught.value)


def test_null_is_no_object(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text('{"a": 1}\nnull\n')
    with pytest.raises(RecGymError, match="line 2, column 'line': not a JSON object"):
        read_json_lines(path, FIELDS)


def test_a_file_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match="no such file"):
        read_json_lines(tmp_path / "log.json", FIELDS)
    (tmp_path / "log.json").write_text("\n\n")
    with pytest.raises(RecGymError, match=r"log.json: an empty file$"):
        read_json_lines(tmp_path / "log.json", FIELDS)
