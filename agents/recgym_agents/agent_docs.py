"""The documentation's page of each agent, written from its row, its docstring and its settings.

``python -m recgym_agents.agent_docs`` writes them into docs/agents, and the table of all agents
between its two marks in README.md and docs/agents.md; there, too, which agents act where.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from recgym import ENVIRONMENTS
from recgym.files import write_text
from recgym_agents.runs.compatibility import why_not
from recgym_agents.zoo import AGENTS, Entry

FOLDER = Path("docs") / "agents"
TABLES = {Path("README.md"): "docs/agents", Path("docs") / "agents.md": "agents"}
"""The files that have the table of all agents -> where the pages of the agents lie from there."""
BEGIN = "<!-- The table of agents: written by `python -m recgym_agents.agent_docs` -->\n"
END = "<!-- End of the table of agents -->"
BEGIN_PAIRS = BEGIN.replace("table of agents", "table of environments")
END_PAIRS = END.replace("table of agents", "table of environments")


def page(name: str) -> str:
    """Returns the page of an agent, in Markdown."""
    entry = AGENTS.find(name)
    builder = getattr(entry.builder, "__self__", entry.builder)
    text, references = _split(inspect.getdoc(builder) or "")
    lines = [
        f"# {name}",
        "",
        "<!-- Written by `python -m recgym_agents.agent_docs`; edit the docstrings instead. -->",
        "",
        f"{entry.about[0].upper()}{entry.about[1:]}.",
        "",
        "```sh",
        *_commands(name, entry),
        "```",
        "",
        "## How it works",
        text,
        "",
        *_variant(name, entry),
        "## Environments",
        *_environments(name),
        "",
        "## Settings",
        "What `--agent-args NAME=VALUE ..` changes:",
        "",
        *settings_table(entry.config),
        "",
        "## Training loop",
        *_loop(entry),
        "",
        "## References",
        references,
        "",
        "All agents, and how they are trained and evaluated: [agents](../agents.md).",
        "",
    ]
    return "\n".join(lines)


def _commands(name: str, entry: Entry) -> list[str]:
    """Returns how an agent is trained and used: in an environment, or from a log alone."""
    if entry.schedule.log_use == "must":
        return [
            f"recgym train --log data/yoochoose --agent {name} --env-args slate_size=10 window=20"
            f" --steps 1000000 --seed 0 --out runs/{name}",
            f"recgym recommend runs/{name} 4 9",
        ]
    return [
        f"recgym train --env RecGAN-v0 --agent {name} --steps 30000 --seed 0 --out runs/{name}",
        f"recgym evaluate runs/{name} --split test --episodes 1000",
    ]


def with_table(text: str, folder: str) -> str:
    """Returns a text with the table of all agents between its two marks made anew.

    Args:
        text: in Markdown; has both marks, ``BEGIN`` and ``END``.
        folder: where the pages of the agents lie, as the text's links say it.
    """
    rows = ["| agent | what it does | learns from |", "|---|---|---|"]
    for name in AGENTS:
        entry = AGENTS.find(name)
        rows.append(f"| [{name}]({folder}/{name}.md) | {entry.about} | {_teacher(entry)} |")
    return _between(text, BEGIN, END, rows)


def with_environments(text: str, environments: Sequence[str]) -> str:
    """Returns a text with the table of who acts where between its two marks made anew.

    Args:
        text: in Markdown; has both marks, ``BEGIN_PAIRS`` and ``END_PAIRS``.
        environments: the ids of the columns.
    """
    rows = [f"| agent | {' | '.join(environments)} |", f"|---|{'---|' * len(environments)}"]
    for name in AGENTS:
        acts = ("" if why_not(name, env) else "yes" for env in environments)
        rows.append(f"| {name} | {' | '.join(acts)} |")
    return _between(text, BEGIN_PAIRS, END_PAIRS, rows)


def _between(text: str, begin: str, end: str, lines: Sequence[str]) -> str:
    """Returns a text with other lines between two marks."""
    before, _, rest = text.partition(begin)
    return before + begin + "\n" + "\n".join(lines) + "\n\n" + end + rest.partition(end)[2]


def settings_table(config: Any) -> list[str]:
    """Returns the fields of a dataclass as a table in Markdown: names, values, help texts."""
    hints, helps = get_type_hints(type(config)), help_texts(type(config))
    rows = []
    for field in dataclasses.fields(config):
        text, value = helps[field.name], _text(getattr(config, field.name))
        if get_origin(hints[field.name]) is Literal:
            options = ", ".join(f"`{option}`" for option in get_args(hints[field.name]))
            text += f" One of {options}."
        rows.append(f"| `{field.name}` | `{value}` | {text} |")
    return ["| setting | default | meaning |", "|---|---|---|", *rows]


def help_texts(config: type[Any]) -> dict[str, str]:
    """Returns the string under each field of a dataclass, by the field's name.

    A class's own text of a field goes before that of the class it comes from.
    """
    found: dict[str, str] = {}
    for part in reversed(config.__mro__):
        if not dataclasses.is_dataclass(part):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(part))).body
        assert isinstance(definition, ast.ClassDef)
        field = ""
        for statement in definition.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                field = statement.target.id
            elif field and isinstance(statement, ast.Expr):
                found[field] = inspect.cleandoc(ast.literal_eval(statement.value))
                found[field] = found[field].replace("\n", " ").replace("``", "`")
                field = ""
    return found


def _variant(name: str, entry: Entry) -> list[str]:
    """Returns a sentence that says of which agent this is a variant, if it is one."""
    for other in AGENTS:
        first = AGENTS.find(other)
        if other == name:
            return []
        if first.builder == entry.builder and type(first.config) is type(entry.config):
            changes = [
                f"`{field.name}={_text(value)}`"
                for field in dataclasses.fields(entry.config)
                if (value := getattr(entry.config, field.name)) != getattr(first.config, field.name)
            ]
            given = [f"`{argument}={_text(value)}`" for argument, value in entry.env_args.items()]
            where = f"in an environment with {', '.join(given)}, unless `--env-args` say otherwise"
            differs = ["with " + ", ".join(changes)] * bool(changes) + [where] * bool(given)
            return [f"It is [{other}]({other}.md) {', '.join(differs)}.", ""]
    raise KeyError(name)


def _environments(name: str) -> list[str]:
    """Returns the environments that an agent can act in, and why not in the others."""
    reasons = {env: why_not(name, env) for env in ENVIRONMENTS}
    able = ", ".join(f"[{env}](../environments/{env}.md)" for env in reasons if not reasons[env])
    whys = [f"- not in {env}: {reason}" for env, reason in reasons.items() if reason]
    return [f"With the defaults of both it acts in {able}.", *([""] if whys else []), *whys]


def _loop(entry: Entry) -> list[str]:
    """Returns how an agent is fed, with the settings of its loop."""
    if entry.library:
        return ["The library trains it by a loop of its own, whose settings are those above."]
    if entry.loop is None:
        return ["None: nothing is learned."]
    about = (inspect.getdoc(type(entry.loop)) or "").replace("\n", " ").replace("``", "`")
    change = "What `--loop-args NAME=VALUE ..` changes:"
    return [about, change, "", *settings_table(entry.loop)]


def _teacher(entry: Entry) -> str:
    """Returns what an agent learns from, in a few words."""
    if entry.library:
        return "steps that it plays, by its library's loop"
    if entry.loop is None:
        return "nothing"
    learned = {"never": "steps that it plays", "must": "sequences, logged or played"}
    return learned.get(entry.loop.log_use, "episodes, played or logged")


def _split(docstring: str) -> tuple[str, str]:
    """Returns a docstring's text in Markdown, and its references."""
    text, _, rest = docstring.replace("``", "`").partition("\nReferences:\n")
    references = textwrap.dedent(re.split(r"\n\n(?=\S)", rest)[0]).strip()
    return text.partition("\nArgs:\n")[0].strip(), references


def _text(value: Any) -> str:
    """Returns a setting's value as it is given in a command."""
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    for agent in AGENTS:
        write_text(FOLDER / f"{agent}.md", page(agent))
    for path, pages in TABLES.items():
        write_text(path, with_table(path.read_text(encoding="utf-8"), pages))
    guide = Path("docs") / "agents.md"
    write_text(guide, with_environments(guide.read_text(encoding="utf-8"), list(ENVIRONMENTS)))
