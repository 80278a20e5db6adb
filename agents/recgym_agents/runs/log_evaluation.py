"""What an agent would have earned, from a log of another policy: off-policy evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from recgym import ope
from recgym.arrays import Array
from recgym.data import SPLITS, Dataset, Sessions, Split
from recgym.errors import RecGymError
from recgym_agents.protocols import Actor

DRAWS = 8
"""Slates that a reward model values for the mean of a policy that draws them."""
BLOCK = 1_024
"""Pages that an agent answers at once."""
LONGEST = 100
"""Pages of a session beyond which products of weights say nothing, and may overflow."""
SAME = 1e-3
"""How far a product of slots may be from the slate's propensity, as a share of it."""


@runtime_checkable
class DrawsSlates(Protocol):
    """An agent that knows how likely it is to draw a slate when it explores."""

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns slates (B, K), see ``Agent.act``."""

    def slot_probabilities(self, observation: np.ndarray, slate: np.ndarray) -> np.ndarray:
        """Returns the probabilities (B, K) that ``act(observation, explore=1.0)`` shows a slate.

        Args:
            observation: (B, W).
            slate: (B, K) distinct items.

        Returns:
            Of each slot's item, given the items above it; their product is the slate's.
        """


@dataclass(frozen=True)
class LogEvaluation:
    """What a log says of an agent; intervals are bootstrapped over users."""

    left_out: int
    """Pages with slates of another size than the agent's, which are not scored."""
    page: tuple[ope.OffPolicyEstimate, ...]
    """Reward a page where users are as the log has them: first that of the policy that made the
    log, then what each estimator says of the agent."""
    session: tuple[ope.OffPolicyEstimate, ...]
    """Reward a session in which the agent shows all pages, likewise."""
    no_session: str = ""
    """Why nothing is said of sessions, where it is not."""
    no_direct: str = ""
    """Why the direct method says nothing, where it does not."""


@dataclass(frozen=True, eq=False)
class _Scored:
    """P pages with slates of the agent's size K, and what it would have shown on them."""

    log: Sessions
    left_out: int
    whole: Array
    """Which of the sessions have no page that is left out, bool."""
    slate: Array
    """(P, K)"""
    target: Array
    """(P, K) the agent's probability of each slot's item, given those above."""
    chosen: Array | None
    """(P, K) the agent's own slate, where it does not draw."""
    rates: Array
    """(N,) a model's reward of an item when it is shown."""
    expected: Array
    """(P,) the model's reward of what the agent would have shown."""

    @property
    def predicted(self) -> Array:
        """(P,) the model's reward of what was shown."""
        total: Array = self.rates[self.slate].sum(axis=1)
        return total

    @property
    def slate_propensities(self) -> Array | None:
        """(P,), which a slate of one item has from its slot."""
        if self.log.slate_propensities is None and self.slate.shape[1] == 1:
            return self.log.slot_propensities
        return self.log.slate_propensities


def evaluate_on_log(
    agent: Actor, dataset: Dataset, split: Split = "test", drawn: bool = False, seed: int = 0
) -> LogEvaluation:
    """Estimates what an agent earns from the pages of some users of a log.

    The reward model of the direct method and of doubly robust estimators is the sum of the items'
    rewards when shown, to the users that are not scored.

    Args:
        agent: reads item ids.
        dataset: a prepared log with propensities.
        split: whose pages are scored.
        drawn: whether the agent draws slates as it explores, and says how likely they are (see
            ``DrawsSlates``); otherwise it shows what it thinks best.
        seed: of the bootstrap.

    Raises:
        RecGymError: the log has no propensities, another catalog, or no slates of the agent's size;
            no users are left to learn the reward model from; slot propensities are of two kinds; or
            the agent reads no ids, or cannot say how likely its slates are.
    """
    scored = _scored(agent, dataset, split, drawn)
    users = scored.log.user
    first = np.flatnonzero(np.diff(scored.log.session_number, prepend=-1))[scored.whole]

    def found(terms: list[ope.Terms], cluster: Array) -> tuple[ope.OffPolicyEstimate, ...]:
        return tuple(ope.estimate(one, "bootstrap", cluster=cluster, seed=seed) for one in terms)

    terms, no_direct, why = _page_terms(scored), _no_direct(dataset), _no_session(scored)
    if not no_direct:
        terms.append(ope.direct_method(scored.expected))
    pages = found(terms, users)
    if why:
        return LogEvaluation(scored.left_out, pages, (), why, no_direct)
    sessions = _session_terms(scored, _to_come(dataset, split))
    return LogEvaluation(scored.left_out, pages, found(sessions, users[first]), "", no_direct)


def _scored(agent: Actor, dataset: Dataset, split: Split, drawn: bool) -> _Scored:
    spec, log = agent.spec, dataset.pages(split)
    _check(agent, dataset, log, split)
    right, shown = log.slate_sizes == spec.slate_size, log.slate_sizes > 0
    history = log.histories(spec.window, spec.n_items)[right]
    kept = log.select(right)
    slate, rates = kept.padded_slates(), _item_rates(dataset, split)
    chosen = None
    if drawn:
        if not isinstance(agent, DrawsSlates):
            raise RecGymError(
                "--drawn: this agent cannot say how likely its slates are; leave --drawn out to"
                " score what it thinks best"
            )
        drawing: DrawsSlates = agent
        target = _in_blocks(lambda p: drawing.slot_probabilities(history[p], slate[p]), len(slate))
        draws = [
            _in_blocks(lambda p: drawing.act(history[p], explore=1.0), len(slate))
            for _ in range(DRAWS)
        ]
        expected = np.mean([rates[one].sum(axis=1) for one in draws], axis=0)
    else:
        chosen = _in_blocks(lambda p: agent.act(history[p]), len(slate))
        target = np.minimum.accumulate(chosen == slate, axis=1).astype(np.float64)
        expected = rates[chosen].sum(axis=1)
    number = log.session_number
    pages, scored = np.bincount(number, shown), np.bincount(number, right)
    whole = (pages == scored)[scored > 0]
    left_out = int((shown & ~right).sum())
    return _Scored(kept, left_out, whole, slate, target, chosen, rates, expected)


def _check(agent: Actor, dataset: Dataset, log: Sessions, split: Split) -> None:
    spec, n_items = agent.spec, dataset.catalog.n_items
    if not spec.ids:
        raise RecGymError("--log: this agent reads an environment's observations, not item ids")
    if spec.n_items != n_items:
        raise RecGymError(
            f"--log: its catalog has {n_items} items, the agent's {spec.n_items}; take the log that"
            " the agent's world was made from"
        )
    if log.slot_propensities is None and log.slate_propensities is None:
        raise RecGymError(
            "--log: it has no propensities, so that nobody knows how likely other slates were;"
            " write slot_propensity and slate_propensity as slates are drawn, or fit a user model"
            " to the log (recgym fit) and evaluate in its world"
        )
    if not (log.slate_sizes == spec.slate_size).any():
        raise RecGymError(
            f"--log: no page of its {split} users has a slate of {spec.slate_size}, the agent's"
            " size; train the agent with slates of the log's size"
        )


def _in_blocks(answer: Callable[[slice], Array], n_pages: int) -> Array:
    """Returns what is answered on all pages, ``BLOCK`` of them at a time."""
    return np.concatenate([answer(slice(i, i + BLOCK)) for i in range(0, n_pages, BLOCK)])


def _others(dataset: Dataset, split: Split) -> Sessions:
    """Returns the pages of the users that are not scored."""
    users = np.flatnonzero(dataset.split != SPLITS.index(split))
    pages = np.isin(dataset.sessions.user, users) & (dataset.sessions.slate_sizes > 0)
    if not pages.any():
        raise RecGymError(
            f"--log: all of its users are {split} users; a reward model learns from others: prepare"
            " the log with users in every split"
        )
    return dataset.sessions.select(pages)


def _item_rates(dataset: Dataset, split: Split) -> Array:
    """Returns the reward of each item when it is shown (N,), with a show of mean reward added."""
    log, n_items = _others(dataset, split), dataset.catalog.n_items
    clicked = log.click >= 0
    shows = np.bincount(log.slate_items, minlength=n_items)
    earned = np.bincount(log.item[clicked], log.reward[clicked], n_items)
    rates: Array = (earned + earned.sum() / shows.sum()) / (shows + 1.0)
    return rates


def _to_come(dataset: Dataset, split: Split) -> Array:
    """Returns the mean reward that followed each step (T + 1,), in sessions that had it."""
    log = _others(dataset, split)
    session = log.session_number
    reward = ope.by_session(log.reward, session, 0.0)
    there = ope.by_session(np.ones(log.n_pages), session, 0.0)
    later = reward[:, ::-1].cumsum(axis=1)[:, ::-1] - reward
    means = (later * there).sum(axis=0) / there.sum(axis=0)
    return np.append(means, 0.0)


def _page_terms(scored: _Scored) -> list[ope.Terms]:
    log, reward = scored.log, scored.log.reward.astype(np.float64)
    terms = [ope.Terms("logged", reward)]
    propensity, target = scored.slate_propensities, scored.target.prod(axis=1)
    if propensity is not None:
        terms.append(ope.ips(reward, propensity, target))
        if target.any():
            terms.append(ope.snips(reward, propensity, target))
        terms.append(
            ope.doubly_robust(reward, propensity, target, scored.predicted, scored.expected)
        )
    unclicked = (log.click < 0) & (reward != 0.0)
    if scored.slate.shape[1] > 1 and log.slot_propensities is not None and not unclicked.any():
        terms += _slot_terms(scored, log.slot_propensities.reshape(scored.slate.shape))
    return terms


def _slot_terms(scored: _Scored, slots: Array) -> list[ope.Terms]:
    """Returns what is estimated from clicks in their slots.

    Whether the log's propensities of slots are given the items above, or whatever stands elsewhere,
    shows in their product, which in the first case is that of the slate. Without that of the slate
    nobody knows which they are, and nothing is estimated.
    """
    log, chosen = scored.log, scored.chosen
    if log.slate_propensities is None:
        return []
    clicked = log.click[:, None] == np.arange(scored.slate.shape[1])
    reward = clicked * log.reward[:, None]
    same = np.isclose(slots.prod(axis=1), log.slate_propensities, rtol=SAME, atol=0.0)
    if same.all():
        terms = [ope.reward_interaction_ips(reward, slots, scored.target)]
        if chosen is not None:
            own, worth = scored.rates[chosen], scored.rates[scored.slate]
            expected = own[:, ::-1].cumsum(axis=1)[:, ::-1]
            terms.append(
                ope.cascade_dr(reward, slots, scored.target, worth + expected - own, expected)
            )
        return terms
    if same[(slots < 1.0).any(axis=1)].any():  # slots that are certain are so in both ways
        page = int(np.argmin(same))
        raise RecGymError(
            f"--log: slot_propensity multiplies to slate_propensity on some pages, and not on that"
            f" of user {log.user[page]}, session {log.session[page]}, step {log.step[page]}; write"
            " on all pages those given the items above, or on all those whatever stands elsewhere"
        )
    if chosen is None:
        return []
    return [ope.independent_ips(reward, slots, chosen == scored.slate)]


def _no_direct(dataset: Dataset) -> str:
    """Returns why a model of items' rewards would not tell what pages earn, or ""."""
    log = dataset.sessions
    paid = (log.slate_sizes > 0) & (log.click < 0) & (log.reward != 0.0)
    if paid.any():
        return f"{paid.sum():,} pages without a click have a reward, which is no item's"
    return ""


def _no_session(scored: _Scored) -> str:
    """Returns why nothing can be estimated of sessions, or ""."""
    if scored.slate_propensities is None:
        return "the log has no propensities of whole slates"
    if not scored.whole.any():
        return "no session has slates of the agent's size alone"
    longest = int(np.bincount(scored.log.session_number).max())
    if longest > LONGEST:
        return f"they have up to {longest:,} pages, too many to multiply weights"
    return ""


def _session_terms(scored: _Scored, to_come: Array) -> list[ope.Terms]:
    """Returns what is estimated of whole sessions."""
    log, session = scored.log, scored.log.session_number
    columns = (
        (log.reward, 0.0),
        (scored.slate_propensities, 1.0),
        (scored.target.prod(axis=1), 1.0),
        (scored.predicted, 0.0),
        (scored.expected, 0.0),
    )
    reward, mu, pi, predicted, expected = (
        ope.by_session(values, session, fill)[scored.whole] for values, fill in columns
    )
    there = ope.by_session(np.ones(log.n_pages), session, 0.0)[scored.whole]
    step = np.minimum(np.arange(reward.shape[1]), len(to_come) - 1)
    later = to_come[step] * there
    return [
        ope.Terms("logged", reward.sum(axis=1)),
        ope.per_decision_ips(reward, mu, pi),
        ope.per_decision_dr(reward, mu, pi, predicted + later, expected + later),
    ]
