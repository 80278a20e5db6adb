"""The page of the commands says what their functions and docstrings say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from recgym_agents.command_docs import PAGE, page, sections
from recgym_agents.commands.command_line import COMMANDS


def one(
    folder: Annotated[Path, tyro.conf.Positional],
    slate_size: int,
    titles: str | None = None,
    names: tuple[str, ...] = (),
    rate: float = 0.5,
    trust: bool = False,
) -> None:
    """Does something.

    Args:
        folder: of the agent.
        slate_size: items in a slate,
            at most.
        titles: none.
        names: of users.
        rate: how fast
        trust: a|b, whether to.
    """


@dataclass(frozen=True)
class First:
    path: Path
    """the file"""
    seed: int = 0
    """of the order"""


@dataclass(frozen=True)
class Second:
    out: str = "here"
    """folder to write"""


def several(
    source: Annotated[
        Annotated[First, tyro.conf.subcommand("first")]
        | Annotated[Second, tyro.conf.subcommand("second")],
        tyro.conf.arg(name=""),
    ],
) -> None:
    """Does one of two things."""


def test_arguments_are_those_of_the_function() -> None:
    assert list(sections(one)) == [
        (
            "",
            [
                "| `FOLDER` | must be given | Of the agent. |",
                "| `--slate-size` | must be given | Items in a slate, at most. |",
                "| `--titles` |  | None. |",
                "| `--names` |  | Of users. |",
                "| `--rate` | `0.5` | How fast. |",
                "| `--trust` | `false` | A\\|b, whether to. |",
            ],
        )
    ]


def test_subcommands_have_tables_of_their_own() -> None:
    (first, rows), (second, others) = sections(several)
    assert first.endswith(" first")
    assert second.endswith(" second")
    assert rows == [
        "| `--path` | must be given | The file. |",
        "| `--seed` | `0` | Of the order. |",
    ]
    assert others == ["| `--out` | `here` | Folder to write. |"]


def test_the_written_page_is_todays(repository: Path) -> None:
    text = page()
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        f"## recgym {name}" for name in COMMANDS
    ]
    written = (repository / PAGE).read_text("utf-8")
    assert written == text, "run: python -m recgym_agents.command_docs"
