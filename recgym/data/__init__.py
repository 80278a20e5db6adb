"""Interaction logs as two tables (sessions and a catalog), and the readers that make them."""

from recgym.data.catalog import Catalog
from recgym.data.dataset import SPLITS, Dataset, Split, split_users
from recgym.data.display_sets import read_display_sets
from recgym.data.floors import floors
from recgym.data.movielens import read_movielens
from recgym.data.movielens_wheel import fetch_movielens_100k
from recgym.data.sessions import Columns, Sessions
from recgym.data.trivago import read_trivago

__all__ = [
    "SPLITS",
    "Catalog",
    "Columns",
    "Dataset",
    "Sessions",
    "Split",
    "fetch_movielens_100k",
    "floors",
    "read_display_sets",
    "read_movielens",
    "read_trivago",
    "split_users",
]
