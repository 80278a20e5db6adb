"""The documentation's page of each environment, written from its own docstring and registration.

``python -m recgym.pages`` writes them all into docs/environments.
"""

from __future__ import annotations

import inspect
from pathlib import Path

from recgym.files import write_text
from recgym.registry import ENVIRONMENTS
from recgym.simulators import builder

FOLDER = Path("docs") / "environments"


def page(name: str) -> str:
    """Returns the page of an environment id, in Markdown."""
    arguments = dict(ENVIRONMENTS[name])
    build = builder(arguments.pop("simulator"))
    text, described = _split(inspect.getdoc(build) or "")
    rows = []
    for argument, parameter in inspect.signature(build).parameters.items():
        default = arguments.get(argument, parameter.default)
        rows.append(f"| `{argument}` | `{default!r}` | {described[argument]} |")
    return "\n".join(
        [
            f"# {name}",
            "",
            "<!-- Written by `python -m recgym.pages`; edit the docstring instead. -->",
            "",
            f'`gymnasium.make("{name}")`, `gymnasium.make_vec("{name}", num_envs=1024)`',
            "",
            text,
            "",
            "## Arguments",
            "Beside those of every environment ([environments](../environments.md)):",
            "",
            "| argument | default | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _split(docstring: str) -> tuple[str, dict[str, str]]:
    """Returns a docstring's text, and what it says of each argument."""
    text, _, rest = docstring.partition("\nArgs:\n")
    described: dict[str, str] = {}
    argument = ""
    for line in rest.partition("\nRaises:\n")[0].splitlines():
        if line[:4].isspace() and line[4:5].strip():
            argument, _, first = line.strip().partition(": ")
            described[argument] = first
        elif line.strip():
            described[argument] += f" {line.strip()}"
    return text.strip(), described


if __name__ == "__main__":
    for environment in ENVIRONMENTS:
        write_text(FOLDER / f"{environment}.md", page(environment))
