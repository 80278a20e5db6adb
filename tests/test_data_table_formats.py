"""Tables in every format: the same cells as text, and one line where a file is broken."""

from __future__ import annotations

import datetime
import gzip
from pathlib import Path

import polars as pl
import pytest

from recgym.data.raw import ROW
from recgym.data.table_formats import read_table
from recgym.errors import RecGymError


def rows_of(path: Path, *arguments: object) -> list[tuple[object, ...]]:
    return read_table(path, *arguments)[1].rows()  # type: ignore[arg-type]


def test_text_is_stripped_and_lists_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b,c\n x , p | q ,"1, 2"\n,,""\n')
    assert rows_of(path, ["c", "a", "b"], ["b"]) == [
        (2, "1, 2", "x", ["p", "q"]),
        (3, None, None, None),
    ]
    assert rows_of(path) == [(2, "x", "p | q", "1, 2"), (3, None, None, None)]
    path = tmp_path / "t.tsv"
    path.write_text('a\tb\n"x\tp;q\n')
    assert rows_of(path, None, ["b"], ";") == [(2, '"x', ["p", "q"])]


def test_values_of_parquet_become_text(tmp_path: Path) -> None:
    utc = datetime.UTC
    frame = pl.DataFrame(
        {
            "float": [3.0, float("nan"), 0.5, -7.0],
            "int": [2**63 - 1, None, 0, 1],
            "bool": [True, False, None, True],
            "date": [datetime.date(2024, 5, 1)] * 4,
            "time": [datetime.datetime(2024, 5, 1, 9, 0, 0, 250_000)] * 4,
            "zoned": [datetime.datetime(2024, 5, 1, 9, tzinfo=utc)] * 4,
            "lists": [[1, 2], [], None, [3]],
        }
    )
    frame = frame.with_columns(
        pl.col("zoned").dt.convert_time_zone("Europe/Paris"),
        words=pl.Series(["a", "b", "a", "b"], dtype=pl.Categorical),
    )
    frame.write_parquet(tmp_path / "t.parquet")
    found = read_table(tmp_path / "t.parquet", None, ["lists"])[1]
    assert found["float"].to_list() == ["3", None, "0.5", "-7"]
    assert found["int"].to_list() == [str(2**63 - 1), None, "0", "1"]
    assert found["bool"].to_list() == ["true", "false", None, "true"]
    assert found["date"][0] == "2024-05-01"
    assert found["time"][0] == "2024-05-01T09:00:00.250000"
    assert found["zoned"][0] == "2024-05-01T09:00:00.000000Z"
    assert found["lists"].to_list() == [["1", "2"], [], None, ["3"]]
    assert found["words"].to_list() == ["a", "b", "a", "b"]
    pl.DataFrame({"s": [{"x": 1}]}).write_parquet(tmp_path / "s.parquet")
    with pytest.raises(RecGymError, match="column 's' holds Struct.*no text"):
        read_table(tmp_path / "s.parquet")


def test_json_keeps_numbers_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('\n{"a": 1.50, "b": [1, "x"]}\n\n{"b": "y|z", "c": true}\n{"a": null}\n')
    assert rows_of(path, ["a", "b"], ["b"]) == [
        (2, "1.50", ["1", "x"]),
        (4, None, ["y|z"]),
        (5, None, None),
    ]
    assert rows_of(path)[1] == (4, None, ["y|z"], "true")


def test_many_lines_of_json_are_read_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recgym.data.table_formats.LINES_AT_ONCE", 2)
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f'{{"a": {i}}}\n' for i in range(5)))
    assert rows_of(path, ["a"]) == [(i + 1, str(i)) for i in range(5)]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_gzip_is_unpacked(tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({"a": ["x", "y"]})
    plain = tmp_path / name
    if name == "t.csv":
        frame.write_csv(plain)
    elif name == "t.jsonl":
        frame.write_ndjson(plain)
    else:
        frame.write_parquet(plain)
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert rows_of(packed) == rows_of(plain)
    table, _ = read_table(packed)
    with pytest.raises(RecGymError) as caught:
        table.fail(1, "a", "why")
    assert str(caught.value).startswith(f"{packed}, ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "t.csv: an empty file"),
        ("t.csv", b"a,b\n", r"t.csv: an empty log \(no rows\)"),
        ("t.tsv", b"a\tb\nx\n", "t.tsv, line 2: 1 fields, not 2"),
        ("t.xlsx", b"", r"t.xlsx: not a table \(its name must end in .csv, .tsv"),
        ("t.parquet", b"no", "t.parquet: cannot be read"),
        ("t.csv.gz", b"no", r"t.csv.gz: not a whole gzip file"),
        (
            "t.csv.gz",
            gzip.compress(b"a,b\nx,y\n" * 99, mtime=0)[:-12],
            "t.csv.gz: not a whole gzip file",
        ),
        ("t.tsv.gz", gzip.compress(b"a\tb\nx\n", mtime=0), "t.tsv.gz, line 2: 1 fields, not 2"),
        ("t.jsonl", b"", "t.jsonl: an empty log"),
        ("t.jsonl", b'{"a": 1}\n\n[1]\n', "t.jsonl, line 3: not a JSON object"),
        ("t.jsonl", b'{"a": 1}\n{"a" 1}\n', "line 2: not JSON .* at character 6"),
        ("t.jsonl", b'{"a": "\xff"}\n', "line 1: not UTF-8"),
        ("t.jsonl", b'{"a":' * 100_000, "line 1: JSON that is nested too deeply"),
        ("t.jsonl", b'{"a": {"x": 1}}\n', "line 1, column 'a': an object is no text"),
        ("t.jsonl", b'{"a": [[1]]}\n', "line 1, column 'a': a list of lists"),
        ("t.jsonl", b'{"b": 1}\n', r"t.jsonl: no column 'a' \(it has b\)"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecGymError, match=message) as caught:
        read_table(tmp_path / name, ["a"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.jsonl", "t.parquet"])
def test_a_missing_file_is_one_line(tmp_path: Path, name: str) -> None:
    for columns in (["a"], None):
        with pytest.raises(RecGymError, match=f"{name}: no such file"):
            read_table(tmp_path / name, columns)


def test_rows_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\nx\ny\n")
    assert read_table(tmp_path / "t.csv", ["a"])[1][ROW].to_list() == [2, 3]
