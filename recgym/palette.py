"""The colours of frames."""

from __future__ import annotations

Colour = tuple[int, int, int]

PAPER, WHITE, EDGE = (241, 244, 247), (255, 255, 255), (206, 213, 221)
HEAD, INK, MUTED, AXIS = (27, 38, 54), (27, 38, 54), (120, 132, 148), (90, 100, 115)
CLICKED, CLICKED_PAPER = (11, 128, 67), (222, 244, 230)
HEAD_MUTED = (176, 188, 204)
NO_KIND = (150, 160, 172)
KINDS: tuple[Colour, ...] = (
    (31, 119, 180), (255, 127, 14), (148, 103, 189), (214, 39, 40), (23, 190, 207), (140, 86, 75),
    (227, 119, 194), (188, 160, 20), (60, 70, 200), (90, 170, 60), (240, 160, 120), (0, 128, 128),
    (180, 40, 110), (110, 190, 240), (120, 110, 30), (200, 150, 230), (90, 60, 120), (250, 190, 40),
    (100, 130, 150), (160, 30, 30),
)  # fmt: skip
"""One for each kind of item, by its place; more kinds begin again."""


def kind_colour(kind: int, *, dark: bool = False) -> Colour:
    """Returns a kind's colour, the same in every frame.

    Args:
        kind: its place among the kinds, -1 for none.
        dark: dark enough for letters on white.
    """
    red, green, blue = NO_KIND if kind < 0 else KINDS[kind % len(KINDS)]
    if not dark:
        return red, green, blue
    light = (299 * red + 587 * green + 114 * blue) / 1000
    share = min(1.0, 105 / light)
    return round(red * share), round(green * share), round(blue * share)
