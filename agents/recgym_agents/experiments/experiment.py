"""What an experiment is: a declared table or figure of a paper, made of cells that run alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from recgym.errors import RecGymError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cell = dict[str, Any]
"""The factors of one run: strings, numbers and booleans, one of them ``seed``."""
Budget = dict[str, Any]
"""What a cell may spend (steps, seeds, users); plain JSON, printed on the page."""
Result = dict[str, Any]
"""What a cell found; plain JSON. ``arrays`` holds what is too long for the published file."""
Verdict = Literal["reproduced", "contradicted", "inconclusive", "data not available here"]
"""What became of a claim; ``verdicts.judge`` says how the first three are told apart."""
Report = Callable[[str, str], None]
"""Called with a cell's name and one line: what became of it."""


class DataNotAvailable(RecGymError):
    """A cell's data are not on this machine; the page says so and the other cells go on."""


@dataclass(frozen=True)
class Place:
    """The folders that a cell may use."""

    data: Path
    """Where the raw logs are."""
    runs: Path
    """The folder of all experiments; another experiment's cells are beside this one's."""
    folder: Path
    """The cell's own folder."""

    def raw(self, name: str) -> Path:
        """Returns the path of a raw log.

        Raises:
            DataNotAvailable: the file is not there.
        """
        if not (self.data / name).is_file():
            raise DataNotAvailable(f"{self.data / name}: no such file (pass --data DIR)")
        return self.data / name

    def resolved(self) -> Place:
        """Returns the same folders by paths that hold wherever a process was started."""
        return Place(self.data.resolve(), self.runs.resolve(), self.folder.resolve())


@dataclass(frozen=True)
class Finished:
    """A cell, what it found, and what it cost in seconds."""

    cell: Cell
    result: Result
    seconds: float


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, or of ours, with its verdict and the numbers behind it."""

    text: str
    verdict: Verdict
    evidence: str


@dataclass(frozen=True)
class Page:
    """What a summary returns: claims, Markdown, and figures and HTML pages by file stem."""

    claims: tuple[Claim, ...]
    body: str
    figures: dict[str, Figure] = field(default_factory=dict)
    html: dict[str, str] = field(default_factory=dict)


def reads_nothing(cell: Cell) -> tuple[str, ...]:
    """Returns the raw logs of cells that read none."""
    return ()


@dataclass(frozen=True)
class Experiment:
    """A table or figure, its cells, and how their results become a page."""

    name: str
    title: str
    reproduces: str
    """Paper, table or figure."""
    method: str
    """Markdown: what was done, how it differs from the paper, and the rule behind each verdict."""
    budget: Budget
    smoke_budget: Budget
    cells: Callable[[Budget], list[Cell]]
    run_cell: Callable[[Cell, Budget, Place], Result]
    summarise: Callable[[list[Finished], Budget], Page]
    paper_budget: Budget | None = None
    """With the paper's sizes, where the budget has smaller ones."""
    raw_logs: Callable[[Cell], tuple[str, ...]] = reads_nothing
    """Names of the raw logs that a cell reads: without them no process is started for it."""
    reads_arrays: bool = True
    """Whether the summary needs the cells' arrays, which the published file leaves out."""
    takes_device: bool = False
    """Whether a budget can say "device", where networks learn; without, it is the CPU."""


def folder_of(cell: Path, spent: Budget) -> Path:
    """Returns the folder, in a cell's own, of what was trained with this budget and no other."""
    return cell / f"agent-{hashlib.sha256(json.dumps(spent).encode()).hexdigest()[:8]}"


def cell_id(cell: Cell) -> str:
    """Names a cell by its factors, in order.

    >>> cell_id({"agent": "random", "slate_size": 3, "seed": 0})
    'random_slate_size3_seed0'
    """
    return "_".join(
        value if isinstance(value, str) else f"{factor}{value}" for factor, value in cell.items()
    )


def by_seed(runs: list[Finished], metric: str) -> np.ndarray:
    """Returns one of the numbers that runs found, (S,) as the runs are ordered."""
    return np.array([one.result[metric] for one in runs])


def having(finished: list[Finished], **factors: Any) -> list[Finished]:
    """Returns the cells with these factors, in order of seed."""
    chosen = [
        one for one in finished if all(one.cell.get(name) == v for name, v in factors.items())
    ]
    return sorted(chosen, key=lambda one: int(one.cell["seed"]))
