"""The one exception that RecGym raises for a mistake its user can mend."""

from __future__ import annotations


class RecGymError(ValueError):
    """One line that says what is wrong, where, and what to do about it.

    Scripts print the line and exit with status 2; no stack is shown.
    """
