"""Text in frames: every letter legible, lines that fit, and an ellipsis where they do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recgym import RecGymError, lettering
from recgym.lettering import SMALLEST, cut, fit, font, line_height, written


@pytest.fixture
def no_wide_font(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(lettering, "_wide_font", lambda: None)
    written.cache_clear()
    yield
    written.cache_clear()


def test_letters_beyond_ascii_are_drawn_in_a_font_that_has_them() -> None:
    assert written("Plain  –".replace("–", "-")) == ("Plain -", False)
    assert written("Amélie\nПотёмкин") == ("Amélie Потёмкин", True)


def test_letters_that_no_font_has_become_question_marks() -> None:
    assert written("千 Amélie") == ("? Amelie", False)


@pytest.mark.usefixtures("no_wide_font")
def test_without_the_wide_font_letters_lose_their_accents() -> None:
    assert written("Amélie ☃") == ("Amelie ?", False)


def test_a_font_of_ones_own_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "font.ttf"
    path.write_text("no font")
    monkeypatch.setattr(lettering, "_wide_font", lambda: str(path))
    font.cache_clear()
    with pytest.raises(RecGymError, match=r"RECGYM_FONT=.*font\.ttf: not a TrueType"):
        font(20, wide=True)


def test_the_variable_names_a_font(monkeypatch: pytest.MonkeyPatch) -> None:
    lettering._wide_font.cache_clear()
    monkeypatch.setenv("RECGYM_FONT", "mine.ttf")
    assert lettering._wide_font() == "mine.ttf"
    lettering._wide_font.cache_clear()


def test_short_text_stands_on_one_line_in_large_letters() -> None:
    letters = fit("A film", 300, 60, 28)
    assert (letters.lines, letters.font.size) == (("A film",), 28)


def test_longer_text_is_wrapped_before_it_is_made_smaller() -> None:
    letters = fit("Snow White and the Seven Dwarfs", 260, 80, 28)
    assert (len(letters.lines), letters.font.size) == (2, 28)
    assert " ".join(letters.lines) == "Snow White and the Seven Dwarfs"


def test_what_does_not_fit_is_cut() -> None:
    letters = fit("word " * 60, 100, 40, 28)
    assert letters.font.size == SMALLEST
    assert letters.lines[-1].endswith("…")
    assert cut("x" * 99, 80, 20).lines[0].endswith("x…")


@given(st.text(max_size=80), st.integers(60, 400), st.integers(20, 120), st.integers(15, 40))
def test_text_always_fits(text: str, width: int, height: int, largest: int) -> None:
    letters = fit(text, width, height, largest)
    assert all(letters.font.getlength(line) <= width for line in letters.lines)
    assert len(letters.lines) == 1 or line_height(letters) * len(letters.lines) <= height
    assert letters.font.size <= largest
