"""The README and the guide tell the truth: code runs, links lead somewhere, commands exist."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import tyro

from recgym_agents.commands.command_line import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
GENERATED = re.compile(
    r"^<!-- Written by|^Made by `|^    (python scripts/reproduce.py|recgym reproduce) ",
    re.MULTILINE,
)
"""What a page says that a command writes."""
WRITTEN = [page for page in PAGES if not GENERATED.search(page.read_text("utf-8"))]
LONGEST = 120
"""Characters in a line of prose."""


def blocks(page: Path, language: str) -> list[str]:
    """Returns the fenced blocks of one language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(page: Path) -> Iterator[list[str]]:
    """Yields the commands of shell blocks, of indented lines, and of code within a line.

    Continued lines are joined, comments dropped.
    """
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [
        line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()
    ]
    lines += re.findall(r"^    ((?:python scripts/|recgym |make ).*)$", text, re.MULTILINE)
    lines += re.findall(r"`((?:python scripts/|recgym |make )[^`\n]+)`", text)
    for line in lines:
        if words := shlex.split(line, comments=True):
            yield words


def help_of(script: str, subcommand: list[str]) -> str:
    """Returns what a command, or another script, prints for --help."""
    module = f"recgym_agents.commands.{script}" if script in COMMANDS else script
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
        tyro.cli(importlib.import_module(module).main, args=[*subcommand, "--help"])
    return printed.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, heading = link.partition("#")
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{page.name}: {link}"
        if heading:
            titles = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in slugs, f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    for number, block in enumerate(blocks(page, "python")):
        if re.search(r"\bmy_\w", block):  # a module of the reader's: test_docs_tutorial runs it
            continue
        tree = ast.parse(block)
        if re.search(r"\b(runs|data)/", block):  # reads what commands must have made first
            tree.body = [
                line for line in tree.body if isinstance(line, ast.Import | ast.ImportFrom)
            ]
        exec(compile(tree, f"{page.name}, block {number}", "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_and_their_options_exist(page: Path) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for words in commands(page):
        if words[0] == "make":
            assert words[1] in targets, words
        elif words[0] == "recgym" or words[1:2] and words[1].startswith("scripts/"):
            script = Path(words[1]).stem
            text = help_of(script, words[2:3] if script == "prepare" else [])
            for option in (word for word in words[2:] if word.startswith("--")):
                assert re.search(rf"{option}\b", text), words


def prose(text: str) -> Iterator[str]:
    """Yields the lines of a page but for code, tables, pictures and headings."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for line in text.splitlines():
        if not line.startswith(("|", "    ", "![", "#", "<!--")):
            yield line


def test_tables_and_code_are_no_prose() -> None:
    page = "# Title\n\nText\n\n```sh\nmake\n```\n| a |\n    code\n- item\n"
    assert [line for line in prose(page) if line] == ["Text", "- item"]


@pytest.mark.parametrize("page", WRITTEN, ids=[str(page.relative_to(ROOT)) for page in WRITTEN])
def test_lines_of_prose_are_short(page: Path) -> None:
    long = [line for line in prose(page.read_text("utf-8")) if len(line) > LONGEST]
    assert not long, f"{page.name}: {len(long)} lines, the first: {long[0][:60]}.."


def test_every_page_has_a_place_in_the_sidebar() -> None:
    shelves = ROOT / "docs" / "index.md"
    linked = re.findall(r"^- \[[^]]*\]\(([^)#]+\.md)\)", shelves.read_text("utf-8"), re.MULTILINE)
    listed = {(shelves.parent / link).resolve() for link in linked}
    nested = ("environments", "agents", "results")
    for page in PAGES:
        if page.parent.name not in nested and page.name not in ("README.md", "index.md"):
            assert page in listed, f"docs/index.md: no link to {page.relative_to(ROOT)}"
