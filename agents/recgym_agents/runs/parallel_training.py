"""Several trainings at once, each in a process of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_1, check_number
from recgym_agents.runs.devices import torch_threads
from recgym_agents.runs.processes import start
from recgym_agents.runs.progress import WatchMany
from recgym_agents.runs.run_folder import TrainConfig
from recgym_agents.runs.training import train

PERIOD = 0.2
"""Seconds between two messages of a process about how far it is."""


def jobs_for(threads: int) -> int:
    """Returns how many trainings of so many threads the cores that may be used are enough for."""
    affinity = getattr(os, "sched_getaffinity", None)  # only Linux has it
    cores = (os.cpu_count() or 1) if affinity is None else len(affinity(0))
    return max(cores // max(threads, 1), 1)


def train_in_turn(configs: Sequence[TrainConfig], threads: int, watch: WatchMany) -> dict[int, str]:
    """As ``train_all``, one after the other in this process."""
    failed: dict[int, str] = {}
    with torch_threads(threads):
        for number, config in enumerate(configs):
            try:
                train(config, partial(watch, number))
            except (RecGymError, OSError) as error:
                failed[number] = str(error)
    return failed


def train_all(
    configs: Sequence[TrainConfig], jobs: int, threads: int, watch: WatchMany
) -> dict[int, str]:
    """Trains every run that is not finished; one that fails does not stop the others.

    Args:
        configs: the runs, each with a folder of its own.
        jobs: how many train at once.
        threads: of torch, in each process.
        watch: called every now and then with a run's number, and as ``Watch``.

    Returns:
        By a run's number, one line that says why it failed.

    Raises:
        RecGymError: ``jobs`` or ``threads`` is below 1.
    """
    check_number("jobs", jobs, AT_LEAST_1)
    check_number("threads", threads, AT_LEAST_1)
    waiting = list(enumerate(configs))
    running: dict[Connection, tuple[int, Any]] = {}
    failed: dict[int, str] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number, config = waiting.pop(0)
                process, receiver = start(_work, config, threads, daemon=True)
                running[receiver] = number, process
            ready: list[Any] = wait(list(running))
            for connection in ready:
                number, process = running[connection]
                try:
                    message = connection.recv()
                except EOFError:
                    process.join()
                    connection.close()
                    del running[connection]
                    if process.exitcode:
                        ended = f"its process ended with exit code {process.exitcode}"
                        failed.setdefault(number, ended)
                    continue
                if isinstance(message, str):
                    failed[number] = message
                else:
                    watch(number, *message)
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()
    return failed


def _work(connection: Connection, config: TrainConfig, threads: int) -> None:
    """The process of one training: sends what ``watch`` is told, or why it failed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    torch.set_num_threads(threads)
    sent = 0.0

    def watch(steps: int, metrics: dict[str, float]) -> None:
        nonlocal sent
        now = time.monotonic()
        if now - sent >= PERIOD or steps >= config.steps:
            sent = now
            connection.send((steps, metrics))

    try:
        train(config, watch)
    except (RecGymError, OSError) as error:
        connection.send(str(error))
    finally:
        connection.close()
