"""LinUCB with hybrid linear models (Li et al., WWW 2010): a contextual bandit that shows slates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recgym.settings import AT_LEAST_0, AT_LEAST_1, POSITIVE, check_ranges
from recgym_agents.agent import EnvironmentSpec, Transitions, usual_length
from recgym_agents.algorithms.adaptation import AdaptingAgent
from recgym_agents.algorithms.baselines import top_slates
from recgym_agents.checkpointing import Arrays, Checkpointed
from recgym_agents.learning.user_steps import UserSteps
from recgym_agents.networks.per_user import Params

ROWS = 32
"""Users for whom all items are weighed at once."""


@dataclass(frozen=True)
class LinUCBConfig:
    """Configuration of ``linucb``."""

    alpha: float = 0.5
    """How many standard deviations of an estimate are added to it while exploring."""
    ridge: float = 1.0
    """Weight of the prior, by which all coefficients are 0."""
    features: int = 6
    """Numbers that an item's features are reduced to at most, by their principal components; the
    paper has 6."""
    own_ridge: float = 4.0
    """The same weight for a user's own coefficients, which support tells of."""
    remove_clicked: bool = True
    """Items in the observed history are no candidates."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        positive = dict.fromkeys(("ridge", "own_ridge"), POSITIVE)
        check_ranges(self, positive | {"alpha": AT_LEAST_0, "features": AT_LEAST_1})


class HybridRidge(Checkpointed):
    """Ridge regression of payoffs on coefficients that arms share, and on those of each arm.

    A payoff is ``z . beta + x . theta_a`` and noise: z are numbers of the pair of user and arm, x
    those of the user. The inverses of Algorithm 2 are kept, and follow an observation by rank-one
    updates (Sherman and Morrison): O(d^2) for d coefficients. With ``w = B_a^T A_a^-1 x``, what
    Algorithm 2 adds to A_0 and takes off it again comes to ``(z - w) (z - w)^T / (1 + x^T A_a^-1
    x)``.

    Args:
        arms: number of arms, A; 0 where only what they share is learned.
        shared: numbers in z, k.
        own: numbers in x, d.
        ridge: weight of the prior.
    """

    kept = ("shared_inverse", "shared_sum", "inverse", "cross", "sum")

    def __init__(self, arms: int, shared: int, own: int, ridge: float) -> None:
        self.shared_inverse = np.eye(shared) / ridge
        """A_0^-1, (k, k)."""
        self.shared_sum = np.zeros(shared)
        """b_0, (k,)."""
        self.inverse = np.tile(np.eye(own) / ridge, (arms, 1, 1))
        """A_a^-1 of each arm, (A, d, d)."""
        self.cross = np.zeros((arms, own, shared))
        """B_a of each arm, (A, d, k)."""
        self.sum = np.zeros((arms, own))
        """b_a of each arm, (A, d)."""

    def update(self, arm: int, z: np.ndarray, x: np.ndarray, payoff: float) -> None:
        """Learns from one payoff of an arm.

        Args:
            arm: which; any number where there are none.
            z: (k,).
            x: (d,).
            payoff: what it paid.
        """
        residual, left, scale = z, payoff, 1.0
        if len(self.inverse):
            along = self.inverse[arm] @ x
            scale += float(x @ along)
            residual = z - along @ self.cross[arm]
            left = payoff - float(along @ self.sum[arm])
            self.inverse[arm] -= np.outer(along, along / scale)
            self.cross[arm] += np.outer(x, z)
            self.sum[arm] += payoff * x
        reached = self.shared_inverse @ residual
        self.shared_inverse -= np.outer(reached, reached / (scale + float(residual @ reached)))
        self.shared_sum += residual * (left / scale)

    def mean(self, arms: np.ndarray, z: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Returns the payoffs to be expected (B, C).

        Args:
            arms: (B, C).
            z: (B, C, k).
            x: (B, d).
        """
        beta = self.shared_inverse @ self.shared_sum
        found: np.ndarray = z @ beta
        if len(self.inverse):
            left = self.sum - self.cross @ beta
            theta = (self.inverse @ left[:, :, None])[:, :, 0]
            found = found + np.einsum("bcd,bd->bc", theta[arms], x)
        return found

    def deviation(self, z: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Returns the standard deviations of the means of all arms (B, A), for a noise of 1.

        Args:
            z: (B, A, k).
            x: (B, d).
        """
        variance = np.zeros(z.shape[:2])
        if len(self.inverse):
            along = x @ self.inverse  # (A, B, d)
            variance = (along * x).sum(axis=2).T
            z = z - (along @ self.cross).swapaxes(0, 1)
        variance = variance + ((z @ self.shared_inverse) * z).sum(axis=2)
        found: np.ndarray = np.sqrt(np.maximum(variance, 0.0))
        return found


class LinUCB(AdaptingAgent):
    """Shows the K items of the highest upper confidence bounds of being clicked.

    A user is the mean of the features of what she clicked last, and a 1; a pair is the outer
    product of the user and the item's features. Where other numbers are observed, those are the
    user; where candidates are new at every step, there are no arms that last, and only what they
    share is learned. Every item of a slate is an observation: it was clicked, or not. Without
    exploration the means themselves are ranked.

    Adapting to a user is ridge regression, on the items' features, of what the means leave
    unexplained of her support.

    References:
        Li et al.: A contextual-bandit approach to personalized news article recommendation. WWW
        2010, Algorithm 2. Chen et al. (ICML 2019), section 6.3, compare with it.
    """

    kept = ("ridge", "rng")

    def __init__(self, config: LinUCBConfig, spec: EnvironmentSpec, seed: int) -> None:
        spec.check_candidates(config.remove_clicked)
        self.config, self.spec = config, spec
        self.rng = np.random.default_rng(seed)
        self.table = reduced(spec.features, config.features, spec.n_items)
        size = spec.candidate_features or self.table.shape[1]
        read = size if spec.ids else spec.window - spec.n_items * spec.candidate_features
        arms = 0 if spec.candidate_features else spec.n_items
        self.ridge = HybridRidge(arms, (read + 1) * size, read + 1, config.ridge)

    def update(self, batch: Transitions) -> dict[str, float]:
        """Learns from every item that was shown, one after the other."""
        items, users = self._items(batch.observation), self._users(batch.observation)
        clicked = batch.slate == batch.item[:, None]
        for row, slate in enumerate(batch.slate):
            x = users[row]
            for slot, arm in enumerate(slate):
                z = np.outer(x, items[row, arm]).ravel()
                self.ridge.update(int(arm), z, x, float(clicked[row, slot]))
        return {"clicked": float(clicked.mean())}

    def knowledge(self, steps: UserSteps) -> Params:
        """Returns users' coefficients of the items' features (U, D), by ridge regression."""
        users, width = len(steps.slot), self.spec.slate_size
        observation = steps.observation.reshape(-1, self.spec.window)
        shown = steps.slate.reshape(-1, width)
        slate = np.minimum(shown, self.spec.n_items - 1)  # the last one, where nothing is shown
        items = np.take_along_axis(self._items(observation), slate[:, :, None], axis=1)
        expected = self.ridge.mean(slate, *self._pairs(items, self._users(observation)))
        clicked = steps.slot.reshape(-1, 1) == np.arange(width)
        counts = steps.there.reshape(-1, 1) & (shown < self.spec.n_items)
        f = (items * counts[:, :, None]).reshape(users, -1, items.shape[2])
        gram = f.swapaxes(1, 2) @ f + self.config.own_ridge * np.eye(f.shape[2])
        left = (clicked - expected).reshape(users, -1, 1)
        own = np.linalg.solve(gram, f.swapaxes(1, 2) @ left)[:, :, 0]
        return {"own": torch.as_tensor(own)}

    def act_for(self, knowledge: Params, observation: np.ndarray, explore: float) -> np.ndarray:
        """Returns the items of the highest means (B, K), or bounds while exploring at all."""
        own = np.broadcast_to(
            knowledge["own"].numpy(), (len(observation), *knowledge["own"][0].shape)
        )
        parts = [
            self._act(own[i : i + ROWS], observation[i : i + ROWS], explore)
            for i in range(0, len(observation), ROWS)
        ]
        return np.concatenate(parts)

    def scores_for(self, knowledge: Params, observation: Tensor, slate: Tensor) -> Tensor:
        """Returns the means of the items of pages (B, K)."""
        observed, shown = observation.numpy(), np.minimum(slate.numpy(), self.spec.n_items - 1)
        items = np.take_along_axis(self._items(observed), shown[:, :, None], axis=1)
        mean = self.ridge.mean(shown, *self._pairs(items, self._users(observed)))
        own = np.broadcast_to(knowledge["own"].numpy(), (len(observed), items.shape[2]))
        return torch.as_tensor(mean + np.einsum("bkd,bd->bk", items, own))

    def _act(self, own: np.ndarray, observation: np.ndarray, explore: float) -> np.ndarray:
        items = self._items(observation)
        z, x = self._pairs(items, self._users(observation))
        every = np.broadcast_to(np.arange(self.spec.n_items), items.shape[:2])
        scores = self.ridge.mean(every, z, x) + np.einsum("bnd,bd->bn", items, own)
        if explore > 0.0:
            scores = scores + self.config.alpha * self.ridge.deviation(z, x)
        excluded = self.spec.excluded(observation, self.config.remove_clicked)
        return top_slates(scores, excluded, self.spec.slate_size)

    def policy(self) -> tuple[Arrays, Any]:
        """Returns what was learned, and how items are described."""
        return {name: array.copy() for name, array in vars(self.ridge).items()}, {}

    def load_policy(self, arrays: Arrays, info: Any) -> None:
        """Acts by what ``policy`` returned."""
        for name, array in arrays.items():
            setattr(self.ridge, name, array.copy())

    def _items(self, observation: np.ndarray) -> np.ndarray:
        """Returns the items' features (B, N, D)."""
        spec, size = self.spec, self.spec.candidate_features
        if size:
            return observation[:, : spec.n_items * size].reshape(-1, spec.n_items, size)
        return np.broadcast_to(self.table, (len(observation), *self.table.shape))

    def _users(self, observation: np.ndarray) -> np.ndarray:
        """Returns what is known of the users, with a 1 (B, d)."""
        spec = self.spec
        if spec.ids:
            clicked = np.append(self.table, np.zeros_like(self.table[:1]), axis=0)[observation]
            count = (observation < spec.n_items).sum(axis=1, keepdims=True)
            known = clicked.sum(axis=1) / np.maximum(count, 1)
        else:
            known = observation[:, spec.n_items * spec.candidate_features :] / spec.state_length
        return np.append(known, np.ones((len(known), 1)), axis=1)

    def _pairs(self, items: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns z (B, C, k) of pairs of users (B, d) and items (B, C, D), and x."""
        outer = users[:, None, :, None] * items[:, :, None, :]
        return outer.reshape(*items.shape[:2], -1), users


def reduced(features: np.ndarray | None, most: int, n_items: int) -> np.ndarray:
    """Returns items' features on their first principal components (N, D), of length 1 in the mean.

    Args:
        features: (N, D), or None where there are none: then all items are described by a 1.
        most: components at most.
        n_items: N.
    """
    if features is None:
        return np.ones((n_items, 1))
    table = np.asarray(features, np.float64)
    if table.shape[1] > most:
        *_, directions = np.linalg.svd(table - table.mean(axis=0), full_matrices=False)
        table = table @ directions[:most].T
    found: np.ndarray = table / usual_length(table)
    return found
