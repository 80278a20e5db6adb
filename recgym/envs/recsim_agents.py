"""Agents that were written for RecSim, in the environments here (needs recsim, for its spaces)."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from recgym.errors import RecGymError
from recgym.simulators.interest_evolution import InterestEvolution
from recgym.simulators.interest_exploration import InterestExploration
from recgym.simulators.long_term_satisfaction import LongTermSatisfaction
from recgym.spaces import SlateSpace

RESPONSES: dict[type, tuple[str, ...]] = {
    InterestEvolution: ("click", "watch_time", "liked", "quality", "cluster_id"),
    InterestExploration: ("click", "quality", "cluster_id"),
    LongTermSatisfaction: ("click", "engagement"),
}
"""RecSim's worlds -> its names for what is observed of a slot, in the order of the columns."""
FLAGS = ("click", "liked")
"""Responses that are 0 or 1; "cluster_id" is the number of a topic, and the others are numbers."""


class Episodes(NamedTuple):
    """What an agent earned in each of E episodes."""

    returns: np.ndarray
    """Sums of rewards, float64 (E,)."""
    lengths: np.ndarray
    """Slates shown, int64 (E,)."""


class RecSimStyleEnv:
    """A slate environment as RecSim's agents see one: observations in a dict, Gym's old ``step``.

    An observation is {"user", "doc", "response"}. Of RecSim's own worlds it is what RecSim shows.
    Of other worlds, "doc" has the features of all items, always in the same order; "user" is the
    environment's observation; and "response" tells of each slot whether it was clicked. Documents
    are named by their positions, and a slate is K positions. The spaces are Gym's, which RecSim's
    agents ask for: ``Agent(env.observation_space, env.action_space)``.

    Args:
        env: a ``SlateEnv``, without a view.
        seed: of the first reset.

    Raises:
        RecGymError: RecSim is not installed, or another kind of environment.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], seed: int | None = None) -> None:
        spaces = _spaces()
        world = getattr(env.unwrapped, "simulator", None)
        if world is None or not isinstance(env.action_space, SlateSpace):
            raise RecGymError("RecSimStyleEnv: needs an environment of RecGym, without a view")
        self.env, self._world, self._seed = env, world, seed
        self._names = RESPONSES.get(type(world))
        self._topical = type(world) is InterestExploration
        width = int(np.prod(env.observation_space.shape or ()))
        if self._names is None:
            if world.item_features is None:
                raise RecGymError("RecSimStyleEnv: the items of this world have no features")
            self._features = world.item_features
            self._user = (0, width)
        else:
            self._features = world.candidates(np.zeros((1, width), np.float32))[0]
            self._user = (self._features.size, width - world.slate_size * len(self._names))
        n_features, n_user = self._features.shape[1], self._user[1] - self._user[0]
        topics = spaces.Discrete(n_features - 1 if self._topical else n_features)
        number = spaces.Box(-np.inf, np.inf, (), np.float32)
        document = spaces.Box(-np.inf, np.inf, (n_features,), np.float32)
        if self._topical:
            document = spaces.Dict({"quality": number, "cluster_id": topics})
        kinds = dict.fromkeys(FLAGS, spaces.Discrete(2)) | {"cluster_id": topics}
        response = {name: kinds.get(name, number) for name in self._names or ("click",)}
        self.observation_space = spaces.Dict(
            {
                "user": spaces.Box(-np.inf, np.inf, (n_user,), np.float32),
                "doc": spaces.Dict({str(item): document for item in range(world.n_items)}),
                "response": spaces.Tuple([spaces.Dict(response)] * world.slate_size),
            }
        )
        self.action_space = spaces.MultiDiscrete(np.full(world.slate_size, world.n_items))

    def reset(self) -> dict[str, Any]:
        """Starts an episode."""
        observation, _ = self.env.reset(seed=self._seed)
        self._seed = None
        return self._shown(observation) | {"response": None}

    def step(self, slate: Any) -> tuple[dict[str, Any], float, bool, dict[str, Any]]:
        """Shows a slate, K positions among the documents.

        Returns:
            The observation, the reward, whether the episode is over, and the info.
        """
        observation, reward, terminated, truncated, info = self.env.step(np.asarray(slate))
        response = self._responses(observation, int(info["click"]))
        shown = self._shown(observation) | {"response": response}
        return shown, float(reward), terminated or truncated, info

    def _shown(self, observation: np.ndarray) -> dict[str, Any]:
        """Returns what is shown of the user and of the documents."""
        flat = observation.reshape(-1)
        items = self._features
        if self._names is not None:
            items = self._world.candidates(flat[None])[0]
        documents: Any = items
        if self._topical:
            topics = items[:, 1:].argmax(axis=1).tolist()
            documents = [
                {"quality": np.array(row[0]), "cluster_id": topic}
                for row, topic in zip(items, topics, strict=True)
            ]
        doc = {str(item): document for item, document in enumerate(documents)}
        return {"user": flat[slice(*self._user)].astype(np.float32), "doc": doc}

    def _responses(self, observation: np.ndarray, click: int) -> tuple[dict[str, Any], ...]:
        """Returns what is observed of each slot of the last slate."""
        size = self._world.slate_size
        if self._names is None:
            return tuple({"click": int(slot == click)} for slot in range(size))
        rows = observation[self._user[1] :].reshape(size, -1)
        whole = (*FLAGS, "cluster_id")
        return tuple(
            {
                name: int(value) if name in whole else np.array(value)
                for name, value in zip(self._names, row, strict=True)
            }
            for row in rows
        )


def play_recsim_agent(agent: Any, env: RecSimStyleEnv, episodes: int) -> Episodes:
    """Plays whole episodes with an agent of RecSim, which learns meanwhile if it does that.

    Args:
        agent: has ``begin_episode(observation)`` and ``step(reward, observation)``, which return a
            slate, and ``end_episode(reward, observation)``.
        env: where it acts.
        episodes: how many, E.

    Raises:
        RecGymError: no episodes, or what the environment raises.
    """
    if episodes < 1:
        raise RecGymError(f"play_recsim_agent: episodes={episodes} must be at least 1")
    returns, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
    for episode in range(episodes):
        slate = agent.begin_episode(env.reset())
        over = False
        while not over:
            observation, reward, over, _ = env.step(slate)
            returns[episode] += reward
            lengths[episode] += 1
            if not over:
                slate = agent.step(reward, observation)
        agent.end_episode(reward, observation)
    return Episodes(returns, lengths)


def _spaces() -> Any:
    """Returns the module of Gym's spaces, which RecSim is written with."""
    try:
        return importlib.import_module("gym.spaces")
    except ModuleNotFoundError as error:
        raise RecGymError(
            f'RecSimStyleEnv needs RecSim ({error}): pip install "recgym[recsim]"'
        ) from None
