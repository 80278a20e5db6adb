"""What a panel of policies knows: the training users of a user model, and nothing of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.arrays import Array
from recgym.users.agreement import judged_items
from recgym.users.folder import FittedUserModel
from recgym.users.gan import Params
from recgym.users.kinds import functions_of

USERS = 100
"""Training users over whose states an item's mean reward is taken."""
SHORTLIST = 300
"""Items of the highest mean reward: those that policies choose from which judge a user's state."""
STATES, OTHERS = 8, 50
"""Before a click, and items after it, over which the mean reward after the click is taken."""


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
    directions: Array
    """(N + 1, D) items' features divided by their length; zeros of none"""
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
        utilities, rewards = judged_items(model, tables, histories, np.arange(model.n_items))
        reward = rewards.mean(axis=0)
        shortlist = np.argsort(-reward, kind="stable")[:SHORTLIST]
        before = np.repeat(histories[None, :STATES, 1:], len(shortlist), axis=0)
        clicked = np.broadcast_to(shortlist[:, None, None], (*before.shape[:2], 1))
        after = np.concatenate([before, clicked], axis=2)
        others = shortlist[:: -(-len(shortlist) // OTHERS)]
        later = judged_items(model, tables, after.reshape(-1, after.shape[2]), others)[1]
        lengths = np.linalg.norm(model.features, axis=1, keepdims=True)
        unit = model.features / np.where(lengths > 0.0, lengths, 1.0)
        return TrainingUsers(
            model=model,
            tables=tables,
            clicks=clicks,
            reward=reward,
            directions=np.concatenate([unit, np.zeros_like(unit[:1])]),
            shortlist=shortlist,
            utility=utilities.mean(axis=0)[shortlist],
            reward_after=later.mean(axis=1).reshape(before.shape[:2]).mean(axis=1),
        )

    def judged(self, history: Array) -> tuple[Array, Array]:
        """Returns utilities and rewards of the shortlist (B, M) for users who clicked (B, W)."""
        return judged_items(self.model, self.tables, history, self.shortlist)
