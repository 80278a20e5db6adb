"""Reranking of what users of a log were shown after one sequence that tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.arrays import Array
from recgym.data import Dataset
from recgym.errors import RecGymError
from recgym.ranking_metrics import hit_rate, ndcg, rank_counts
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.experiments.experiment import Place
from recgym_agents.experiments.irecgan.reranking import Lists
from recgym_agents.experiments.irecgan.shared_settings import as_irecgan_is_paid
from recgym_agents.experiments.user_logs import raw_log, read_lists
from recgym_agents.experiments.yoochoose_pages import read_yoochoose_pages
from recgym_agents.learning.episodes import EpisodeLog
from recgym_agents.learning.user_log import halves, page_scores
from recgym_agents.learning.user_steps import UserSteps
from recgym_agents.user_support import Support

LOGS = ("cikm", "trivago", "yoochoose")
YOOCHOOSE_ITEMS = 20
"""Items of the pages that are made up for YooChoose, so that the first ten are not all of them."""
PRECISION, RECALL = (1, 5, 10), (5, 10)
"""How many items count as first, in each metric."""
METRICS = (
    *(f"P@{k}" for k in PRECISION),
    *(f"NDCG@{k}" for k in RECALL),
    *(f"Recall@{k}" for k in RECALL),
)


def read_users(log: str, place: Place, seed: int, users: int | None) -> Dataset:
    """Reads a log, each session of which is a user.

    Args:
        log: one of ``LOGS``.
        place: where the raw files are.
        seed: of the division of the users into training, validation and test users.
        users: how many are read, of YooChoose the latest, else the first; None for all.

    Raises:
        DataNotAvailable: a raw file is not here.
    """
    if log in ("cikm", "trivago"):
        return read_lists(log, place, users, seed)
    path = place.raw(*raw_log(log))
    return read_yoochoose_pages(path, YOOCHOOSE_ITEMS, users, seed)


@dataclass(frozen=True)
class HeldOutUsers:
    """Test users: the first half of each one's pages, and the second half, which is reranked."""

    support: Support
    """The last pages of the first half, one sequence of each of U users."""
    query: UserSteps
    """The second half (U, 1, T, ...)."""

    @staticmethod
    def of(dataset: Dataset, spec: EnvironmentSpec, support_pages: int) -> HeldOutUsers:
        """Returns the test users of a log with two pages at least, paid as those of training are.

        Args:
            dataset: a log with a click on each page.
            spec: the world of the agents.
            support_pages: of the support, at most.
        """
        paid = as_irecgan_is_paid(dataset, "m3rec")  # as is every other agent that adapts
        log = EpisodeLog.of_sessions(paid.pages("test"), spec.window, spec.n_items)
        return HeldOutUsers(*halves(log, spec, support_pages))

    def lists(self, n_items: int) -> Lists:
        """Returns the pages that are reranked, of a catalog of N = ``n_items``, user by user."""
        query, there = self.query, self.query.there
        slate = query.slate[there]
        return Lists(
            session=np.nonzero(there)[0],
            observation=query.observation[there],
            slate=np.where(slate < n_items, slate, -1),
            click=query.slot[there],
        )

    def adapted_scores(self, agent: Any) -> Array:
        """Returns what an agent ranks the items of the pages by (P, K), adapted by the support."""
        return page_scores(agent.adapt(self.support), self.query)[self.query.there]


def ranking_metrics(lists: Lists, scores: Array) -> dict[str, float]:
    """Returns ``METRICS`` of pages reranked by scores (P, K), ties broken at random.

    Those at k are means over the pages of more than k items.

    Raises:
        RecGymError: no page has more than ten.
    """
    if lists.size.max() <= RECALL[-1]:
        raise RecGymError(f"no test page has more than {RECALL[-1]} items; read more users")
    present = np.where(lists.slate >= 0, scores, -np.inf)
    better, tied = rank_counts(present, lists.click)
    found = {f"P@{k}": hit_rate(better, tied, k) for k in PRECISION}
    found |= {f"NDCG@{k}": ndcg(better, tied, k) for k in RECALL}
    share = later_shares(lists)
    page, slot = np.nonzero(share)
    better, tied = rank_counts(present[page], slot)
    for k in RECALL:
        hits = share[page, slot] * hit_rate(better, tied, k)
        found[f"Recall@{k}"] = np.bincount(page, hits, len(share))
    return {
        name: float(found[name][lists.size > int(name.partition("@")[2])].mean())
        for name in METRICS
    }


def later_shares(lists: Lists) -> Array:
    """Returns which share an item of a page is of what its user clicks from there on (P, K).

    Of n different items that she clicks on this page or later, each has 1 / n on a page that shows
    it; all other items have 0.
    """
    item = np.take_along_axis(lists.slate, lists.click[:, None], axis=1)[:, 0]
    shares = np.zeros(lists.slate.shape)
    first = np.flatnonzero(np.diff(lists.session, prepend=-1))
    for pages in np.split(np.arange(len(item)), first[1:]):
        for place, page in enumerate(pages):
            later = np.unique(item[pages[place:]])
            shares[page] = np.isin(lists.slate[page], later) / len(later)
    return shares
