"""Images of scenes: one size, the click marked, colours by kind, whatever the titles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recgym.frames import CARDS, MOST_CARDS, PANEL, image
from recgym.palette import CLICKED, CLICKED_PAPER, KINDS, WHITE, kind_colour
from recgym.rendering import FRAME_SIZE, Bars, Card, Scene


def scene(slots: int, click: int = -1, title: str = "A film", bars: bool = True) -> Scene:
    cards = tuple(Card(slot, title, (slot % 3,)) for slot in range(slots))
    values = Bars("interest", ("a", "b"), (1.0, -0.5), (0, 1), -1.0, 1.0)
    return Scene(
        step=1,
        horizon=9,
        slots=slots,
        cards=cards,
        click=click,
        outcome="clicked" if click >= 0 else "nothing clicked",
        kinds=("a", "b", "c"),
        bars=values if bars else None,
    )


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Returns which pixels are of a colour, bool (height, width)."""
    found: np.ndarray = (picture == colour).all(axis=2)
    return found


@pytest.mark.parametrize("slots", [1, 4, 10, 14])
def test_the_clicked_card_alone_is_marked_where_it_stands(slots: int) -> None:
    assert not has(image(scene(slots)), CLICKED_PAPER).any()
    places = []
    for click in range(slots):
        marked = np.argwhere(has(image(scene(slots, click)), CLICKED_PAPER))
        (top, left), (bottom, right) = marked.min(axis=0), marked.max(axis=0)
        assert CARDS.top <= top < bottom <= CARDS.bottom
        assert CARDS.left <= left < right <= CARDS.right
        places.append((left, top, right, bottom))
    for number, (left, top, right, bottom) in enumerate(places):
        for other in places[:number]:
            apart = right < other[0] or other[2] < left or bottom < other[1] or other[3] < top
            assert apart, "two cards overlap"


def test_a_click_is_told_from_no_click_by_its_heading() -> None:
    heading = slice(90, CARDS.top)
    assert has(image(scene(3, 0))[heading], CLICKED).any()
    assert not has(image(scene(3))[heading], CLICKED).any()


def test_cards_have_the_colours_of_their_kinds() -> None:
    picture = image(scene(3, bars=False))
    rows = [np.flatnonzero(has(picture, colour).any(axis=1)) for colour in KINDS[:3]]
    assert rows[0].max() < rows[1].min() < rows[1].max() < rows[2].min()
    both = scene(1, bars=False)._replace(cards=(Card(0, "A film", (0, 2)),))
    above, below = (np.flatnonzero(has(image(both), KINDS[kind])[:, 20:30]) for kind in (0, 2))
    assert above.max() < below.min()


def test_bars_go_left_below_zero_and_right_above() -> None:
    picture = image(scene(1, bars=True)._replace(cards=(), slots=0))[:, PANEL.left :]
    columns = [np.flatnonzero(has(picture, KINDS[kind]).any(axis=0)) for kind in (0, 1)]
    assert columns[1].max() <= columns[0].min() + 1
    assert len(columns[0]) == pytest.approx(2 * len(columns[1]), abs=2)


def test_without_bars_cards_take_their_place() -> None:
    assert has(image(scene(1, bars=False)), WHITE)[CARDS.top + 10, PANEL.left + 50]
    assert not has(image(scene(1, bars=True)), WHITE)[PANEL.top - 2, PANEL.left :].any()


def test_of_a_large_slate_the_clicked_card_is_drawn() -> None:
    picture = image(scene(MOST_CARDS + 30, MOST_CARDS + 20))
    assert has(picture, CLICKED_PAPER).any()
    unclicked = scene(MOST_CARDS + 30)
    renamed = unclicked._replace(cards=(*unclicked.cards[:MOST_CARDS], *scene(50).cards[20:]))
    assert (image(renamed) == image(unclicked)).all()


def test_empty_slots_are_outlined() -> None:
    empty, filled = scene(3)._replace(cards=()), scene(3)
    inside = slice(CARDS.left + 5, CARDS.right - 5)
    assert not has(image(empty)[CARDS.top : CARDS.bottom, inside], WHITE).any()
    assert has(image(filled)[CARDS.top : CARDS.bottom, inside], WHITE).any()


TITLES = st.text(max_size=60) | st.sampled_from(
    [
        "Amélie & the ☃",
        "Броненосец Потёмкин",
        "千と千尋の神隠し",
        "x" * 300,
        "",
        "two\nlines",
        "a\tb",
    ]
)


@settings(max_examples=20, deadline=None)
@given(
    title=TITLES,
    slots=st.integers(1, 25),
    user=TITLES,
    number=st.floats(-1e12, 1e12),
    kinds=st.lists(TITLES, min_size=1, max_size=12),
)
def test_whatever_it_says_its_size_is_the_same_and_text_stays_in_its_place(
    title: str, slots: int, user: str, number: float, kinds: list[str]
) -> None:
    width, height = FRAME_SIZE
    cards = tuple(Card(slot, title, (slot % len(kinds),), title) for slot in range(slots))
    same = (number,) * len(kinds)
    bars = Bars(title, tuple(kinds), same, tuple(range(len(kinds))), -1.0, 1.0)
    drawn = Scene(
        3, 9, slots, user, cards, -1, "nothing clicked", number, number, tuple(kinds), bars
    )
    picture = image(drawn)
    assert picture.shape == (height, width, 3)
    between = picture[CARDS.top : CARDS.bottom, CARDS.right + 1 : PANEL.left]
    assert len(np.unique(between.reshape(-1, 3), axis=0)) == 1, "a card's text leaves its column"
    edge = picture[PANEL.top : PANEL.bottom, PANEL.right + 1 :]
    assert len(np.unique(edge.reshape(-1, 3), axis=0)) == 1, "the panel's text leaves it"


def test_colours_are_stable_and_dark_enough_for_letters() -> None:
    assert kind_colour(0) == kind_colour(len(KINDS)) == KINDS[0]
    assert len(set(KINDS)) == len(KINDS)
    for kind in range(-1, len(KINDS)):
        red, green, blue = kind_colour(kind, dark=True)
        assert 299 * red + 587 * green + 114 * blue <= 107 * 1000
