"""Several trainings at once, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from recgym.errors import RecGymError
from recgym_agents.runs.progress import WatchMany
from recgym_agents.runs.run_folder import TrainConfig
from recgym_agents.runs.training import train

PERIOD = 0.2
"""Seconds between two messages of a process about how far it is."""


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
    if jobs < 1:
        raise RecGymError(f"jobs={jobs}: at least 1 is needed")
    if threads < 1:
        raise RecGymError(f"threads={threads}: at least 1 is needed")
    context = multiprocessing.get_context("spawn")
    waiting = list(enumerate(configs))
    running: dict[Connection, tuple[int, Any]] = {}
    failed: dict[int, str] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number, config = waiting.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(sender, config, threads), daemon=True)
                process.start()
                sender.close()
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches train_all, which ends this
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
