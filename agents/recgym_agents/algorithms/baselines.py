"""Agents that hold no network: random, popularity, and greedy in a fitted user model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from recgym.errors import RecGymError
from recgym.settings import changed
from recgym.spaces import random_slates
from recgym.users import gan
from recgym.users.folder import has_shape
from recgym.users.kinds import KINDS, UserConfig, kind_of, name_of
from recgym_agents.agent import BaseAgent, EnvironmentSpec, Transitions
from recgym_agents.checkpointing import Arrays
from recgym_agents.networks.paper_heads import score_eager

ROWS = 64
"""Users whose whole catalogue ``UserGreedy`` scores at once."""


@dataclass(frozen=True)
class BaselineConfig:
    """Configuration of ``random`` and ``popularity``."""

    remove_clicked: bool = True
    """Items in the observed history are not shown."""


@dataclass(frozen=True)
class UserGreedyConfig(BaselineConfig):
    """Configuration of ``user-greedy`` and ``user-greedy-ensemble``."""

    bagged: bool = False
    """Mean over all bagged user models, instead of the model that the environment runs."""


class RandomAgent(BaseAgent):
    """Shows items drawn uniformly; nothing is learned.

    References:
        None: what every agent must beat.
    """

    kept: ClassVar[tuple[str, ...]] = ("rng",)

    def __init__(self, config: BaselineConfig, spec: EnvironmentSpec, seed: int) -> None:
        spec.check_candidates(config.remove_clicked)
        self.config, self.spec = config, spec
        self.rng = np.random.default_rng(seed)

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns slates (B, K); see ``Agent.act``."""
        excluded = self.spec.excluded(observation, self.config.remove_clicked)
        return random_slates(
            self.rng, self.spec.n_items, self.spec.slate_size, len(observation), excluded
        )

    def update(self, batch: Transitions) -> dict[str, float]:
        """Learns nothing."""
        return {}

    def policy(self) -> tuple[Arrays, Any]:
        """Returns what acting needs: nothing."""
        return {}, {}

    def load_policy(self, arrays: Arrays, info: Any) -> None:
        """Acts as the agent did that gave this ``policy``."""


class Popularity(RandomAgent):
    """Shows the K items that were clicked most often when shown, learned from random slates.

    An item's click rate is (clicks + 1/2) / (shows + 1).

    References:
        None: the simplest agent that learns; it knows nothing of the user.
    """

    kept = ("rng", "shows", "clicks")

    def __init__(self, config: BaselineConfig, spec: EnvironmentSpec, seed: int) -> None:
        super().__init__(config, spec, seed)
        self.shows = np.zeros(spec.n_items, np.int64)
        self.clicks = np.zeros(spec.n_items, np.int64)

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns the most popular items, or, while exploring at all, random ones (B, K)."""
        if explore > 0.0:
            return super().act(observation)
        rate = (self.clicks + 0.5) / (self.shows + 1.0)
        excluded = self.spec.excluded(observation, self.config.remove_clicked)
        return top_slates(np.tile(rate, (len(observation), 1)), excluded, self.spec.slate_size)

    def update(self, batch: Transitions) -> dict[str, float]:
        """Counts the shows and clicks of steps that it has not seen before."""
        self.shows += np.bincount(batch.slate.ravel(), minlength=self.spec.n_items)
        clicked = batch.item[batch.item >= 0]
        self.clicks += np.bincount(clicked, minlength=self.spec.n_items)
        return {"shows": float(self.shows.sum())}

    def policy(self) -> tuple[Arrays, Any]:
        """Returns the counts."""
        return {"shows": self.shows.copy(), "clicks": self.clicks.copy()}, {}

    def load_policy(self, arrays: Arrays, info: Any) -> None:
        """Takes the counts of ``policy``."""
        _check_shapes(arrays, dict.fromkeys(("shows", "clicks"), (self.spec.n_items,)))
        self.shows, self.clicks = arrays["shows"].copy(), arrays["clicks"].copy()


class UserGreedy(RandomAgent):
    """Shows the K items of the highest reward r(s, a) in fitted user models, averaged over them.

    Looks one step ahead and no further. It takes a user model whose rewards are utilities: of the
    GAN kind, or wide and deep, or of boosted trees.

    References:
        Chen et al.: Generative adversarial user model for reinforcement learning based
        recommendation system. ICML 2019, section 6.2 ("GAN-Greedy").
    """

    config: UserGreedyConfig

    def __init__(self, config: UserGreedyConfig, spec: EnvironmentSpec, seed: int) -> None:
        super().__init__(config, spec, seed)
        self.params: Arrays = {}
        model = spec.user_model
        if model is not None and _ranks_by_utility(model.config):
            names = model.bags if config.bagged else spec.user_members
            params = {
                f"{name}/{key}": a for name in names for key, a in model.members[name].items()
            }
            self.load_policy(params, _described(model.config))

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns the items of the highest mean reward, or, while exploring at all, random ones."""
        if explore > 0.0:
            return super().act(observation)
        return np.concatenate(
            [self._greedy(observation[i : i + ROWS]) for i in range(0, len(observation), ROWS)]
        )

    def _greedy(self, observation: np.ndarray) -> np.ndarray:
        n_rows, n_items = len(observation), self.spec.n_items
        missing = max(self.model.window - observation.shape[1], 0)
        history = np.pad(observation, ((0, 0), (missing, 0)), constant_values=n_items)
        total = np.zeros((n_rows, n_items))
        for tables in self.tables:
            state = self.functions.initial(self.model, tables, history)
            total += self._rewards(tables, state)
        excluded = self.spec.excluded(observation, self.config.remove_clicked)
        return top_slates(total, excluded, self.spec.slate_size)

    def _rewards(self, tables: gan.Params, state: gan.State) -> np.ndarray:
        """Returns r(s, a) of every item (B, N) for B users."""
        n_rows, n_items = len(state["history"]), self.spec.n_items
        everything = np.broadcast_to(np.arange(n_items), (n_rows, n_items))
        if not isinstance(self.model, gan.GANUserConfig):
            answer: np.ndarray = self.functions.respond(self.model, tables, state, everything)[1]
            return answer[:, :-1]
        encoding = gan.encode(self.model, tables, state)
        if self.model.activation == "relu" and len(self.model.hidden) == 1:
            # A reward of one hidden layer has the form of a Q-network, whose scan is faster.
            base = torch.from_numpy(encoding @ tables["reward.state"])
            table = torch.from_numpy(tables["reward.items"])
            return score_eager(table, base, torch.from_numpy(tables["reward.output"])).numpy()[
                :, :-1
            ]
        rewards: np.ndarray = gan.utilities(self.model, tables, "reward", encoding, everything)
        return rewards

    def policy(self) -> tuple[Arrays, Any]:
        """Returns the user models.

        Raises:
            RecGymError: the environment has none, no bagged ones, or does not show item ids.
        """
        self.spec.check_ids("user-greedy")
        if not self.params:
            kind = "bagged " if self.config.bagged else ""
            raise RecGymError(
                f"user-greedy: the environment has no {kind}user model to plan with whose rewards"
                " are utilities, such as gan-pw"
            )
        return dict(self.params), _described(self.model)

    def load_policy(self, arrays: Arrays, info: Any) -> None:
        """Plans with user models: parameters named "member/parameter", and their configuration."""
        kind = KINDS.find(info.get("kind", "gan"))
        self.model: UserConfig = changed(kind.config(), info["user_model"], "user_model")
        self.functions = kind.functions
        self.params = dict(arrays)
        members: dict[str, Arrays] = {}
        for name, array in arrays.items():
            member, _, parameter = name.partition("/")
            members.setdefault(member, {})[parameter] = array
        for own in members.values():
            _check_shapes(own, self.functions.shapes(self.model))
        assert self.spec.features is not None
        features = self.spec.features
        self.tables = [self.functions.prepare(self.model, p, features) for p in members.values()]


def _ranks_by_utility(config: UserConfig) -> bool:
    kind = kind_of(config)
    return kind.chooses and kind.rewards == "utility"


def _described(config: UserConfig) -> dict[str, Any]:
    """Returns a user model's configuration, and its kind unless it is the first, as folders do."""
    described: dict[str, Any] = {"user_model": asdict(config)}
    return described if name_of(config) == "gan" else described | {"kind": name_of(config)}


def _check_shapes(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Checks that a policy's arrays are those that it should have.

    Raises:
        RecGymError: one is missing, is unknown, or has another shape.
    """
    for name in sorted(arrays.keys() | shapes.keys()):
        found = arrays[name].shape if name in arrays else None
        if not has_shape(found, shapes.get(name)):
            raise RecGymError(f"{name}: has shape {found}, not {shapes.get(name)}")


def top_slates(scores: np.ndarray, excluded: np.ndarray, slate_size: int) -> np.ndarray:
    """Returns the ids of the highest scores (B, N), best first, without ``excluded`` (B, X).

    Equal scores go by id, so that the slate is the same everywhere; excluded ids of N are ignored.
    """
    n_rows, n_items = scores.shape
    padded = np.concatenate([scores, np.zeros((n_rows, 1))], axis=1)
    np.put_along_axis(padded, excluded, -np.inf, axis=1)
    kept = padded[:, :n_items]
    return np.argsort(-kept, axis=1, kind="stable")[:, :slate_size]
