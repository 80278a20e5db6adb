"""Pictures of slates: the text says what happened, and the image shows the text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recgym import RecGymError, rendering
from recgym.data import Catalog
from recgym.envs import SlateEnv
from recgym.rendering import CHARACTERS, GLYPHS, INK, MARKED, PAPER, SCALE, Page, render
from tests.fixtures.user_model import random_user_model

NUMBERS = rendering.load_titles(None, 10)


def test_text_by_hand() -> None:
    page = Page(step=2, user=7, slate=[4, 0, 9], click=1, reward=0.25)
    assert render("ansi", page, NUMBERS) == (
        "user 7  step 2  reward 0.250\n   1 item 4\n>  2 item 0\n   3 item 9\n\n"
    )
    page = Page(step=1, user=None, slate=[4], click=-1, reward=0.0)
    assert render("ansi", page, NUMBERS) == "step 1  reward 0.000\n   1 item 4\n  nothing clicked\n"


def test_every_character_has_a_glyph_of_its_own() -> None:
    glyphs = [GLYPHS[start : start + 5] for start in range(0, len(GLYPHS), 5)]
    assert len(glyphs) == len(set(glyphs)) == len(CHARACTERS)
    assert set(GLYPHS) <= set("01234567")


def test_image_shows_the_text_and_marks_the_click() -> None:
    image = render("rgb_array", Page(1, None, [3, 1], 1, 0.0), NUMBERS)
    assert isinstance(image, np.ndarray)
    assert image.dtype == np.uint8
    height = 7 * SCALE
    assert image.shape == (4 * height, 162 * SCALE, 3)
    colours = {tuple(colour) for colour in image[2 * height : 3 * height].reshape(-1, 3).tolist()}
    assert colours == {MARKED, INK}
    assert MARKED not in {tuple(colour) for colour in image[:height].reshape(-1, 3).tolist()}
    assert (image[3 * height :] == PAPER).all()
    letter_s = image[SCALE : 6 * SCALE : SCALE, SCALE : 4 * SCALE : SCALE, 0] == INK[0]
    assert letter_s.astype(int).tolist() == [
        [0, 1, 1],
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [1, 1, 0],
    ]


def test_images_of_one_environment_have_one_size() -> None:
    long, other = "a very long title " * 9, "Amélie & the ☃"
    names = [long, other].__getitem__
    assert (
        render("rgb_array", Page(1, 3, [0, 1], -1, 0.5), names).shape
        == render("rgb_array", Page(20, 999, [1, 0], 0, -10.5), names).shape
    )


class TestTitles:
    @pytest.fixture
    def prepared(self, tmp_path: Path) -> str:
        titles = tuple(f"Film {number}" for number in range(30))
        ids = tuple(map(str, range(30)))
        Catalog(ids, titles, np.zeros((30, 0), np.float32), ()).save(tmp_path / "catalog.parquet")
        return str(tmp_path)

    def test_of_a_prepared_dataset_are_shown(self, prepared: str, tmp_path: Path) -> None:
        random_user_model().save(tmp_path / "user")
        env = SlateEnv(
            "learned-user",
            user_model=str(tmp_path / "user"),
            titles=prepared,
            render_mode="ansi",
            slate_size=2,
        )
        env.reset(seed=0)
        env.step([29, 3])
        text = env.render()
        assert "1 Film 29\n" in text
        assert "2 Film 3\n" in text

    def test_of_another_dataset_are_an_error(self, prepared: str) -> None:
        with pytest.raises(RecGymError, match="a dataset of 30 items cannot name this world's 31"):
            rendering.load_titles(prepared, 31)

    def test_of_no_dataset_are_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(RecGymError, match=r"catalog\.parquet"):
            rendering.load_titles(str(tmp_path), 30)
