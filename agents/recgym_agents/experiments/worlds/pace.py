"""How soon an agent earned most of what it came to earn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recgym_agents.experiments.experiment import Finished, Result, by_seed
from recgym_agents.runs.run_metrics import read_metrics

HEADER = ("steps", "updates", "of all updates", "seconds, all")
CAPTION = (
    "To the first of the validations that showed 90% of the best one, which says little where"
    " random slates earn nearly as much; seconds are those of a whole cell, the scoring included."
)


def ninety(folder: Path) -> Result:
    """Returns the steps and updates after which validation first showed 90% of its best.

    Args:
        folder: of the run; the result is empty if it was trained without validation.
    """
    lines = [line for line in read_metrics(folder) if "validation_session_reward" in line]
    if not lines:
        return {}
    best = max(line["validation_session_reward"] for line in lines)
    enough = best - 0.1 * abs(best)  # rewards may be negative
    first = next(line for line in lines if line["validation_session_reward"] >= enough)
    return {
        "steps_to_90": int(first["steps"]),
        "updates_to_90": int(first["updates"]),
        "updates": int(lines[-1]["updates"]),
    }


def pace_row(runs: list[Finished]) -> list[str]:
    """Returns the means over runs of what ``HEADER`` names."""
    steps, updates = (by_seed(runs, f"{name}_to_90") for name in ("steps", "updates"))
    share = updates / by_seed(runs, "updates")
    seconds = np.array([one.seconds for one in runs])
    texts = [f"{steps.mean():,.0f}", f"{updates.mean():,.0f}", f"{100 * share.mean():.0f}%"]
    return [*texts, f"{seconds.mean():.0f}"]
