"""Things that are chosen by name: one table for each kind, and one way to add to it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from recgym.errors import RecGymError

T = TypeVar("T")


class Registry(Mapping[str, "T | str"], Generic[T]):
    """Name -> thing, for all things of one kind.

    Args:
        kind: what they are called in messages, such as "agent".
        entries: the things, or where they lie ("module:name"), which is imported when asked for.
        is_one: tells such things from what else a module may hold.
    """

    def __init__(
        self, kind: str, entries: Mapping[str, T | str], is_one: Callable[[Any], bool]
    ) -> None:
        self.kind, self.entries, self.is_one = kind, dict(entries), is_one

    def register(self, name: str, entry: T | str) -> None:
        """Adds a thing.

        Raises:
            RecGymError: the name is taken, or holds a colon, which stands between module and name.
        """
        if name in self.entries:
            raise RecGymError(f"{self.kind} {name!r}: is registered already; choose another name")
        if not name or ":" in name:
            raise RecGymError(f"{self.kind} {name!r}: a name has no colon, and is not empty")
        self.entries[name] = entry

    def find(self, name: str) -> T:
        """Returns the thing of a name.

        Args:
            name: a registered name; or "module:name" for one that a module of one's own registers
                when it is imported, or simply holds.

        Raises:
            RecGymError: there is none, its module cannot be imported, or holds something else.
        """
        module, colon, own = name.partition(":")
        entry: Any = self.entries.get(name)
        if entry is None and colon:
            held = self._imported(name, module)
            entry = self.entries.get(own)
            entry = getattr(held, own, None) if entry is None else entry
        if entry is None:
            known = ", ".join(self.entries)
            close = get_close_matches(own or name, self.entries, n=1)
            meant = "".join(f" (did you mean {one!r}?)" for one in close)
            raise RecGymError(
                f"{self.kind} {name!r}: unknown; there are {known}, or 'module:name'{meant}"
            )
        if isinstance(entry, str):
            module, _, own = entry.partition(":")
            entry = getattr(self._imported(name, module), own, None)
        if not self.is_one(entry):
            what = type(entry).__name__
            raise RecGymError(
                f"{self.kind} {name!r}: that is no {self.kind}, but of type {what}; name what the"
                " module registers"
            )
        found: T = entry
        return found

    def _imported(self, name: str, module: str) -> Any:
        try:
            return importlib.import_module(module)
        except (ImportError, ValueError) as error:
            raise RecGymError(f"{self.kind} {name!r} cannot be imported: {error}") from None

    def __getitem__(self, name: str) -> T | str:
        """Returns the entry as it stands in the table."""
        return self.entries[name]

    def __iter__(self) -> Iterator[str]:
        """Goes through the names, in the order in which they were entered."""
        return iter(self.entries)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.entries)
