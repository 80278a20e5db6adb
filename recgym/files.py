"""Files that are either whole or absent, and arrays that notice when they were altered."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from recgym.errors import RecGymError


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path that becomes ``path`` if, and only if, the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fchmod(file.fileno(), 0o644)  # safetensors writes files that only their owner reads
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecGymError(f"{path}: not JSON ({error})") from None


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

    A digest of the contents is stored with them, so that ``load_arrays`` notices any change.
    """
    contents = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = json.dumps(info, sort_keys=True)
    digest = sha256_of_arrays(contents | {"info": np.frombuffer(text.encode(), np.uint8)})
    with atomic_write(path) as temporary:
        save_file(contents, temporary, metadata={"info": text, "sha256": digest})


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
    except (SafetensorError, OSError) as error:
        raise RecGymError(f"{path}: truncated or not a safetensors file ({error})") from None
    if "sha256" not in metadata or "info" not in metadata:
        raise RecGymError(f"{path}: not written by RecGym (no digest inside)")
    text = np.frombuffer(metadata["info"].encode(), np.uint8)
    if sha256_of_arrays(arrays | {"info": text}) != metadata["sha256"]:
        raise RecGymError(f"{path}: altered since it was written (its digest does not match)")
    return arrays, json.loads(metadata["info"])
