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

UNSEEN = (
    "no session of the log has two pages with a slate, one to tell of its user and one after it"
)
UNCLICKED = "no session of the log has a click in the second half of its pages, to be ranked"


class UserLog(Checkpointed):
    """The sessions of a log, each of which is cut in two: support, and what followed it.

    Pages without a slate are neither support nor learned from: what was clicked there is observed
    before what followed. Sessions of one page with a slate are left out, since nothing before it
    tells of the user.

    Args:
        log: the sessions.
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
        self.length = shown_pages(log)
        self.users = users_of(log)

    def draw(self, size: int) -> UserBatch:
        """Draws users, or takes all where there are no more, each with a cut anywhere."""
        users = self.rng.permutation(self.users)[:size]
        at = self.rng.integers(1, self.length[users])
        support, query = cut(self.log, users, at, self.spec, self.support_pages, self.pages)
        support = support.kept_from(self.rng.random(len(users)) < self.without)
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
        self.steps_done += int(query.there.sum())
        return self.update(batch) | {"reward": float(query.reward[query.there].mean())}

    def check_held_out(self, held_out: EpisodeLog) -> None:
        """Checks that some user can be adapted to and then clicked.

        Raises:
            RecGymError: a page shows more than the slates of the world, no session can be cut, or
                nothing was clicked in a second half.
        """
        users = self.users
        _, query = halves(held_out, users.spec, users.support_pages)
        if not _clicked(query).any():
            raise RecGymError(UNCLICKED)

    def score(self, held_out: EpisodeLog) -> float:
        """Returns the mean nDCG of what users clicked in the second half of held-out sessions.

        The agent adapts to each by the first half, as many at once as an update has, and then ranks
        the items of the pages. For sessions that ``check_held_out`` accepts.
        """
        users, every, size = self.users, users_of(held_out), self.batch_users
        found = []
        for part in np.split(every, np.arange(size, len(every), size)):
            support, query = halves(held_out, users.spec, users.support_pages, part)
            clicked = _clicked(query)
            scores = page_scores(self.agent.adapt(support), query)[clicked]
            found.append(ndcg(*rank_counts(scores, query.slot[clicked]), scores.shape[1]))
        return float(np.concatenate(found).mean())


def shown_pages(log: EpisodeLog) -> np.ndarray:
    """Returns how many pages of each session show a slate (E,)."""
    before = np.append(0, np.cumsum((log.slate >= 0).any(1)))
    found: np.ndarray = np.diff(before[log.offsets])
    return found


def users_of(log: EpisodeLog) -> np.ndarray:
    """Returns the numbers of the sessions that can be cut: those with two slates at least.

    Raises:
        RecGymError: there is none.
    """
    users = np.flatnonzero(shown_pages(log) > 1)
    if not users.size:
        raise RecGymError(UNSEEN)
    return users


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

    Pages without a slate are passed over, and do not count. What is observed before a page that
    followed are the last clicks of the session, those of the support and of pages without a slate
    among them, and of the history before the session.

    Args:
        log: the sessions, no page of which shows more than K items.
        users: the numbers of those that are cut (U,).
        at: pages of each before the cut (U,), 1 at least and fewer than it has.
        spec: the world.
        support_pages: the last pages before the cut that are told, at most.
        pages: the first pages after it, at most.

    Returns:
        Both of one sequence a user, (U, 1, T, ...); its pages that are there come first.
    """
    batch, size, none = log.batch(users), spec.slate_size, spec.n_items
    clicks, before = click_sequences(batch.history, batch.item, none)
    seen = observed(clicks, before, spec.window, none)
    free = size - batch.slate.shape[2]
    slate = np.pad(batch.slate, ((0, 0), (0, 0), (0, free)), constant_values=-1)
    is_click = (slate == batch.item[..., None]) & (batch.item[..., None] >= 0)
    slot = np.where(is_click.any(2), is_click.argmax(2), size)
    shown = (slate >= 0).any(2)
    length, row = shown.sum(1), np.arange(len(users))[:, None]
    page = np.argsort(~shown, axis=1, kind="stable")  # those with a slate first

    def part(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the steps of pages, which of these are there, and which are a session's last."""
        place = begin[:, None] + np.arange(int((end - begin).max()))
        there = place < end[:, None]
        return page[row, np.where(there, place, 0)], there, place + 1 == length[:, None]

    step, there, _ = part(np.maximum(at - support_pages, 0), at)
    support = Support(
        slate=np.where(there[..., None], slate[row, step], -1)[:, None],
        click=np.where(there & (slot[row, step] < size), slot[row, step], -1)[:, None],
        reward=np.where(there, batch.reward[row, step], np.float32(0.0))[:, None],
    )
    step, there, last = part(at, np.minimum(at + pages, length))
    items = np.where(slate < 0, none, slate)[row, step]
    query = UserSteps(
        observation=seen[row, step][:, None],
        slate=np.where(there[..., None], items, 0)[:, None],
        slot=np.where(there, slot[row, step], size)[:, None],
        reward=np.where(there, batch.reward[row, step], np.float32(0.0))[:, None],
        goes_on=(there & ~last)[:, None],
        next_observation=seen[row, step + 1][:, None],
        there=there[:, None],
    )
    return support, query


def halves(
    log: EpisodeLog, spec: EnvironmentSpec, support_pages: int, users: np.ndarray | None = None
) -> tuple[Support, UserSteps]:
    """Cuts sessions in the middle of their pages, see ``cut``; the longer part is last.

    Args:
        log: the sessions.
        spec: the world.
        support_pages: the last pages of the first half that are told, at most.
        users: the numbers of those that are cut (U,); None for all of ``users_of``.

    Raises:
        RecGymError: a page shows more than the slates of the world, or no session can be cut.
    """
    check_slates(log, spec)
    users = users_of(log) if users is None else users
    length = shown_pages(log)[users]
    return cut(log, users, length // 2, spec, support_pages, int(length.max()))


def page_scores(adapted: Any, query: UserSteps) -> np.ndarray:
    """Returns what an agent that adapted to U users ranks their pages' items by (U, 1, T, K)."""
    steps = range(query.there.shape[2])
    found = [adapted.scores(query.observation[:, 0, t], query.slate[:, 0, t]) for t in steps]
    return np.stack(found, axis=1)[:, None]


def _clicked(query: UserSteps) -> np.ndarray:
    """Returns which pages have a click (U, 1, T)."""
    found: np.ndarray = query.there & (query.slot < query.slate.shape[-1])
    return found
