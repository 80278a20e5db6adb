"""Steps of users, as networks that adapt to each of them read them: from support, or as played."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from recgym_agents.agent import EnvironmentSpec
from recgym_agents.user_support import Support


class UserSteps(NamedTuple):
    """S sequences of T steps of each of U users."""

    observation: np.ndarray
    """What was observed before the step (U, S, T, W): clicked items, N where there is none, or
    numbers, zeros where they are not known."""
    slate: np.ndarray
    """Items shown (U, S, T, K), N in slots that show nothing; 0 at steps that are not there."""
    slot: np.ndarray
    """Clicked slot (U, S, T), K for none."""
    reward: np.ndarray
    """float32 (U, S, T), 0 at steps that are not there."""
    goes_on: np.ndarray
    """Whether it is known what could follow, bool (U, S, T): not where the user left."""
    next_observation: np.ndarray
    """What was observed after the step (U, S, T, W)."""
    there: np.ndarray
    """Whether the step is there, bool (U, S, T)."""

    def of_users(self, users: np.ndarray) -> UserSteps:
        """Returns the steps of some of the users, by number or by mask."""
        return UserSteps(*(part[users] for part in self))


class UserBatch(NamedTuple):
    """What U users were shown before, and what they were shown next."""

    support: UserSteps
    """To adapt from."""
    query: UserSteps
    """To judge by how well that was done; one sequence a user."""

    def of_users(self, users: np.ndarray) -> UserBatch:
        """Returns the steps of some of the users."""
        return UserBatch(*(part.of_users(users) for part in self))

    def joined(self, later: UserBatch) -> UserBatch:
        """Returns these users, and others after them."""
        support, query = (
            UserSteps(*(np.concatenate(parts) for parts in zip(own, others, strict=True)))
            for own, others in zip(self, later, strict=True)
        )
        return UserBatch(support, query)


def steps_of_support(support: Support, spec: EnvironmentSpec) -> UserSteps:
    """Returns a support's steps, as far as it tells what was observed.

    Where item ids are observed, that is what was clicked before in the sequence. Where candidates
    are new at every step, the candidates are the K that were shown, at the places 0 .. K - 1, and
    the others are zeros; what else was observed is zeros.

    Args:
        support: of U users.
        spec: the world.
    """
    shape, size = support.click.shape, spec.slate_size
    there, clicked = support.there, support.click >= 0
    shown = np.where(support.slate >= 0, support.slate, spec.n_items)
    slate = np.where(there[..., None], shown, 0)
    slot = np.where(there & clicked, support.click, size)
    before, after = (np.zeros((*shape, spec.window), np.float32) for _ in range(2))
    if spec.ids:
        item = np.take_along_axis(support.slate, np.maximum(support.click, 0)[..., None], axis=3)
        before, after = _histories(np.where(clicked, item[..., 0], -1), spec)
    elif support.features is not None:
        told = support.features.reshape(*shape, -1)
        before[..., : told.shape[-1]] = told
        after[:, :, :-1] = before[:, :, 1:]
        slate = np.broadcast_to(np.arange(size), slate.shape)
    follows = np.zeros_like(there)
    follows[:, :, :-1] = there[:, :, 1:]
    reward = support.reward.astype(np.float32)
    return UserSteps(before, slate, slot, reward, follows, after, there)


def support_of_steps(steps: UserSteps, n_items: int) -> Support:
    """Returns what users were shown as support, where item ids are shown, of N = ``n_items``."""
    size = steps.slate.shape[3]
    slate = np.where(steps.there[..., None] & (steps.slate < n_items), steps.slate, -1)
    return Support(slate, np.where(steps.slot < size, steps.slot, -1), steps.reward)


def joined_sequences(parts: Sequence[UserSteps]) -> UserSteps:
    """Returns several sequences of the same users as one (U, S, ...)."""
    return UserSteps(*(np.concatenate(part, axis=1) for part in zip(*parts, strict=True)))


def _histories(item: np.ndarray, spec: EnvironmentSpec) -> tuple[np.ndarray, np.ndarray]:
    """Returns the last clicks before and after each step (..., T, W), of clicks (..., T)."""
    length = item.shape[-1]
    history = np.full((*item.shape[:-1], length + 1, spec.window), spec.n_items)
    for step in range(length):
        last, clicked = history[..., step, :], item[..., step]
        moved = np.concatenate([last[..., 1:], clicked[..., None]], axis=-1)
        history[..., step + 1, :] = np.where(clicked[..., None] >= 0, moved, last)
    return history[..., :-1, :], history[..., 1:, :]
