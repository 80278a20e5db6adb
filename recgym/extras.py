"""What an installation without the optional packages says of them, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from recgym.errors import RecGymError


@contextmanager
def extra(name: str, whose: str) -> Iterator[None]:
    """Within it, an optional package that is not installed is an error of one line.

    Args:
        name: of the extra that installs what is needed, such as "agents".
        whose: who needs it, such as "recgym train".

    Raises:
        RecGymError: a package is missing; it is named, and the extra.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "recgym", "recgym_agents"):
            raise
        raise RecGymError(f'{whose}: needs {package}: pip install "recgym[{name}]"') from None
