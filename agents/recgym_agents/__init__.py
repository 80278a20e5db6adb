"""Slate recommenders for RecGym's environments.

What is named here is imported when it is asked for, so that ``recgym --help`` needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recgym_agents.runs.comparison import Comparison, compare
    from recgym_agents.runs.evaluation import Evaluation, evaluate
    from recgym_agents.runs.run import Run, train
    from recgym_agents.runs.run_folder import TrainConfig
    from recgym_agents.runs.saved_agents import load_agent
    from recgym_agents.user_support import Support, recommend
    from recgym_agents.zoo import AGENTS, register

__all__ = [
    "AGENTS",
    "Comparison",
    "Evaluation",
    "Run",
    "Support",
    "TrainConfig",
    "compare",
    "evaluate",
    "load_agent",
    "recommend",
    "register",
    "train",
]

_MODULES = {
    "AGENTS": "zoo",
    "Comparison": "runs.comparison",
    "Evaluation": "runs.evaluation",
    "Run": "runs.run",
    "Support": "user_support",
    "TrainConfig": "runs.run_folder",
    "compare": "runs.comparison",
    "evaluate": "runs.evaluation",
    "load_agent": "runs.saved_agents",
    "recommend": "user_support",
    "register": "zoo",
    "train": "runs.run",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from recgym.extras import extra

    with extra("agents", f"{__name__}.{name}"):
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Returns the names that can be asked for."""
    return __all__
