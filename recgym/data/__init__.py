"""Interaction logs as two tables (sessions and a catalog), and the readers that make them."""

from recgym.data.catalog import Catalog
from recgym.data.cikm import read_cikm_cup
from recgym.data.click_tables import read_clicks
from recgym.data.dataset import SPLITS, Dataset, Split, split_users
from recgym.data.display_sets import read_display_sets
from recgym.data.lastfm import read_lastfm
from recgym.data.movielens import read_movielens
from recgym.data.movielens_wheel import fetch_movielens_100k
from recgym.data.netflix import read_netflix
from recgym.data.open_bandit import read_open_bandit
from recgym.data.otto import read_otto
from recgym.data.retailrocket import read_retailrocket
from recgym.data.session_checks import EVENTS
from recgym.data.session_filters import filter_sessions, sessions_as_users
from recgym.data.sessions import Columns, Sessions
from recgym.data.taobao import read_taobao
from recgym.data.trivago import read_trivago
from recgym.data.trivial_rules import floors
from recgym.data.user_table import UserTable
from recgym.data.yelp import read_yelp
from recgym.data.yoochoose import read_yoochoose

__all__ = [
    "EVENTS",
    "SPLITS",
    "Catalog",
    "Columns",
    "Dataset",
    "Sessions",
    "Split",
    "UserTable",
    "fetch_movielens_100k",
    "filter_sessions",
    "floors",
    "read_cikm_cup",
    "read_clicks",
    "read_display_sets",
    "read_lastfm",
    "read_movielens",
    "read_netflix",
    "read_open_bandit",
    "read_otto",
    "read_retailrocket",
    "read_taobao",
    "read_trivago",
    "read_yelp",
    "read_yoochoose",
    "sessions_as_users",
    "split_users",
]
