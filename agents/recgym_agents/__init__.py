"""Slate recommenders for RecGym's environments."""

from recgym_agents.checkpoints import load_agent
from recgym_agents.evaluation import Evaluation, evaluate
from recgym_agents.loops import recommend
from recgym_agents.table import AGENTS
from recgym_agents.training import TrainConfig, train

__all__ = [
    "AGENTS",
    "Evaluation",
    "TrainConfig",
    "evaluate",
    "load_agent",
    "recommend",
    "train",
]
