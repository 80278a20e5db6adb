"""How ``benchmark.py`` measures: alternate blocks, and figures with their spread."""

from __future__ import annotations

import itertools
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure as Picture

LIBRARIES = ("gymnasium", "numpy", "torch", "recsim-no-tf", "sardine-rec")
WARM_UP = 2
"""Blocks that are run and not counted."""

Block = Callable[[], float]
"""Runs for a moment and returns what it measured."""


@dataclass(frozen=True)
class Figure:
    """One measured figure: a value for each round, and the target that its median is held to."""

    name: str
    unit: str
    rounds: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.rounds)

    @property
    def target(self) -> str:
        """The target in words, empty where there is none."""
        if self.at_least is not None:
            return f">= {number(self.at_least)}"
        return "" if self.at_most is None else f"<= {number(self.at_most)}"

    @property
    def verdict(self) -> str:
        """Whether the median meets the target, empty where there is none."""
        missed = (self.at_least is not None and self.median < self.at_least) or (
            self.at_most is not None and self.median > self.at_most
        )
        return ("FAIL" if missed else "pass") if self.target else ""


@dataclass
class Section:
    """What one section measured, ratios first, and what the reader must know about it."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pictures: dict[str, Picture | None] = field(default_factory=dict)
    """By file stem, published beside the page; None where they are there already."""

    def plain(self) -> dict[str, Any]:
        """Returns all but the pictures themselves, as plain JSON."""
        figures = [asdict(figure) for figure in self.figures]
        stems = list(self.pictures)
        return {"title": self.title, "figures": figures, "notes": self.notes, "pictures": stems}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Section:
        """Returns a section that was published."""
        figures = [Figure(**figure) for figure in plain["figures"]]
        return cls(plain["title"], figures, plain["notes"], dict.fromkeys(plain["pictures"]))

    def table(self, made: str = "") -> str:
        """Returns the section in Markdown, with a line that says how it was made."""
        lines = [f"## {self.title}", "", *([made, ""] if made else [])]
        lines += ["| figure | median | lowest - highest | target | |", "|---|---:|---:|---:|---|"]
        for one in self.figures:
            spread = f"{number(min(one.rounds))} - {number(max(one.rounds))}"
            cells = (one.name, f"{number(one.median)} {one.unit}", spread, one.target, one.verdict)
            lines.append(f"| {' | '.join(cells)} |")
        shown = [f"![{self.title}]({stem}.png)\n" for stem in self.pictures]
        return "\n".join([*lines, "", *[f"{note}\n" for note in self.notes], *shown])


def number(value: float) -> str:
    """Returns ``value`` with three significant figures, in full.

    >>> number(1234567), number(0.012345), number(2)
    ('1,230,000', '0.0123', '2')
    """
    return f"{float(f'{value:.3g}'):,.10g}"


def alternate(blocks: dict[str, Block], rounds: int) -> dict[str, list[float]]:
    """Runs every block in turn, ``rounds`` times, and returns what each measured in each round."""
    for _, block in itertools.product(range(WARM_UP), blocks.values()):
        block()
    measured: dict[str, list[float]] = {name: [] for name in blocks}
    for _, name in itertools.product(range(rounds), blocks):
        measured[name].append(blocks[name]())
    return measured


def ratio(numerator: list[float], denominator: list[float]) -> list[float]:
    """Returns the ratio of two measurements, round by round."""
    return [a / b for a, b in zip(numerator, denominator, strict=True)]


def rate(step: Callable[[], int], seconds: float = 0.5) -> Block:
    """Returns a block that calls ``step`` for a while and gives the rows it stepped a second."""

    def block() -> float:
        rows, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            rows += step()
        return rows / elapsed

    return block


def milliseconds(function: Callable[[], Any], calls: int) -> Block:
    """Returns a block that calls ``function`` some times and gives the best time, in ms."""

    def block() -> float:
        best = float("inf")
        for _ in range(calls):
            start = time.perf_counter()
            function()
            best = min(best, time.perf_counter() - start)
        return best * 1e3

    return block


@contextmanager
def compiled_already() -> Iterator[None]:
    """Makes it an error to compile a function again."""
    with torch._dynamo.config.patch(error_on_recompile=True):
        yield


def machine() -> dict[str, str]:
    """Returns what the figures depend on: processor, cores, and versions."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    facts = {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "torch threads": str(torch.get_num_threads()),
        "Python": platform.python_version(),
    }
    for name in LIBRARIES:
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            facts[name] = "not installed"
    return facts


def page(published: dict[str, dict[str, Any]]) -> str:
    """Returns the page of results.

    Args:
        published: by a section's name, ``Section.plain`` with the "command" that measured it and
            the "machine" that it ran on.
    """
    machines: list[dict[str, str]] = []
    for one in published.values():
        if one["machine"] not in machines:
            machines.append(one["machine"])
    lines = [
        "# Benchmark",
        "",
        "Each figure is the median over alternate rounds, beside the lowest and the highest round;",
        "a ratio is taken round by round. Only figures of one machine can be compared.",
    ]
    for number, facts in enumerate(machines, 1):
        lines += ["", f"Machine {number}:", ""]
        lines += [f"- {name}: {value}" for name, value in facts.items()]
    for one in published.values():
        made = f"Made by `{one['command']}` on machine {machines.index(one['machine']) + 1}."
        lines += ["", Section.of(one).table(made).rstrip()]
    return "\n".join(lines) + "\n"
