"""Whole episodes to learn from: a log of them, batches of it, and the clicks before each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from recgym.data import Sessions
from recgym_agents.protocols import Agent


class Episodes(NamedTuple):
    """B whole episodes, padded to the T steps of the longest."""

    history: np.ndarray
    """What was observed before the first step (B, W): clicked items, N where there is none."""
    slate: np.ndarray
    """Items shown (B, T, K); -1 in slots that show nothing."""
    item: np.ndarray
    """Clicked item (B, T), or -1."""
    reward: np.ndarray
    """float32 (B, T); 0 after the end."""
    steps: np.ndarray
    """Whether the episode has the step, bool (B, T)."""
    terminated: np.ndarray
    """Whether the user left at the last step, bool (B,)."""
    propensity: np.ndarray | None
    """The logging policy's probability of the clicked item (B, T); None for the episodes that an
    agent has just played itself."""
    seen: np.ndarray | None = None
    """What was observed before each step and after the last (B, T + 1, W), where it is numbers;
    None where it is clicks, which ``history`` and ``item`` tell."""
    event: np.ndarray | None = None
    """What was done with the item, int8 (B, T), see ``Sessions``; None if all are clicks."""


class EpisodeAgent(Agent[Episodes], Protocol):
    """An agent that learns from whole episodes."""

    def score(self, batch: Episodes) -> np.ndarray:
        """Returns how well each episode of a log suits the policy (B,): the higher, the better."""


@dataclass(frozen=True, eq=False)
class EpisodeLog:
    """E episodes of P steps altogether, one after the other."""

    history: np.ndarray
    """(E, W), see ``Episodes``."""
    offsets: np.ndarray
    """(E + 1,): episode e has the steps ``offsets[e]:offsets[e + 1]``."""
    terminated: np.ndarray
    """(E,)"""
    slate: np.ndarray
    """(P, K)"""
    item: np.ndarray
    """(P,)"""
    reward: np.ndarray
    """(P,)"""
    propensity: np.ndarray | None = None
    """(P,), what the log says of its clicked items; 1 where nothing was clicked."""
    seen: np.ndarray | None = None
    """(P + E, W), see ``Episodes``: those of episode e are rows ``offsets[e] + e`` to
    ``offsets[e + 1] + e``, both included."""
    event: np.ndarray | None = None
    """(P,), see ``Episodes``."""

    @staticmethod
    def of_sessions(sessions: Sessions, window: int, n_items: int) -> EpisodeLog:
        """Returns a log's sessions as episodes.

        A session's history goes back to its user's earlier ones, as what an environment of the log
        observes does. All sessions end with a user who left: a log does not say who was cut off.

        Args:
            sessions: the log.
            window: clicked items observed, W.
            n_items: N.
        """
        same = [ids[1:] == ids[:-1] for ids in (sessions.user, sessions.session)]
        first = np.flatnonzero(np.append(True, ~(same[0] & same[1])))
        propensity = None
        if sessions.slot_propensities is not None:
            clicked = sessions.click >= 0
            propensity = np.ones(sessions.n_pages, np.float32)
            slot = sessions.slate_offsets[:-1] + sessions.click
            propensity[clicked] = sessions.slot_propensities[slot[clicked]]
        return EpisodeLog(
            history=sessions.histories(window, n_items)[first],
            offsets=np.append(first, sessions.n_pages),
            terminated=np.ones(len(first), np.bool_),
            slate=sessions.padded_slates(),
            item=sessions.item,
            reward=sessions.reward,
            propensity=propensity,
            event=sessions.event,
        )

    def __len__(self) -> int:
        """E."""
        return len(self.terminated)

    def batch(self, episodes: np.ndarray) -> Episodes:
        """Returns some of the episodes (B,), padded."""
        first, length = self.offsets[episodes], np.diff(self.offsets)[episodes]
        step = np.arange(length.max(initial=0))
        steps = step < length[:, None]
        page = np.where(steps, first[:, None] + step, 0)
        known, seen = self.propensity, None
        if self.seen is not None:
            ahead = np.minimum(np.arange(len(step) + 1), length[:, None])
            seen = self.seen[(first + episodes)[:, None] + ahead]
        return Episodes(
            history=self.history[episodes],
            slate=np.where(steps[:, :, None], self.slate[page], -1),
            item=np.where(steps, self.item[page], -1),
            reward=np.where(steps, self.reward[page], np.float32(0.0)),
            steps=steps,
            terminated=self.terminated[episodes],
            propensity=None if known is None else np.where(steps, known[page], np.float32(1.0)),
            seen=seen,
            event=None if self.event is None else np.where(steps, self.event[page], np.int8(0)),
        )

    def joined(self, later: EpisodeLog) -> EpisodeLog:
        """Returns these episodes and ``later`` ones, without propensities and kinds of events."""
        width = max(self.slate.shape[1], later.slate.shape[1])
        slates = [
            np.pad(slate, ((0, 0), (0, width - slate.shape[1])), constant_values=-1)
            for slate in (self.slate, later.slate)
        ]
        return EpisodeLog(
            history=np.concatenate([self.history, later.history]),
            offsets=np.concatenate([self.offsets, self.offsets[-1] + later.offsets[1:]]),
            terminated=np.concatenate([self.terminated, later.terminated]),
            slate=np.concatenate(slates),
            item=np.concatenate([self.item, later.item]),
            reward=np.concatenate([self.reward, later.reward]),
            seen=None if self.seen is None else np.concatenate([self.seen, later.seen]),
        )


def click_sequences(
    history: np.ndarray, item: np.ndarray, n_items: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns all clicks of episodes, and how many of them came before each step.

    Args:
        history: observed before the first step (B, W), N where there is no click.
        item: clicked at the steps (B, T), -1 for none.
        n_items: N.

    Returns:
        Item ids (B, L), oldest first, then N, with L at least 1; and counts (B, T + 1), the last
        one after the last step.
    """
    every = np.concatenate([history, np.where(item >= 0, item, n_items)], axis=1)
    clicked = every < n_items
    oldest_first = np.argsort(~clicked, axis=1, kind="stable")
    before = clicked.cumsum(axis=1)[:, history.shape[1] - 1 :]
    longest = max(int(before.max(initial=0)), 1)
    return np.take_along_axis(every, oldest_first[:, :longest], axis=1), before


def last_clicks(clicks: np.ndarray, window: int, n_items: int) -> np.ndarray:
    """Returns the last clicks (B, window), N before the first.

    Args:
        clicks: item ids (B, L), oldest first, N anywhere for none; L is at least the window.
        window: W.
        n_items: N.
    """
    newest_last = np.argsort(clicks < n_items, axis=1, kind="stable")
    return np.take_along_axis(clicks, newest_last[:, -window:], axis=1)


def observed(clicks: np.ndarray, before: np.ndarray, window: int, n_items: int) -> np.ndarray:
    """Returns what was observed before each step (B, T, window), of ``click_sequences``."""
    index = before[:, :, None] + np.arange(-window, 0)
    found = np.take_along_axis(clicks[:, None, :], np.maximum(index, 0), axis=2)
    return np.where(index >= 0, found, n_items)
