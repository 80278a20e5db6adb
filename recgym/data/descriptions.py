"""What a prepared log says of itself: facts, counts, and what trivial rules score on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from recgym.arrays import Array
from recgym.data.session_checks import EVENTS
from recgym.data.sessions import Sessions
from recgym.data.trivial_rules import floors
from recgym.errors import RecGymError
from recgym.files import sha256_of_arrays

if TYPE_CHECKING:
    from recgym.data.dataset import Dataset


def described(dataset: Dataset, name: str) -> dict[str, Any]:
    """Returns ``dataset.info`` with all that fitting and reports read.

    ``counts`` and ``floors`` are computed. So are, where they are missing, ``sha256`` (of the
    arrays), ``no_click`` and ``repeat_clicks``. Where nothing is said, the licence is "not stated",
    and ``source``, ``mended`` and ``command`` are empty.

    Args:
        dataset: valid.
        name: of the dataset if ``info`` has none.

    Raises:
        RecGymError: ``info`` is not plain JSON.
    """
    info = {
        "name": name,
        "licence": "not stated",
        "source": {},
        "mended": {},
        "command": "",
        **click_facts(dataset.sessions),
        **dataset.info,
        "counts": counts(dataset),
        "floors": floors(dataset),
    }
    try:
        json.dumps(info)
    except (TypeError, ValueError, RecursionError) as error:
        raise RecGymError(f"dataset {info['name']!r}: info is not plain JSON ({error})") from None
    if "sha256" not in info:
        info["sha256"] = _digest(dataset)
    return info


def counts(dataset: Dataset) -> dict[str, int]:
    """Returns how much there is of what."""
    sessions = dataset.sessions
    kinds = {} if sessions.event is None else event_counts(sessions.event)
    return {
        "users": dataset.n_users,
        "pages": int((sessions.slate_sizes > 0).sum()),
        "clicked_pages": int((sessions.click >= 0).sum()),
        "events_without_slate": int((sessions.slate_sizes == 0).sum()),
        "pages_of_one_item": int((sessions.slate_sizes == 1).sum()),
        "items": dataset.catalog.n_items,
        **kinds,
    }


def event_counts(event: Array) -> dict[str, int]:
    """Returns how many events (P,) are of each kind: ``clicks``, ``carts``, ``purchases``."""
    found = np.bincount(event, minlength=len(EVENTS))
    return {f"{kind}s": int(count) for kind, count in zip(EVENTS, found, strict=True)}


def click_facts(sessions: Sessions) -> dict[str, bool]:
    """Returns the two facts about clicks that a user model must know, as stored in ``info``."""
    clicked = sessions.item >= 0
    pairs = sessions.user[clicked] * (sessions.item.max() + 1) + sessions.item[clicked]
    return {
        "no_click": bool(((sessions.slate_sizes > 0) & (sessions.click < 0)).any()),
        "repeat_clicks": len(np.unique(pairs)) < len(pairs),
    }


def _digest(dataset: Dataset) -> str:
    """The SHA-256 of the pages, the items, and the split."""
    sessions = {
        name: values for name, values in vars(dataset.sessions).items() if values is not None
    }
    ids = np.frombuffer("\n".join(dataset.catalog.item_id).encode(), np.uint8)
    items = {"item_id": ids, "features": dataset.catalog.features}
    return sha256_of_arrays({**sessions, **items, "split": dataset.split})
