"""A population whose truth is public: what its users like, and what wears them out."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from gymnasium import spaces

from recgym.arrays import Array, beside, namespace, pick, remember, rows
from recgym.errors import RecGymError
from recgym.simulators.arguments import number, one_of, whole
from recgym.simulators.base import Kinds, Liking, Noise, Options, Response, State, choose
from recgym.simulators.made_up import topic_names
from recgym.simulators.recsim_parts import moved
from recgym.spaces import SlateSpace, draw_slates
from recgym.users.folder import load_user_model

MIXTURE = 0.3
"""Concentration of the Dirichlet distribution of an item's topics: most have one or two."""
BAIT = (0.25, 0.75)
"""The beta distribution of clickbait: a quarter on average, near 0 or 1 for most."""


class KnownUsers:
    """A population whose truth is public: what its users like, and what wears them out.

    ## User
    Every item a has a mixture d of topics, a quality q and a share of clickbait b. Every user has a
    taste for each topic, above or below 0, which is her mean. Her state is a memory of what she
    clicked, of topics m and of clickbait c: a click moves each of them to `memory` * itself + (1 -
    `memory`) * the item's own. A click on a is worth to her r(s, a), which is the sum of

    - her appeal of the item: (taste + `dynamics` * (`interest` * m - `satiation` * m^2)) . d + q +
      `clickbait` * b. So she wants more of what she clicked lately, until it was too much of it;
    - a level that is the same for all items: `level` - `dynamics` * `fatigue` * c. So clickbait is
      clicked now, and makes all that follows worth less.

    She clicks an item in proportion to exp(`eta` * r(s, a)), and nothing in proportion to 1. With
    the defaults, clickbait costs later twice what it earns now, and a policy that looks ahead shows
    less of it. With `dynamics=0` nothing that is shown changes what follows, so that no plan beats
    the best slate of the moment. An item can be clicked again.

    Random draws make the population: `population_seed` is the world, and a user's taste is the same
    whatever `n_users`. Of the truth, `simulator` shows the arrays `topics`, `quality`, `clickbait`
    and `tastes`, and `rewards(state)`, `level(state)`, `respond(state, slate)` and
    `follow(state, item, noise)`; `recgym.planning` plans in it.

    ## Action
    `MultiDiscrete([N] * K)`: the item in each slot, ids 0..N-1. K distinct items are always shown:
    a repeated id is replaced by the lowest id that is not in the slate, and `info["repaired"]`
    counts the replacements. An action of another shape, or an id out of range, is an error.

    ## Observation
    What was clicked last, the most recent last; the taste is hidden. With `observe="features"` a
    `Box` of float32, `window * D`: the feature vectors of the last clicked items, zeros for fewer
    clicks; with `observe="items"` a `Box` of int64, `window`: their ids, N for fewer clicks. The
    features are the item's topics, quality and clickbait, in `simulator.item_features` (N, D).

    ## Reward
    r(s, a) of the clicked item, 0 without a click. It may be negative.

    ## Episode
    It begins with a user, drawn evenly, or named by `reset(options={"user": i})`, who has clicked
    nothing or, with `past`, has seen as many random slates. It is truncated after `horizon` slates.

    ## Info
    At every reset and step: `click` (slot, -1 for none), `item` (id, -1 for none), `repaired`,
    `user`.

    ## Reference
    None: a world to find out what carries over from a fitted user model to its users. The memory is
    a weighting of positions, as in the user model of Chen et al. (ICML 2019, Eq. 4), and choices
    are as there (Lemma 1).

    ## Versions
    v0: the first.

    Args:
        n_items: items (N).
        slate_size: items in a slate (K).
        horizon: slates in an episode.
        n_users: users.
        n_topics: topics; features are D = `n_topics` + 2.
        dynamics: strength of what clicks change; 0 for nothing.
        interest: how much topics clicked lately are liked.
        satiation: how much topics clicked too often are disliked.
        fatigue: how much clickbait clicked lately lowers every reward.
        clickbait: how much clickbait draws clicks.
        taste: standard deviation of a user's taste for a topic.
        quality: standard deviation of quality.
        level: reward of an item of no appeal to a user who clicked no clickbait.
        memory: in 0..1, what is kept of a memory at each click.
        eta: how sharply users choose.
        no_click: whether a user may click nothing.
        past: random slates that a user was shown before an episode begins.
        population_seed: draws items and users; the same seed is the same population.
        item_table: None to show the items by their true features, or the folder of a user model
            fitted on a log of this population to show them by the features that it learned, which
            agents that were trained in it expect.
        observe: "features" or "items".
        window: clicked items observed.

    Raises:
        RecGymError: an argument out of its range, or a user model of other items.
    """

    info_names: tuple[str, ...] = ("user",)
    reset_noise = (1, 0)
    step_noise = (1, 0)

    def __init__(
        self,
        n_items: int = 200,
        slate_size: int = 5,
        horizon: int = 20,
        n_users: int = 1000,
        n_topics: int = 8,
        dynamics: float = 1.0,
        interest: float = 4.0,
        satiation: float = 5.0,
        fatigue: float = 2.0,
        clickbait: float = 1.0,
        taste: float = 1.0,
        quality: float = 0.5,
        level: float = 0.25,
        memory: float = 0.6,
        eta: float = 1.0,
        no_click: bool = True,
        past: int = 0,
        population_seed: int = 0,
        item_table: str | None = None,
        observe: str = "features",
        window: int = 10,
    ) -> None:
        self.n_items = whole("n_items", n_items, 1)
        self.slate_size = whole("slate_size", slate_size, 1, self.n_items)
        self.slots_read = self.slate_size
        self.horizon = whole("horizon", horizon, 1)
        self.n_users = whole("n_users", n_users, 1)
        self.n_topics = whole("n_topics", n_topics, 1)
        self.dynamics = number("dynamics", dynamics, 0.0)
        self.memory = number("memory", memory, 0.0, 1.0)
        self.eta = number("eta", eta, 0.0)
        if not isinstance(no_click, bool):
            raise RecGymError(f"no_click={no_click!r}: must be True or False")
        self.no_click = no_click
        self.view = one_of("observe", observe, ("features", "items"))
        self.window = whole("window", window, 1)
        self._interest = self.dynamics * number("interest", interest)
        self._satiation = self.dynamics * number("satiation", satiation)
        self._fatigue = self.dynamics * number("fatigue", fatigue)
        self._level = number("level", level)
        seed = whole("population_seed", population_seed, 0)
        items, users, slates = (np.random.default_rng([seed, stream]) for stream in range(3))
        self.topics: Array = items.dirichlet([MIXTURE] * self.n_topics, self.n_items)
        """d of each item, (N, T); a row sums to 1."""
        self.quality: Array = number("quality", quality, 0.0) * items.standard_normal(self.n_items)
        """q of each item, (N,)."""
        self.clickbait: Array = items.beta(*BAIT, self.n_items)
        """b of each item in 0..1, (N,)."""
        self.tastes: Array = users.standard_normal((self.n_users, self.n_topics))
        """Each user's taste for each topic, (U, T); a user's mean is 0."""
        self.tastes -= self.tastes.mean(axis=1, keepdims=True)
        self.tastes *= number("taste", taste, 0.0)
        draws = self.quality + number("clickbait", clickbait) * self.clickbait
        truth = np.column_stack([self.topics, self.quality, self.clickbait]).astype(np.float32)
        self.item_features = truth if item_table is None else _learned(item_table, self.n_items)
        self.n_features = self.item_features.shape[1]
        self.observation_space = self._space()
        self.action_space: spaces.Space[Any] = SlateSpace(self.n_items, self.slate_size)
        remembered = np.column_stack([self.topics, self.clickbait]).astype(np.float32)
        self._items: Array = np.column_stack([self.topics, draws]).astype(np.float32)
        self._remembered: Array = np.append(remembered, np.zeros_like(remembered[:1]), axis=0)
        no_item = np.zeros_like(self.item_features[:1])
        self._padded_features: Array = np.concatenate([self.item_features, no_item])
        self._tastes: Array = self.tastes.astype(np.float32)
        self._starts: State = self._after_random_slates(whole("past", past, 0), slates)

    def reset(self, noise: Noise, users: Array | None = None) -> State:
        """Starts one episode a row, see ``Simulator.reset``."""
        xp = namespace(noise.uniform)
        user = xp.asarray(noise.uniform[:, 0] * self.n_users, dtype=xp.int64)
        if users is not None:
            user = xp.where(users >= 0, users, user)
        state = {name: rows(starts, user) for name, starts in self._starts.items()}
        return state | {"user": user, "step": xp.zeros_like(user)}

    def observe(self, state: State) -> Array:
        """Returns the last clicked items, (B, window) ids or (B, window * D) features."""
        if self.view == "items":
            return namespace(state["history"]).asarray(state["history"], copy=True)
        seen = rows(self._padded_features, state["history"])
        return seen.reshape(-1, self.window * self.n_features)

    def step(self, state: State, slate: Array, noise: Noise) -> tuple[State, Response]:
        """Shows the slates and returns the answers, see ``Simulator.step``."""
        xp = namespace(slate)
        weights, rewards, _ = self.options(state, slate)
        option = choose(weights, noise.uniform)
        clicked = option < self.slate_size
        item = pick(beside(slate, -1), option)
        click = xp.where(clicked, option, -1)
        response = Response(click, item, pick(rewards, option), xp.zeros_like(clicked), slate)
        return self.follow(state, item, noise), response

    def respond(self, state: State, slate: Array) -> tuple[Array, Array]:
        """Returns the true logits of the users' choices and their rewards, both (B, K + 1).

        Args:
            state: B users.
            slate: item ids (B, K). The last column of what is returned is no click.
        """
        xp = namespace(slate)
        shown = rows(self._items, slate)  # (B, K, T + 1)
        liked = xp.sum(shown[:, :, :-1] * self._preferences(state)[:, None, :], axis=2)
        rewards = liked + shown[:, :, -1] + self.level(state)[:, None]
        logits = beside(self.eta * rewards, 0.0 if self.no_click else -np.inf)
        return logits, beside(rewards, 0.0)

    def options(self, state: State, items: Array) -> Options:
        """Returns what users would do with items (B, M), see ``HasOptions``."""
        logits, rewards = self.respond(state, items)
        xp = namespace(logits)
        weights = xp.exp(logits - xp.max(logits, axis=1, keepdims=True))
        return Options(weights, rewards, xp.ones_like(weights))

    def follow(self, state: State, item: Array, noise: Noise) -> State:
        """Returns the state of users who clicked an item (B,), see ``HasOptions``."""
        xp = namespace(item)
        clicked = item >= 0
        new = rows(self._remembered, xp.where(clicked, item, self.n_items))
        memory = self.memory * state["memory"] + (1.0 - self.memory) * new
        return state | {
            "memory": xp.where(clicked[:, None], memory, state["memory"]),
            "history": remember(state["history"], item),
            "step": state["step"] + 1,
        }

    def remaining(self, state: State) -> Array:
        """Returns the slates that are left, (B,)."""
        left: Array = self.horizon - state["step"]
        return left

    def level(self, state: State) -> Array:
        """Returns what an item of no appeal is worth to users now, (B,)."""
        return self._level - self._fatigue * state["memory"][:, -1]

    def rewards(self, state: State) -> Array:
        """Returns r(s, a) of every item, (B, N)."""
        appeal = self._preferences(state) @ self._items[:, :-1].T + self._items[:, -1]
        return appeal + self.level(state)[:, None]

    def kinds(self, state: State) -> Kinds:
        """Returns the main topic of each item, and its quality."""
        shape = (len(state["step"]), self.n_items)
        main = np.broadcast_to(self.topics.argmax(axis=1), shape)
        quality = np.broadcast_to(self.quality, shape)
        return Kinds(topic_names(self.n_topics), main, "quality", quality)

    def liking(self, state: State) -> Liking:
        """Returns the reward of a click on each item."""
        return Liking("reward of a click", (), self.rewards(state), -3.0, 3.0)

    def to(self, backend: str, device: str) -> Self:
        """Returns this simulator with its arrays in "numpy" or "torch", on ``device``."""
        tables = ("_items", "_remembered", "_padded_features", "_tastes", "_starts")
        return moved(self, tables, backend, device)

    def _preferences(self, state: State) -> Array:
        """Returns what users like of each topic now, (B, T)."""
        topics = state["memory"][:, :-1]
        moving = (self._interest - self._satiation * topics) * topics
        return rows(self._tastes, state["user"]) + moving

    def _after_random_slates(self, slates: int, rng: np.random.Generator) -> State:
        """Returns the memory and the history of every user after random slates."""
        every = np.arange(self.n_users)
        state: State = {
            "memory": np.zeros((self.n_users, self.n_topics + 1), np.float32),
            "history": np.full((self.n_users, self.window), self.n_items),
            "user": every,
            "step": np.zeros_like(every),
        }
        for _ in range(slates):
            slate = draw_slates(self.n_items, self.n_users, self.slate_size, rng)
            uniform = rng.random((self.n_users, 1))
            state, _ = self.step(state, slate, Noise(uniform, np.empty((self.n_users, 0))))
        return {name: state[name] for name in ("memory", "history")}

    def _space(self) -> spaces.Box:
        if self.view == "items":
            return spaces.Box(0, self.n_items, (self.window,), np.int64)
        low = np.minimum(self.item_features.min(axis=0), 0.0)
        high = np.maximum(self.item_features.max(axis=0), 0.0)
        return spaces.Box(np.tile(low, self.window), np.tile(high, self.window), dtype=np.float32)


def _learned(folder: Any, n_items: int) -> np.ndarray:
    """Returns the item features of a fitted user model, (N, D).

    Raises:
        RecGymError: there is none, or it is of another number of items.
    """
    if not isinstance(folder, str):
        raise RecGymError(f"item_table={folder!r}: must be a folder, or None")
    model = load_user_model(folder)
    if model.n_items != n_items:
        raise RecGymError(f"item_table={folder!r}: has {model.n_items} items, not {n_items}")
    features: np.ndarray = model.features
    return features
