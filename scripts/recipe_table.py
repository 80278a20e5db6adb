"""Prints what the recipes for other libraries returned, and writes it as a page of results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from recgym.errors import RecGymError
from recgym.files import write_json, write_text
from recgym_agents.commands.command_line import run
from recipes.scoring import SESSIONS

RECIPES = Path(__file__).parent / "recipes"
HEADER = (
    "library",
    "version",
    "Gymnasium",
    "algorithm",
    "environment",
    "view",
    "steps",
    "return, before",
    "return, after",
    "random in this view",
    "random slates",
    "CPU seconds",
)
PAGE = """# Recipes for other libraries

    make recipes

Each library has an environment of its own, with the versions that
`scripts/recipes/requirements` pins, and runs `scripts/recipes/with_NAME.py` there. What the views
are, and which to take: [Recipes](../recipes.md). Raw numbers: [recipes.json](recipes.json).

{table}

Mean return of a session over {seeds} trainings, their range in brackets, each scored in {sessions}
sessions that it was not trained in, as the random actions are. "After" is in bold where it is
above random actions in the same view. CPU seconds are those of one training and its scores.

Settings were changed after looking at such scores: the table shows that these libraries learn
here, and does not compare them.
"""


def names() -> list[str]:
    """Returns the names of the recipes, one a library."""
    return sorted(path.stem.removeprefix("with_") for path in RECIPES.glob("with_*.py"))


def learned(row: dict[str, Any]) -> bool:
    """Returns whether training came to more than random actions in the same view."""
    return mean(row["last"]) > row["random"]


def cells(row: dict[str, Any]) -> list[str]:
    """Returns a row of the table, see ``HEADER``."""
    after = spread(row["last"])
    return [
        row["library"],
        row["version"],
        row["gymnasium"],
        row["algorithm"],
        world(row),
        row["world"]["view"] or "slate",
        f"{row['steps']:,}",
        spread(row["first"]),
        f"**{after}**" if learned(row) else after,
        f"{row['random']:.2f}",
        f"{row['random_slates']:.2f}",
        f"{row['seconds']:.0f}",
    ]


def spread(values: Sequence[float]) -> str:
    """Formats a mean and its range.

    >>> spread([1.0, 2.0])
    '1.50 [1.00, 2.00]'
    """
    return f"{mean(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def world(row: dict[str, Any]) -> str:
    """Returns the environment's id, with its arguments if it has any."""
    arguments = ", ".join(f"{name}={value}" for name, value in row["world"]["arguments"].items())
    return row["world"]["env_id"] + (f" ({arguments})" if arguments else "")


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Returns the Markdown table."""
    lines = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * 6 + "---:|" * 6]
    return "\n".join(lines + ["| " + " | ".join(cells(row)) + " |" for row in rows])


def main(runs: Path = Path("runs/recipes"), out: Path = Path("docs/results")) -> None:
    """Prints the table, and writes OUT/recipes.md and .json.

    Args:
        runs: folder of what the recipes wrote, NAME.json each.
        out: folder of the published page, which is written only if every recipe ran.

    Raises:
        RecGymError: a recipe did not run, or no algorithm of it learned more than random actions.
    """
    found = {name: runs / f"{name}.json" for name in names()}
    absent = [name for name, path in found.items() if not path.exists()]
    rows = {
        name: json.loads(path.read_text("utf-8")) for name, path in found.items() if path.exists()
    }
    listed = [row for own in rows.values() for row in own]
    print(table(listed))
    if absent:
        raise RecGymError(f"recipes that did not run: {', '.join(absent)}")
    seeds = len(listed[0]["last"])
    page = PAGE.format(table=table(listed), seeds=seeds, sessions=SESSIONS)
    write_text(out / "recipes.md", page)
    write_json(out / "recipes.json", {"command": "make recipes", "rows": listed})
    failed = [name for name, own in rows.items() if not any(map(learned, own))]
    if failed:
        raise RecGymError(f"recipes that learned nothing: {', '.join(failed)}")


if __name__ == "__main__":
    run(main)
