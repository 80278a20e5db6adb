"""Text in frames: legible, wrapped, and cut to fit (needs Pillow)."""

from __future__ import annotations

import importlib.util
import os
import unicodedata
from bisect import bisect_right
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from PIL import ImageDraw, ImageFont

from recgym.errors import RecGymError
from recgym.palette import WHITE, Colour

SMALLEST = 15
"""Pixels of the smallest letters; what does not fit in them is cut."""
OWN = "°©«»´·‘’“”…‹›™"
"""What Pillow's own font has beside ASCII."""


class Box(NamedTuple):
    """A place in a frame, in pixels."""

    left: int
    top: int
    right: int
    bottom: int

    def smaller(self, by: int) -> Box:
        """Returns the place inside an edge of some width."""
        return Box(self.left + by, self.top + by, self.right - by, self.bottom - by)


class Letters(NamedTuple):
    """Text in lines that fit, and the font that they fit in."""

    lines: tuple[str, ...]
    font: Any


@lru_cache(maxsize=256)
def font(size: int, *, wide: bool = False) -> Any:
    """Returns Pillow's own font, or one with the letters of more languages.

    Args:
        size: pixels.
        wide: the font of ``_wide_font``, where there is one.

    Raises:
        RecGymError: ``$RECGYM_FONT`` is no font.
    """
    path = _wide_font()
    if not wide or path is None:
        return ImageFont.load_default(size)
    try:
        return ImageFont.truetype(path, size)
    except OSError as error:
        raise RecGymError(
            f"RECGYM_FONT={path}: not a TrueType or OpenType font ({error})"
        ) from None


@lru_cache(maxsize=1)
def _wide_font() -> str | None:
    """Returns ``$RECGYM_FONT``, or where matplotlib keeps DejaVu Sans; None if neither is there."""
    if own := os.environ.get("RECGYM_FONT"):
        return own
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return str(path) if path.is_file() else None


@lru_cache(maxsize=4096)
def written(text: str) -> tuple[str, bool]:
    """Returns text in letters that a font has, and whether that is the wide font.

    Letters that none has lose their accents, or become "?".
    """
    text = " ".join(text.split())
    if all(_has_own(letter) for letter in text):
        return text, False
    if _wide_font() is not None and all(_has_wide(letter) for letter in text):
        return text, True
    kept = []
    for letter in text:
        plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
        kept.append(letter if _has_own(letter) else plain or "?")
    return "".join(kept), False


def _has_own(letter: str) -> bool:
    return " " <= letter <= "~" or letter in OWN


@lru_cache(maxsize=4096)
def _has_wide(letter: str) -> bool:
    found, missing = (bytes(font(20, wide=True).getmask(one)) for one in (letter, "\uffff"))
    return found != missing


def cut(text: str, width: float, size: int) -> Letters:
    """Returns text on one line of a font of some size, cut with an ellipsis where it is longer."""
    text, wide = written(text)
    letters = font(size, wide=wide)
    return Letters((_cut(text, width, letters),), letters)


def _cut(text: str, width: float, letters: Any) -> str:
    if letters.getlength(text) <= width:
        return text
    kept = bisect_right(
        range(1, len(text)), width, key=lambda end: letters.getlength(text[:end] + "…")
    )
    return text[:kept].rstrip() + "…"


@lru_cache(maxsize=1024)
def fit(text: str, width: int, height: int, largest: int) -> Letters:
    """Returns text in the largest letters in which it fits, from ``largest`` to ``SMALLEST``.

    What does not fit in the smallest is cut with an ellipsis.
    """
    text, wide = written(text)
    for size in range(largest, SMALLEST - 1, -1):
        letters = font(size, wide=wide)
        room = max(int(height // _height(size)), 1)
        lines = _wrapped(text, width, letters)
        if len(lines) <= room and all(letters.getlength(line) <= width for line in lines):
            return Letters(tuple(lines), letters)
    rest = " ".join(lines[room - 1 :])
    lines = [*lines[: room - 1], rest]
    return Letters(tuple(_cut(line, width, letters) for line in lines), letters)


def _wrapped(text: str, width: float, letters: Any) -> list[str]:
    """Breaks text into lines between its words; a word longer than a line has one of its own."""
    lines: list[str] = []
    for word in text.split():
        together = f"{lines[-1]} {word}" if lines else word
        if lines and letters.getlength(together) <= width:
            lines[-1] = together
        else:
            lines.append(word)
    return lines or [""]


def line_height(letters: Letters) -> float:
    """Returns the distance of lines in pixels."""
    return _height(letters.font.size)


def _height(size: float) -> float:
    return 1.18 * size


def write(draw: ImageDraw.ImageDraw, letters: Letters, box: Box, colour: Colour) -> None:
    """Writes lines into a box, from its left, in the middle of its height."""
    height = line_height(letters)
    y = (box.top + box.bottom) / 2 - height * (len(letters.lines) - 1) / 2
    for line in letters.lines:
        draw.text((box.left, y), line, colour, letters.font, "lm")
        y += height


def chip(
    draw: ImageDraw.ImageDraw, text: str, right: int, middle: int, colour: Colour, size: int
) -> int:
    """Writes text on a coloured label whose right end is given, and returns its left end."""
    letters = font(size)
    left = right - int(letters.getlength(text)) - 20
    box = (left, middle - 0.8 * size, right, middle + 0.8 * size)
    draw.rounded_rectangle(box, round(0.8 * size), fill=colour)
    draw.text(((left + right) / 2, middle), text, WHITE, letters, "mm")
    return left
