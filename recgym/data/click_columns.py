"""Which column of a log of clicks holds what, and the layout that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from recgym.errors import RecGymError, shortened

Layout = Literal["a row an impression", "a row a page", "a row a click"]


@dataclass(frozen=True)
class ClickColumns:
    """Which column of a log holds what; "" is not there."""

    user: str = ""
    item: str = ""
    time: str = ""
    shown: str = ""
    clicked: str = ""
    reward: str = ""
    session: str = ""
    split: str = ""
    page: str = ""


def named_columns(pairs: Sequence[str]) -> dict[str, str]:
    """Returns the columns by role, from texts such as "user=visitor".

    Raises:
        RecGymError: a text that is no ROLE=NAME or holds several, or a role that is named twice.
    """
    named: dict[str, str] = {}
    for pair in pairs:
        role, equals, column = pair.partition("=")
        if not (role and equals and column):
            given = shortened(repr(pair))
            raise RecGymError(f"--columns {given}: write ROLE=NAME, such as user=visitor_id")
        if any(f",{other.name}=" in column for other in fields(ClickColumns)):
            raise RecGymError(
                f"--columns {shortened(repr(pair))}: put spaces between the pairs, not commas"
            )
        if role in named:
            raise RecGymError(f"--columns: {role} is named twice, {named[role]!r} and {column!r}")
        named[role] = column
    return named


def layout_of(columns: ClickColumns, clicks_only: bool, session_gap: float | None) -> Layout:
    """Returns the layout that the named columns make.

    Args:
        columns: of the log.
        clicks_only: whether every row is a click, of which the log does not say what was shown.
        session_gap: minutes, for which there must be times and no sessions; None for none.

    Raises:
        RecGymError: they make none.
    """
    layout: Layout
    needed: tuple[str, ...]
    foreign: tuple[str, ...]
    if clicks_only:
        layout, needed, foreign = "a row a click", ("user", "item"), ("shown", "clicked", "page")
    elif columns.shown:
        layout, needed, foreign = "a row a page", ("user", "shown", "clicked"), ("item", "page")
    elif columns.clicked:
        layout, needed, foreign = "a row an impression", ("user", "item", "clicked"), ()
    else:
        raise RecGymError(
            "--columns: neither shown nor clicked is named; name what was shown and clicked (a row"
            " a page), or item and clicked (a row an impression); if every row is a click on"
            " something and nobody wrote down what was shown, add --clicks-only"
        )
    for role in needed:
        if not getattr(columns, role):
            raise RecGymError(f"--columns: {role} is not named; {layout} needs {', '.join(needed)}")
    for role in foreign:
        if getattr(columns, role):
            raise RecGymError(f"--columns: {role} has no meaning where there is {layout}")
    if layout == "a row an impression" and not (columns.page or columns.time):
        raise RecGymError(
            "--columns: name page or time, which says what rows are of one page (same user and page"
            " or time)"
        )
    if session_gap is not None:
        if not 0 < session_gap < 1e9:
            raise RecGymError(f"--session-gap {session_gap}: a gap is more than 0 minutes")
        if columns.session or not columns.time:
            why = "session says so already" if columns.session else "it needs times, name time"
            raise RecGymError(f"--session-gap: {why}")
    return layout
