"""A log of sessions as users who are seen once: what comes first tells of each, the rest is judged.

So agents that adapt to users learn from a log, and are scored on one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from recgym.errors import RecGymError
from recgym.ranking_metrics import ndcg, rank_counts
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.checkpointing import Checkpointed
from recgym_agents.learning.episodes import EpisodeLog, click_sequences, observed
from recgym_agents.learning.loop import Loop
from recgym_agents.learning.user_steps import UserBatch, UserSteps, steps_of_support
from recgym_agents.user_support import Support

UNSEEN = "no session of the log has two pages, one to tell of its user and one to learn from"


class UserLog(Checkpointed):
    """The sessions of a log, each of which is cut in two: support, and what followed it.

    Sessions of one page tell nothing of a user before it, and are left out.

    Args:
        log: the sessions; pages without a slate enter the histories alone.
        spec: the world of the agent.
        support_pages: the last pages before the cut that are told, at most.
        pages: the first pages after it that are learned from, at most.
        without: share of users whose support is kept from the agent.
        rng: draws users and cuts.

    Raises:
        RecGymError: a page shows more than the slates of the world, or no session can be cut.
    """

    kept = ("rng",)

    def __init__(
        self,
        log: EpisodeLog,
        spec: EnvironmentSpec,
        support_pages: int,
        pages: int,
        without: float,
        rng: np.random.Generator,
    ) -> None:
        check_slates(log, spec)
        self.log, self.spec, self.rng = log, spec, rng
        self.support_pages, self.pages, self.without = support_pages, pages, without
        self.length = np.diff(log.offsets)
        self.users = np.flatnonzero(self.length > 1)
        if not self.users.size:
            raise RecGymError(UNSEEN)

    def draw(self, size: int) -> UserBatch:
        """Draws users, or takes all where there are no more, each with a cut anywhere."""
        users = self.rng.permutation(self.users)[:size]
        at = self.rng.integers(1, self.length[users])
        support, query = cut(self.log, users, at, self.spec, self.support_pages, self.pages)
        told = self.rng.random(len(users)) >= self.without
        support = support._replace(slate=np.where(told[:, None, None, None], support.slate, -1))
        return UserBatch(steps_of_support(support, self.spec), query)


class UserLogLoop(Loop):
    """Learns from the users of a log alone.

    Args:
        agent: adapts and learns.
        users: of the log.
        batch_users: an update.
        steps: logged pages that the whole training will learn from, each as often as it is read.
    """

    kept = (*Loop.kept, "users")

    def __init__(self, agent: Any, users: UserLog, batch_users: int, steps: int) -> None:
        super().__init__(agent, steps)
        self.users, self.batch_users = users, batch_users

    def iterate(self) -> dict[str, float]:
        """Learns from a batch of users; returns means over its pages, and what the update reports.

        Raises:
            RecGymError: a loss is no longer a finite number.
        """
        batch = self.users.draw(self.batch_users)
        query = batch.query
        self.steps_done += max(int(query.there.sum()), 1)
        return self.update(batch) | {"reward": float(query.reward[query.there].mean())}

    def score(self, held_out: EpisodeLog) -> float:
        """Returns the mean nDCG of what users clicked in the second half of held-out sessions.

        Each is adapted to by the first half, and then ranks the items of its pages.
        """
        users = self.users
        support, query = halves(held_out, users.spec, users.support_pages)
        clicked = query.there & (query.slot < query.slate.shape[-1])
        scores = page_scores(self.agent.adapt(support), query)[clicked]
        return float(ndcg(*rank_counts(scores, query.slot[clicked]), scores.shape[1]).mean())


def check_slates(log: EpisodeLog, spec: EnvironmentSpec) -> None:
    """Checks that the pages of a log fit into the slates of a world.

    Raises:
        RecGymError: one shows more items.
    """
    if log.slate.shape[1] > spec.slate_size:
        raise RecGymError(
            f"log: its largest page shows {log.slate.shape[1]} items, slates have"
            f" {spec.slate_size}; set slate_size to at least that many"
        )


def cut(
    log: EpisodeLog,
    users: np.ndarray,
    at: np.ndarray,
    spec: EnvironmentSpec,
    support_pages: int,
    pages: int,
) -> tuple[Support, UserSteps]:
    """Cuts sessions in two: one sequence of support each, and the pages that followed it.

    What is observed before a page are the last clicks of the session, those of the support among
    them, and of the history before the session.

    Args:
        log: the sessions, no page of which shows more than K items.
        users: their numbers (U,).
        at: pages of each before the cut (U,).
        spec: the world.
        support_pages: the last pages before the cut that are told, at most.
        pages: the first pages after it, at most.

    Returns:
        Both of one sequence a user, (U, 1, T, ...).
    """
    batch, size, none = log.batch(users), spec.slate_size, spec.n_items
    clicks, before = click_sequences(batch.history, batch.item, none)
    seen = observed(clicks, before, spec.window, none)
    free = size - batch.slate.shape[2]
    slate = np.pad(batch.slate, ((0, 0), (0, 0), (0, free)), constant_values=-1)
    is_click = (slate == batch.item[..., None]) & (batch.item[..., None] >= 0)
    slot = np.where(is_click.any(2), is_click.argmax(2), size)
    length = batch.steps.sum(1)
    first, shown = np.maximum(at - support_pages, 0), slate[..., 0] >= 0

    def part(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, ...]:
        """Returns the numbers of the pages from ``begin`` to ``end``, and which are there."""
        step = begin[:, None] + np.arange(int((end - begin).max()))
        inside = step < end[:, None]
        row, step = np.arange(len(users))[:, None], np.where(inside, step, 0)
        return row, step, inside & shown[row, step]

    row, step, there = part(first, at)
    support = Support(
        slate=np.where(there[..., None], slate[row, step], -1)[:, None],
        click=np.where(there & (slot[row, step] < size), slot[row, step], -1)[:, None],
        reward=np.where(there, batch.reward[row, step], np.float32(0.0))[:, None],
    )
    row, step, there = part(at, np.minimum(at + pages, length))
    items = np.where(slate < 0, none, slate)[row, step]
    query = UserSteps(
        observation=seen[row, step][:, None],
        slate=np.where(there[..., None], items, 0)[:, None],
        slot=np.where(there, slot[row, step], size)[:, None],
        reward=np.where(there, batch.reward[row, step], np.float32(0.0))[:, None],
        goes_on=(there & (step + 1 < length[:, None]))[:, None],
        next_observation=seen[row, step + 1][:, None],
        there=there[:, None],
    )
    return support, query


def halves(log: EpisodeLog, spec: EnvironmentSpec, support_pages: int) -> tuple[Support, UserSteps]:
    """Cuts all sessions of at least two pages in the middle, see ``cut``; the longer part is last.

    Raises:
        RecGymError: a page shows more than the slates of the world, or no session can be cut.
    """
    check_slates(log, spec)
    length = np.diff(log.offsets)
    users = np.flatnonzero(length > 1)
    if not users.size:
        raise RecGymError(UNSEEN)
    return cut(log, users, length[users] // 2, spec, support_pages, int(length.max()))


def page_scores(adapted: Any, query: UserSteps) -> np.ndarray:
    """Returns what an agent that adapted to U users ranks their pages' items by (U, 1, T, K)."""
    steps = range(query.there.shape[2])
    found = [adapted.scores(query.observation[:, 0, t], query.slate[:, 0, t]) for t in steps]
    return np.stack(found, axis=1)[:, None]
