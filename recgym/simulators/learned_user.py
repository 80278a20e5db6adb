"""Users who answer slates as a user model fitted on a click log says."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from gymnasium import spaces

from recgym.arrays import Array, beside, in_backend, namespace, pick, rows
from recgym.errors import RecGymError
from recgym.settings import changed
from recgym.simulators.arguments import number, one_of, whole
from recgym.simulators.base import Liking, Noise, Options, Response, Simulator, State
from recgym.simulators.ensemble import Ensemble, PessimisticEnsemble
from recgym.simulators.spent_items import best_unspent, contains
from recgym.spaces import SlateSpace
from recgym.users import meta
from recgym.users.folder import FittedUserModel, load_user_model
from recgym.users.gan import GANUserConfig
from recgym.users.identified import level_to_hold, respond_identified, with_level
from recgym.users.kinds import functions_of, kind_of, name_of
from recgym.users.meta import MetaUserConfig

LAST_RESORT = -1e30
"""Utility of clicking nothing where that is no option: above only that of spent items."""


def learned_user(
    user_model: str | Path | FittedUserModel = "recgan",
    split: str = "train",
    slate_size: int = 5,
    horizon: int = 20,
    ensemble: int = 0,
    observe: str = "features",
    window: int | None = None,
    reward: str = "identified",
    pessimism: float | None = None,
    entropy_bonus: float = 0.0,
) -> Simulator:
    """Users who answer slates as a user model fitted on a click log says.

    ## User
    A user is shown K items and clicks one of them or none, with the probability that a fitted user
    model gives to each. The user's state is the history of clicked items. A click joins it, and so
    moves what the user likes next. Where the log has no page without a click, something is always
    clicked. Where it never shows a user clicking an item twice, clicked items are spent: they fill
    their slot and cannot be clicked again. There are two kinds of user model:

    - generative adversarial (RecGAN; Chen et al., 2019, Eq. 2 and 3): under entropy regularisation,
      probabilities are proportional to exp(eta * reward);
    - recurrent (IRecGAN; Bai et al., 2019, Eq. 1 and 2): an LSTM or GRU reads the clicks of a
      session; probabilities are a softmax over the items and, where the log shows how sessions end,
      leaving. A click is rewarded with a probability of its own.

    ## Action
    `MultiDiscrete([N] * K)`: the item in each slot, ids 0..N-1. K distinct items are always shown:
    a repeated id is replaced by the lowest id that is not in the slate, and `info["repaired"]`
    counts the replacements. An action of another shape, or an id out of range, is an error.

    ## Observation
    What was clicked last, the most recent last. With `observe="features"` a `Box` of float32,
    `window * D`: the feature vectors of the last clicked items, zeros for fewer clicks; with
    `observe="items"` a `Box` of int64, `window`: their ids, N for fewer clicks. The features are
    the user model's item embedding, the same for both splits, in `simulator.item_features` (N, D).

    ## Reward
    For the clicked item, as the user model learned it; 0 without a click.

    - Generative adversarial: what a log fixes of r(s, a); with `reward="raw"`, r(s, a). Choices
      between items depend on differences of r alone, so that a log of them fixes r only up to a
      function of the state, the *level*, of which pages without a click say more or less. Where
      models of other users do not agree on it, an agent that is paid r learns to lead users to
      states whose level happens to be high. So the reward is r(s, a) - (1 - q) * (l(s) - c): l(s)
      is the reward of the mean item, whose features are the mean of all items', and c the mean of l
      over the users that episodes begin with, or 0 where the log has no page without a click. The
      share q is the rank correlation of l in the models of training and test users (at least 0; 0
      without such pages), as `user_model.level_share`. Users choose alike in both.
    - Recurrent: 1 with the probability of Eq. 2, else 0, or that probability itself where the
      model's configuration says "expectation". The log holds rewards of clicks, so they are
      identified: "identified" and "raw" mean the same.

    With `reward="click"` a click is worth 1, whatever the user model learned.

    With `ensemble=M` one of M models is drawn for each episode; it answers and it rewards. With
    `pessimism=beta` as well, it answers, and a click is rewarded with the mean of what all M expect
    of it, less beta times their standard deviation. With `entropy_bonus=lambda` every slate is
    worth lambda * H(i) more, clicked or not, for the item i that the user has then clicked last:
    H(i), in 0..1, is how evenly the log's users clicked the items that followed i. So it costs an
    agent something to lead users to where the log shows the same few items again and again.

    ## Episode
    It begins with the synthetic history of a user, drawn evenly, or named by
    `reset(options={"user": i})`; of a recurrent user model, with no history, as every session does
    (there is one user). It terminates when a user leaves, where the user model knows leaving, and
    is truncated after `horizon` slates.

    ## Info
    At every reset and step: `click` (slot, -1 for none), `item` (id, -1 for none), `repaired`;
    where there are several users also `user`, with an ensemble also `member`.

    ## Reference
    Chen, Li, Li, Jiang, Qi and Song: Generative adversarial user model for reinforcement learning
    based recommendation system. ICML 2019. Bai, Guan and Wang: A model-based reinforcement learning
    with adversarial training for online recommendation. NeurIPS 2019. The entropy bonus: Gao et
    al.: Alleviating Matthew effect of offline reinforcement learning in interactive recommendation.
    SIGIR 2023.

    ## Versions
    v0: the first.

    Args:
        user_model: folder of a fitted user model, or the name of a shipped one.
        split: "train" for the model fitted on training users, in which agents learn; "test" for the
            one fitted on other users, in which they are scored.
        slate_size: items in a slate (K).
        horizon: slates in an episode.
        ensemble: 0, or M to draw one of M models, each fitted on other training users drawn with
            replacement, for each episode.
        observe: "features" or "items".
        window: clicked items observed; when None, as many as the user model's configuration says,
            and with "items" one more for each slate of an episode if clicked items are spent, to
            know them all by.
        reward: "identified" for what a log of choices fixes of the reward, "raw" for the reward as
            the user model learned it, or "click" for 1 a click.
        pessimism: with an ensemble, standard deviations of the members' rewards that are taken off
            their mean, at least 0; None rewards with the drawn member's own.
        entropy_bonus: with pessimism, what every slate is worth more, times how evenly (0..1) next
            clicks spread that follow the last clicked item in the log; at least 0.

    Raises:
        RecGymError: an argument out of its range, or a folder that holds no whole user model.
    """
    if isinstance(user_model, str | Path):
        user_model = load_user_model(user_model)
    if not isinstance(user_model, FittedUserModel):
        raise RecGymError(f"user_model={user_model!r}: must be a folder, or a shipped model's name")
    if not kind_of(user_model.config).chooses:
        kind = name_of(user_model.config)
        raise RecGymError(
            f"user_model: a model of the kind {kind!r} ranks items and says no choice"
            " probabilities, so that it is no environment's user; fit another, such as gan-pw"
        )
    one_of("split", split, tuple(name for name in ("train", "test") if name in user_model.members))
    if whole("ensemble", ensemble, 0, len(user_model.bags)) and split != "train":
        raise RecGymError("ensemble: its models are fitted on training users; use split='train'")
    if pessimism is not None:
        number("pessimism", pessimism, 0.0)
        if not ensemble:
            raise RecGymError(f"pessimism={pessimism!r}: needs an ensemble; set ensemble too")
        user_model = _with_expected_rewards(user_model)
    bonus = _entropy_bonus(user_model, number("entropy_bonus", entropy_bonus, 0.0), pessimism)
    members = user_model.bags[:ensemble] if ensemble else (split,)
    simulators = [
        LearnedUser(user_model, member, split, slate_size, horizon, observe, window, reward)
        for member in members
    ]
    if pessimism is not None:
        return PessimisticEnsemble(simulators, pessimism, bonus)
    return Ensemble(simulators) if ensemble else simulators[0]


class LearnedUser:
    """The users of one member of a fitted user model, see ``learned_user``.

    The state holds the history, (B, W) item ids, oldest first, padded with N on the left. Where
    clicked items are spent, W leaves room for every click of an episode, so that the spent items
    are those of the history.

    Args:
        user_model: the fitted user model.
        member: which of its members answers.
        split: whose histories episodes begin with.
        slate_size: as in ``learned_user``, like all that follow.
        horizon: slates in an episode.
        observe: "features" or "items".
        window: clicked items observed.
        reward: "identified", "raw", or "click".
    """

    reset_noise = (1, 0)

    def __init__(
        self,
        user_model: FittedUserModel,
        member: str,
        split: str,
        slate_size: int,
        horizon: int,
        observe: str,
        window: int | None,
        reward: str = "identified",
    ) -> None:
        config, features = user_model.config, user_model.features
        self.user_model, self.member = user_model, member  # what planning agents read
        self.config = config
        self.n_items, self.n_features = features.shape
        self.slate_size = whole("slate_size", slate_size, 1, self.n_items)
        self.slots_read = self.slate_size
        self._draws = config.draws_rewards
        self.step_noise = (self.slate_size + 1 + self._draws, 0)
        self.horizon = whole("horizon", horizon, 1)
        self.view = one_of("observe", observe, ("features", "items"))
        self.item_features = features
        self.spends = not user_model.info["repeat_clicks"]
        if window is None:
            window = config.window + (horizon if self.spends and observe == "items" else 0)
        self.window = whole("window", window, 1)
        self.observation_space = self._space()
        self.action_space: spaces.Space[Any] = SlateSpace(self.n_items, self.slate_size)
        histories = user_model.histories[split]
        self.n_users = len(histories)
        self.info_names: tuple[str, ...] = ("user",) if self.n_users > 1 else ()
        functions = functions_of(config)
        self._respond, self._advance = functions.respond, functions.advance
        self._tables = functions.prepare(config, user_model.members[member], features)
        self.reward = one_of("reward", reward, ("identified", "raw", "click"))
        if reward == "identified" and isinstance(config, GANUserConfig):
            self._respond = respond_identified
            held = level_to_hold(config, user_model.members[split], features, histories)
            self._tables = with_level(self._tables, held, user_model.level_share)
        width = max(self.window, config.window)
        if self.spends:
            width = max(width, histories.shape[1] + self.horizon)
        self._starts: State = functions.initial(
            config, self._tables, _pad(histories, width, self.n_items)
        )
        if split in user_model.contexts:
            self._starts["context"] = user_model.contexts[split]
        if reward == "identified" and isinstance(config, MetaUserConfig):
            levels = meta.levels(config, self._tables, self._starts)
            held = 0.0 if config.outside is None else float(levels.mean())
            self._tables = meta.with_level(self._tables, held, user_model.level_share)
        self._slots: Array = np.append(np.arange(self.slate_size), -1)
        self._padded_features: Array = np.concatenate([features, np.zeros_like(features[:1])])

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
        recent = state["history"][:, -self.window :]
        if self.view == "items":
            return namespace(recent).asarray(recent, copy=True)
        return rows(self._padded_features, recent).reshape(-1, self.window * self.n_features)

    def step(self, state: State, slate: Array, noise: Noise) -> tuple[State, Response]:
        """Shows the slates and returns the answers, see ``Simulator.step``."""
        response = self.settle(state, slate, *self.score(state, slate), noise)
        return self.follow(state, response.item, noise), response

    def score(self, state: State, slate: Array) -> tuple[Array, Array]:
        """Returns the logits of the users' choices, and the rewards of each, both (B, K + 1)."""
        logits, rewards = self._respond(self.config, self._tables, state, slate)
        if self.reward == "click":
            ones = namespace(rewards).ones_like(rewards[:, :-1])
            rewards = beside(ones, 0.0)
        return logits, rewards

    def settle(
        self, state: State, slate: Array, logits: Array, rewards: Array, noise: Noise
    ) -> Response:
        """Draws the users' choices and returns their answers.

        Args:
            state: B users.
            slate: (B, K) item ids.
            logits: of their choices (B, K + 1).
            rewards: of each choice (B, K + 1).
            noise: as that of ``step``.
        """
        xp = namespace(logits)
        # What is clicked maximises utility plus Gumbel noise, with softmax probabilities.
        uniform = noise.uniform[:, :-1] if self._draws else noise.uniform
        utilities = logits - xp.asarray(xp.log(-xp.log(uniform)), dtype=logits.dtype)
        if self.spends:
            if self.config.outside is None:
                utilities[:, -1] = LAST_RESORT
            option = best_unspent(utilities, slate, state["history"])
        else:
            option = utilities.argmax(axis=1)
        item = pick(beside(slate, -1), option)
        reward = pick(rewards, option)
        if self._draws:
            reward = xp.asarray(noise.uniform[:, -1] < reward, dtype=xp.float32)
        ends = self.config.outside == "end"
        left = item < 0 if ends else xp.zeros(len(item), dtype=xp.bool, device=item.device)
        return Response(self._slots[option], item, reward, left, slate)

    def options(self, state: State, items: Array) -> Options:
        """Returns what users would do with items (B, M), see ``HasOptions``."""
        logits, rewards = self.score(state, items)
        xp = namespace(logits)
        weights = xp.exp(logits - xp.max(logits, axis=1, keepdims=True))
        if self.spends:
            weights[:, :-1][contains(state["history"], items)] = 0.0
        stays = xp.ones_like(weights)
        if self.config.outside == "end":
            stays[:, -1] = 0.0
        return Options(weights, rewards, stays)

    def follow(self, state: State, item: Array, noise: Noise) -> State:
        """Returns the state of users who took an item (B,), see ``HasOptions``."""
        after: State = state | self._advance(self.config, self._tables, state, item)
        after["step"] = state["step"] + 1
        return after

    def remaining(self, state: State) -> Array:
        """Returns the slates that are left, (B,)."""
        return self.horizon - state["step"]

    def liking(self, state: State) -> Liking:
        """Returns how probably users would click each item, were it shown alone.

        Where there is no other option than to click, it is each item's share of the clicks were all
        of them shown, and 1 for the largest. Spent items are never clicked.
        """
        n_rows = len(state["step"])
        every = np.broadcast_to(np.arange(self.n_items), (n_rows, self.n_items))
        logits, _ = self._respond(self.config, self._tables, state, every)
        if self.config.outside is None:
            what = "chance of a click, beside the best item"
            values = np.exp(logits[:, :-1] - logits[:, :-1].max(axis=1, keepdims=True))
        else:
            what = "chance of a click, shown alone"
            values = 1.0 / (1.0 + np.exp(logits[:, -1:] - logits[:, :-1]))
        if self.spends:
            values = np.where(contains(state["history"], every), 0.0, values)
        return Liking(what, (), values, 0.0, 1.0)

    def to(self, backend: str, device: str) -> Self:
        """Returns this simulator with its arrays in "numpy" or "torch", on ``device``."""

        def move(arrays: dict[str, Array]) -> dict[str, Array]:
            return {name: in_backend(array, backend, device) for name, array in arrays.items()}

        moved = copy.copy(self)
        moved._tables = move(self._tables)
        moved._starts = move(self._starts)
        moved._slots = in_backend(self._slots, backend, device)
        moved._padded_features = in_backend(self._padded_features, backend, device)
        return moved

    def _space(self) -> spaces.Box:
        if self.view == "items":
            return spaces.Box(0, self.n_items, (self.window,), np.int64)
        low = np.minimum(self.item_features.min(axis=0), 0.0)
        high = np.maximum(self.item_features.max(axis=0), 0.0)
        return spaces.Box(np.tile(low, self.window), np.tile(high, self.window), dtype=np.float32)


def _with_expected_rewards(user_model: FittedUserModel) -> FittedUserModel:
    """Returns a user model whose rewards are expectations, not draws."""
    if not user_model.config.draws_rewards:
        return user_model
    expected = changed(user_model.config, {"reward": "expectation"}, "user_model")
    return replace(user_model, config=expected)


def _entropy_bonus(
    user_model: FittedUserModel, weight: float, pessimism: float | None
) -> Array | None:
    """Returns what a slate is worth more by the item clicked last, (N + 1,); None for nothing."""
    if not weight:
        return None
    if pessimism is None:
        raise RecGymError(f"entropy_bonus={weight!r}: goes with pessimism; set pessimism too")
    if user_model.next_click_entropy is None:
        raise RecGymError(
            f"entropy_bonus={weight!r}: the user model does not say what follows an item in its"
            " log; fit it again with recgym fit"
        )
    return np.float32(weight) * user_model.next_click_entropy


def _pad(histories: np.ndarray, width: int, n_items: int) -> np.ndarray:
    """Returns the last ``width`` ids of histories (U, W), padded with ``n_items`` on the left."""
    padded = np.full((len(histories), width), n_items, np.int64)
    kept = histories[:, -width:]
    padded[:, width - kept.shape[1] :] = kept
    return padded
