"""Pages of results: Markdown tables, the page itself, its figures, and its raw numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.files import atomic_write, read_json, write_json, write_text
from recgym.metrics import HeadroomShare, mean_and_error
from recgym_agents.experiments.experiment import Budget, Experiment, Finished, Page
from recgym_agents.experiments.runner import Outcome

SMOKE = (
    "*This is a smoke run: it shows that everything works. Its numbers and verdicts mean nothing.*"
)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table; the first column is text, the others are numbers.

    >>> print(table(["agent", "reward"], [["random", "1.0"]]))
    | agent | reward |
    |---|---:|
    | random | 1.0 |
    """
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def seeds_text(values: Array, digits: int = 3) -> str:
    """Formats the mean over seeds and its standard error.

    >>> seeds_text([1.0, 2.0, 3.0])
    '2.000 ± 0.577'
    >>> seeds_text([1.0])
    '1.000'
    """
    if len(values) == 0:
        return ""
    estimate = mean_and_error(values)
    mean = f"{estimate.mean:.{digits}f}"
    return mean if estimate.n == 1 else f"{mean} ± {estimate.standard_error:.{digits}f}"


def p_text(p: float) -> str:
    """Formats a p-value.

    >>> p_text(0.0312), p_text(0.00004)
    ('.031', '<.001')
    """
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def share_text(found: HeadroomShare) -> str:
    """Formats a share of the headroom with its interval, or says that there is none.

    >>> from recgym.metrics import share_of_headroom
    >>> share_text(share_of_headroom([2.0, 2.2], {"floor": [1.0, 1.0]}, [3.0, 3.0]))
    '55% (-9% .. 119%)'
    >>> share_text(share_of_headroom([2.0, 2.2], {"floor": [1.0, 1.0]}, [1.0, 1.1]))
    '– (no headroom)'
    """
    if np.isnan(found.share):
        return "– (no headroom)"
    return f"{found.share:.0%} ({found.low:.0%} .. {found.high:.0%})"


def dots(panels: dict[str, dict[str, Array]], unit: str) -> Figure:
    """Draws every replicate of every policy as a dot, and their mean as a line.

    Args:
        panels: title -> policy -> a value for each replicate; the policies are the same in all.
        unit: of the values.
    """
    policies = list(next(iter(panels.values())))
    figure = Figure(figsize=(8, 1.0 + 0.26 * len(policies)), layout="constrained")
    drawn = figure.subplots(1, len(panels), sharey=True)
    for axes, (title, found) in zip(drawn, panels.items(), strict=True):
        for place, values in enumerate(found.values()):
            axes.scatter(values, np.full(len(values), place), s=16, color="#2458b3", alpha=0.5)
            axes.vlines(np.mean(values), place - 0.3, place + 0.3, color="#e07b1a")
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(unit)
        axes.spines[["top", "right"]].set_visible(False)
    drawn[0].set_yticks(range(len(policies)), policies, fontsize=8)
    drawn[0].invert_yaxis()
    return figure


def write_page(
    experiment: Experiment, budget: Budget, outcome: Outcome, folder: Path, command: str
) -> Path:
    """Writes ``NAME.md``, ``NAME.json``, figures and HTML into ``folder``; returns the page."""
    page = experiment.summarise(outcome.finished, budget)
    for stem, figure in page.figures.items():
        with atomic_write(folder / f"{stem}.png") as temporary:
            figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    for stem, text in page.html.items():
        write_text(folder / f"{stem}.html", text)
    write_json(folder / f"{experiment.name}.json", _published(budget, outcome))
    path = folder / f"{experiment.name}.md"
    write_text(path, _text(experiment, budget, outcome, page, command))
    return path


def read_published(experiment: Experiment, folder: Path) -> tuple[Budget, Outcome]:
    """Reads the budget and the cells of a published page, to judge them again.

    Args:
        experiment: whose page it is.
        folder: where ``NAME.json`` is.

    Raises:
        RecGymError: the summary needs more than is published, or nothing of this version is.
    """
    path = folder / f"{experiment.name}.json"
    if experiment.reads_arrays:
        raise RecGymError(
            f"--rejudge: {experiment.name} needs single pages or sessions, which are not in {path};"
            " run it again without --rejudge"
        )
    if not path.is_file():
        raise RecGymError(f"{path}: no such file; run {experiment.name} without --rejudge")
    published = read_json(path)
    if published["budget"].keys() != experiment.budget.keys():
        raise RecGymError(
            f"{path}: made by another version of the experiment; run it without --rejudge"
        )
    finished = []
    for cell in experiment.cells(published["budget"]):
        found = (one for one in published["cells"] if cell.items() <= one.items())
        for one in found:
            result = {name: one[name] for name in one if name not in (*cell, "seconds")}
            finished.append(Finished(cell, result, one["seconds"]))
    return published["budget"], Outcome(finished, {}, {})


def _text(
    experiment: Experiment, budget: Budget, outcome: Outcome, page: Page, command: str
) -> str:
    """Returns the whole page as Markdown."""
    seconds = [one.seconds for one in outcome.finished]
    cost = f"{len(seconds)} cells, {sum(seconds) / 60:.0f} minutes of one CPU thread in all"
    if seconds:
        cost += f" (median {np.median(seconds):.0f} s a cell, longest {max(seconds):.0f} s)"
    missing = sorted(set(outcome.unavailable.values()))
    parts = [
        f"# {experiment.title}",
        f"Reproduces: {experiment.reproduces}",
        f"    {command}",
        f"Cost: {cost}. Raw numbers: [{experiment.name}.json]({experiment.name}.json).",
        *([_verdicts(page)] if page.claims else []),
        page.body.strip(),
        "## Method",
        experiment.method.strip(),
        table(["budget", "value"], [[name, f"`{_plain(v)}`"] for name, v in budget.items()]),
    ]
    if missing:
        parts.insert(4, "Data not available here: " + "; ".join(Path(_).name for _ in missing))
    if budget == experiment.smoke_budget:
        parts.insert(1, SMOKE)
    return "\n\n".join(parts) + "\n"


def _verdicts(page: Page) -> str:
    claims = [[claim.text, f"**{claim.verdict}**", claim.evidence] for claim in page.claims]
    rows = table(["claim", "verdict", "numbers"], claims)
    return "## Verdicts\n\n" + rows.replace("|---|---:|---:|", "|---|---|---|")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _published(budget: Budget, outcome: Outcome) -> dict[str, Any]:
    """Returns what is published of each cell: everything except its long arrays."""
    return {
        "budget": budget,
        "cells": [
            one.cell
            | {"seconds": one.seconds}
            | {name: value for name, value in one.result.items() if name != "arrays"}
            for one in outcome.finished
        ],
    }
