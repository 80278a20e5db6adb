"""The files of a run's folder by name, and ``DONE``, written last: what the others must be."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from recgym.errors import RecGymError
from recgym.files import read_json, sha256_of, write_json
from recgym_agents.algorithms.stable_baselines import MODEL

CONFIG, METRICS, CHECKPOINT = "config.json", "metrics.jsonl", "checkpoint.safetensors"
PARAMS, DONE = "params.safetensors", "DONE"
LASTING = (CONFIG, PARAMS, MODEL)
"""What an agent is loaded from: files that do not change once a run is done."""


def write_done(folder: Path, steps: int) -> None:
    """Writes ``DONE``: how many steps the run was asked for, and a digest of each lasting file."""
    names = [name for name in LASTING if (folder / name).exists()]
    digests = {name: sha256_of(folder / name) for name in names}
    write_json(folder / DONE, {"steps": steps, "sha256": digests})


def done_steps(folder: Path) -> int | None:
    """Returns how many steps a finished run was asked for.

    It is None if the run is not finished, or was before ``DONE`` said so.

    Raises:
        RecGymError: ``DONE`` is not as it was written.
    """
    done = _read_done(folder)
    return None if done is None else int(done["steps"])


def check_done(folder: Path) -> None:
    """Checks that the lasting files of a finished run are those that it finished with.

    Nothing is known of those of an unfinished run, nor of one made before there were digests.

    Raises:
        RecGymError: a file is missing or altered, or ``DONE`` is not as it was written.
    """
    done = _read_done(folder)
    for name, digest in {} if done is None else done["sha256"].items():
        path = folder / name
        if not path.is_file() or sha256_of(path) != digest:
            fault = "altered since the run was done" if path.is_file() else "no such file"
            raise RecGymError(f"{path}: {fault}; {remedy(path)}")


def remedy(path: Path) -> str:
    """Returns what to do about a lasting file that is missing or altered."""
    if path.name == PARAMS and path.with_name(CHECKPOINT).exists():
        return (
            f"put it back, or remove {path.with_name(DONE)} and give the same command again, which"
            " makes it from the checkpoint"
        )
    return f"put it back, or remove {path.parent} and train again"


def append(path: Path, data: bytes) -> int:
    """Adds bytes to a file, wholly or not at all; returns its length after that.

    Raises:
        OSError: they cannot be written.
    """
    with open(path, "ab", buffering=0) as file:
        before = file.tell()
        try:
            if file.write(data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError:
            os.truncate(path, before)
            raise
    return before + len(data)


def _read_done(folder: Path) -> dict[str, Any] | None:
    """Returns what ``DONE`` says, if it is there and says anything."""
    path = folder / DONE
    if not path.is_file() or path.stat().st_size == 0:
        return None
    done = read_json(path)
    if not (
        isinstance(done, dict)
        and isinstance(done.get("steps"), int)
        and isinstance(done.get("sha256"), dict)
    ):
        raise RecGymError(f"{path}: not what a training wrote; remove it, and train again")
    return done
