"""What every script shares: arguments from a typed function, and one-line errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from recgym.errors import RecGymError


def run(main: Callable[..., Any]) -> None:
    """Runs ``main`` with its arguments read from the command line.

    A ``RecGymError``, or an ``OSError`` such as a folder that cannot be written, is printed as one
    line on standard error, and the process exits with status 2. So is an argument, such as the name
    of a file, that is not UTF-8.
    """
    try:
        refuse_bytes(sys.argv)
        tyro.cli(main)
    except (RecGymError, OSError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def refuse_bytes(arguments: Sequence[str]) -> None:
    """Raises RecGymError if an argument is not UTF-8: it could not be written to what is made."""
    for argument in arguments:
        try:
            os.fsencode(argument).decode()
        except UnicodeDecodeError:
            text = os.fsencode(argument).decode(errors="replace")
            raise RecGymError(f"{text}: is not UTF-8; rename the file or folder") from None
