"""The documentation's page of the commands, written from their functions and docstrings.

``python -m recgym_agents.command_docs`` writes it into docs/commands.md.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import tyro

from recgym.environment_docs import split_docstring
from recgym.files import write_text
from recgym_agents.agent_docs import help_texts
from recgym_agents.commands.command_line import COMMANDS

PAGE = Path("docs") / "commands.md"
REQUIRED = "must be given"


def page() -> str:
    """Returns the page of all commands, in Markdown."""
    lines = [
        "# Commands",
        "",
        "<!-- Written by `python -m recgym_agents.command_docs`; edit the docstrings instead. -->",
        "",
        "`--help` after a command prints what follows. A mistake is one line on standard error and",
        "exit status 2. A command that needs more than the environments says which extra it needs.",
        "",
    ]
    for name, command in COMMANDS.items():
        function = importlib.import_module(f"recgym_agents.commands.{name}").main
        lines += [f"## recgym {name}", f"{command.about[0].upper()}{command.about[1:]}.", ""]
        for title, rows in sections(function):
            lines += [f"### {title}"] * bool(title)
            lines += ["| argument | default | meaning |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def sections(function: Callable[..., Any]) -> Iterator[tuple[str, list[str]]]:
    """Yields the tables of a command's arguments: one, or one for each of its subcommands.

    Args:
        function: of the command. Its arguments are described in its docstring; those of
            subcommands are the fields of a union of dataclasses, its only argument.
    """
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    if list(parameters) == ["source"]:
        for option in get_args(get_args(hints["source"])[0]):
            kind, conf = get_args(option)
            yield f"recgym {function.__module__.rpartition('.')[2]} {conf.name}", fields(kind)
        return
    _, described = split_docstring(inspect.getdoc(function) or "")
    yield (
        "",
        [
            row(name, parameter.default, described[name], hints[name])
            for name, parameter in parameters.items()
        ],
    )


def fields(kind: type[Any]) -> list[str]:
    """Returns the rows of a subcommand's arguments."""
    helps = help_texts(kind)
    return [row(f.name, f.default, helps[f.name], f.type) for f in dataclasses.fields(kind)]


def row(name: str, default: Any, text: str, hint: Any) -> str:
    """Returns the row of an argument in a table.

    Args:
        name: of the function's parameter.
        default: its value; that of ``inspect`` or ``dataclasses`` where it has none.
        text: what it is.
        hint: its type, which says whether it is given by its place.
    """
    positional = tyro.conf.Positional in get_args(hint)[1:]
    flag = name.upper() if positional else f"--{name.replace('_', '-')}"
    if default in (inspect.Parameter.empty, dataclasses.MISSING):
        value = REQUIRED
    elif default is None or default == ():
        value = ""
    else:
        value = f"`{default if isinstance(default, str | Path) else json.dumps(default)}`"
    cells = (f"`{flag}`", value, f"{text[0].upper()}{text[1:].rstrip('.')}.")
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


if __name__ == "__main__":
    write_text(PAGE, page())
