"""What RecGym raises for a mistake its user can mend."""

from __future__ import annotations


class RecGymError(ValueError):
    """One line that says what is wrong, where, and what to do about it.

    Scripts print the line and exit with status 2; no stack is shown.
    """


class UnknownArgumentError(RecGymError, TypeError):
    """An argument that there is not: a ``TypeError`` too, as Python's own for a function is.

    Libraries try an argument, and go on without it where Python's words come back. To those,
    ``gymnasium.make`` adds the arguments that were given, whose further lines are left out.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.partition("\n")[0])
