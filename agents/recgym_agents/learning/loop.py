"""What a loop that trains an agent is, and what all of them do after an update."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from recgym.errors import RecGymError
from recgym_agents.agent import Agent, Arrays


class Loop(Protocol):
    """What trains an agent, a piece at a time, and can be stopped between two of them."""

    @property
    def agent(self) -> Agent[Any]:
        """What learns."""

    steps: int
    """Steps of the whole training."""
    steps_done: int
    updates_done: int

    def iterate(self) -> dict[str, float]:
        """Does the next piece; returns its means."""

    def state(self) -> tuple[Arrays, Any]:
        """Returns all of the loop but the agent."""

    def set_state(self, arrays: Arrays, info: Any) -> None:
        """Goes on from what ``state`` returned."""


def means(reports: Sequence[dict[str, float]]) -> dict[str, float]:
    """Returns the mean of each name over the reports that have it."""
    names = {name: None for report in reports for name in report}
    return {name: float(np.mean([r[name] for r in reports if name in r])) for name in names}


def check_finite(report: dict[str, float], update: int, step: int) -> None:
    """Stops a training that diverges.

    Raises:
        RecGymError: a number of an update's report is not finite; it is named, with the update and
            the step.
    """
    for name, value in report.items():
        if not math.isfinite(value):
            raise RecGymError(
                f"training diverged: {name} is {value} at update {update}, step {step}; lower the"
                " learning rate"
            )
