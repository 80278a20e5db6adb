"""RecSim's interest exploration: users of a few types, whose tastes must be found out."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from gymnasium import spaces

from recgym.arrays import Array, namespace, pick, rows
from recgym.errors import RecGymError
from recgym.simulators.arguments import numbers, one_of, whole
from recgym.simulators.base import Kinds, Liking, Noise, Options, Response, State, choose, invert
from recgym.simulators.distributions import Columns, Distribution, Given, noise_of
from recgym.simulators.made_up import topic_names
from recgym.simulators.populations import in_population
from recgym.simulators.recsim_parts import HORIZON, LogitChoice, draw_noise, moved, repeated
from recgym.simulators.support import SupportPlan
from recgym.spaces import SlateSpace

MOST_QUALITY = 100.0
"""Greatest quality that is observed."""
FEATURES = 3
"""Numbers observed of each slot: clicked, quality, topic."""


class InterestExploration:
    """RecSim's interest exploration: users of a few types, whose tastes must be found out.

    ## User
    A user is of one type, drawn from `user_type_distribution`. Her affinity to each topic is
    log-normal, with the mean and the standard deviation (of the logarithm) of her type and the
    topic, and never changes. Every document has one topic, drawn from `topic_distribution`, and a
    quality that is log-normal with the mean and the standard deviation of its topic. Of the K
    documents that are shown she clicks one or none, in proportion to exp(affinity + quality), and
    to exp(`no_click_mass`) for none. A policy that shows what pleases most users at first does not
    find out what pleases this one.

    ## Action
    `MultiDiscrete([N] * K)`: the candidate in each slot, positions 0..N-1. The N candidates are new
    at every step, unless documents are not resampled. K distinct ones are always shown: a repeated
    position is replaced by the lowest that is not in the slate, and `info["repaired"]` counts the
    replacements. An action of another shape, or a position out of range, is an error.

    ## Observation
    A `Box` of float32, N * (1 + T) + K * 3, for T topics. First the candidates, row by row: the
    quality, at most 100, and the topic as a one-hot vector; `simulator.candidates(observations)`
    gives them as (B, N, 1 + T). Nothing is shown of the user, unless `observe="affinity"` shows her
    affinity to each topic, at most 100. Then, slot by slot of the last slate, whether it was
    clicked, its quality, at most 100, and the number of its topic; zeros before the first slate.

    ## Reward
    1 for a click, else 0.

    ## Episode
    It never terminates, and is truncated after `horizon` slates: as late as RecSim's own runner
    would by default, which has no other end either.

    ## Info
    At every reset and step: `click` (slot, -1 for none), `item` (position of the clicked candidate,
    -1 for none), `repaired`. With `support=S` also what was shown earlier to the same user: S
    sequences of L random slates. `support` is int64 (S, L, K + 1): the places of
    the K documents among the candidates of their step, then the clicked slot, -1 for none.
    `support_reward` is float32 (S, L), and `support_features` float32 (S, L, K, 1 + T), the quality
    and the topic of the documents.

    ## Users whom it pays to know
    With `population="train"` or `population="test"` there are 8 types of users, each of whom likes
    one of 8 topics. In sessions of 10 slates (`horizon=10`), how much more who knows them earns
    than policies that see what agents see, and what can be known of them from `support`, is what
    `recgym reproduce hidden-interests` finds. Types of train users are equally
    likely; half of the types of test users are four times as likely as the others, and users of a
    type differ more.

    ## Reference
    Ie et al.: RecSim: a configurable simulation platform for recommender systems. 2019. Defaults
    are those of `create_environment` in RecSim 0.2.

    ## Versions
    v0: the first.

    Args:
        num_candidates: candidates at every step (N).
        slate_size: documents in a slate (K).
        horizon: slates after which an episode is truncated.
        resample_documents: whether the candidates are drawn anew for every slate; otherwise they
            are the same in all episodes.
        document_seed: draws the candidates that are not resampled.
        no_click_mass: score of clicking nothing. A number, or a distribution that each user draws
            her own from: `["uniform", low, high]`, `["normal", mean, sd]`, `["lognormal", mean,
            sd]` (of the logarithm), or `["choice", value, ...]`.
        user_type_distribution: probability of each type of user (U numbers that sum to 1).
        user_document_mean_affinity_matrix: mean of the logarithm of the affinity of each type to
            each topic (U lists of T numbers).
        user_document_stddev_affinity_matrix: its standard deviation (U lists of T numbers).
        topic_distribution: probability of each topic (T numbers that sum to 1).
        topic_quality_mean: mean of the logarithm of quality in each topic (T numbers).
        topic_quality_stddev: its standard deviation (T numbers).
        observe: "clicks" to show nothing of the user but what she did with the last slate, or
            "affinity" to show her affinities, too.
        population: "recsim" for the users that the arguments describe; "train" or "test" for users
            of more types, whom it pays to know, see below. These set all arguments from
            `no_click_mass` to `topic_quality_stddev`.
        support: sequences of earlier slates that are handed over, S.
        support_steps: slates of each, L.

    Raises:
        RecGymError: an argument out of its range, or lists of other lengths.
    """

    item_features = None
    n_users = 1

    def __init__(
        self,
        num_candidates: int = 10,
        slate_size: int = 3,
        horizon: int = HORIZON,
        resample_documents: bool = True,
        document_seed: int = 0,
        no_click_mass: Given = 5.0,
        user_type_distribution: Any = (0.3, 0.7),
        user_document_mean_affinity_matrix: Any = ((0.1, 0.7), (0.7, 0.1)),
        user_document_stddev_affinity_matrix: Any = ((0.1, 0.1), (0.1, 0.1)),
        topic_distribution: Any = (0.2, 0.8),
        topic_quality_mean: Any = (0.8, 0.2),
        topic_quality_stddev: Any = (0.1, 0.1),
        observe: str = "clicks",
        population: str = "recsim",
        support: int = 0,
        support_steps: int = 20,
    ) -> None:
        users = in_population(
            "interest-exploration",
            population,
            type(self),
            {
                "no_click_mass": no_click_mass,
                "user_type_distribution": user_type_distribution,
                "user_document_mean_affinity_matrix": user_document_mean_affinity_matrix,
                "user_document_stddev_affinity_matrix": user_document_stddev_affinity_matrix,
                "topic_distribution": topic_distribution,
                "topic_quality_mean": topic_quality_mean,
                "topic_quality_stddev": topic_quality_stddev,
            },
        )
        self.n_items = whole("num_candidates", num_candidates, 1)
        self.slate_size = whole("slate_size", slate_size, 1, self.n_items)
        self.slots_read = self.slate_size
        self.horizon = whole("horizon", horizon, 1)
        self._shows_affinity = one_of("observe", observe, ("clicks", "affinity")) == "affinity"
        self._no_click_mass = Distribution("no_click_mass", users["no_click_mass"])
        self._choice = LogitChoice()
        types, topics = (
            _shares(name, users[name]) for name in ("user_type_distribution", "topic_distribution")
        )
        self.n_topics = len(topics)
        shape = (len(types), self.n_topics)
        means, sds, quality, spread = (
            numbers(name, users[name], lengths, low)
            for name, lengths, low in (
                ("user_document_mean_affinity_matrix", shape, -np.inf),
                ("user_document_stddev_affinity_matrix", shape, 0.0),
                ("topic_quality_mean", shape[1:], -np.inf),
                ("topic_quality_stddev", shape[1:], 0.0),
            )
        )
        self._types: Array = types.cumsum()[None]
        self._affinity: Array = np.concatenate([means, sds], axis=1)
        self._topics: Array = topics.cumsum()[:-1]
        self._quality: Array = np.stack([quality, spread], axis=1)
        self._shown: Array = np.eye(self.n_topics, 1 + self.n_topics, 1, dtype=np.float32)
        self._most: Array = np.array([MOST_QUALITY])
        self._kept: State = {}
        if not resample_documents:
            self._kept = self._documents(*draw_noise(self.n_items, self.n_items, document_seed))
        documents = (self.n_items, self.n_items) if resample_documents else (0, 0)
        self.step_noise = noise_of((1, 0), documents)
        self._support = SupportPlan(
            support, support_steps, self.n_items, documents, self.step_noise
        )
        self.info_names: tuple[str, ...] = self._support.info_names
        self.reset_noise = noise_of(
            (1, self.n_topics), self._no_click_mass.noise, documents, self._support.noise
        )
        self.observation_space = self._space()
        self.action_space: spaces.Space[Any] = SlateSpace(self.n_items, self.slate_size)

    def reset(self, noise: Noise, users: Array | None = None) -> State:
        """Starts one session a row, of a new user; see ``Simulator.reset``."""
        xp = namespace(noise.uniform)
        n_rows, device = len(noise.uniform), noise.uniform.device
        columns = Columns(noise)
        kind = invert(
            rows(self._types, xp.zeros(n_rows, dtype=xp.int64, device=device)), columns.uniform(1)
        )
        parameters = rows(self._affinity, kind)
        spread = parameters[:, self.n_topics :] * columns.normal(self.n_topics)
        step = xp.zeros(n_rows, dtype=xp.int64, device=device)
        shape = (n_rows, self.slate_size, FEATURES)
        state = {
            "affinity": xp.exp(parameters[:, : self.n_topics] + spread),
            "no_click_mass": self._no_click_mass.draw(columns)[:, 0],
            "response": xp.zeros(shape, dtype=xp.float32, device=device),
            "step": step,
        }
        state = self.renewed(state, columns)
        return state | self._support.gathered(self, state, columns)

    def renewed(self, state: State, columns: Columns) -> State:
        """Returns a state with candidates drawn anew, unless they are the same in all episodes."""
        if self._kept:
            return state | repeated(self._kept, state["step"])
        return state | self._documents(columns.uniform(self.n_items), columns.normal(self.n_items))

    def observe(self, state: State) -> Array:
        """Returns the candidates, the affinity where shown, and the last response, (B, ...)."""
        xp = namespace(state["topic"])
        shown = rows(self._shown, state["topic"])
        shown[:, :, 0] = xp.minimum(state["quality"], self._most)
        n_rows = len(shown)
        parts = [shown.reshape(n_rows, -1), state["response"].reshape(n_rows, -1)]
        if self._shows_affinity:
            affinity = xp.minimum(state["affinity"], self._most)
            parts.insert(1, xp.asarray(affinity, dtype=xp.float32))
        return xp.concat(parts, axis=1)

    def candidates(self, observation: Array) -> Array:
        """Returns the candidates' features (B, N, 1 + T) in observations (B, ...)."""
        width = 1 + self.n_topics
        return observation[:, : self.n_items * width].reshape(-1, self.n_items, width)

    def step(self, state: State, slate: Array, noise: Noise) -> tuple[State, Response]:
        """Shows the slates and returns the answers, see ``Simulator.step``."""
        xp = namespace(slate)
        row = xp.arange(len(slate), device=slate.device)
        topic, quality = pick(state["topic"], slate), pick(state["quality"], slate)
        scores = pick(state["affinity"], topic) + quality
        weights = self._choice.weights(scores, state["no_click_mass"])
        option = choose(weights, noise.uniform[:, :1])
        clicked = option < self.slate_size
        click = xp.where(clicked, option, -1)
        shape = (*topic.shape, FEATURES)
        response = xp.zeros(shape, dtype=xp.float32, device=slate.device)
        response[row, click, 0] = xp.asarray(clicked, dtype=xp.float32)
        response[:, :, 1] = xp.minimum(quality, self._most)
        response[:, :, 2] = topic
        item = xp.where(clicked, pick(slate, click), -1)
        after = self.follow(state, item, noise)
        after["response"] = response
        reward = xp.asarray(clicked, dtype=xp.float32)
        return after, Response(click, item, reward, xp.zeros_like(clicked), slate)

    def options(self, state: State, items: Array) -> Options:
        """Returns what users would do with items (B, M), see ``HasOptions``."""
        scores = pick(state["affinity"], pick(state["topic"], items))
        weights = self._choice.weights(
            scores + pick(state["quality"], items), state["no_click_mass"]
        )
        xp = namespace(weights)
        rewards = xp.ones_like(weights)
        rewards[:, -1] = 0.0
        return Options(weights, rewards, xp.ones_like(weights))

    def follow(self, state: State, item: Array, noise: Noise) -> State:
        """Returns the state of users who took an item (B,), see ``HasOptions``.

        What was observed of the last slate is left as it was.
        """
        after = state | {"step": state["step"] + 1}
        if not self._kept:
            after |= self._documents(noise.uniform[:, 1:], noise.normal)
        return after

    def remaining(self, state: State) -> Array:
        """Returns the slates that are left, (B,)."""
        return self.horizon - state["step"]

    def kinds(self, state: State) -> Kinds:
        """Returns the candidates' topics and qualities."""
        return Kinds(topic_names(self.n_topics), state["topic"], "quality", state["quality"])

    def liking(self, state: State) -> Liking:
        """Returns the users' affinity to each topic."""
        means, spreads = np.split(self._affinity, 2, axis=1)
        high = float(np.exp((means + 2.0 * spreads).max()))
        names = topic_names(self.n_topics)
        return Liking("affinity to each topic", names, state["affinity"], 0.0, high)

    def to(self, backend: str, device: str) -> Self:
        """Returns this simulator with its arrays in "numpy" or "torch", on ``device``."""
        tables = ("_types", "_affinity", "_topics", "_quality", "_shown", "_most", "_kept")
        return moved(self, tables, backend, device)

    def _documents(self, uniform: Array, normal: Array) -> State:
        """Returns candidates drawn from noise (B, N): their topics and qualities."""
        xp = namespace(uniform)
        topic = (uniform[:, :, None] >= self._topics).sum(axis=2)
        parameters = rows(self._quality, topic)
        quality = xp.exp(parameters[:, :, 0] + parameters[:, :, 1] * normal)
        return {"topic": topic, "quality": quality}

    def _space(self) -> spaces.Box:
        document = np.ones(1 + self.n_topics, np.float32)
        document[0] = MOST_QUALITY
        slot = np.array([1.0, MOST_QUALITY, max(self.n_topics - 1, 1)], np.float32)
        affinity = np.full(self.n_topics * self._shows_affinity, MOST_QUALITY, np.float32)
        high = np.concatenate(
            [np.tile(document, self.n_items), affinity, np.tile(slot, self.slate_size)]
        )
        return spaces.Box(np.zeros_like(high), high, dtype=np.float32)


def _shares(name: str, values: Any) -> np.ndarray:
    """Returns probabilities.

    Raises:
        RecGymError: they are not numbers of 0 or more that sum to 1.
    """
    shares = numbers(name, values, (-1,), low=0.0)
    if not np.isclose(shares.sum(), 1.0):
        raise RecGymError(f"{name}={values!r}: must sum to 1")
    return shares
