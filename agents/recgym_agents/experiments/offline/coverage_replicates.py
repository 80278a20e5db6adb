"""Many logs of a slate MDP, and what each estimator makes of each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from recgym import ope
from recgym.arrays import Array
from recgym.collection import collect
from recgym.simulators.slate_mdp import SlateMDP
from recgym_agents.experiments.offline.enumerated_slates import ListedPolicy, exact_clicks

ENV = "SlateMDP-v0"
ROWS = 2_000
"""Sessions that are played at once."""
RIDGE = 5.0
"""Shows that a model's prior counts for."""
RESAMPLES = 400
"""Of each bootstrap."""
TINY = float(np.finfo(np.float64).tiny)


class Pages(NamedTuple):
    """A log of n sessions, T pages each at most; what is not there has step False."""

    step: Array
    """(n, T) bool."""
    last: Array
    """(n, T) item clicked last, N for none."""
    number: Array
    """(n, T) of the slate."""
    click: Array
    """(n, T) clicked slot, or -1."""


def make_world(arguments: dict[str, Any]) -> tuple[Any, SlateMDP]:
    """Returns an environment that shows the last click, and its world."""
    env: Any = gymnasium.make_vec(
        ENV, ROWS, autoreset_mode="disabled", observe="items", window=1, **arguments
    )
    return env, env.simulator


def policies(
    world: SlateMDP, sharpness: float, avoids_last: float
) -> tuple[ListedPolicy, ListedPolicy]:
    """Returns a logging policy that knows little of what is liked, and a target policy.

    Args:
        world: where they act.
        sharpness: of the target policy: log-weights are so many standard deviations of the items'
            mean rewards.
        avoids_last: what the target policy takes off the log-weight of the item clicked last.
    """
    n = world.n_items
    liked = world.click_rewards.mean(axis=0)
    liked = (liked - liked.mean()) / liked.std()
    noise = np.random.default_rng(n).normal(size=n)
    logging = np.broadcast_to(0.3 * liked + 0.3 * noise, (n + 1, n))
    target = np.tile(sharpness * liked, (n + 1, 1))
    target[np.arange(n), np.arange(n)] -= avoids_last
    size = world.slate_size
    return ListedPolicy(np.exp(logging), size), ListedPolicy(np.exp(target), size)


def exact(world: SlateMDP, policy: ListedPolicy) -> dict[str, float]:
    """Returns the true values, clicks on a session's first page, and in all of it."""
    return {
        "page": exact_clicks(world, policy, 1),
        "session": exact_clicks(world, policy, world.horizon),
    }


def log_of(env: Any, world: SlateMDP, policy: ListedPolicy, sessions: int, seed: int) -> Pages:
    """Returns sessions of a logging policy."""
    log = collect(env, policy.logging_policy(), sessions, seed)
    numbered = log.session_number
    columns = (
        (np.ones(log.n_pages), 0.0),
        (log.histories(1, world.n_items)[:, 0], world.n_items),
        (policy.number(log.padded_slates()), 0),
        (log.click, -1),
    )
    step, *others = (ope.by_session(values, numbered, fill) for values, fill in columns)
    return Pages(step.astype(bool), *(values.astype(np.int64) for values in others))


def estimates(
    log: Pages, logging: ListedPolicy, target: ListedPolicy
) -> Iterator[tuple[str, str, ope.OffPolicyEstimate]]:
    """Yields what is estimated, by what, and the estimate with its interval.

    Models learn from every other session, and are used for those between.
    """
    for name, terms in _of_first_pages(log, logging, target).items():
        yield "page", name, ope.estimate(terms)
        if name == "ips":
            yield "page", "ips, bootstrap", ope.estimate(terms, "bootstrap", resamples=RESAMPLES)
            none = logging.n_items
            highest = float((target.whole[none] / logging.whole[none].clip(min=TINY)).max())
            bound = ope.estimate(terms, "bernstein", bounds=(0.0, highest))
            yield "page", "ips, bernstein", bound
    reward = (log.click >= 0).astype(float)
    mu, pi = (np.where(log.step, one.whole[log.last, log.number], 1.0) for one in (logging, target))
    q, v = _crossed(log, _session_model, target)
    yield "session", "ips", ope.estimate(ope.per_decision_ips(reward, mu, pi))
    yield "session", "dr", ope.estimate(ope.per_decision_dr(reward, mu, pi, q, v))


def _of_first_pages(
    log: Pages, logging: ListedPolicy, target: ListedPolicy
) -> dict[str, ope.Terms]:
    """Returns estimates of clicks on the first page, whose users have clicked nothing before."""
    none, slots, number = logging.n_items, np.arange(logging.slate_size), log.number[:, 0]
    slates, both = logging.slates[number], (logging, target)
    whole_mu, whole_pi = (policy.whole[none, number] for policy in both)
    mu, pi = (policy.conditional[none, number] for policy in both)
    alone_mu, alone_pi = (policy.marginal[none][slots, slates] for policy in both)
    by_slot = (log.click[:, :1] == slots).astype(float)
    reward = by_slot.sum(axis=1)
    at_last = np.where(slots == slots[-1], reward[:, None], 0.0)
    below = np.ones_like(by_slot)
    below[:, :-1] = (pi / mu)[:, :0:-1].cumprod(axis=1)[:, ::-1]
    q, v = _crossed((number, reward), _page_model, target)
    ends = _crossed((number, at_last, below), _slot_model, target)
    clicks = _crossed((number, by_slot, below), _slot_model, target)
    moments = ope.slate_moments(logging.slates, logging.whole[none], none)
    return {
        "ips": ope.ips(reward, whole_mu, whole_pi),
        "snips": ope.snips(reward, whole_mu, whole_pi),
        "direct method": ope.direct_method(v),
        "dr": ope.doubly_robust(reward, whole_mu, whole_pi, q, v),
        "cascade-dr": ope.cascade_dr(at_last, mu, pi, *ends),
        "iips": ope.independent_ips(by_slot, alone_mu, alone_pi),
        "rips": ope.reward_interaction_ips(by_slot, mu, pi),
        "cascade-dr, clicks by slot": ope.cascade_dr(by_slot, mu, pi, *clicks),
        "pseudo-inverse": ope.pseudo_inverse(reward, slates, target.marginal[none], moments),
    }


Columns = tuple[Array, ...]
Model = Callable[[Columns, Columns, ListedPolicy], tuple[Array, Array]]
"""Learns from columns, and says of the rows of others what they earn from there on: given what was
shown, and in the mean over what the target policy would have shown."""


def _crossed(columns: Columns, model: Model, target: ListedPolicy) -> tuple[Array, Array]:
    """Returns what a model says of all rows, each of which learned from the other half of them.

    Args:
        columns: of a log, (n, ...) each.
        model: learns and says.
        target: the target policy.
    """
    even, odd = (tuple(column[start::2] for column in columns) for start in (0, 1))
    of_even, of_odd = model(odd, even, target), model(even, odd, target)
    shape = (len(columns[0]), *of_even[0].shape[1:])
    given, mean = np.zeros(shape), np.zeros(shape)
    given[0::2], mean[0::2] = of_even
    given[1::2], mean[1::2] = of_odd
    return given, mean


def _page_model(learned: Columns, used: Columns, target: ListedPolicy) -> tuple[Array, Array]:
    """Says the chance of a click on the first page, (n,)."""
    number, reward = learned
    clicks = _additive(target.holds[:, -1], number, reward)
    shown = used[0]
    return clicks[shown], np.full(len(shown), target.whole[-1] @ clicks)


def _slot_model(learned: Columns, used: Columns, target: ListedPolicy) -> tuple[Array, Array]:
    """Says the reward of each slot and those below, given the items down to it, (n, K).

    Each slot has a model of its own, of the items down to it, and weighs a row by the ratios of the
    slots below, which the target policy is to fill (Kiyohara et al., WSDM 2022).
    """
    number, reward, below = learned
    to_go = reward[:, ::-1].cumsum(axis=1)[:, ::-1]
    tables = [
        _additive(target.holds[:, slot], number, to_go[:, slot], below[:, slot])
        for slot in range(target.slate_size)
    ]
    given, shown = np.stack(tables, axis=1), used[0]
    return given[shown], target.mean_of(given)[-1][shown]


def _session_model(learned: Columns, used: Columns, target: ListedPolicy) -> tuple[Array, Array]:
    """Says the clicks from each page on, (n, T).

    A click on a page is a sum over its items, and is followed by what the next pages are worth,
    whatever was clicked. Pages after the first share one model of clicks.
    """
    step, _, number, click = learned
    predicted, expected = np.zeros((2, *used[0].shape))
    later = 0.0
    for t in range(step.shape[1] - 1, -1, -1):
        pages = slice(0, 1) if t == 0 else slice(1, None)
        there = step[:, pages]
        clicked = (click[:, pages] >= 0)[there].astype(float)
        worth = _additive(target.holds[:, -1], number[:, pages][there], clicked) * (1.0 + later)
        means = target.whole @ worth
        there, last, shown, _ = (column[:, t] for column in used)
        predicted[:, t] = np.where(there, worth[shown], 0.0)
        expected[:, t] = np.where(there, means[last], 0.0)
        later = float(means[:-1].mean())
    return predicted, expected


def _additive(holds: Array, number: Array, reward: Array, weight: Array | None = None) -> Array:
    """Returns the reward of every slate (L,) as a sum over items, by ridge regression.

    Args:
        holds: (L, N) the items that count in each slate.
        number: (n,) of logged slates.
        reward: (n,).
        weight: (n,) of each row.
    """
    shows = np.bincount(number, weight, len(holds))
    earned = np.bincount(number, reward if weight is None else weight * reward, len(holds))
    mean = earned.sum() / max(shows.sum(), TINY) / holds.sum(axis=1).max()
    moments = holds.T @ (shows[:, None] * holds) + RIDGE * np.eye(holds.shape[1])
    fitted: Array = holds @ np.linalg.solve(moments, holds.T @ earned + RIDGE * mean)
    return fitted
