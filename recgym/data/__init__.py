"""Interaction logs as two tables (sessions and a catalog), and the readers that make them."""

from recgym.data.catalog import Catalog
from recgym.data.cikm import read_cikm_cup
from recgym.data.collecting import as_dataset, collect
from recgym.data.dataset import SPLITS, Dataset, Split, split_users
from recgym.data.display_sets import read_display_sets
from recgym.data.logging_policies import (
    ActionPolicy,
    LoggingPolicy,
    Shown,
    greedy_policy,
    slate_mdp_policy,
    uniform_actions,
    uniform_policy,
)
from recgym.data.minari_datasets import from_minari, to_minari
from recgym.data.movielens import read_movielens
from recgym.data.movielens_wheel import fetch_movielens_100k
from recgym.data.session_filters import filter_sessions, sessions_as_users
from recgym.data.sessions import Columns, Sessions
from recgym.data.trivago import read_trivago
from recgym.data.trivial_rules import floors

__all__ = [
    "SPLITS",
    "ActionPolicy",
    "Catalog",
    "Columns",
    "Dataset",
    "LoggingPolicy",
    "Sessions",
    "Shown",
    "Split",
    "as_dataset",
    "collect",
    "fetch_movielens_100k",
    "filter_sessions",
    "floors",
    "from_minari",
    "greedy_policy",
    "read_cikm_cup",
    "read_display_sets",
    "read_movielens",
    "read_trivago",
    "sessions_as_users",
    "slate_mdp_policy",
    "split_users",
    "to_minari",
    "uniform_actions",
    "uniform_policy",
]
