"""What agents are told of users: support to adapt to, and histories to recommend from."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from recgym.errors import RecGymError


class Support(NamedTuple):
    """S sequences of at most T slates of each of U users."""

    slate: np.ndarray
    """Items shown (U, S, T, K), or their places among the candidates of a step where these are new
    at every step; -1 at steps that are not there, and in slots that show nothing, after the first
    slot."""
    click: np.ndarray
    """Clicked slot (U, S, T), -1 for none."""
    reward: np.ndarray
    """float32 (U, S, T), 0 at steps that are not there."""
    features: np.ndarray | None = None
    """Features of what was shown, float32 (U, S, T, K, D), where the candidates are new at every
    step; else None."""

    @staticmethod
    def of(info: Mapping[str, Any]) -> Support | None:
        """Reads the support off an info, of one environment or of many; None where there is none.

        Args:
            info: has ``support`` int64 (S, T, K + 1), the items and then the clicked slot, and
                ``support_reward`` float32 (S, T); where candidates are new at every step also
                ``support_features`` float32 (S, T, K, D); in vector environments all of them with
                one more dimension in front.
        """
        if "support" not in info:
            return None
        names = ("support", "support_reward", "support_features")
        page, reward, features = (info.get(name) for name in names)
        page = np.asarray(page)
        single = page.ndim == 3
        page, reward = page[None] if single else page, np.asarray(reward)
        if features is not None:
            features = np.asarray(features)[None] if single else np.asarray(features)
        reward = reward[None] if single else reward
        return Support(page[..., :-1], page[..., -1], reward, features)

    @staticmethod
    def none(users: int, slate_size: int, features: int = 0) -> Support:
        """Returns the support of users of whom nothing is known: one step that is not there.

        Args:
            users: U.
            slate_size: K.
            features: D where candidates are new at every step, else 0.
        """
        shape = (users, 1, 1)
        shown = np.zeros((*shape, slate_size, features), np.float32) if features else None
        slate, click = np.full((*shape, slate_size), -1), np.full(shape, -1)
        return Support(slate, click, np.zeros(shape, np.float32), shown)

    @property
    def there(self) -> np.ndarray:
        """Whether there is such a step, bool (U, S, T)."""
        found: np.ndarray = self.slate[..., 0] >= 0
        return found

    def clicks(self, n_items: int) -> np.ndarray:
        """Returns the clicked items (U, S * T) in their order, N at steps without a click.

        Args:
            n_items: N.
        """
        slot = np.maximum(self.click, 0)[..., None]
        item = np.take_along_axis(self.slate, slot, axis=3)[..., 0]
        clicked = self.there & (self.click >= 0)
        return np.where(clicked, item, n_items).reshape(len(item), -1)

    def of_users(self, users: np.ndarray) -> Support:
        """Returns the support of some of the users, by number or by mask."""
        features = None if self.features is None else self.features[users]
        return Support(self.slate[users], self.click[users], self.reward[users], features)

    def kept_from(self, untold: np.ndarray) -> Support:
        """Returns the support with no step there for some of the users, by a mask (U,)."""
        return self._replace(slate=np.where(untold[:, None, None, None], -1, self.slate))

    def joined(self, other: Support) -> Support:
        """Returns the sequences of both, of the same users: T is that of the longer one.

        Args:
            other: such as what the users were shown since.

        Raises:
            RecGymError: the other is of other users, or of another world.
        """
        if self._world() != other._world():
            raise RecGymError(
                f"support: {other._world()} users, slots and features cannot join {self._world()};"
                " give that of the same users and world"
            )
        steps = max(self.slate.shape[2], other.slate.shape[2])

        def both(one: np.ndarray, two: np.ndarray, fill: int) -> np.ndarray:
            padded = []
            for values in (one, two):
                missing = [(0, 0)] * values.ndim
                missing[2] = (0, steps - values.shape[2])
                padded.append(np.pad(values, missing, constant_values=fill))
            return np.concatenate(padded, axis=1)

        features = None
        if self.features is not None and other.features is not None:
            features = both(self.features, other.features, 0)
        return Support(
            both(self.slate, other.slate, -1),
            both(self.click, other.click, -1),
            both(self.reward, other.reward, 0),
            features,
        )

    def _world(self) -> tuple[int, ...]:
        """Returns the users, the slots, and the features of an item where they are told."""
        features = () if self.features is None else self.features.shape[-1:]
        return (len(self.slate), self.slate.shape[-1], *features)

    def check(self, n_items: int, slate_size: int, features: int) -> None:
        """Checks that it is of a world.

        Args:
            n_items: N.
            slate_size: K.
            features: D where candidates are new at every step, else 0.

        Raises:
            RecGymError: it is of another one, or its arrays do not fit each other.
        """
        shape = self.slate.shape
        if self.slate.ndim != 4 or shape[3] != slate_size:
            raise RecGymError(
                f"support: slates of shape {shape}; this agent reads (users, sequences, steps,"
                f" {slate_size})"
            )
        if self.click.shape != shape[:3] or self.reward.shape != shape[:3]:
            raise RecGymError(
                f"support: clicks of shape {self.click.shape} and rewards of {self.reward.shape};"
                f" both must be {shape[:3]}, as the slates are"
            )
        found = 0 if self.features is None else self.features.shape[-1]
        if found != features:
            wanted = f"{features} features of each item" if features else "item ids alone"
            raise RecGymError(f"support: has {found} features of each item; give {wanted}")
        there = self.slate[self.there]
        if there.size and not -1 <= there.min() <= there.max() < n_items:
            wrong = there.min() if there.min() < -1 else there.max()
            raise RecGymError(
                f"support: item {wrong} is not in 0..{n_items - 1}: it is of another catalog"
            )
        if self.click.size and not -1 <= self.click.min() <= self.click.max() < slate_size:
            raise RecGymError(f"support: clicked slots must be in -1..{slate_size - 1}")
        clicked = np.take_along_axis(self.slate, np.maximum(self.click, 0)[..., None], axis=3)
        if (self.there & (self.click >= 0) & (clicked[..., 0] < 0)).any():
            raise RecGymError("support: a slot is clicked that shows nothing")
        if not np.isfinite(self.reward).all():
            raise RecGymError("support: rewards must be finite numbers")


def recommend(agent: Any, history: Sequence[int], support: Support | None = None) -> list[int]:
    """What every agent's ``recommend`` does: pads or cuts the history, and acts on it.

    Args:
        agent: an ``Actor``, see ``recgym_agents.protocols``.
        history: item ids, oldest first.
        support: of one user, whom the agent adapts to first; None for no more than the history.

    Raises:
        RecGymError: what is no sequence of integers, an id that is not in the catalog, or an agent
            that reads no ids.
    """
    spec = agent.spec
    if not spec.ids:
        raise RecGymError("recommend: this agent reads observations, not item ids; call its act")
    unordered = isinstance(history, Set | Mapping | str | bytes)
    if unordered or not isinstance(history, Iterable) or getattr(history, "ndim", 1) == 0:
        kind = type(history).__name__
        raise RecGymError(f"history: a {kind}; give a list of item ids, oldest click first")
    clicked = list(history)
    for item in clicked:
        if isinstance(item, bool) or not isinstance(item, int | np.integer):
            text = " ".join(reprlib.repr(item).split())
            raise RecGymError(f"history: {text} is no item id; ids are integers")
        if not 0 <= item < spec.n_items:
            text = str(item) if int(item).bit_length() <= 64 else "of more than 64 bits"
            raise RecGymError(f"history: item {text} is not in 0..{spec.n_items - 1}")
    observation = np.full(spec.window, spec.n_items)
    observation = np.append(observation, np.array(clicked, np.int64))[-spec.window :]
    if support is not None:
        if len(support.slate) != 1:
            raise RecGymError(f"support: of {len(support.slate)} users; give that of one")
        agent = agent.adapt(support)
    return [int(item) for item in agent.act(observation[None])[0]]
