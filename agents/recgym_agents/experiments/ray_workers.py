"""Runs the cells of an experiment on the cores of a Ray cluster, or of this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from recgym.errors import RecGymError
from recgym_agents.experiments.experiment import Budget, Cell, Experiment, Place, Report, cell_id
from recgym_agents.runs.processes import ONE_THREAD


def check_ray() -> None:
    """Checks that Ray is there.

    Raises:
        RecGymError: it is not.
    """
    if find_spec("ray") is None:
        raise RecGymError('--workers ray: needs Ray: pip install "recgym[ray]"')


def run_in_ray(
    run_one: Callable[[Experiment, Cell, Budget, Place], tuple[str, str]],
    experiment: Experiment,
    budget: Budget,
    waiting: list[tuple[Cell, Place]],
    report: Report,
) -> dict[str, tuple[str, str]]:
    """Runs cells, each in a process of its own, one a core; returns how each ended.

    Ray is started here and stopped at the end, unless the environment names a cluster that runs
    (``RAY_ADDRESS``); of that, every machine has to see the folders of runs and of raw logs under
    the same paths, and to have this package. A cell whose process dies is not tried again.

    Args:
        run_one: runs a cell and writes its result; returns how it ended, and its line.
        experiment: what to run.
        budget: its budget.
        waiting: the cells, and where each has its place.
        report: called as each cell ends.

    Raises:
        RecGymError: no cluster answers at the address.
    """
    import ray

    address = os.environ.get("RAY_ADDRESS") or "local"
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        ray.init(address, runtime_env={"env_vars": ONE_THREAD}, **settings)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise RecGymError(f"--workers ray, address {address}: {str(error).strip()}") from None
    remote: Any = ray.remote(num_cpus=1, max_retries=0, max_calls=1)(run_one)
    running: dict[Any, str] = {}
    ends: dict[str, tuple[str, str]] = {}
    try:
        for cell, place in waiting:
            running[remote.remote(experiment, cell, budget, place.resolved())] = cell_id(cell)
        while running:
            (ended, *_), _ = ray.wait(list(running))
            name = running.pop(ended)
            try:
                ends[name] = ray.get(ended)
            except ray.exceptions.RayTaskError as error:
                ends[name] = ("failed", f"{type(error.cause).__name__}: {error.cause}")
            except ray.exceptions.RayError as error:
                ends[name] = ("failed", f"its process ended: {type(error).__name__}")
            report(name, ": ".join(ends[name]))
        return ends
    finally:
        for one in running:  # they are gone before the folder is let go of
            ray.cancel(one, force=True)
        if running:
            ray.wait(list(running), num_returns=len(running), timeout=30.0)
        ray.shutdown()
