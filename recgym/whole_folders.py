"""Folders that are replaced as a whole, and that notice when a file in them was altered."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from recgym.errors import RecGymError
from recgym.files import beside, reason, settle, sha256_of, write_text, writing

DIGESTS = "SHA256SUMS"
"""The file of a folder that names the digests of the others, as ``sha256sum`` writes them."""
LEFT = re.compile(r"\..*\.\d+\.tmp")
"""Names in a folder that tell of a process that was killed as it wrote a file there."""
AT_WORKING_FOLDER, EXCHANGE = -100, 2
"""AT_FDCWD and RENAME_EXCHANGE of Linux's renameat2."""
NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
"""What a system or a file system answers that cannot exchange two names."""


@contextmanager
def replace_folder(path: Path | str, files: Collection[str], what: str) -> Iterator[Path]:
    """Yields a new folder that takes the place of ``path`` if, and only if, the block succeeds.

    Whenever the process is stopped, ``path`` is the folder before or the one after, and whole. On
    systems that cannot exchange two names in one step there is a moment without either; ``settle``
    then puts the former one back.

    Args:
        path: of the folder.
        files: the names that such a folder holds; one that holds another is not replaced.
        what: such a folder is, for the message.

    Raises:
        RecGymError: ``path`` is something else than such a folder, or it cannot be written.
    """
    path = Path(path).resolve()
    check_place(path, files, what)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = beside(path, "new")
        try:
            fresh.mkdir()
            yield fresh
            _flush_folder(fresh)
            _put(fresh, path)
            _flush_folder(path.parent)
        finally:
            settle(path)  # of this process: what was there before, or what is not whole


def check_place(path: Path | str, files: Collection[str], what: str) -> None:
    """Checks that a folder can be written, or replaced, before long work that ends in it.

    What killed processes left beside it is cleared away, see ``settle``.

    Args:
        path: of the folder.
        files: the names that it may hold.
        what: such a folder is, for the message.

    Raises:
        RecGymError: ``path`` is something else than a folder that holds ``files`` alone, or is
            where this user may write nothing.
    """
    path = Path(path).resolve()
    with writing(path):
        above = next((parent for parent in path.parents if parent.exists()), path)
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise RecGymError(f"{path}: cannot be written ({above} is no folder to write to)")
        settle(path)
        if not path.exists():
            return
        names = os.listdir(path) if path.is_dir() else [path.name]
        if not path.is_dir() or any(n not in files and not LEFT.fullmatch(n) for n in names):
            raise RecGymError(f"{path}: exists and is not {what}; name another folder")


def write_digests(folder: Path | str) -> None:
    """Writes the digests of a folder's files to ``SHA256SUMS`` in it."""
    folder = Path(folder)
    names = sorted(os.listdir(folder))
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in names if name != DIGESTS]
    write_text(folder / DIGESTS, "".join(lines))


def check_digests(folder: Path | str, files: Collection[str]) -> None:
    """Checks files against ``SHA256SUMS``; a folder without, made by an earlier version, passes.

    Args:
        folder: where they are.
        files: the names that it may hold.

    Raises:
        RecGymError: a file is missing, cannot be read, or has changed since it was written.
    """
    folder = Path(folder)
    try:
        text = (folder / DIGESTS).read_bytes().decode("ascii", "replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise RecGymError(f"{folder / DIGESTS}: cannot be read ({reason(error)})") from None
    written = {
        name: digest for digest, _, name in (line.partition("  ") for line in text.split("\n"))
    }
    for name in files:
        if name not in written and not (folder / name).exists():
            continue  # not every such folder has it
        try:
            digest = sha256_of(folder / name)
        except FileNotFoundError:
            raise RecGymError(f"{folder / name}: no such file") from None
        except OSError as error:
            raise RecGymError(f"{folder / name}: cannot be read ({reason(error)})") from None
        if written.get(name) != digest:
            why = f"its digest is not the one in {DIGESTS}"
            raise RecGymError(f"{folder / name}: altered since it was written ({why})")


def _put(fresh: Path, path: Path) -> None:
    """Renames a folder; one that has the name already is renamed first, at best in one step."""
    if path.exists():
        if _exchange(fresh, path):
            return
        os.rename(path, beside(path, "old"))
    os.rename(fresh, path)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names in one step; false where that is not possible."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    if rename(AT_WORKING_FOLDER, names[0], AT_WORKING_FOLDER, names[1], EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _flush_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
