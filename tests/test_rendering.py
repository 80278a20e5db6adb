"""What a scene says as text."""

from __future__ import annotations

import numpy as np
import pytest

from recgym.rendering import FRAME_SIZE, Bars, Card, Scene, answer, render

SCENE = Scene(
    step=2,
    horizon=20,
    slots=3,
    user="user 7",
    cards=(Card(0, "Jazz live 0", (0,), "quality 1.50"), Card(1, "Alien", (2, 1)), Card(2, "Up")),
    click=1,
    outcome="clicked slot 2",
    reward=0.25,
    so_far=1.5,
    kinds=("Jazz", "Horror", "Sci-Fi"),
    bars=Bars("interest", ("Jazz", "Horror", "Sci-Fi"), (0.5, -1.0, 0.75), (0, 1, 2), -1.0, 1.0),
)


def test_text_by_hand() -> None:
    assert render("ansi", SCENE) == (
        "user 7, step 2 of 20, reward 0.250, 1.500 so far\n"
        "   1 Jazz live 0 (quality 1.50)\n"
        ">  2 Alien (Sci-Fi, Horror)\n"
        "   3 Up\n"
        "  clicked slot 2\n"
        "  interest: Sci-Fi 0.75, Jazz 0.50, Horror -1.00\n"
    )


def test_text_before_the_first_slate() -> None:
    assert render("ansi", Scene(0, 9, 4)) == (
        "step 0 of 9, reward 0.000, 0.000 so far\n  nothing shown yet\n"
    )


def test_image_is_of_the_declared_size() -> None:
    width, height = FRAME_SIZE
    image = render("rgb_array", SCENE)
    assert isinstance(image, np.ndarray)
    assert (image.shape, image.dtype) == ((height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("click", "left", "over", "words"),
    [
        (0, False, False, "clicked slot 1"),
        (-1, False, False, "nothing clicked"),
        (-1, True, True, "nothing clicked, and the user left"),
        (2, False, True, "clicked slot 3, and the episode is over"),
    ],
)
def test_answer_in_words(click: int, left: bool, over: bool, words: str) -> None:
    assert answer(click, left, over) == words
