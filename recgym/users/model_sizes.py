"""How large a user model may be: what is far beyond any log is a slip of the keyboard."""

from __future__ import annotations

import math
from collections.abc import Mapping

from recgym.errors import RecGymError

MOST_LAYERS = 64
WIDTH = (1, 8_192)
"""Of a layer."""
FEATURES = (1, 4_096)
"""Numbers that show an item, of which there are as many vectors as items."""
WINDOW = (1, 1_000)
"""Clicked items that are remembered, for each page of the log."""
MOST_PARAMETERS = 100_000_000
"""Of a member; IRecGAN's network has 4 million at the size of its paper."""


def check_parameters(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises RecGymError if arrays of these shapes have more than ``MOST_PARAMETERS`` numbers."""
    count = sum(math.prod(shape) for shape in shapes.values())
    if count > MOST_PARAMETERS:
        raise RecGymError(
            f"a user model of {count:,} parameters is too large: {MOST_PARAMETERS:,} at most;"
            " choose fewer layers or units"
        )
