"""What user models share that remember what was clicked, and nothing else."""

from __future__ import annotations

from typing import Literal

from recgym.arrays import Array, remember
from recgym.users.gan import Params, State


class OfClicks:
    """What a configuration says whose user may click nothing; part of ``UserConfig``."""

    no_click: bool

    @property
    def outside(self) -> Literal["no_click"] | None:
        """What a user may do instead of clicking."""
        return "no_click" if self.no_click else None

    @property
    def draws_rewards(self) -> bool:
        """Whether a click's reward in simulation is drawn: it is the item's utility, if any."""
        return False

    @property
    def reads_sequences(self) -> bool:
        """Whether fitting runs over whole sequences: the state is the last clicks."""
        return False


def initial(config: OfClicks, tables: Params, history: Array) -> State:
    """Returns the state of users who clicked ``history`` (B, W >= window), padded with N."""
    return {"history": history}


def advance(config: OfClicks, tables: Params, state: State, item: Array) -> State:
    """Returns the state after the users clicked ``item`` (B,); -1 leaves a row as it was."""
    return {"history": remember(state["history"], item)}
