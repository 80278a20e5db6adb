"""What ``reset(options=...)`` may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from recgym.errors import RecGymError


def check_options(options: Mapping[str, Any] | None, known: tuple[str, ...]) -> Mapping[str, Any]:
    """Returns the options, empty for None.

    Raises:
        RecGymError: a key that is not in ``known``.
    """
    options = options or {}
    for key in options:
        if key not in known:
            there_are = ", ".join(known) or "none"
            raise RecGymError(f"reset option {key!r} is unknown; known: {there_are}")
    return options


def seed_of(seed: Any, n_rows: int) -> int | None:
    """Returns one seed for a generator that all rows share.

    Args:
        seed: an integer, a list of one for each row, which are mixed into one, or None.
        n_rows: B.

    Raises:
        RecGymError: a list of another length, or of anything but whole numbers of 0 or more.
    """
    if not isinstance(seed, list | tuple | np.ndarray):
        return seed  # type: ignore[no-any-return]
    if len(seed) == n_rows and all(one is None for one in seed):
        return None
    wanted = f"reset: seed must be one whole number, or {n_rows} of them"
    whole = all(isinstance(one, int | np.integer) and one >= 0 for one in seed)
    if len(seed) != n_rows or not whole:
        raise RecGymError(f"{wanted}, of 0 or more")
    mixed = np.random.SeedSequence([int(one) for one in seed]).generate_state(1, np.uint64)
    return int(mixed[0] >> np.uint64(1))  # a seed of Gymnasium fits an int64


def users_of(options: Mapping[str, Any], n_rows: int, n_users: int) -> np.ndarray | None:
    """Returns the users that the options name, int64 (n_rows,), or None.

    Raises:
        RecGymError: not one whole number in 0..n_users - 1 for each row.
    """
    if options.get("user") is None:
        return None
    users = np.asarray(options["user"])
    if users.dtype.kind not in "iu" or users.shape not in ((), (n_rows,)):
        raise RecGymError(f"reset option 'user': must be one whole number, or {n_rows} of them")
    if users.min(initial=0) < 0 or users.max(initial=0) >= n_users:
        raise RecGymError(f"reset option 'user': {users} is out of range 0..{n_users - 1}")
    return np.broadcast_to(users, (n_rows,)).astype(np.int64)


def mask_of(options: Mapping[str, Any], n_rows: int) -> np.ndarray:
    """Returns the rows that the option "reset_mask" names, bool (n_rows,); all when it is absent.

    Raises:
        RecGymError: not a bool array with one entry a row, at least one of them True.
    """
    mask = np.asarray(options.get("reset_mask", np.ones(n_rows, np.bool_)))
    if mask.dtype != np.bool_ or mask.shape != (n_rows,) or not mask.any():
        raise RecGymError(
            f"reset option 'reset_mask': must be {n_rows} bools, at least one of them True"
        )
    return mask
