"""Reranking of logged lists: how soon what was clicked comes in an agent's order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from recgym.arrays import Array
from recgym.data import Dataset, Split
from recgym.data.trivial_rules import rule_scores
from recgym.metrics import precision
from recgym_agents.algorithms.policy_gradient import PolicyGradient

TOP = 10
"""Items that count as first in precision at 10; pages with no more than these do not count."""
ROWS = 512
"""Pages that an agent scores at once."""


@dataclass(frozen=True)
class Lists:
    """P pages with a click, and what was clicked before them in their sessions."""

    session: Array
    """(P,) whose page it is"""
    observation: Array
    """(P, W) the last clicked items, oldest first, N where there is none"""
    slate: Array
    """(P, K) items shown, -1 where a page has no item"""
    click: Array
    """(P,) clicked slot"""

    @staticmethod
    def of(dataset: Dataset, split: Split, window: int) -> Lists:
        """Returns the pages of one split's users, who are sessions (``sessions_as_users``).

        Args:
            dataset: a log with a click on each page.
            split: whose pages.
            window: clicked items observed, W.
        """
        pages = dataset.pages(split)
        observation = pages.histories(window, dataset.catalog.n_items)
        return Lists(pages.user, observation, pages.padded_slates(), pages.click)

    @property
    def size(self) -> Array:
        """(P,) items on each page."""
        sizes: Array = (self.slate >= 0).sum(axis=1)
        return sizes


@dataclass(frozen=True)
class Reranked:
    """Whether the clicked item comes first, in expectation where scores are tied, in 0..1."""

    at_1: Array
    """(P,)"""
    at_10: Array
    """Among the first ten, of the pages with more items than that."""

    @staticmethod
    def of(lists: Lists, scores: Array) -> Reranked:
        """Reranks pages by scores (P, K), the highest first."""
        present = np.where(lists.slate >= 0, scores, -np.inf)
        long = lists.size > TOP
        return Reranked(
            at_1=precision(present, lists.click, 1),
            at_10=precision(present[long], lists.click[long], TOP),
        )

    def means(self) -> dict[str, float]:
        """Returns precision at 1 and at 10 over pages."""
        return {"at_1": float(self.at_1.mean()), "at_10": float(self.at_10.mean())}


@torch.no_grad()
def agent_scores(agent: PolicyGradient, lists: Lists) -> Array:
    """Returns what an agent ranks the items of pages by (P, K)."""
    parts = []
    for start in range(0, len(lists.click), ROWS):
        rows = slice(start, start + ROWS)
        item = torch.as_tensor(np.maximum(lists.slate[rows], 0))
        parts.append(agent.logits(lists.observation[rows]).gather(1, item).numpy())
    return np.concatenate(parts)


def floor_scores(dataset: Dataset, lists: Lists) -> dict[str, Array]:
    """Returns what rules that learn nothing of sessions rank by: rule -> (P, K).

    Those of ``rule_scores``; ``last_click``, the items clicked before in the session, the latest
    first; and ``not_clicked``, those that nobody clicked in training sessions.
    """
    window = lists.observation.shape[1]
    same = lists.slate[:, :, None] == lists.observation[:, None, :]
    latest = (same * np.arange(1, window + 1)).max(axis=2).astype(np.float64)
    new = _not_clicked(dataset)[np.maximum(lists.slate, 0)].astype(np.float64)
    own = {"last_click": latest, "not_clicked": new}
    return rule_scores(dataset, lists.slate) | own


def facts_of(dataset: Dataset, lists: Lists) -> dict[str, float]:
    """Returns what the test pages ``lists`` are like, for the page of results."""
    pages, new = dataset.pages("test"), _not_clicked(dataset)
    return {
        "sessions": len(np.unique(pages.user)),
        "pages": pages.n_pages,
        "items": float(lists.size.mean()),
        "single": float((lists.size == 1).mean()),
        "long": int((lists.size > TOP).sum()),
        "new": float(new[pages.item].mean()),
        "shown_new": float(new[pages.slate_items].mean()),
        "reward": float(pages.reward.mean()),
    }


def _not_clicked(dataset: Dataset) -> Array:
    """(N,) bool: whether nobody clicked an item in training sessions."""
    clicks = np.bincount(dataset.pages("train").item, minlength=dataset.catalog.n_items)
    return clicks == 0
