"""Pictures of a slate and of what its user did with it: text, and that text as an image."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recgym.errors import RecGymError

Titles = Callable[[int], str]
"""What an item id is called."""

PAPER, INK, MARKED = (255, 255, 255), (40, 40, 40), (255, 214, 102)
"""Colours of the image: background, text, and the clicked slot's background."""
WIDTH = 40
"""Characters in a line of the image; longer titles are cut."""
SCALE = 3
"""Pixels across one dot of a glyph."""

CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-.,:'()!?/&+> "
GLYPHS = (  # five rows of three dots for each character, each row an octal digit
    "75557262277174771717557117471774757711117575775717257556565634443655567464774644"
    "34553557557222711152556554444757755655552555265644255636565534216722225555755552"
    "55775552555522271247007000000200024020202200012221422242220271202112442525602720"
    "4212400000"
)


class Page(NamedTuple):
    """A slate that was shown, and its answer."""

    step: int
    """Slates shown in this episode, this one included."""
    user: int | None
    slate: Sequence[int]
    """Item ids by slot; none before the first slate, -1 where nothing was shown."""
    click: int
    """Clicked slot, -1 for none."""
    reward: float


def load_titles(folder: str | None, n_items: int) -> Titles:
    """Returns the items' titles and genres in a prepared dataset, or "item 12" where it has none.

    Args:
        folder: the dataset's folder; None for no titles.
        n_items: items that the dataset must have.

    Raises:
        RecGymError: no such dataset, or one of other items.
    """
    if folder is None:
        return "item {}".format
    from recgym.data.catalog import Catalog

    catalog = Catalog.load(Path(folder) / "catalog.parquet")
    if catalog.n_items != n_items:
        raise RecGymError(
            f"titles={folder!r}: a dataset of {catalog.n_items} items cannot name this world's"
            f" {n_items}; give the folder that the user model was fitted on"
        )
    genres = catalog.groups("genre:")

    def title(item: int) -> str:
        name = f"item {item}" if catalog.title is None else catalog.title[item]
        own = [genre for genre, members in genres.items() if members[item]]
        return f"{name} ({', '.join(own)})" if own else name

    return title


def render(mode: str, page: Page, titles: Titles) -> str | np.ndarray:
    """Draws a page.

    Args:
        mode: "ansi" or "rgb_array".
        page: what to draw.
        titles: how items are called.

    Returns:
        Text, or a uint8 image (height, width, 3).
    """
    lines = _lines(page, titles)
    return "\n".join(lines) + "\n" if mode == "ansi" else _image(lines)


def _lines(page: Page, titles: Titles) -> list[str]:
    """Returns a heading, and a line a slot; the clicked slot's begins with ">"."""
    user = "" if page.user is None else f"user {page.user}  "
    heading = f"{user}step {page.step}  reward {page.reward:.3f}"
    slots = [
        f"{'>' if slot == page.click else ' '} {slot + 1:2d} {titles(item)}"
        for slot, item in enumerate(page.slate)
        if item >= 0
    ]
    return [heading, *slots, "" if page.click >= 0 or not slots else "  nothing clicked"]


def _image(lines: list[str]) -> np.ndarray:
    height = 7 * SCALE
    image = np.full((height * len(lines), (4 * WIDTH + 2) * SCALE, 3), PAPER, np.uint8)
    for number, line in enumerate(lines):
        band = image[number * height : (number + 1) * height]
        if line.startswith(">"):
            band[:] = MARKED
        dots = _dots(line[:WIDTH])
        band[SCALE:-SCALE, SCALE : SCALE + dots.shape[1]][dots] = INK
    return image


def _dots(line: str) -> np.ndarray:
    """Returns a line of text as a bool picture (5 * SCALE, 4 * SCALE * characters)."""
    plain = unicodedata.normalize("NFKD", line).encode("ascii", "ignore").decode().upper()
    known = [CHARACTERS.index(character if character in CHARACTERS else "?") for character in plain]
    rows = np.array(list(GLYPHS), np.uint8).reshape(-1, 5)[known]
    bits = (rows[:, :, None] >> np.array([2, 1, 0])) & 1
    bits = np.concatenate([bits, np.zeros_like(bits[:, :, :1])], axis=2)
    picture = bits.transpose(1, 0, 2).reshape(5, -1).astype(bool)
    return picture.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
