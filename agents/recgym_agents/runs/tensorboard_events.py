"""A file of TensorBoard events that is written where it is asked for, in no thread of its own.

TensorBoard's own writer fails in a thread, which prints a stack when the disk is full.
"""

from __future__ import annotations

import io
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recgym_agents.runs.run_files import append


class EventFile:
    """A new file of scalars in a run's folder, which TensorBoard reads after those before it.

    Args:
        folder: of the run.
        first_step: what earlier files say of this step and later ones no longer counts; None if
            there are none.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, folder: Path, first_step: int | None) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog

        now = time.time_ns()
        name = f"{now // 10**9}.{socket.gethostname()}.{os.getpid()}.{now % 10**9:09}"
        self.path = folder / f"events.out.tfevents.{name}"
        self._write(file_version="brain.Event:2")
        if first_step is not None:
            self._write(step=first_step, session_log=SessionLog(status=SessionLog.START))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Writes named values of a step.

        Raises:
            OSError: they cannot be written.
        """
        from tensorboard.compat.proto.summary_pb2 import Summary

        named = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(step=step, summary=Summary(value=named))

    def _write(self, **event: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        record = io.BytesIO()
        RecordWriter(record).write(Event(wall_time=time.time(), **event).SerializeToString())
        append(self.path, record.getvalue())
