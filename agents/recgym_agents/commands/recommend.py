"""Prints the slate that a trained agent shows to a user who clicked some items."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from recgym.data import Dataset
from recgym.errors import RecGymError
from recgym_agents.runs.saved_agents import load_agent


def main(
    folder: Annotated[Path, tyro.conf.Positional],
    history: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    data: Path | None = None,
    trust: bool = False,
) -> None:
    """Prints a slate, an item a line: its id, and with --data its id in the log and its title.

    Args:
        folder: of the agent.
        history: the items that the user clicked, oldest first: ids 0..N-1, or with --data those of
            the log.
        data: folder that recgym prepare wrote, of the log that the agent's world was made from.
        trust: read what can run any code as it is read: an agent of Stable-Baselines3, or the
            module of an agent that the folder names as "module:name".
    """
    agent, _ = load_agent(folder, trust=trust)
    if data is None:
        slate = agent.recommend([_number(item) for item in history])
        print("\n".join(map(str, slate)))
        return
    catalog = Dataset.load(data).catalog
    if catalog.n_items != agent.spec.n_items:
        raise RecGymError(
            f"{data}: has {catalog.n_items} items, the agent knows {agent.spec.n_items}; name the"
            " data that its world was made from"
        )
    row_of = {item_id: row for row, item_id in enumerate(catalog.item_id)}
    unknown = [item for item in history if item not in row_of]
    if unknown:
        raise RecGymError(f"item {unknown[0]}: not in {data}")
    for row in agent.recommend([row_of[item] for item in history]):
        title = "" if catalog.title is None else f"\t{catalog.title[row]}"
        print(f"{row}\t{catalog.item_id[row]}{title}")


def _number(item: str) -> int:
    """Reads an id; what is none is an error."""
    try:
        return int(item)
    except ValueError:
        raise RecGymError(
            f"item {item}: must be a whole number; --data reads the ids of a log"
        ) from None
