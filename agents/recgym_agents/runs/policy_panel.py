"""A fixed panel of ten policies that learn nothing: do two worlds rank them alike?

They know the catalog, the clicks of the log's training users, and the user model's member that is
fitted on these; nothing of other users, so that the world of those is new to all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recgym.arrays import Array
from recgym.users.folder import FittedUserModel
from recgym.users.gan import Params
from recgym.users.kinds import functions_of
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.baselines import top_slates
from recgym_agents.user_support import Support

USERS = 100
"""Training users over whose states an item's mean reward is taken."""
SHORTLIST = 300
"""Items of the highest mean reward: those that policies choose from which judge a user's state."""
STATES, OTHERS = 8, 50
"""Before a click, and items after it, over which the mean reward after the click is taken."""
STEPS_AHEAD = 10.0
"""Slates for which the policy that looks ahead counts on what a click leads to."""
BLOCK = 64
"""States whose items are judged at once."""


@dataclass(frozen=True, eq=False)
class TrainingUsers:
    """What the policies of the panel know."""

    model: FittedUserModel
    tables: Params
    """of the member "train", from its kind's ``prepare``"""
    clicks: Array
    """(N,) of training users in the log"""
    reward: Array
    """(N,) of a click, as the member expects, mean over users"""
    shortlist: Array
    """(M,) items of the highest mean reward"""
    utility: Array
    """(M,) of choosing each item of the shortlist, mean over users"""
    reward_after: Array
    """(M,) mean reward of other items after a click on each item of the shortlist"""

    @staticmethod
    def of(model: FittedUserModel, clicks: Array) -> TrainingUsers:
        """Asks the member "train" for all that does not depend on the state.

        Args:
            model: the fitted user model.
            clicks: (N,) how often training users clicked each item in the log.
        """
        tables = functions_of(model.config).prepare(
            model.config, model.members["train"], model.features
        )
        histories = model.histories["train"][:USERS]
        utilities, rewards = _judged(model, tables, histories, np.arange(model.n_items))
        reward = rewards.mean(axis=0)
        shortlist = np.argsort(-reward, kind="stable")[:SHORTLIST]
        before = np.repeat(histories[None, :STATES, 1:], len(shortlist), axis=0)
        clicked = np.broadcast_to(shortlist[:, None, None], (*before.shape[:2], 1))
        after = np.concatenate([before, clicked], axis=2)
        others = shortlist[:: -(-len(shortlist) // OTHERS)]
        later = _judged(model, tables, after.reshape(-1, after.shape[2]), others)[1]
        return TrainingUsers(
            model=model,
            tables=tables,
            clicks=clicks,
            reward=reward,
            shortlist=shortlist,
            utility=utilities.mean(axis=0)[shortlist],
            reward_after=later.mean(axis=1).reshape(before.shape[:2]).mean(axis=1),
        )

    def judged(self, history: Array) -> tuple[Array, Array]:
        """Returns utilities and rewards of the shortlist (B, M) for users who clicked (B, W)."""
        return _judged(self.model, self.tables, history, self.shortlist)

    def over_all(self, scores: Array) -> Array:
        """Returns scores of the shortlist (B, M) as scores of all items (B, N)."""
        spread = np.full((len(scores), self.model.n_items), -np.inf)
        spread[:, self.shortlist] = scores
        return spread

    def likeness(self, history: Array, clicks: int) -> Array:
        """Returns the mean cosine (B, N) of items' features to those of the last clicks."""
        lengths = np.linalg.norm(self.model.features, axis=1, keepdims=True)
        unit = self.model.features / np.where(lengths > 0.0, lengths, 1.0)
        nothing = np.zeros_like(unit[:1])
        mean: Array = np.concatenate([unit, nothing])[history[:, -clicks:]].mean(axis=1)
        return mean @ unit.T


Scores = Callable[[TrainingUsers, Array, np.random.Generator], Array]
"""Of a policy: every item's score (B, N), given histories (B, W); the K highest are shown."""


def _random(known: TrainingUsers, history: Array, rng: np.random.Generator) -> Array:
    return rng.random((len(history), known.model.n_items))


def _everybody(scores: Array, history: Array) -> Array:
    return np.tile(scores, (len(history), 1))


def _one_among_the_worst(known: TrainingUsers, history: Array, rng: np.random.Generator) -> Array:
    rewards = known.over_all(known.judged(history)[1])
    best = top_slates(rewards, history, 1)
    scores = _everybody(-known.reward, history)
    np.put_along_axis(scores, best, np.inf, axis=1)
    return scores


PANEL: dict[str, tuple[str, Scores]] = {
    "random": ("items drawn evenly", _random),
    "popular": (
        "the items that training users clicked most often in the log",
        lambda known, history, rng: _everybody(known.clicks, history),
    ),
    "rare": (
        "the items that they clicked least often",
        lambda known, history, rng: _everybody(-known.clicks, history),
    ),
    "alike": (
        "the items whose features are most like those of the last click",
        lambda known, history, rng: known.likeness(history, 1),
    ),
    "unlike": (
        "the items whose features are least like those of the last three clicks",
        lambda known, history, rng: -known.likeness(history, 3),
    ),
    "fixed": (
        "the items of the highest reward, mean over training users",
        lambda known, history, rng: _everybody(known.reward, history),
    ),
    "greedy": (
        "the items of the highest reward now",
        lambda known, history, rng: known.over_all(known.judged(history)[1]),
    ),
    "one among the worst": (
        "the item of the highest reward now, beside those of the lowest mean reward",
        _one_among_the_worst,
    ),
    "tastes": (
        "the items that a user would rather choose now than training users would in the mean",
        lambda known, history, rng: known.over_all(known.judged(history)[0] - known.utility),
    ),
    "ahead": (
        "the items of the highest reward now and of what their click makes others worth",
        lambda known, history, rng: known.over_all(
            known.judged(history)[1] + STEPS_AHEAD * known.reward_after
        ),
    ),
}
"""Name -> what is shown, in words, and the scores. No item is shown that was seen to be clicked."""


class PanelPolicy:
    """One policy of the panel as an actor.

    Args:
        spec: of the environment; item ids are observed.
        known: what policies know.
        name: of the policy in ``PANEL``.
        seed: of what it draws.
    """

    def __init__(self, spec: EnvironmentSpec, known: TrainingUsers, name: str, seed: int) -> None:
        self.spec, self.known = spec, known
        self.scores = PANEL[name][1]
        self.rng = np.random.default_rng(seed)

    def adapt(self, support: Support) -> PanelPolicy:
        """Returns itself: it makes nothing of what users did before."""
        return self

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Returns slates (B, K)."""
        scores = self.scores(self.known, observation, self.rng)
        return top_slates(scores, observation, self.spec.slate_size)


def _judged(
    model: FittedUserModel, tables: Params, histories: Array, items: Array
) -> tuple[Array, Array]:
    """Returns utilities and rewards of items (M,), both (S, M), after histories (S, W)."""
    functions, config = functions_of(model.config), model.config
    found = []
    for start in range(0, len(histories), BLOCK):
        state = functions.initial(config, tables, histories[start : start + BLOCK])
        slates = np.broadcast_to(items, (len(state["history"]), len(items)))
        found.append(functions.respond(config, tables, state, slates))
    utilities, rewards = (np.concatenate(parts)[:, :-1] for parts in zip(*found, strict=True))
    return utilities, rewards
