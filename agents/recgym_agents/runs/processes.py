"""Processes beside this one, which start at once: what they need is loaded before, once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

PRELOADED = ["recgym_agents.runs.training"]
"""What takes the time of a start: torch, and all that trains."""
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def start(
    work: Callable[..., None], *arguments: Any, daemon: bool = False
) -> tuple[Any, Connection]:
    """Starts a process; its libraries use one thread, unless it says otherwise itself.

    Where the platform can, it is forked from a server that has loaded ``PRELOADED`` and nothing
    else (no thread runs in it, and no device is in use); elsewhere it starts from nothing.

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
    process = context.Process(target=work, args=(sender, *arguments), daemon=daemon)
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        process.start()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    sender.close()
    return process, receiver
