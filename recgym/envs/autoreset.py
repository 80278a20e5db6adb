"""What a vector environment does with an episode that is over: our names, and Gymnasium's."""

from __future__ import annotations

from enum import Enum
from typing import Any

import gymnasium

from recgym.errors import RecGymError

AUTORESET_MODES = {"next-step": "NextStep", "same-step": "SameStep", "disabled": "Disabled"}
"""Our names -> the values of ``gymnasium.vector.AutoresetMode``."""


def mode_name(mode: Any) -> str:
    """Returns our name of an autoreset mode.

    Args:
        mode: our name, or a member of ``gymnasium.vector.AutoresetMode``, or its value.

    Raises:
        RecGymError: there is no such mode.
    """
    value = mode.value if isinstance(mode, Enum) else mode
    for ours, theirs in AUTORESET_MODES.items():
        if value in (ours, theirs):
            return ours
    raise RecGymError(f"autoreset_mode={mode!r}: must be one of {', '.join(AUTORESET_MODES)}")


def gymnasium_mode(name: str) -> Any:
    """Returns Gymnasium's own constant; Gymnasium 1.0 has none, and does not ask for one."""
    modes = getattr(gymnasium.vector, "AutoresetMode", None)
    return name if modes is None else modes(AUTORESET_MODES[name])
