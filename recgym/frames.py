"""Images of scenes, all of one size (need Pillow)."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from recgym.lettering import Box, chip, cut, fit, font, line_height, write
from recgym.palette import (
    AXIS,
    CLICKED,
    CLICKED_PAPER,
    EDGE,
    HEAD,
    HEAD_MUTED,
    INK,
    MUTED,
    PAPER,
    WHITE,
    kind_colour,
)
from recgym.rendering import FRAME_SIZE, Bars, Card, Scene

WIDTH, HEIGHT = FRAME_SIZE
MARGIN, GAP, HEAD_HEIGHT = 20, 10, 84
CARDS = Box(MARGIN, 140, 610, HEIGHT - MARGIN)
PANEL = Box(630, HEAD_HEIGHT + 16, WIDTH - MARGIN, HEIGHT - MARGIN)
MOST_CARDS = 20
"""Of larger slates the first slots are drawn, and the clicked one."""
CARDS_A_COLUMN = 5
NARROW, ROOMY, TALL = 220, 400, 80
"""Where a card's text is wider than that, its number is beside it; so is the word "clicked"; and
where it is higher, it is larger."""


def image(scene: Scene) -> np.ndarray:
    """Returns a scene as a uint8 image (height, width, 3) of ``FRAME_SIZE``."""
    picture = Image.new("RGB", FRAME_SIZE, PAPER)
    draw = ImageDraw.Draw(picture)
    right = CARDS.right if scene.bars else WIDTH - MARGIN
    _head(draw, scene)
    _outcome(draw, scene, right)
    cards = {card.slot: card for card in scene.cards}
    slots = _drawn(scene)
    for slot, box in zip(slots, _grid(len(slots), CARDS._replace(right=right)), strict=True):
        if slot in cards:
            _card(draw, cards[slot], box, scene)
        else:
            draw.rectangle(box, outline=EDGE)
    if scene.bars:
        _panel(draw, scene.bars)
    return np.array(picture)


def _head(draw: ImageDraw.ImageDraw, scene: Scene) -> None:
    """Draws the band on top: who and when on the left, the reward on the right."""
    draw.rectangle((0, 0, WIDTH, HEAD_HEIGHT), fill=HEAD)
    step = f"step {scene.step} of {scene.horizon:,}"
    who = f"{scene.user}  ·  {step}" if scene.user else step
    letters = cut(who, 500, 32)
    draw.text((MARGIN, HEAD_HEIGHT // 2), letters.lines[0], WHITE, letters.font, "lm")
    columns = ((WIDTH - MARGIN, "so far", scene.so_far), (WIDTH - 210, "reward", scene.reward))
    for right, name, value in columns:
        draw.text((right, 20), name, HEAD_MUTED, font(22), "rm")
        letters = fit(f"{value:,.2f}", 170, HEAD_HEIGHT // 2, 40)
        draw.text((right, 56), letters.lines[0], WHITE, letters.font, "rm")


def _outcome(draw: ImageDraw.ImageDraw, scene: Scene, right: int) -> None:
    """Draws the line that says what happened."""
    text = scene.outcome[0].upper() + scene.outcome[1:]
    if scene.slots > MOST_CARDS:
        text += f" ({MOST_CARDS} of {scene.slots} slots drawn)"
    letters = cut(text, right - MARGIN, 28)
    colour = CLICKED if scene.click >= 0 else INK
    middle = (HEAD_HEIGHT + CARDS.top) // 2
    draw.text((MARGIN, middle), letters.lines[0], colour, letters.font, "lm")


def _drawn(scene: Scene) -> list[int]:
    """Returns the slots that there is room for; the clicked one takes the last place if need be."""
    slots = list(range(min(scene.slots, MOST_CARDS)))
    return slots if scene.click < MOST_CARDS else [*slots[:-1], scene.click]


def _grid(count: int, area: Box) -> list[Box]:
    """Returns the places of cards, row by row in as few columns as will do."""
    columns = max(-(-count // CARDS_A_COLUMN), 1)
    rows = max(-(-count // columns), 3)
    width = (area.right - area.left + GAP) / columns
    height = (area.bottom - area.top + GAP) / rows
    boxes = []
    for place in range(count):
        left = round(area.left + place % columns * width)
        top = round(area.top + place // columns * height)
        boxes.append(Box(left, top, round(left + width) - GAP, round(top + height) - GAP))
    return boxes


def _card(draw: ImageDraw.ImageDraw, card: Card, box: Box, scene: Scene) -> None:
    """Draws an item in its slot: a stripe of its kinds' colours, its number, title, and kinds."""
    clicked = card.slot == scene.click
    draw.rectangle(
        box,
        fill=CLICKED_PAPER if clicked else WHITE,
        outline=CLICKED if clicked else EDGE,
        width=5 if clicked else 1,
    )
    inner = box.smaller(5) if clicked else box
    stripes = card.kinds or (-1,)
    for place, kind in enumerate(stripes):
        top = inner.top + (inner.bottom - inner.top) * place // len(stripes)
        draw.rectangle((inner.left, top, box.left + 14, inner.bottom), fill=kind_colour(kind))
    inside = Box(box.left + 24, box.top + 8, box.right - 12, box.bottom - 8)
    number, title = str(card.slot + 1), card.title
    if inside.right - inside.left > NARROW:
        _number(draw, number, (inside.left + 19, (box.top + box.bottom) // 2), clicked)
        inside = inside._replace(left=inside.left + 50)
    else:
        title = f"{number}  {title}"
    if clicked and inside.right - inside.left > ROOMY:
        left = chip(draw, "clicked", inside.right, (box.top + box.bottom) // 2, CLICKED, 24)
        inside = inside._replace(right=left - GAP)
    _texts(draw, card, title, inside, scene)


def _number(draw: ImageDraw.ImageDraw, number: str, centre: tuple[int, int], clicked: bool) -> None:
    """Writes the number of a slot, in a disc where it was clicked."""
    if clicked:
        draw.circle(centre, 20, fill=CLICKED)
    draw.text(centre, number, WHITE if clicked else MUTED, font(26), "mm")


def _texts(draw: ImageDraw.ImageDraw, card: Card, title: str, box: Box, scene: Scene) -> None:
    """Writes a card's title, and under it its kinds, where the title does not say it, and note."""
    parts = [
        (scene.kinds[kind], kind_colour(kind, dark=True))
        for kind in card.kinds
        if scene.kinds[kind] not in title
    ]
    parts += [(card.note, MUTED)] if card.note else []
    height = box.bottom - box.top
    size, largest = (22, 34) if height > TALL else (18, 26)
    below = round(1.3 * size) if parts else 0
    letters = fit(title, box.right - box.left, height - below, largest)
    if letters.font.size < size:  # the stripe says the kinds, too
        below = 0
        letters = fit(title, box.right - box.left, height, size)
    used = round(line_height(letters) * len(letters.lines))
    top = box.top + (height - below - used) // 2
    write(draw, letters, box._replace(top=top, bottom=top + used), INK)
    x = box.left
    for text, colour in parts if below else []:
        letters = cut(text, box.right - x, size)
        draw.text((x, top + used + below // 2), letters.lines[0], colour, letters.font, "lm")
        x += int(letters.font.getlength(letters.lines[0])) + 14
        if box.right - x < 3 * size:
            return


def _panel(draw: ImageDraw.ImageDraw, bars: Bars) -> None:
    """Draws the bars of what the user is like now."""
    draw.rectangle(PANEL, fill=WHITE, outline=EDGE)
    left, right = PANEL.left + 14, PANEL.right - 14
    draw.text((left, PANEL.top + 24), "The user now", INK, font(26), "lm")
    what = fit(bars.what, right - left, 44, 18)
    write(draw, what, Box(left, PANEL.top + 44, right, PANEL.top + 88), MUTED)
    top = PANEL.top + 98
    height = min((PANEL.bottom - 10 - top) / len(bars.names), 40)
    size = int(min(height * 0.8, 20))
    axis_left, axis_right = left + 124, right - 52
    scale = (axis_right - axis_left) / (bars.high - bars.low)
    zero = axis_left - min(bars.low, 0.0) * scale
    for row, name in enumerate(bars.names):
        value, middle, half = bars.values[row], top + height * (row + 0.5), height * 0.34
        letters = cut(name, 118, size)
        draw.text((left, middle), letters.lines[0], INK, letters.font, "lm")
        draw.rectangle((axis_left, middle - half, axis_right, middle + half), fill=PAPER)
        end = min(max(zero + value * scale, axis_left), axis_right)
        ends = (min(zero, end), middle - half, max(zero, end), middle + half)
        draw.rectangle(ends, fill=kind_colour(bars.kinds[row]))
        number = f"{value:.2f}" if abs(value) < 100 else f"{value:.0e}"
        draw.text((right, middle), number, INK, font(size), "rm")
    draw.line((zero, top, zero, top + height * len(bars.names)), fill=AXIS)
