"""Processes beside this one, which start at once: what they need is loaded before, once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

PRELOADED = ["recgym_agents.runs.training"]
"""What takes the time of a start: torch, and all that trains."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def start(
    work: Callable[..., None], *arguments: Any, daemon: bool = False
) -> tuple[Any, Connection]:
    """Starts a process, in this one's environment; libraries use one thread unless told otherwise.

    Where the platform can, it is forked from a server that has loaded ``PRELOADED`` and does
    nothing: no device is in use there, and no computation has begun.

    Args:
        work: called in the process with the end of a pipe, and ``arguments``.
        arguments: can be pickled.
        daemon: end it when this process ends.

    Returns:
        The process, and the end of the pipe that receives.
    """
    methods = multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        context.set_forkserver_preload(PRELOADED)
    receiver, sender = context.Pipe(duplex=False)
    before = dict(os.environ)
    process = context.Process(
        target=_begin, args=({**before, **ONE_THREAD}, work, sender, *arguments), daemon=daemon
    )
    os.environ.update(ONE_THREAD)  # which libraries read as they are loaded, in the server
    try:
        process.start()
    finally:
        for name in ONE_THREAD:
            os.environ.pop(name)
        os.environ.update(before)
    sender.close()
    return process, receiver


def _begin(
    environment: dict[str, str], work: Callable[..., None], sender: Connection, *arguments: Any
) -> None:
    """Gives a process the environment of today, not that of the server's start."""
    os.environ.clear()
    os.environ.update(environment)
    work(sender, *arguments)
