"""``recgym NAME ..``: the commands by name, their arguments, and their errors in one line."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any


@dataclass(frozen=True)
class Command:
    """A row of ``COMMANDS``: the function ``main`` of the module of its name."""

    about: str
    """One line for the list of commands."""
    extra: str = "agents"
    """The extra that installs what it needs."""


COMMANDS = {
    "prepare": Command("turn a raw log into a prepared dataset", "data"),
    "fit": Command("fit a user model to prepared data"),
    "train": Command("train an agent, in an environment or from a log"),
    "evaluate": Command("score a trained agent, with 95% intervals"),
    "compare": Command("train and score agents over seeds, with paired tests, as one HTML report"),
    "recommend": Command("print a trained agent's slate for a history of clicks"),
    "render": Command("film an agent, or random slates, as a GIF or an MP4"),
    "report": Command("write trained agents, user model and data as one HTML file"),
    "reproduce": Command("run the experiments behind a paper's table or figure again"),
}
"""The commands; each module is imported when its command is given."""
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What NumPy and torch read as they start; their own default, every core, is slower here."""

HELP_INDENT = 10 * " "
"""Before the help of an argument that tyro says is missing."""


def main(command: str | None = None) -> None:
    """Runs a command.

    Args:
        command: its name, where all of ``sys.argv`` are its arguments; otherwise they begin with
            the name.
    """
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    words = [*([] if command is None else [command]), *sys.argv[1:]]
    if not words or words[0] in ("-h", "--help"):
        print(overview(), file=sys.stdout if words else sys.stderr)
        sys.exit(0 if words else 2)
    if words[0] == "--version":
        print("recgym", version("recgym"))
        return
    name, *arguments = words
    if name not in COMMANDS:
        fail(f"recgym {name}: no such command; there are {', '.join(COMMANDS)}")
    sys.argv = [f"recgym {name}", *arguments]
    sys.path.append(os.getcwd())  # where module:name finds a module of one's own

    from recgym.errors import RecGymError
    from recgym.extras import extra

    try:
        with extra(COMMANDS[name].extra, f"recgym {name}"):
            module = importlib.import_module(f"recgym_agents.commands.{name}")
    except RecGymError as error:
        fail(str(error))
    run(module.main)


def overview() -> str:
    """Returns what ``recgym --help`` prints."""
    width = max(map(len, COMMANDS))
    rows = [f"  {name:{width}}  {command.about}" for name, command in COMMANDS.items()]
    more = "recgym COMMAND --help tells its arguments, and recgym --version the version."
    return "\n".join(["usage: recgym COMMAND ...", "", *rows, "", more])


def run(function: Callable[..., Any]) -> None:
    """Runs ``function`` with its arguments read from the command line.

    A wrong argument, such as a file name that is not UTF-8, a ``RecGymError``, or an ``OSError``
    such as a folder that cannot be written, is printed as one line on standard error, and the
    process exits with status 2.
    """
    from recgym.errors import RecGymError

    try:
        refuse_bytes(sys.argv)
        positional, named = parsed(function)
        function(*positional, **named)
    except (RecGymError, OSError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def refuse_bytes(arguments: Sequence[str]) -> None:
    """Raises RecGymError if an argument is not UTF-8: it could not be written to what is made."""
    from recgym.errors import RecGymError

    for argument in arguments:
        try:
            os.fsencode(argument).decode()
        except UnicodeDecodeError:
            text = os.fsencode(argument).decode(errors="replace")
            raise RecGymError(f"{text}: is not UTF-8; rename the file or folder") from None


def parsed(function: Callable[..., Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Reads the arguments of a typed function from the command line.

    Raises:
        RecGymError: an argument is missing, unknown, or does not fit.
    """
    import tyro

    from recgym.errors import RecGymError

    @functools.wraps(function)
    def arguments(*positional: Any, **named: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return positional, named

    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            return tyro.cli(arguments, prog=sys.argv[0])
    except SystemExit as end:
        if not end.code:  # --help
            raise
        raise RecGymError(without_box(printed.getvalue())) from None


def without_box(text: str) -> str:
    """Returns what tyro prints of wrong arguments, boxed in a terminal of UTF-8, in one line.

    >>> without_box('''
    ... ╭─ Required options ──────╮
    ... │ Missing from train:     │
    ... │     --steps INT         │
    ... │         slates shown    │
    ... │ ─────────────────────── │
    ... │ For help, run: x --help │
    ... ╰─────────────────────────╯
    ... ''')
    'required options: Missing from train: --steps INT; For help, run: x --help'
    """
    rows = [re.sub("[╭╮╰╯│─]|-----+", " ", line).rstrip() for line in text.splitlines()]
    shown = "\n".join(row.strip() for row in rows if not row.startswith(HELP_INDENT)).strip()
    title, _, rest = shown.partition("\n")
    parts = [" ".join(part.split()) for part in rest.split("\n\n")]
    return f"{title.lower()}: {'; '.join(part for part in parts if part)}"


def fail(line: str) -> None:
    """Prints an error as one line, and exits with status 2."""
    print("error:", " ".join(line.split()), file=sys.stderr)
    sys.exit(2)
