"""One process at a time in a folder: a second one is refused, naming the first."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recgym.errors import RecGymError

LOCK = ".lock"
"""The file in a folder that is locked while a process writes there."""


@contextmanager
def locked(folder: Path | str) -> Iterator[None]:
    """Keeps a folder, which is made where there is none, for this process.

    The system holds the lock and lets go of it when the process ends, however it ends, so that
    a killed one is in nobody's way.

    Args:
        folder: where files are written within the block.

    Raises:
        RecGymError: another process, or another thread of this one, holds it.
    """
    path = Path(folder) / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _acquired(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def _acquired(path: Path) -> int:
    """Returns the descriptor of the file at ``path``, locked, with this process named in it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, path):
                os.truncate(file, 0)
                os.write(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
                return file
        except BlockingIOError:
            holder = " ".join(os.read(file, 100).decode("utf-8", "replace").split())
            os.close(file)
            raise RecGymError(
                f"{path.parent}: in use by {holder or 'another process'}; wait until it ends, or"
                " choose another folder"
            ) from None
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # whoever held it has removed it since it was opened here


def _is_at(file: int, path: Path) -> bool:
    """Returns whether an open file is the one that ``path`` names."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False
