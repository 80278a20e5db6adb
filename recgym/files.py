"""Files that are either whole or absent, and arrays that notice when they were altered.

What is written stands beside its place under a name of its own, ``.NAME.PROCESS.ENDING``, until it
is whole. What a process that was killed left there is removed when the same place is written again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from recgym.errors import RecGymError, shortened

TYPES = {
    "|b1": "BOOL", "|i1": "I8", "|u1": "U8", "<i2": "I16", "<u2": "U16", "<i4": "I32",
    "<u4": "U32", "<i8": "I64", "<u8": "U64", "<f2": "F16", "<f4": "F32", "<f8": "F64",
}  # fmt: skip
"""Types of arrays, and what safetensors calls them."""


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path that becomes ``path`` if, and only if, the block succeeds.

    Raises:
        RecGymError: it cannot be written: a full disk, a folder that is read-only, ...
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        settle(path)
        temporary = beside(path, "tmp")
        try:
            yield temporary
            with open(temporary, "rb+") as file:
                os.fchmod(file.fileno(), 0o644)  # some libraries write what only its owner reads
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def settle(path: Path | str) -> None:
    """Clears away what processes that are no more left beside ``path``, which they were writing.

    If they had moved what was there out of the way, and put nothing in its place, it is put back.
    """
    path = Path(path)
    name = re.compile(re.escape(f".{path.name}.") + r"(\d{1,9})\.(tmp|new|old)")
    if not path.parent.is_dir():
        return
    for found in map(name.fullmatch, os.listdir(path.parent)):
        if found is None or (_is_running(int(found[1])) and int(found[1]) != os.getpid()):
            continue
        left = path.with_name(found[0])
        if found[2] == "old" and not path.exists():
            os.rename(left, path)
        elif left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Writes ``text`` to ``path`` atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Writes ``value`` to ``path`` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path | str) -> Any:
    """Reads a JSON file.

    Raises:
        RecGymError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecGymError(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecGymError(f"{path}: not JSON ({shortened(str(error))})") from None


def sha256_of(path: Path | str) -> str:
    """Returns the hexadecimal SHA-256 digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Returns the SHA-256 digest of named arrays: names, types, shapes, and values."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def save_arrays(path: Path | str, arrays: Mapping[str, np.ndarray], info: Any = None) -> None:
    """Writes named arrays, and ``info`` (plain JSON) beside them, as one safetensors file.

    A digest of the contents is stored with them, so that ``load_arrays`` notices any change. The
    same contents are the same bytes.
    """
    contents = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = json.dumps(info, sort_keys=True)
    digest = sha256_of_arrays(contents | {"info": np.frombuffer(text.encode(), np.uint8)})
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        _write_safetensors(file, contents, {"info": text, "sha256": digest})


def load_arrays(path: Path | str) -> tuple[dict[str, np.ndarray], Any]:
    """Reads what ``save_arrays`` wrote: the named arrays, and ``info``.

    Raises:
        RecGymError: the file is missing, truncated, altered, or was not written by RecGym.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except FileNotFoundError:
        raise RecGymError(f"{path}: no such file") from None
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        why = shortened(str(error))
        raise RecGymError(f"{path}: truncated or not a safetensors file ({why})") from None
    if "sha256" not in metadata or "info" not in metadata:
        raise RecGymError(f"{path}: not written by RecGym (no digest inside)")
    text = np.frombuffer(metadata["info"].encode(), np.uint8)
    if sha256_of_arrays(arrays | {"info": text}) != metadata["sha256"]:
        raise RecGymError(f"{path}: altered since it was written (its digest does not match)")
    try:
        return arrays, json.loads(metadata["info"])
    except (ValueError, RecursionError) as error:
        raise RecGymError(f"{path}: not JSON inside ({shortened(str(error))})") from None


def _write_safetensors(
    file: IO[bytes], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Writes the format with its names sorted; the library's own order differs between runs."""
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))  # keeps all aligned
    end = 0
    for name in order:
        array = arrays[name]
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": TYPES[array.dtype.str],
            "shape": array.shape,
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in order:
        file.write(arrays[name].reshape(-1).view(np.uint8).data)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Makes an ``OSError`` of the block, such as a full disk, one line that names ``path``."""
    try:
        yield
    except OSError as error:
        raise RecGymError(f"{path}: cannot be written ({reason(error)})") from error


def reason(error: OSError) -> str:
    """Returns what the system says, for a message that names the file."""
    return shortened(error.strerror or str(error))


def beside(path: Path, ending: str) -> Path:
    """Returns the name under which this process writes ``path``: see ``settle``."""
    return path.with_name(f".{path.name}.{os.getpid()}.{ending}")


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, as somebody else
    return True
