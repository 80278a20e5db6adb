"""Runs the cells of an experiment, each in a process of its own, and resumes where it stopped."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

from recgym.errors import RecGymError
from recgym.files import read_json, write_json, write_text
from recgym.locks import locked
from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    DataNotAvailable,
    Experiment,
    Finished,
    Place,
    Report,
    cell_id,
)
from recgym_agents.experiments.ray_workers import check_ray, run_in_ray
from recgym_agents.runs.processes import start
from recgym_agents.runs.run_files import CHECKPOINT


@dataclass(frozen=True)
class Outcome:
    """The finished cells, and one line for each cell that did not finish."""

    finished: list[Finished]
    unavailable: dict[str, str]
    failed: dict[str, str]


def run_cells(
    experiment: Experiment,
    budget: Budget,
    runs: Path,
    data: Path,
    workers: int | Literal["ray"],
    report: Report = lambda cell, line: None,
) -> Outcome:
    """Runs every cell that is not finished yet.

    A cell's result is ``runs/<experiment>/<cell>.json``, written when it is whole. A finished cell
    is skipped if its factors and budget are today's. A cell that fails does not stop the others.
    The checkpoints of what a cell trained are removed once its result is written.

    Args:
        experiment: what to run.
        budget: the experiment's budget, or its smoke budget.
        runs: the folder of all experiments.
        data: the folder of the raw logs.
        workers: how many processes run at once, each with one thread; or "ray", for as many as a
            Ray cluster has cores, see ``ray_workers``.
        report: called as each cell ends.

    Raises:
        RecGymError: two cells have the same name, ``workers`` is below 1, there is no Ray, or
            another process runs this experiment there.
    """
    if workers == "ray":
        check_ray()
    elif workers < 1:
        raise RecGymError(f"workers: {workers} given; at least 1 is needed")
    folder = runs / experiment.name
    ends: dict[str, tuple[str, str]] = {}
    waiting: list[tuple[Cell, Place]] = []
    for cell in unfinished(experiment, budget, runs):
        name = cell_id(cell)
        place = Place(data, runs, folder / name)
        try:
            for log in experiment.raw_logs(cell):
                place.raw(log)
            waiting.append((cell, place))
        except DataNotAvailable as error:
            ends[name] = ("unavailable", str(error))
            report(name, ": ".join(ends[name]))
    if waiting:
        with locked(folder):
            if workers == "ray":
                ends |= run_in_ray(run_one, experiment, budget, waiting, report)
            else:
                ends |= _run_all(experiment, budget, waiting, workers, report)
    for cell, _ in waiting:
        name = cell_id(cell)
        if ends[name][0] == "finished" and not _is_finished(folder, cell, budget):
            ends[name] = ("failed", f"{_path(folder, cell)}: not there; do all machines share it?")
            report(name, ": ".join(ends[name]))
    cells = experiment.cells(budget)
    finished = [_finished(folder, cell) for cell in cells if _is_finished(folder, cell, budget)]
    return Outcome(
        finished=finished,
        unavailable={name: line for name, (end, line) in ends.items() if end == "unavailable"},
        failed={name: line for name, (end, line) in ends.items() if end == "failed"},
    )


def _run_all(
    experiment: Experiment,
    budget: Budget,
    waiting: list[tuple[Cell, Place]],
    workers: int,
    report: Report,
) -> dict[str, tuple[str, str]]:
    """Runs cells, some at once; returns how each ended."""
    ends: dict[str, tuple[str, str]] = {}
    running: dict[Any, tuple[str, Any, Connection]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                cell, place = waiting.pop(0)
                process, connection = start(_work, experiment, cell, budget, place)
                running[process.sentinel] = (cell_id(cell), process, connection)
            for sentinel in wait(list(running)):
                name, process, connection = running.pop(sentinel)
                ends[name] = _end(process, connection)
                report(name, ": ".join(ends[name]))
    finally:
        for _, process, _ in running.values():
            process.terminate()
            process.join()  # they are gone before the folder is let go of
    return ends


def unfinished(experiment: Experiment, budget: Budget, runs: Path) -> list[Cell]:
    """Returns the cells that have no result with today's budget.

    Raises:
        RecGymError: two cells have the same name.
    """
    cells = experiment.cells(budget)
    if len({cell_id(cell) for cell in cells}) != len(cells):
        raise RecGymError(f"{experiment.name}: two cells have the same factors")
    folder = runs / experiment.name
    return [cell for cell in cells if not _is_finished(folder, cell, budget)]


def _end(process: Any, connection: Connection) -> tuple[str, str]:
    """Returns how a process ended: finished, unavailable or failed, and its line."""
    process.join()
    try:
        end, line = connection.recv()
    except EOFError:
        end, line = "failed", f"its process ended with exit code {process.exitcode}"
    connection.close()
    return end, line


def _work(
    connection: Connection, experiment: Experiment, cell: Cell, budget: Budget, place: Place
) -> None:
    """The process of one cell."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection.send(run_one(experiment, cell, budget, place))


def run_one(experiment: Experiment, cell: Cell, budget: Budget, place: Place) -> tuple[str, str]:
    """Runs a cell and writes its result; returns how it ended, and its line.

    Args:
        experiment: what to run.
        cell: its factors.
        budget: what it may spend.
        place: its folders; the result is written beside its own.

    Returns:
        "finished", "unavailable" or "failed"; and the seconds, or what was in the way.
    """
    try:
        started = time.perf_counter()
        result = experiment.run_cell(cell, budget, place)
        seconds = round(time.perf_counter() - started, 2)
        record = {"cell": cell, "budget": budget, "result": result, "seconds": seconds}
        write_json(place.folder.with_name(f"{cell_id(cell)}.json"), record)
        for checkpoint in place.folder.rglob(CHECKPOINT):
            checkpoint.unlink()
        return "finished", f"{seconds:.0f} s"
    except DataNotAvailable as error:
        return "unavailable", str(error)
    except RecGymError as error:
        return "failed", str(error)
    except Exception as error:
        stack = place.folder.with_name(f"{cell_id(cell)}.error.txt")
        write_text(stack, traceback.format_exc())
        return "failed", f"{type(error).__name__}: {error} (stack in {stack})"


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone, however that one ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _path(folder: Path, cell: Cell) -> Path:
    return folder / f"{cell_id(cell)}.json"


def _is_finished(folder: Path, cell: Cell, budget: Budget) -> bool:
    if not _path(folder, cell).is_file():
        return False
    record = read_json(_path(folder, cell))
    if not isinstance(record, dict):
        raise RecGymError(f"{_path(folder, cell)}: not the result of a cell; remove it")
    return bool(record.get("cell") == cell and record.get("budget") == budget)


def _finished(folder: Path, cell: Cell) -> Finished:
    record = read_json(_path(folder, cell))
    return Finished(record["cell"], record["result"], record["seconds"])
