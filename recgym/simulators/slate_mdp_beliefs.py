"""Policies that know a slate MDP, and of its user only what was shown and clicked."""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array, pick
from recgym.errors import RecGymError
from recgym.simulators.base import choose
from recgym.simulators.slate_exchange import search
from recgym.simulators.slate_mdp_delayed import DelayedPlanner
from recgym.simulators.slate_mdp_planning import SlatePlanner, check_plan

KINDS = ("myopic", "qmdp", "delayed")
"""What a belief policy may take to follow a click."""
Clicks = tuple[int, ...]
"""The items clicked in an episode so far, oldest first."""


class BeliefPolicy:
    """Shows the slates that are best for a belief about the user's hidden state.

    A belief is the probability of each state after the slates shown and the items clicked: at
    first the state is 0, and each click changes it by Bayes' rule, see ``after_click``. The slate
    for it is found by exchanges of single items, for what the policy takes to follow a click.

    It answers observations, as an agent does, and keeps nothing of an episode: what was shown
    follows from what was clicked. Beliefs and slates are kept by the clicks that led to them, so
    that histories that occur again cost nothing.

    Args:
        planner: what is paid for, in which world, with which discount.
        following: what is taken to follow a click, (T, M, N), by slates shown before; the last
            also for later ones.
        session: slates that an episode can last; observations must hold as many clicks.
    """

    def __init__(self, planner: DelayedPlanner, following: Array, session: int) -> None:
        self._planner, self._session = planner, session
        self._terms = [planner.terms(after) for after in following]
        self._nodes: dict[Clicks, int] = {}
        world = planner.world
        self._beliefs = np.empty((0, world.n_states))
        self._slates = np.empty((0, world.slate_size), np.int64)
        self._add([()], np.eye(1, world.n_states))

    def act(self, observation: Array) -> Array:
        """Returns the slates (B, K) for observations, see ``beliefs``."""
        place = self._visit(observation)
        slates: Array = self._slates[place]
        return slates

    def beliefs(self, observation: Array) -> Array:
        """Returns the probabilities of the states (B, M) after this policy's own slates.

        Args:
            observation: of the world with ``observe="items"``, (B, window), or "features".

        Raises:
            RecGymError: observations that cannot hold the clicks of an episode, or a click that
                this policy's slate did not allow.
        """
        place = self._visit(observation)
        beliefs: Array = self._beliefs[place]
        return beliefs

    def expected_clicks(self, paths: int, seed: int = 0) -> Array:
        """Returns estimates of the clicks of an episode, (paths,), whose mean has no bias.

        Clicks are drawn as if no user ever left, and each counts by the probability that she has
        stayed for it: many times more precise than as many episodes that are played.

        Args:
            paths: drawn one beside the other.
            seed: of the draws.
        """
        world = self._planner.world
        rng = np.random.default_rng(seed)
        histories: list[Clicks] = [()] * paths
        stayed, clicks = np.ones(paths), np.zeros(paths)
        for _ in range(self._session):
            self._know(histories)
            place = [self._nodes[history] for history in histories]
            beliefs, slates = self._beliefs[place], self._slates[place]
            rewards = world.click_rewards.T[slates]  # (B, K, M)
            clicked = rewards**2 / rewards.sum(axis=1, keepdims=True) @ beliefs[:, :, None]
            stayed *= clicked[:, :, 0].sum(axis=1)
            clicks += stayed
            item = pick(slates, choose(clicked[:, :, 0], rng.random((paths, 1))))
            pairs = zip(histories, item.tolist(), strict=True)
            histories = [(*history, one) for history, one in pairs]
        return clicks

    def _visit(self, observation: Array) -> Array:
        """Returns the places (B,) of observations in what is kept."""
        clicked = self._clicked(np.asarray(observation))
        none = (clicked == self._planner.world.n_items).sum(axis=1)
        pairs = zip(clicked.tolist(), none.tolist(), strict=True)
        wanted = [tuple(row[first:]) for row, first in pairs]
        self._know(wanted)
        return np.array([self._nodes[clicks] for clicks in wanted])

    def _know(self, wanted: list[Clicks]) -> None:
        """Adds what follows histories of clicks, the shorter ones first."""
        new = list({clicks for clicks in wanted if clicks not in self._nodes})
        if not new:
            return
        before = [clicks[:-1] for clicks in new]
        self._know(before)
        place = np.array([self._nodes[clicks] for clicks in before])
        item = np.array([clicks[-1] for clicks in new])
        foreign = ~(self._slates[place] == item[:, None]).any(axis=1)
        if foreign.any():
            clicks = new[int(foreign.argmax())]
            raise RecGymError(
                f"observation: item {clicks[-1]} was clicked after {list(clicks[:-1])}, but this"
                " policy does not show it there: let one policy act in all of an episode"
            )
        world = self._planner.world
        self._add(new, after_click(self._beliefs[place], self._slates[place], item, world))

    def _add(self, histories: list[Clicks], beliefs: Array) -> None:
        """Finds the slates for beliefs (X, M), and keeps both."""
        size = self._planner.world.slate_size
        slates = np.empty((len(beliefs), size), np.int64)
        stage = np.minimum([len(clicks) for clicks in histories], len(self._terms) - 1)
        for step in np.unique(stage):
            slates[stage == step], _ = search(beliefs[stage == step], self._terms[step], size)
        first = len(self._beliefs)
        self._nodes |= {clicks: first + i for i, clicks in enumerate(histories)}
        self._beliefs = np.concatenate([self._beliefs, beliefs])
        self._slates = np.concatenate([self._slates, slates])

    def _clicked(self, observation: Array) -> Array:
        """Returns the ids that observations hold (B, W), N for none."""
        n_items = self._planner.world.n_items
        if not np.issubdtype(observation.dtype, np.integer):
            if observation.shape[1] % n_items:
                raise RecGymError(
                    'belief policy: reads clicks; make the world with observe="items"'
                )
            one_hot = observation.reshape(len(observation), -1, n_items)
            observation = np.where(one_hot.any(axis=2), one_hot.argmax(axis=2), n_items)
        if observation.shape[1] < self._session:
            raise RecGymError(
                f"window={observation.shape[1]}: a belief needs all clicks of an episode; make the"
                f" world with window={self._session}"
            )
        return observation


def following(kind: str, planner: DelayedPlanner, horizon: int | None) -> Array:
    """Returns what a policy of a kind takes to follow a click, (T, M, N); T is 1 when endless.

    Args:
        kind: one of ``KINDS``.
        planner: what is paid for, in which world, with which discount.
        horizon: slates in an episode; endless when None.

    Raises:
        RecGymError: the discount is not in 0..1, or the horizon is not positive.
    """
    check_plan(planner.gamma, horizon)
    if kind == "delayed":
        return planner.plan(horizon).following
    world = planner.world
    if kind == "myopic":
        return np.zeros((1, *world.click_rewards.shape))
    values = np.atleast_2d(world.optimal_policy(planner.gamma, horizon).values)
    if horizon is not None:
        values = np.concatenate([values[1:], np.zeros((1, world.n_states))])
    after: Array = (world.transition_probs @ values.T).transpose(2, 0, 1)
    return after


def after_click(beliefs: Array, slates: Array, item: Array, world: SlatePlanner) -> Array:
    """Returns the beliefs (B, M) after clicks, by Bayes' rule.

    After a click on item i of slate A the next state is s', up to a factor, with probability
    ``sum_s b(s) r(s, i)^2 / (sum_{j in A} r(s, j)) P(s' | s, i)``.

    Args:
        beliefs: probabilities of the states before (B, M).
        slates: what was shown (B, K).
        item: what was clicked of it (B,).
        world: rewards and transitions.
    """
    rewards = world.click_rewards.T  # (N, M)
    clicked = beliefs * rewards[item] ** 2 / rewards[slates].sum(axis=1)
    moved = np.einsum("bs,bst->bt", clicked, world.transition_probs[:, item].swapaxes(0, 1))
    after: Array = moved / moved.sum(axis=1, keepdims=True)
    return after
