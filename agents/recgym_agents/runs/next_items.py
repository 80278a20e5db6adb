"""How high an agent ranks what users did next, among all items, and how far it is from another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from recgym.data import Sessions
from recgym.data.session_checks import EVENTS
from recgym.errors import RecGymError
from recgym.ranking_metrics import (
    hit_rate,
    imputed_at_1,
    js_divergence,
    kl_divergence,
    ndcg,
    rank_counts,
    reward_at_1,
)
from recgym.rating_imputation import ImputedRatings
from recgym_agents.agent import EnvironmentSpec

ROWS = 256
"""Users whose whole catalogue is scored at once."""
SHOWN = 20
"""Items of a list whose variety is counted."""

COMPARED = 2_000
"""Events of a log at which two policies are compared, at most."""


class ItemScorer(Protocol):
    """Whatever scores all items for a user; every agent that learns from sequences does."""

    spec: EnvironmentSpec

    def item_scores(self, observation: np.ndarray) -> np.ndarray:
        """Returns what all items are ranked by (B, N), for clicks (B, W)."""


@dataclass(frozen=True)
class RankedEvents:
    """What users did next in P events, and where an agent ranks it."""

    user: np.ndarray
    """(P,)"""
    event: np.ndarray
    """What was done, int8 (P,), as in ``Sessions.event``."""
    before: np.ndarray
    """Items that the user had clicked before, of those in the log (P,)."""
    better: np.ndarray
    """Items that score higher (P,)."""
    tied: np.ndarray
    """Items that score as high, the right one too (P,)."""
    reward: np.ndarray
    """What was done is worth (P,)."""
    imputed: np.ndarray
    """What the best item would earn (P,); NaN where no rewards are imputed."""
    distinct: int
    """Different items among the first 20 of all lists."""

    def of(self, event: str) -> np.ndarray:
        """Returns which events are of a kind, bool (P,).

        Args:
            event: "click", "cart" or "purchase".

        Raises:
            RecGymError: the log has none.
        """
        chosen: np.ndarray = self.event == EVENTS.index(event)
        if not chosen.any():
            found = ", ".join(EVENTS[kind] for kind in np.unique(self.event).tolist())
            raise RecGymError(
                f"{event}: no event of this kind is ranked (there are: {found or 'none'}); leave it"
                " out, or prepare a log that has some"
            )
        return chosen

    def hit_rate(self, k: int) -> np.ndarray:
        """Returns each event's chance to be among the first k (P,)."""
        found: np.ndarray = hit_rate(self.better, self.tied, k)
        return found

    def reward_at_1(self) -> np.ndarray:
        """Returns what showing the best item earned in the log (P,); AR@1 is its mean."""
        found: np.ndarray = reward_at_1(self.better, self.tied, self.reward)
        return found

    def ndcg(self, k: int) -> np.ndarray:
        """Returns each event's expected nDCG at k (P,)."""
        found: np.ndarray = ndcg(self.better, self.tied, k)
        return found


def rank_events(
    agent: ItemScorer, sessions: Sessions, imputed: ImputedRatings | None = None
) -> RankedEvents:
    """Ranks each event of a log among all items, but for those of users of whom nothing is known.

    Ties are counted by expectation. Items that were clicked before are ranked like all others,
    because people come back to them.

    Args:
        agent: scores items.
        sessions: the log, such as a dataset's test users.
        imputed: the reward of every item for every user of the log.

    Raises:
        RecGymError: no user did anything twice.
    """
    n_items, window = agent.spec.n_items, agent.spec.window
    history = sessions.histories(window, n_items)
    scored = (sessions.item >= 0) & (history < n_items).any(axis=1)
    if not scored.any():
        raise RecGymError("no event to rank: every sequence has a single item")
    rows = np.flatnonzero(scored)
    better, tied = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    shown = np.zeros(n_items, np.bool_)
    earned = np.full(len(rows), np.nan)
    for first in range(0, len(rows), ROWS):
        part = slice(first, first + ROWS)
        scores = agent.item_scores(history[rows[part]])
        better[part], tied[part] = rank_counts(scores, sessions.item[rows[part]])
        if imputed is not None:
            earned[part] = imputed_at_1(scores, imputed.of(sessions.user[rows[part]]))
        size = min(SHOWN, n_items)
        shown[np.argpartition(-scores, size - 1, axis=1)[:, :size]] = True
    clicked = np.cumsum(sessions.item >= 0)
    opens = np.flatnonzero(np.diff(sessions.user, prepend=-1))
    earlier = np.repeat(np.append(0, clicked)[opens], np.diff(np.append(opens, len(history))))
    kinds = np.zeros(len(history), np.int8) if sessions.event is None else sessions.event
    return RankedEvents(
        user=sessions.user[rows],
        event=kinds[rows],
        before=(clicked - 1 - earlier)[rows],
        better=better,
        tied=tied,
        reward=sessions.reward[rows],
        imputed=earned,
        distinct=int(shown.sum()),
    )


@dataclass(frozen=True)
class Divergence:
    """How far a policy is from another, a mean over users' histories, in nats."""

    js: float
    """Jensen-Shannon, from 0 to log 2."""
    kl: float
    """Of the policy from the other."""


def divergence(policy: ItemScorer, logging: ItemScorer, history: np.ndarray) -> Divergence:
    """Compares two policies, the softmax of whose scores they draw items from.

    Args:
        policy: the one that was learned.
        logging: the one that logged, as it is estimated.
        history: what users clicked (P, W), N where there is nothing.
    """
    js, kl = [], []
    for first in range(0, len(history), ROWS):
        rows = history[first : first + ROWS]
        log_p, log_q = (_log_softmax(one.item_scores(rows)) for one in (policy, logging))
        js.append(js_divergence(log_p, log_q))
        kl.append(kl_divergence(log_p, log_q))
    return Divergence(float(np.concatenate(js).mean()), float(np.concatenate(kl).mean()))


def divergence_on(policy: ItemScorer, logging: ItemScorer, sessions: Sessions) -> Divergence:
    """Compares two policies at events of a log, of those before which the user had clicked.

    Args:
        policy: the one that was learned.
        logging: the one that logged, as it is estimated.
        sessions: the log; of more than ``COMPARED`` events as many are drawn, always the same.
    """
    spec = policy.spec
    history = sessions.histories(spec.window, spec.n_items)
    history = history[(history < spec.n_items).any(axis=1)]
    rows = np.random.default_rng(0).permutation(len(history))[:COMPARED]
    return divergence(policy, logging, history[rows])


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    found: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found
