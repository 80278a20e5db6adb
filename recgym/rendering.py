"""What a picture of a slate says, and that as text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FRAME_SIZE = (960, 540)
"""Width and height of every image, in pixels."""
TOLD = 5
"""So many of the things that a user likes are named in the text, the most liked first."""


class Card(NamedTuple):
    """An item in a slot."""

    slot: int
    """Counted from 0."""
    title: str
    kinds: tuple[int, ...] = ()
    """Places of the item's kinds among the scene's."""
    note: str = ""
    """What else there is to say of the item."""


class Bars(NamedTuple):
    """What the user is like now, as values by name."""

    what: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    kinds: tuple[int, ...]
    """The place of each name among the scene's kinds, -1 for none."""
    low: float
    high: float


class Scene(NamedTuple):
    """A slate that was shown, its answer, and its user afterwards."""

    step: int
    """Slates shown in this episode, this one included."""
    horizon: int
    slots: int
    """K."""
    user: str = ""
    """What is known of who it is, such as "user 7"."""
    cards: tuple[Card, ...] = ()
    """By slot, as far as they are filled."""
    click: int = -1
    """Clicked slot, -1 for none."""
    outcome: str = "nothing shown yet"
    """What happened, in words."""
    reward: float = 0.0
    so_far: float = 0.0
    """Reward of the episode until now."""
    kinds: tuple[str, ...] = ()
    """The kinds of items: genres, topics."""
    bars: Bars | None = None


def answer(click: int, left: bool, over: bool) -> str:
    """Says what a user did with a slate.

    Args:
        click: slot, -1 for none.
        left: whether the user left with it.
        over: whether the episode was over with it.
    """
    did = f"clicked slot {click + 1}" if click >= 0 else "nothing clicked"
    if left:
        return f"{did}, and the user left"
    return f"{did}, and the episode is over" if over else did


def render(mode: str, scene: Scene) -> str | np.ndarray:
    """Draws a scene.

    Args:
        mode: "ansi" or "rgb_array".
        scene: what to draw.

    Returns:
        Text, or a uint8 image (height, width, 3).
    """
    if mode == "ansi":
        return text(scene)
    from recgym.frames import image

    return image(scene)


def text(scene: Scene) -> str:
    """Returns a scene in lines of text; the clicked slot's begins with ">"."""
    user = f"{scene.user}, " if scene.user else ""
    reward = f"reward {scene.reward:.3f}, {scene.so_far:.3f} so far"
    lines = [f"{user}step {scene.step} of {scene.horizon}, {reward}"]
    for card in scene.cards:
        mark = ">" if card.slot == scene.click else " "
        kinds = [scene.kinds[kind] for kind in card.kinds if scene.kinds[kind] not in card.title]
        about = "; ".join(filter(None, [", ".join(kinds), card.note]))
        lines.append(f"{mark} {card.slot + 1:2d} {card.title}" + (f" ({about})" if about else ""))
    lines.append(f"  {scene.outcome}")
    if scene.bars is not None:
        lines.append(f"  {_told(scene.bars)}")
    return "\n".join(lines) + "\n"


def _told(bars: Bars) -> str:
    """Returns the highest bars in one line."""
    most = sorted(zip(bars.values, bars.names, strict=True), key=lambda pair: -pair[0])[:TOLD]
    return f"{bars.what}: " + ", ".join(f"{name} {value:.2f}" for value, name in most)
