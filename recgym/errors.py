"""What RecGym raises for a mistake its user can mend."""

from __future__ import annotations

SHOWN = 80
"""Characters of a value that a message shows."""


class RecGymError(ValueError):
    """One line that says what is wrong, where, and what to do about it.

    Scripts print the line and exit with status 2; no stack is shown.
    """


class UnknownArgumentError(RecGymError, TypeError):
    """An argument that there is not: a ``TypeError`` too, as Python's own for a function is.

    Libraries try an argument, and go on without it where Python's words come back. To those,
    ``gymnasium.make`` adds all arguments that were given, which are left out.
    """

    def __init__(self, message: str) -> None:
        own = message.partition(" was raised from the environment creator")[0]
        super().__init__(own)


def shortened(text: str) -> str:
    r"""Returns text for a message: on one line, and its start alone where it is long.

    >>> shortened("ids\n" * 40)
    'ids ids ids ids ids ids ids ids ids ids ids ids ids ids ids ids ids ids ids ids... (159 characters)'
    """  # noqa: E501
    line = " ".join(text.split())
    if len(line) <= SHOWN:
        return line
    return f"{line[:SHOWN].rstrip()}... ({len(line):,} characters)"
