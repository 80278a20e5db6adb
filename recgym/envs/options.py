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
