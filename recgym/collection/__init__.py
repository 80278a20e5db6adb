"""Logs from environments: sessions of a logging policy, as datasets of ours and of Minari."""

from recgym.collection.collecting import as_dataset, collect
from recgym.collection.logging_policies import (
    ActionPolicy,
    LoggingPolicy,
    Shown,
    greedy_policy,
    known_users_policy,
    slate_mdp_policy,
    uniform_actions,
    uniform_policy,
)
from recgym.collection.minari_datasets import from_minari, to_minari

__all__ = [
    "ActionPolicy",
    "LoggingPolicy",
    "Shown",
    "as_dataset",
    "collect",
    "from_minari",
    "greedy_policy",
    "known_users_policy",
    "slate_mdp_policy",
    "to_minari",
    "uniform_actions",
    "uniform_policy",
]
