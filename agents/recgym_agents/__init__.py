"""Slate recommenders for RecGym's environments."""

from recgym_agents.agent import recommend
from recgym_agents.runs.evaluation import Evaluation, evaluate
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train
from recgym_agents.zoo import AGENTS, register

__all__ = [
    "AGENTS",
    "Evaluation",
    "TrainConfig",
    "evaluate",
    "load_agent",
    "recommend",
    "register",
    "train",
]
