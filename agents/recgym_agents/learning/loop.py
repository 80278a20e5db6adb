"""What a loop that trains an agent is, and how one is set."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from recgym.envs import SlateVectorEnv
from recgym.errors import RecGymError
from recgym_agents.checkpointing import Checkpointed
from recgym_agents.learning.episodes import EpisodeLog
from recgym_agents.protocols import Agent


class Loop(Checkpointed, ABC):
    """Trains an agent a piece at a time, and can be stopped between two of them.

    Args:
        agent: what learns.
        steps: of the whole training.
    """

    kept: ClassVar[tuple[str, ...]] = ("steps_done", "updates_done")

    def __init__(self, agent: Agent[Any], steps: int) -> None:
        self.agent, self.steps = agent, steps
        self.steps_done, self.updates_done = 0, 0

    @abstractmethod
    def iterate(self) -> dict[str, float]:
        """Does the next piece; returns its means.

        Raises:
            RecGymError: a loss is no longer a finite number.
        """

    def check_held_out(self, held_out: EpisodeLog) -> None:
        """Checks that logged episodes can be scored, before anything is learned.

        Raises:
            RecGymError: they cannot; it says what they lack.
        """

    def score(self, held_out: EpisodeLog) -> float:
        """Returns the agent's mean score of logged episodes that it does not learn from.

        Raises:
            RecGymError: the loop plays in an environment, where policies are validated instead.
        """
        raise RecGymError("validate in the environment: this loop learns from no log alone")

    def update(self, batch: Any) -> dict[str, float]:
        """Updates the agent once, and stops a training that diverges."""
        report = self.agent.update(batch)
        self.updates_done += 1
        check_finite(report, self.updates_done, self.steps_done)
        return report


class Schedule(Protocol):
    """The configuration of a loop: how an agent learns, and from what."""

    @property
    def num_envs(self) -> int:
        """Rows of the vector environment that the loop steps."""

    @property
    def patience(self) -> int:
        """Reports in a row without a better validation that end the training; 0 never ends it."""

    @property
    def log_use(self) -> Literal["never", "not now", "may", "must"]:
        """Whether it learns from a log; one that must needs no environment."""

    @property
    def needs_propensities(self) -> bool:
        """Whether the log must say how likely it was to show what it showed."""

    @property
    def needs_slates(self) -> bool:
        """Whether the log must say what was shown."""

    def acts(self, steps: int) -> float:
        """Returns how many observations the agent acts on in a training of so many steps."""

    def loop(
        self,
        agent: Any,
        env: SlateVectorEnv | None,
        steps: int,
        seeds: Sequence[int],
        log: EpisodeLog | None,
    ) -> Loop:
        """Returns the loop.

        Args:
            agent: what acts and learns.
            env: made with ``autoreset_mode="disabled"``; None only if a log must be learned from.
            steps: of the whole training.
            seeds: of what is drawn from memory, and of the environment.
            log: episodes to learn from, if any.
        """


LOG_USE: dict[str, Literal["not now", "may", "must"]] = {
    "online": "not now",
    "online-offline": "may",
    "offline": "must",
}
"""When it learns -> whether it does so from a log."""


class PlaysOnly:
    """What a ``Schedule`` says that steps an environment to the end, and reads no log."""

    @property
    def patience(self) -> int:
        """0: it goes on to its end."""
        return 0

    @property
    def log_use(self) -> Literal["never"]:
        """It learns from no log."""
        return "never"

    @property
    def needs_propensities(self) -> bool:
        """It reads no log."""
        return False

    @property
    def needs_slates(self) -> bool:
        """It reads no log."""
        return False


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
