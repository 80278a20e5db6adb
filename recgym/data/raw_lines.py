"""Every line of delimited text, checked before its fields are read: a line is a row.

What reads the fields would mend in silence: it takes what stands between two stray quotes for one
field, however many lines that is, fills lines that are short, and replaces bytes that are no text.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError

BLOCK = 1 << 22
"""Bytes looked at together."""
LONGEST = 1 << 26
"""Bytes of a line, at most."""
NEWLINE, RETURN = 10, 13
BYTE_ORDER_MARK, GZIP = b"\xef\xbb\xbf", b"\x1f\x8b"


@dataclass
class Lines:
    """What is known of a file's lines, so far."""

    total: int = 0
    blank: list[int] = field(default_factory=list)
    """numbers, from 1, of the lines that hold nothing"""
    width: int = 0
    """fields on each of the others"""


def check_lines(path: Path, separator: str, quote: str | None) -> Lines:
    """Reads a file once, in blocks of lines.

    Args:
        path: delimited text, of which gzip is unpacked.
        separator: one byte.
        quote: the character around fields that hold a separator; None where it is one like others.

    Raises:
        RecGymError: names the line that is not UTF-8, has another number of fields than the first,
            has a field whose quotes do not stand around it, or is longer than ``LONGEST``.
        OSError: the file cannot be read.
    """
    lines = Lines()
    for block in _blocks(path, lines):
        data = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero(data == NEWLINE)
        if block[-1] != NEWLINE:
            ends = np.append(ends, len(data))
        _check_text(path, block, ends, lines.total)
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])
        sizes = ends - starts
        blank = (sizes == 0) | ((sizes == 1) & (data[starts] == RETURN))
        separators = np.flatnonzero(data == ord(separator))
        if quote is not None and quote.encode() in block:
            quotes = np.flatnonzero(data == ord(quote))
            _check_quotes(path, data, ends, quotes, ord(separator), lines.total)
            separators = _outside(quotes, separators)
        if not _all_have(lines.width, separators, starts, ends):
            fields = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
            if not lines.width and not blank.all():
                lines.width = int(fields[np.argmin(blank)])
            wrong = (fields != lines.width) & ~blank
            if wrong.any():
                row = int(np.argmax(wrong))
                where = f"{path}, line {lines.total + row + 1}"
                raise RecGymError(f"{where}: {int(fields[row])} fields, not {lines.width}")
        lines.blank += (np.flatnonzero(blank) + lines.total + 1).tolist()
        lines.total += len(ends)
    return lines


def _all_have(width: int, separators: Array, starts: Array, ends: Array) -> bool:
    """Returns whether each line has ``width`` fields, for sure: sooner than counting them."""
    if width < 2 or len(separators) != (width - 1) * len(ends):
        return False
    by_line = separators.reshape(len(ends), width - 1)
    return bool(((by_line[:, 0] >= starts) & (by_line[:, -1] < ends)).all())


def _check_text(path: Path, block: bytes, ends: Array, before: int) -> None:
    if block.isascii():
        return
    try:
        block.decode()
    except UnicodeDecodeError as error:
        line = before + int(np.searchsorted(ends, error.start)) + 1
        what = f"byte 0x{block[error.start]:02x} is not UTF-8; convert the file to UTF-8"
        raise RecGymError(f"{path}, line {line}: {what}") from None


def _check_quotes(
    path: Path, data: Array, ends: Array, quotes: Array, separator: int, before: int
) -> None:
    """Raises unless quotes open where a field begins, and close where it ends, on the same line."""
    odd = np.diff(np.searchsorted(quotes, ends), prepend=0) % 2 == 1
    if odd.any():
        line = before + int(np.argmax(odd)) + 1
        raise RecGymError(f"{path}, line {line}: a quote is not closed on its line")
    opening, closing, quote = quotes[0::2], quotes[1::2], data[quotes[0]]
    allowed = np.zeros(256, np.bool_)
    allowed[[separator, NEWLINE, quote]] = True
    wrong = ~allowed[data[opening - 1]] & (opening > 0)
    allowed[RETURN] = True
    last = len(data) - 1
    wrong |= ~allowed[data[np.minimum(closing + 1, last)]] & (closing < last)
    if wrong.any():
        line = before + int(np.searchsorted(ends, quotes[2 * np.argmax(wrong)])) + 1
        raise RecGymError(f"{path}, line {line}: a quote within a field (write it twice, quoted)")


def _outside(quotes: Array, separators: Array) -> Array:
    """Returns the separators that do not stand between two quotes."""
    before: Array = np.searchsorted(separators, quotes)
    opened = np.bincount(before[0::2], minlength=len(separators) + 1)
    closed = np.bincount(before[1::2], minlength=len(separators) + 1)
    return separators[np.cumsum(opened - closed)[:-1] == 0]


def _blocks(path: Path, before: Lines) -> Iterator[bytes]:
    """Yields whole lines, many at a time; those before them are known."""
    with opened(path) as file:
        rest = b""
        while chunk := _read(file):
            whole, newline, tail = chunk.rpartition(b"\n")
            if newline:
                block, rest = rest + whole + newline, tail
                yield block
            else:
                rest += chunk
            if len(rest) > LONGEST:
                where = f"{path}, line {before.total + 1}"
                raise RecGymError(f"{where}: longer than {LONGEST >> 20} MiB; is this a log?")
        if rest:
            yield rest


def opened(path: Path) -> Any:
    """Opens a file after its byte order mark."""
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP
    whole: Any = gzip.open(path) if packed else open(path, "rb")  # noqa: SIM115
    if whole.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:
        whole.seek(0)
    return whole


def _read(file: Any) -> bytes:
    try:
        found: bytes = file.read(BLOCK)
        return found
    except (EOFError, zlib.error) as error:
        raise OSError(f"damaged gzip: {error}") from None
