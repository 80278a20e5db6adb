"""What can be earned of users whose interests are hidden: by who knows them, and by who does not.

Policies are scored in the same sessions: one seed is one draw of users, support and luck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recgym.planning.beliefs import Beliefs
from recgym.planning.outlook import drawn
from recgym.simulators import State, build

SUPPORT = 5
"""Sequences that every user has; policies read the first of them."""
PRICE = 0.6
"""Minutes watched that a minute of the budget is worth: about what policies earn of it."""


@dataclass(frozen=True)
class HiddenWorld:
    """A world of RecSim with hidden interests, and what its users are worth."""

    name: str
    """The simulator's."""
    population: str
    """"train" or "test"."""
    horizon: int
    """Slates of a session at most."""
    support_steps: int = 20
    """Slates of a sequence of support."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Other arguments of the simulator."""

    def simulator(self, support: int = 0) -> Any:
        """Returns the world, with so many sequences of support."""
        arguments: dict[str, Any] = {"population": self.population, "observe": "clicks"}
        arguments |= {"support": support, "support_steps": self.support_steps}
        return build(self.name, arguments | {"horizon": self.horizon} | dict(self.arguments))

    def worth(self, world: Any, state: State) -> np.ndarray:
        """Returns what taking each candidate is worth, and none, (B, N + 1).

        In interest exploration that is a click. In interest evolution it is the time watched, less
        what it takes of the budget at its ``PRICE``; a video gives back what its topic's mean
        quality says, and no click takes the penalty.
        """
        n_rows, n_items = state["topic"].shape
        found = np.ones((n_rows, n_items + 1))
        found[:, -1] = 0.0
        if self.name == "interest-evolution":
            length, given_back = 4.0, 0.9 / 3.4
            taken = length * (1.0 - given_back * world.topic_quality[state["topic"]])
            found[:, :-1] = length - PRICE * taken
            found[:, -1] = -PRICE * state["step_penalty"]
        return found


class Session:
    """Sessions of B users, all policies' luck being the same.

    Args:
        where: the world.
        users: B.
        seed: of users and luck.
        copies: each user so many times, one after the other, with the same luck.
    """

    def __init__(self, where: HiddenWorld, users: int, seed: int, copies: int = 1) -> None:
        self.where, self.copies, self.users = where, copies, users
        self.world, self.bare = where.simulator(SUPPORT), where.simulator()
        self._rng = np.random.default_rng([seed, 0])
        first = self.world.reset(drawn(self._rng, users, self.world.reset_noise))
        every = self._each(first)
        self.support = {name: every.pop(name) for name in self.world.info_names}
        """What every user was shown before."""
        self.state: State = every
        """Of the users now, hidden parts included."""
        self.reward = np.zeros(users * copies)
        """Earned so far, (B,)."""
        self.going = np.ones(users * copies, np.bool_)
        """Whose session goes on."""

    def show(self, slate: np.ndarray) -> Any:
        """Shows slates (B, K); returns the response."""
        noise = drawn(self._rng, self.users, self.bare.step_noise)
        noise = noise._replace(**self._each(noise._asdict()))
        self.state, response = self.bare.step(self.state, slate, noise)
        self.reward += self.going * response.reward
        self.going &= ~response.terminated & (self.state["step"] < self.where.horizon)
        return response

    def _each(self, arrays: dict[str, Any]) -> dict[str, Any]:
        return {name: np.repeat(values, self.copies, axis=0) for name, values in arrays.items()}


def random_policy(where: HiddenWorld, users: int, seed: int) -> np.ndarray:
    """Returns the rewards of random slates, by user."""
    session, rng = Session(where, users, seed), np.random.default_rng([seed, 1])
    while session.going.any():
        order = np.argsort(rng.random(session.state["topic"].shape), axis=1)
        session.show(order[:, : session.bare.slate_size])
    return session.reward


def knowing_policy(where: HiddenWorld, users: int, seed: int) -> np.ndarray:
    """Returns the rewards of who knows each user, and shows what is worth most now."""
    session = Session(where, users, seed)
    sure = Beliefs(session.bare, users, 1, np.random.default_rng(0))
    while session.going.any():
        sure.state = session.state
        worth = where.worth(session.bare, session.state)
        session.show(sure.best_slates(session.state, worth, session.bare.slate_size))
    return session.reward


def believing_policy(
    where: HiddenWorld, users: int, seed: int, particles: int, sequences: int, remembers: bool
) -> np.ndarray:
    """Returns the rewards of who believes what clicks say, and shows what is worth most by that.

    Args:
        where: the world, whose population is known, as its rules are.
        users: how many.
        seed: of users and luck.
        particles: for each user.
        sequences: of support that are read.
        remembers: whether the whole session is; otherwise the last slate alone, which is what is
            observed.
    """
    session = Session(where, users, seed)
    beliefs = Beliefs(session.bare, users, particles, np.random.default_rng([seed, 2]))
    if sequences:
        features = session.support["support_features"][:, :sequences]
        topics = session.bare.n_topics
        topic = features[..., -topics:].argmax(axis=-1)
        quality = features[..., 0] if features.shape[-1] > topics else np.zeros(topic.shape)
        beliefs.learn_support(session.support["support"][:, :sequences], topic, quality)
    before = beliefs.log_weight
    while session.going.any():
        state = session.state
        worth = where.worth(session.bare, state)
        slate = beliefs.best_slates(state, worth, session.bare.slate_size)
        response = session.show(slate)
        if not remembers:
            beliefs.log_weight = before.copy()
        beliefs.learn(state, slate, response.click)
        if remembers:
            beliefs.follow(state, response.item)
    return session.reward


def index_rewards(where: HiddenWorld, users: int, seed: int, weights: np.ndarray) -> np.ndarray:
    """Returns the mean rewards (P,) of P policies that rank what they observe, (P, 4 + T).

    A candidate's index is a weight of its topic, and of its quality where that is observed; more if
    its topic was clicked in the last slate, less if it was shown there in vain, and less for each
    candidate of its topic in the slots before.
    """
    session = Session(where, users, seed, copies=len(weights))
    row = np.arange(users * len(weights))
    own = np.tile(weights, (users, 1))
    by_quality, clicked_bonus, vain_malus, again_malus = own[:, :4].T
    shows_quality = where.name == "interest-exploration"
    while session.going.any():
        state = session.state
        topic, response = state["topic"], state["response"]
        index = np.take_along_axis(own[:, 4:], topic, axis=1)
        if shows_quality:
            index = index + by_quality[:, None] * state["quality"]
        if (state["step"] > 0).all():
            same = topic[:, :, None] == response[:, None, :, -1]
            hit = (same & (response[:, None, :, 0] > 0)).any(axis=2)
            index = index + clicked_bonus[:, None] * hit
            index = index - vain_malus[:, None] * (same.any(axis=2) & ~hit)
        slate = np.empty((len(row), session.bare.slate_size), np.int64)
        for slot in range(slate.shape[1]):
            slate[:, slot] = index.argmax(axis=1)
            shown = topic[row, slate[:, slot]]
            index = index - again_malus[:, None] * (topic == shown[:, None])
            index[row, slate[:, slot]] = -np.inf
        session.show(slate)
    found: np.ndarray = session.reward.reshape(users, len(weights)).mean(axis=0)
    return found


def searched_policy(
    where: HiddenWorld, users: int, seed: int, generations: int, candidates: int
) -> np.ndarray:
    """Returns the mean reward (1,) of the best index policy that a cross-entropy search finds.

    Each generation draws policies around the best eighth of the last, and tries them on other
    users than those that the result is scored on; the mean of the last elite is scored.
    """
    rng = np.random.default_rng([seed, 3])
    size = 4 + where.simulator().n_topics
    mean, spread = np.zeros(size), np.ones(size)
    for generation in range(generations):
        weights = mean + spread * rng.standard_normal((candidates, size))
        reward = index_rewards(where, users, 10_000 + 100 * seed + generation, weights)
        elite = weights[np.argsort(-reward)[: max(candidates // 8, 2)]]
        mean, spread = elite.mean(axis=0), elite.std(axis=0) + 0.02
    return index_rewards(where, users, seed, mean[None])


POLICIES = {
    "random": "random slates",
    "search": "best ranking of what is observed, by search",
    "last": "beliefs from the last slate",
    "session": "beliefs from the session",
    "support1": "beliefs from the session and 1 sequence",
    "support2": "and 2 sequences",
    "support5": "and 5 sequences",
    "knows": "knows the user",
}
"""Policies by name, which know the rules of a world, and what each goes by."""


def mean_reward(
    policy: str, where: HiddenWorld, users: int, seed: int, budget: Mapping[str, Any]
) -> float:
    """Returns what a policy of ``POLICIES`` earns a session.

    Args:
        policy: its name.
        where: the world.
        users: who meet it.
        seed: of the users and their luck, the same for all policies.
        budget: has "particles" of beliefs, and "generations" and "candidates" of the search.
    """
    if policy == "random":
        reward = random_policy(where, users, seed)
    elif policy == "knows":
        reward = knowing_policy(where, users, seed)
    elif policy == "search":
        reward = searched_policy(where, users, seed, budget["generations"], budget["candidates"])
    else:
        sequences = int(policy.removeprefix("support")) if "support" in policy else 0
        remembers = policy != "last"
        reward = believing_policy(where, users, seed, budget["particles"], sequences, remembers)
    return float(reward.mean())
