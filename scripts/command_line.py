"""What every script shares: arguments from a typed function, and one-line errors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import tyro

from recgym.errors import RecGymError


def run(main: Callable[..., Any]) -> None:
    """Runs ``main`` with its arguments read from the command line.

    A ``RecGymError``, or an ``OSError`` such as a folder that cannot be written, is printed as one
    line on standard error, and the process exits with status 2.
    """
    try:
        tyro.cli(main)
    except (RecGymError, OSError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
