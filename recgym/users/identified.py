"""What a log of choices fixes of a GAN user model's reward: all but some of its level.

Choices between items depend on differences of rewards alone, so that a log of them fixes r(s, a)
only up to a function of the state s. The level of a state is here the reward of the mean item,
whose features are the mean of all items'. What is added to all rewards of a state is in its level,
and goes when that is taken off. Pages without a click say something of the level: what share of it
is kept is what a fit on other users confirms (``FittedUserModel.level_share``).
"""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array, beside
from recgym.users import gan
from recgym.users.gan import GANUserConfig, Params, State
from recgym.users.similarity import similarity


def with_level(tables: Params, held: float = 0.0, share: float = 0.0) -> Params:
    """Returns tables that ``respond_identified`` reads, in NumPy.

    Args:
        tables: from ``gan.prepare``.
        held: the level that every state is given, but for the share that it keeps of its own.
        share: in 0..1, how much of how its level differs from that is kept.
    """
    items = tables["reward.items"]
    mean_item = items[:-1].mean(axis=0, keepdims=True)
    own = {"reward.items": np.concatenate([items, mean_item])}
    level = {"level": np.full((1, 1), held), "dropped": np.full((1, 1), 1.0 - share)}
    return tables | own | {f"reward.{name}": x.astype(np.float32) for name, x in level.items()}


def respond_identified(
    config: GANUserConfig, tables: Params, state: State, slate: Array
) -> tuple[Array, Array]:
    """Scores what a user may do as ``gan.respond`` does, with rewards on the level of the tables.

    Args:
        config: the model's shape.
        tables: from ``with_level``.
        state: B users.
        slate: (B, K) item ids.

    Returns:
        The logits of ``gan.respond``, and identified rewards: r(s, a) less the share that is
        dropped of the difference between the level of s and the level that every state is given;
        0 for the outside option.
    """
    mean_item = len(tables["reward.items"]) - 1
    encoding = gan.encode(config, tables, state)
    utility = gan.utilities(config, tables, "reward", encoding, beside(slate, mean_item))
    if config.similarity:
        utility[:, :-1] += similarity(tables, state["history"], slate)
    rewards = utility - tables["reward.dropped"] * (utility[:, -1:] - tables["reward.level"])
    rewards[:, -1] = 0.0
    choice = utility if config.eta == 1.0 else config.eta * utility
    if config.regularizer == "l2":
        choice = beside(gan.utilities(config, tables, "behaviour", encoding, slate), 0.0)
    choice[:, -1] = 0.0 if config.no_click else -np.inf
    return choice, rewards


def level_to_hold(
    config: GANUserConfig, params: Params, features: Array, histories: Array
) -> float:
    """Returns the level that identified rewards give every state, in NumPy.

    A log in which users also click nothing tells how high rewards are on the whole: it is the mean
    level of the users with these histories. Else it is 0.

    Args:
        config: the model's shape.
        params: of the member fitted on these users.
        features: (N, D) item features.
        histories: (U, W) item ids, those that episodes begin with.
    """
    if not config.no_click:
        return 0.0
    tables = with_level(gan.prepare(config, params, features))
    encoding = gan.encode(config, tables, gan.initial(config, tables, histories))
    mean_item = np.full((len(histories), 1), len(tables["reward.items"]) - 1)
    return float(gan.utilities(config, tables, "reward", encoding, mean_item).mean())
