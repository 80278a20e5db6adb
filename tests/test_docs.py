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

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


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
    lines += re.findall(r"^    ((?:python scripts/|make ).*)$", text, re.MULTILINE)
    lines += re.findall(r"`((?:python scripts/|make )[^`\n]+)`", text)
    for line in lines:
        if words := shlex.split(line, comments=True):
            yield words


def help_of(script: str, subcommand: list[str]) -> str:
    """Returns what a script prints for --help."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
        tyro.cli(importlib.import_module(script).main, args=[*subcommand, "--help"])
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
        elif words[0].endswith("python") and words[1].startswith("scripts/"):
            script = Path(words[1]).stem
            text = help_of(script, words[2:3] if script == "prepare" else [])
            for option in (word for word in words[2:] if word.startswith("--")):
                assert re.search(rf"{option}\b", text), words
