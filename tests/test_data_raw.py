"""Raw tables: every line is a row, is counted as none, or is refused with its number."""

from __future__ import annotations

import csv
import gzip
import io
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recgym.data import raw_lines
from recgym.data.raw import ROW, RawTable
from recgym.errors import RecGymError

TYPES: dict[str, Any] = {"user": pl.String, "time": pl.Int64}


def read(path: Path, content: str | bytes, **how: Any) -> tuple[RawTable, list[tuple[Any, ...]]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table = RawTable.delimited(path, ",", list(TYPES), **how)
    return table, table.parse(TYPES).rows()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("quote", [None, '"'])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_blank_lines_are_counted_and_do_not_shift_the_others(
    newline: str, quote: str | None, start: str, tmp_path: Path
) -> None:
    text = start + newline.join(["", "", "user,time", "", "a,1", "", "", "b,2", "c,3", "", "", ""])
    table, rows = read(tmp_path / "log.csv", text, quote=quote)
    assert rows == [(5, "a", 1), (8, "b", 2), (9, "c", 3)]
    assert table.account({"rows": 3}) == {"log.csv": {"header": 1, "blank": 7, "rows": 3}}
    table, rows = read(tmp_path / "log.csv", text.replace("user,time", "z,0"), header=False)
    assert rows == [(3, "z", 0), (5, "a", 1), (8, "b", 2), (9, "c", 3)]
    with pytest.raises(RecGymError, match="line 8, column 'time': 'two' is not a number"):
        read(tmp_path / "log.csv", text.replace("2", "two"), quote=quote)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,1", "b"], "line 3: 1 fields, not 2"),
        (["a,1", "b,2,3", "c,3"], "line 3: 3 fields, not 2"),
        (["", "a,1", "  "], "line 4: 1 fields, not 2"),
        (['a,"1', 'b,"2'], "line 2: a quote is not closed on its line"),
        (["a,1", 'b,2"', "c,3", 'd,4"'], "line 3: a quote is not closed on its line"),
        (["a,1", 'b"x",2'], "line 3: a quote within a field"),
        (["a,1", '"b"x,2'], "line 3: a quote within a field"),
        (["a,1", '"",x",2'], "line 3: a quote is not closed"),
        (["a,1", '"",x"",2'], "line 3: a quote within a field"),
        (["a,1", '"",2'], "line 3, column 'user': no value"),
        (["a,1", ",2"], "line 3, column 'user': no value"),
        (["a,1", "b,"], "line 3, column 'time': no value"),
        (["a,1", f"b,{2**64}"], "line 3, column 'time': '18446744073709551616' is not a whole"),
        (["a,1", "b,9007199254740993.0"], "line 3, column 'time': .* is not a whole number"),
        (["a,1", "b,2.5"], "line 3, column 'time': '2.5' is not a whole number"),
    ],
)
def test_a_malformed_line_is_refused_with_its_number(
    lines: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(RecGymError, match=message):
        read(tmp_path / "log.csv", "\n".join(["user,time", *lines]), quote='"')


def test_bytes_that_are_no_text_are_refused_and_not_merged(tmp_path: Path) -> None:
    content = "user,time\né,1\n".encode() + b"\xe9,2\n\xe8,3\n"
    with pytest.raises(RecGymError, match="line 3: byte 0xe9 is not UTF-8"):
        read(tmp_path / "log.csv", content)


@pytest.mark.parametrize("digits", ["9" * 5_000, "x" * 1_000_000])
def test_a_message_shows_the_start_of_a_long_value(digits: str, tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match="line 2, column 'time'") as caught:
        read(tmp_path / "log.csv", f"user,time\na,{digits}\n")
    assert len(str(caught.value)) < len(str(tmp_path)) + 200


def test_quoted_fields_hold_separators_and_quotes(tmp_path: Path) -> None:
    text = '"user","time"\n"a,b",1\n"c""d",2\n"""",3\n'
    _, rows = read(tmp_path / "log.csv", text, quote='"')
    assert rows == [(2, "a,b", 1), (3, 'c"d', 2), (4, '"', 3)]
    _, rows = read(tmp_path / "log.csv", 'user,time\na"b,1\n"c,2\n')  # no character quotes here
    assert rows == [(2, 'a"b', 1), (3, '"c', 2)]


FIELDS = st.text(st.sampled_from(',"\rxé '), max_size=4)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.tuples(FIELDS, st.integers(-9, 9), st.booleans()), min_size=1, max_size=6),
    block=st.integers(1, 40),
    packed=st.booleans(),
    last=st.booleans(),
)
def test_what_a_csv_writer_wrote_is_read_or_refused(
    rows: list[tuple[str, int, bool]],
    block: int,
    packed: bool,
    last: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Against Python's own writer, whatever the blocks that lines are cut into."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    expected = []
    for line, (user, time, blank_before) in enumerate(rows):
        if blank_before:
            text.write("\n")
        expected.append((2 + line + sum(row[2] for row in rows[: line + 1]), user or None, time))
        writer.writerow([user, time])
    content = ("user,time\n" + text.getvalue()).encode()
    content = content if last else content[:-1]
    monkeypatch.setattr(raw_lines, "BLOCK", block)
    path = tmp_path / "log.csv"
    path.write_bytes(gzip.compress(content) if packed else content)
    table = RawTable.delimited(path, ",", list(TYPES), quote='"')
    found = table.parse(TYPES, optional=("user",))
    assert found.rows() == expected
    blank = sum(row[2] for row in rows)
    assert sum(table.account({"rows": len(found)})["log.csv"].values()) == 1 + blank + len(rows)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    lines=st.lists(st.text(st.sampled_from(',"ab'), max_size=6), max_size=6),
    block=st.integers(1, 9),
)
def test_lines_are_rows_of_the_strict_reader_or_one_is_refused(
    lines: list[str], block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's strict reader, a line at a time, is the judge of all but a quote in an open field.

    That it takes as it stands; so it is given a line only where fields with quotes begin with one.
    """
    monkeypatch.setattr(raw_lines, "BLOCK", block)
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["user,time", *lines, ""]))
    refused = False
    rows = []
    for line in filter(None, lines):
        try:
            rows.append(next(csv.reader([line], strict=True)))
        except csv.Error:
            refused = True
            continue
        open_quote = any('"' in field and field[0] != '"' for field in _raw_fields(line))
        refused |= open_quote or len(rows[-1]) != 2
    if refused:
        with pytest.raises(RecGymError, match="line [2-9]: "):
            RawTable.delimited(path, ",", list(TYPES), quote='"')
        return
    table = RawTable.delimited(path, ",", list(TYPES), quote='"')
    found = table.frame.select("user", "time").collect()
    assert [[value or "" for value in row] for row in found.rows()] == rows


def _raw_fields(line: str) -> list[str]:
    """Cuts a line at the commas that do not stand between quotes."""
    fields, quoted = [""], False
    for character in line:
        quoted ^= character == '"'
        if character == "," and not quoted:
            fields.append("")
        else:
            fields[-1] += character
    return fields


def test_an_unclosed_quote_in_a_large_file_is_one_line(tmp_path: Path) -> None:
    rows = "".join(f"u{n},{n}\n" for n in range(1, 200_001))
    text = "user,time\n" + rows.replace("\nu150000,", '\n"u150000,')
    with pytest.raises(RecGymError, match=r"line 150001: a quote is not closed on its line$"):
        read(tmp_path / "log.csv", text, quote='"')


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_lines, "BLOCK", 1 << 10)
    monkeypatch.setattr(raw_lines, "LONGEST", 1 << 12)
    with pytest.raises(RecGymError, match="line 2: longer than"):
        read(tmp_path / "log.csv", "user,time\n" + "x" * 10_000)


@pytest.mark.parametrize("name", ["log[1].csv", "log*.csv", "{a}?.csv", "log é.csv"])
def test_a_file_name_is_no_pattern(name: str, tmp_path: Path) -> None:
    (tmp_path / "log1.csv").write_text("user,time\nother,9\n")
    assert read(tmp_path / name, "user,time\na,1\n")[1] == [(2, "a", 1)]
    parquet = tmp_path / f"{name}.parquet"
    pl.DataFrame({"user": ["a"], "time": [1]}).write_parquet(parquet.open("wb"))
    assert RawTable.parquet(parquet, list(TYPES)).parse(TYPES).rows() == [(0, "a", 1)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (os.fsdecode(b"caf\xe9.csv"), "the name is not UTF-8; rename the file"),
        ("nothing.csv", "nothing.csv: no such file"),
        ("folder.csv", "folder.csv: cannot be read"),
        ("empty.csv", "empty.csv: an empty file"),
        ("blank.csv", "blank.csv: an empty file"),
        ("gzip.csv", "gzip.csv: cannot be read"),
        ("twice.csv", "two columns are named 'user'"),
        ("header.csv", r"no column 'time' \(it has user, Time\)"),
        ("semicolons.csv", r"user;time\); its fields seem to be separated by ';': make that ','"),
        ("tabs.csv", r"its fields seem to be separated by '\\t': make that ','"),
        ("none.csv", r"an empty log \(no rows\)"),
    ],
)
def test_what_is_no_log_is_one_line(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for other, content in [
        ("empty.csv", b""),
        ("blank.csv", b"\n\r\n\n"),
        ("gzip.csv", gzip.compress(b"user,time\na,1\n" * 99, mtime=0)[:-9]),
        ("twice.csv", b"user,user,time\na,b,1\n"),
        ("header.csv", b"user,Time\na,1\n"),
        ("semicolons.csv", b"user;time\na;1\n"),
        ("tabs.csv", b"user\ttime\na\t1\n"),
        ("none.csv", b"user,time\n"),
    ]:
        (tmp_path / other).write_bytes(content)
    with pytest.raises(RecGymError, match=message) as caught:
        RawTable.delimited(tmp_path / name, ",", list(TYPES)).parse(TYPES)
    assert "\n" not in str(caught.value)


def test_parquet_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("user,time\n")
    for name in ("folder", "text", "nothing", os.fsdecode(b"\xff")):
        with pytest.raises(RecGymError) as caught:
            RawTable.parquet(tmp_path / name, list(TYPES))
        assert "\n" not in str(caught.value)


def test_rows_are_numbered_as_the_file_numbers_them(tmp_path: Path) -> None:
    table, _ = read(tmp_path / "log.csv", "\nuser,time\na,1\n\nb,2\n")
    rows = table.parse(TYPES)
    with pytest.raises(RecGymError, match="line 5, column 'time': too late"):
        table.refuse(rows, pl.col("time") > 1, "time", "too late")
    assert rows[ROW].to_list() == [3, 5]
