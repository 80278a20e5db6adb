"""Playing with many users at once, each of whom an agent may have adapted to."""

from __future__ import annotations

from typing import Any

import numpy as np

from recgym.envs import SlateVectorEnv
from recgym.spaces import random_slates
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.learning.user_steps import UserSteps, joined_sequences, support_of_steps
from recgym_agents.user_support import Support


class RandomSlates:
    """Shows random items that were not clicked: the logging policy of support that is played.

    Args:
        spec: the world.
        rng: draws the slates.
    """

    def __init__(self, spec: EnvironmentSpec, rng: np.random.Generator) -> None:
        self.spec, self.rng = spec, rng

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns slates (B, K)."""
        spec = self.spec
        excluded = spec.excluded(observation, remove_clicked=True)
        return random_slates(self.rng, spec.n_items, spec.slate_size, len(observation), excluded)


def play(
    actor: Any, env: SlateVectorEnv, observation: np.ndarray, slates: int, explore: float
) -> UserSteps:
    """Shows slates to all users of an environment until they leave, or have seen enough.

    Args:
        actor: answers observations (U, W) with slates, one of each row in order.
        env: made with ``autoreset_mode="disabled"``, its episodes have begun.
        observation: of that moment (U, W).
        slates: shown to each user at most, T.
        explore: probability of a random item in a slot.

    Returns:
        One sequence a user, (U, 1, T, ...).
    """
    users, slate_size = len(observation), actor.spec.slate_size
    running = np.ones(users, np.bool_)
    played = []
    for _ in range(slates):
        slate = actor.act(observation, explore)
        after, reward, terminated, truncated, info = env.step(slate)
        slot = np.where(running & (info["click"] >= 0), info["click"], slate_size)
        shown = np.where(running[:, None], slate, 0)
        gained = np.where(running, reward, np.float32(0.0))
        there = running.copy()
        played.append((observation, shown, slot, gained, running & ~terminated, after, there))
        done = terminated | truncated
        running &= ~done
        observation = after
        if done.any():
            observation, _ = env.reset(options={"reset_mask": done})
    parts = (np.stack(part, axis=1)[:, None] for part in zip(*played, strict=True))
    return UserSteps(*parts)


def played_support(
    spec: EnvironmentSpec,
    env: SlateVectorEnv,
    info: dict[str, Any],
    sequences: int,
    slates: int,
    rng: np.random.Generator,
) -> tuple[Support, np.ndarray]:
    """Shows random slates to the users of an environment that hands over no support.

    Args:
        spec: the world.
        env: made with ``autoreset_mode="disabled"``.
        info: of the reset that drew the users; they are met again by its ``user``. Without, all
            episodes are of the same user.
        sequences: S.
        slates: of each sequence at most, T.
        rng: draws the slates.

    Returns:
        The support, and what is observed of the same users, whose episodes have begun anew.
    """
    options = {"user": info["user"]} if "user" in info else {}
    policy, parts = RandomSlates(spec, rng), []
    for _ in range(sequences):
        observation, _ = env.reset(options=dict(options))
        parts.append(play(policy, env, observation, slates, 1.0))
    observation, _ = env.reset(options=dict(options))
    return support_of_steps(joined_sequences(parts), spec.n_items), observation
