"""Curves that can be told apart: by colour, dash, and a name where each ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Those of Okabe and Ito that show on white, which colour-blind readers tell apart."""
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)))
INK, GREY = "#222222", "#666666"
LETTERS = 10
"""Points, of all that is written in figures."""
LINE = 0.085
"""Height of a line of text, as a share of the axes'."""


class End(NamedTuple):
    """Where a curve ends, for its name to stand there."""

    name: str
    height: float
    colour: str


def style(number: int) -> dict[str, Any]:
    """Returns the colour and dash of a curve, by its number; the first 35 all differ."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[number % len(DASHES)],
    }


def plain(axes: Axes) -> None:
    """Takes away the frame, and sets all letters to one size."""
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=LETTERS)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_fontsize(LETTERS)


def over_steps(axes: Axes) -> None:
    """Names the axis of environment steps, with 10k for 10,000."""
    axes.set_xlabel("environment steps")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def name_ends(axes: Axes, ends: Sequence[End]) -> None:
    """Writes the names of curves right of the axes, at the heights where they end.

    Call it when all is drawn: the limits of the axes stay as they are then.
    """
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    across = axes.get_yaxis_transform()
    ends = sorted(ends, key=lambda end: end.height)
    places = spread([end.height for end in ends], LINE * (high - low), high)
    for end, place in zip(ends, places, strict=True):
        line: dict[str, Any] = {"color": end.colour, "linewidth": 0.8, "clip_on": False}
        axes.plot([1.0, 1.03], [end.height, place], transform=across, **line)
        where: dict[str, Any] = {
            "transform": across,
            "va": "center",
            "fontsize": LETTERS,
            "color": INK,
        }
        axes.text(1.04, place, end.name, **where)


def spread(heights: Sequence[float], gap: float, top: float) -> list[float]:
    """Returns heights, ascending, moved as little upwards or down from the top as parts them.

    >>> spread([0.0, 0.5, 4.0], gap=1.0, top=4.0)
    [0.0, 1.0, 4.0]
    >>> spread([2.0, 3.8, 4.0], gap=1.0, top=4.0)
    [2.0, 3.0, 4.0]
    """
    places: list[float] = []
    for height in heights:
        places.append(max(height, places[-1] + gap) if places else height)
    ceiling = top
    for number in reversed(range(len(places))):
        places[number] = min(places[number], ceiling)
        ceiling = places[number] - gap
    return places
