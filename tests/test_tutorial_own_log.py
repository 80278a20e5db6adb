"""The tutorial on one's own log, from its page: every command, and a slate of known titles."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from recgym_agents.commands.command_line import main
from tests.test_docs import blocks, commands

SHORTER = {"--steps": "300", "--episodes": "20"}


def test_every_step_of_the_page_runs(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    page = repository / "docs" / "tutorial" / "own-log.md"
    shutil.copytree(page.parent, tmp_path / "docs" / "tutorial")
    monkeypatch.chdir(tmp_path)
    for _, name, *words in commands(page):
        for option, value in SHORTER.items():
            if option in words:
                words[words.index(option) + 1] = value
        monkeypatch.setattr(sys, "argv", ["recgym", name, *words])
        main()
    printed = capsys.readouterr().out
    for line in blocks(page, "text")[1].splitlines():
        assert line in printed
    (block,) = blocks(page, "python")
    exec(compile(block, page.name, "exec"), {})
    titles = (tmp_path / "docs" / "tutorial" / "articles.csv").read_text()
    for line in capsys.readouterr().out.splitlines():
        slate = line.strip("[]").split("', '")
        assert len(slate) == 5
        assert all(title.strip("'") in titles for title in slate)
    report = (tmp_path / "runs" / "magazine" / "report.html").read_text()
    assert "each by its topic" in report
