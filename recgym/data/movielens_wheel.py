"""MovieLens 100K, out of the wheel of a package that ships it as an example."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from recgym.errors import RecGymError
from recgym.files import atomic_write, beside, settle, sha256_of, writing

REQUIREMENT = "recbole==1.2.1"
WHEEL = "recbole-1.2.1-py3-none-any.whl"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
FOLDER_IN_WHEEL = "recbole/dataset_example/ml-100k/"
FILES = ("ml-100k.inter", "ml-100k.item")


def fetch_movielens_100k(
    instead: str = "name a folder that holds MovieLens with --path",
) -> Path:
    """Returns a folder with MovieLens 100K, downloading it (2 MB) the first time.

    The wheel is downloaded without its dependencies into ``$RECGYM_CACHE`` (or
    ``~/.cache/recgym``), checked by its sha256, and only read: it is not installed or imported.

    Args:
        instead: what an error says that one can do without the download.

    Raises:
        RecGymError: the download failed, or is not the file expected.
    """
    cache = Path(os.environ.get("RECGYM_CACHE") or Path.home() / ".cache" / "recgym")
    wheel = cache / WHEEL
    if not (wheel.is_file() and sha256_of(wheel) == WHEEL_SHA256):
        _download(wheel, instead)
    folder = cache / "ml-100k"
    with zipfile.ZipFile(wheel) as archive:
        for name in FILES:
            with atomic_write(folder / name) as temporary:
                temporary.write_bytes(archive.read(FOLDER_IN_WHEEL + name))
    return folder


def _download(wheel: Path, instead: str) -> None:
    with writing(wheel):
        wheel.parent.mkdir(parents=True, exist_ok=True)
        settle(wheel)
        folder = beside(wheel, "new")
        folder.mkdir()
    try:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        command += ["--dest", str(folder), REQUIREMENT]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = folder / WHEEL
        if done.returncode or not found.is_file():
            said = (done.stderr.strip() or "no wheel came").split("\n")[-1]
            raise RecGymError(
                f"MovieLens 100K could not be downloaded (pip download {REQUIREMENT}: {said}); "
                f"{instead}"
            )
        digest = sha256_of(found)
        if digest != WHEEL_SHA256:
            raise RecGymError(
                f"{WHEEL}: the download's sha256 is {digest}, not {WHEEL_SHA256}; {instead}"
            )
        os.replace(found, wheel)
    finally:
        settle(wheel)
