"""The agents' pages and the table of agents say what the rows, docstrings and settings say."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import pytest

from recgym import ENVIRONMENTS
from recgym_agents import agent_docs
from recgym_agents.agent_docs import (
    BEGIN,
    END,
    help_texts,
    page,
    settings_table,
    with_environments,
    with_table,
)
from recgym_agents.zoo import AGENTS


@dataclass(frozen=True)
class Base:
    rate: float = 0.5
    """How fast."""
    steps: int = 3
    """How long,
    in slates."""


@dataclass(frozen=True)
class Own(Base):
    kind: Literal["a", "b"] = "b"
    """Which ``kind``."""
    rate: float = 0.25
    """How fast, here."""
    sizes: tuple[int, ...] = (64, 32)
    """Of each layer."""
    extra: bool | None = None
    """Whether."""


def test_help_is_the_string_under_a_field_the_classs_own_before_its_bases() -> None:
    assert help_texts(Base) == {"rate": "How fast.", "steps": "How long, in slates."}
    assert help_texts(Own) == {
        "rate": "How fast, here.",
        "steps": "How long, in slates.",
        "kind": "Which `kind`.",
        "sizes": "Of each layer.",
        "extra": "Whether.",
    }


def test_settings_are_written_as_commands_take_them() -> None:
    assert settings_table(Own(steps=7)) == [
        "| setting | default | meaning |",
        "|---|---|---|",
        "| `rate` | `0.25` | How fast, here. |",
        "| `steps` | `7` | How long, in slates. |",
        "| `kind` | `b` | Which `kind`. One of `a`, `b`. |",
        "| `sizes` | `[64, 32]` | Of each layer. |",
        "| `extra` | `null` | Whether. |",
    ]


def test_the_table_is_made_anew_and_what_is_around_it_stays() -> None:
    once = with_table(f"above\n{BEGIN}stale\n{END}\nbelow\n", "pages")
    assert once.startswith(f"above\n{BEGIN}\n| agent |")
    assert once.endswith(f"|\n\n{END}\nbelow\n")
    assert "stale" not in once
    assert with_table(once, "pages") == once
    assert [line.split("|")[1].strip() for line in once.splitlines() if line.startswith("| [")] == [
        f"[{name}](pages/{name}.md)" for name in AGENTS
    ]


@pytest.mark.parametrize("name", list(AGENTS))
def test_a_page_says_what_its_agent_is(name: str, repository: Path) -> None:
    text, entry = page(name), AGENTS.find(name)
    for config in [entry.config] + [entry.loop] * (entry.loop is not None):
        for field in fields(config):
            assert f"\n| `{field.name}` | `" in text
    references = text.partition("## References\n")[2].partition("\n\n")[0]
    assert len(references) > 20
    written = repository / agent_docs.FOLDER / f"{name}.md"
    assert written.read_text("utf-8") == text, "run: python -m recgym_agents.agent_docs"


def test_a_variant_names_the_agent_that_it_varies() -> None:
    assert "It is [reinforce](reinforce.md) with `importance=true`." in page("reinforce-is")
    assert "with `importance=true`, `top_k=true`, `hidden=128`" in page("reinforce-top-k")
    assert "with `log_probability=slate`, `advantage=centred`." in page("reinforce-slate")
    assert "It is [" not in page("reinforce")


def test_every_page_is_of_an_agent(repository: Path) -> None:
    pages = {path.stem for path in (repository / agent_docs.FOLDER).glob("*.md")}
    assert pages == set(AGENTS)


@pytest.mark.parametrize("path", agent_docs.TABLES, ids=str)
def test_the_written_table_is_todays(path: Path, repository: Path) -> None:
    text = (repository / path).read_text("utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert text == with_table(text, agent_docs.TABLES[path]), (
        "run: python -m recgym_agents.agent_docs"
    )


def test_who_acts_where_is_written_as_it_is_today(repository: Path) -> None:
    text = (repository / "docs" / "agents.md").read_text("utf-8")
    assert text == with_environments(text, list(ENVIRONMENTS)), (
        "run: python -m recgym_agents.agent_docs"
    )
    rows = [line for line in text.splitlines() if line.startswith("| user-greedy |")]
    assert rows == ["| user-greedy | yes | yes |  |  |  |  |  |  |  |"]
