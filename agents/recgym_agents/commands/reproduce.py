"""Reproduces a table or figure of a paper; resumes; writes ``docs/results/NAME.md``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from recgym.envs.backends import check_device
from recgym.errors import RecGymError
from recgym_agents.experiments import EXPERIMENTS
from recgym_agents.experiments.experiment import Budget, Experiment
from recgym_agents.experiments.results_report import read_published, write_page
from recgym_agents.experiments.runner import run_cells, unfinished
from recgym_agents.runs.devices import CPU
from recgym_agents.runs.run_folder import check_folder

ExperimentName = Annotated[
    tyro.conf.Positional[str], tyro.conf.arg(help=f"one of {', '.join(EXPERIMENTS)}")
]


def main(
    name: ExperimentName,
    smoke: bool = False,
    paper: bool = False,
    rejudge: bool = False,
    device: str = CPU,
    workers: int | Literal["ray"] = 2,
    data: Path | None = None,
    out: Path = Path("runs"),
    docs: Path = Path("docs/results"),
) -> None:
    """Runs the cells of an experiment that are not finished, then writes its page.

    Args:
        name: of an experiment, or module:name of one that a module registers.
        smoke: some minutes' worth of everything; writes below OUT/smoke only.
        paper: networks of the paper's size; writes below OUT/paper only.
        rejudge: run nothing, and write the page again from DOCS/NAME.json, with today's rules.
        device: where networks learn in irecgan-fig2, such as cuda.
        workers: processes at once, each with one thread; "ray" for as many as a Ray cluster has
            cores: that of $RAY_ADDRESS, or this machine.
        data: folder of raw logs (gan_yelp.tsv, gan_taobao.tsv, trivago.parquet, and in cikm-cup/
            those of the CIKM Cup 2016); by default $RECGYM_DATA, or data.
        out: folder of all runs.
        docs: folder of the published pages.
    """
    experiment = EXPERIMENTS.find(name)
    if rejudge:
        if smoke or paper or device != CPU:
            raise RecGymError("--rejudge: takes none of --smoke, --paper and --device")
        budget, outcome = read_published(experiment, docs)
        command = _command(name, experiment, budget, [])
        print(write_page(experiment, budget, outcome, docs, command))
        return
    size, budget = _size(experiment, smoke, paper)
    runs = out / size
    folder = runs / experiment.name / "page" if size else docs
    for path in (runs / experiment.name, folder):
        check_folder(path)
    if device != CPU:
        budget = _on_device(experiment, budget, device)
        if unfinished(experiment, budget, runs):
            check_device(device)
    logs = data or Path(os.environ.get("RECGYM_DATA", "data"))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn()) as progress:
        task = progress.add_task(name, total=len(unfinished(experiment, budget, runs)))

        def report(cell: str, line: str) -> None:
            progress.console.print(f"{cell}: {line}", markup=False, highlight=False, soft_wrap=True)
            progress.advance(task)

        outcome = run_cells(experiment, budget, runs, logs, workers, report)
    if outcome.failed:
        count = len(outcome.failed)
        raise RecGymError(f"{name}: {count} cells failed, no page written; run again to retry them")
    options = [f"--{size}"] * bool(size) + [f"--device {device}"] * (device != CPU)
    command = _command(name, experiment, budget, options)
    print(write_page(experiment, budget, outcome, folder, command))


def _command(name: str, experiment: Experiment, budget: Budget, options: list[str]) -> str:
    """Returns what makes a page: with the raw logs' folder, if its cells read any."""
    reads = any(experiment.raw_logs(cell) for cell in experiment.cells(budget))
    return " ".join(["recgym reproduce", name, *options, *["--data DIR"] * reads])


def _size(experiment: Experiment, smoke: bool, paper: bool) -> tuple[str, Budget]:
    """Returns the name of a size, "" for what is published, and its budget."""
    if smoke and paper:
        raise RecGymError("--smoke and --paper: give one of them")
    if smoke:
        return "smoke", experiment.smoke_budget
    if not paper:
        return "", experiment.budget
    if experiment.paper_budget is None:
        raise RecGymError(f"--paper: {experiment.name} has no other size than the published one")
    return "paper", experiment.paper_budget


def _on_device(experiment: Experiment, budget: Budget, device: str) -> Budget:
    """Returns a budget whose networks learn on a device."""
    if not experiment.takes_device:
        raise RecGymError(f"--device: {experiment.name} learns on the CPU; leave it out")
    return budget | {"device": device}
