"""What an agent is, what it is told about its world, and the loop that trains it off-policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from recgym.arrays import Array, namespace
from recgym.envs import SlateVectorEnv
from recgym.errors import RecGymError
from recgym.users.folder import FittedUserModel
from recgym_agents.ranges import AT_LEAST_0, AT_LEAST_1, SHARE, check_ranges

Arrays = dict[str, np.ndarray]
Batch = TypeVar("Batch", contravariant=True)
"""What an agent learns from at once: transitions, or whole episodes."""


@dataclass(frozen=True)
class World:
    """What an agent is told about the environment that it is built for."""

    n_items: int
    """N; ids are 0 .. N - 1 and N means "no item"."""
    slate_size: int
    """K."""
    window: int
    """Clicked items in an observation, W; where it is not of ids, the numbers in it."""
    features: np.ndarray | None
    """The items' feature vectors (N, D), or None where the environment has none."""
    user_model: FittedUserModel | None = None
    """The fitted user model behind the environment, for agents that plan with it."""
    user_members: tuple[str, ...] = ()
    """The members of the user model that the environment's episodes draw from."""
    ids: bool = True
    """Whether observations are read as item ids, or as the numbers that they are."""
    candidate_features: int = 0
    """D, where every observation begins with the candidates of its step, N * D numbers; else 0."""

    @staticmethod
    def of(env: Any, ids: bool = True) -> World:
        """Reads the world off a single or vector environment of RecGym.

        Args:
            env: the environment, without a view.
            ids: whether the agent reads item ids where they are observed, as those of the zoo do.
        """
        simulator = env.unwrapped.simulator
        space = simulator.observation_space
        size, candidate_features = math.prod(space.shape), 0
        if hasattr(simulator, "candidates"):
            nothing = np.zeros((1, size), np.float32)
            candidate_features = simulator.candidates(nothing).shape[2]
        models = [s for s in getattr(simulator, "members", [simulator]) if hasattr(s, "user_model")]
        return World(
            n_items=simulator.n_items,
            slate_size=simulator.slate_size,
            window=size,
            features=simulator.item_features,
            user_model=models[0].user_model if models else None,
            user_members=tuple(model.member for model in models),
            ids=ids and len(space.shape) == 1 and space.dtype == np.int64,
            candidate_features=candidate_features,
        )

    def check_ids(self, agent: str) -> None:
        """Checks that item ids are observed.

        Raises:
            RecGymError: they are not, and ``agent`` reads nothing else.
        """
        if not self.ids:
            raise RecGymError(
                f"{agent} reads item ids, which are not observed here: leave the argument 'observe'"
                " out, or choose another agent where an environment has no such argument"
            )

    def excluded(self, observation: Array, remove_clicked: bool) -> Array:
        """Returns the ids that are no candidates (B, X): the clicked ones, if they are removed."""
        if remove_clicked and self.ids:
            return observation
        return namespace(observation).asarray(
            observation[:, :0], dtype=namespace(observation).int64
        )

    def check_candidates(self, remove_clicked: bool) -> None:
        """Checks that a slate can always be filled.

        Raises:
            RecGymError: too few items, without the clicked ones if those are removed.
        """
        remove_clicked = remove_clicked and self.ids
        spoken_for = self.slate_size + (self.window if remove_clicked else 0)
        if self.n_items < spoken_for:
            without = f" without the {self.window} clicked ones" if remove_clicked else ""
            remedy = "set remove_clicked to false, or a smaller window or slate_size"
            raise RecGymError(
                f"{self.n_items} items are too few for slates of {self.slate_size}{without}; "
                + (remedy if remove_clicked else "set a smaller slate_size")
            )


class Transitions(NamedTuple):
    """What happened in B steps."""

    observation: np.ndarray
    """What was observed before the step, (B, W): clicked items, oldest first, N where there is
    none; or other numbers."""
    slate: np.ndarray
    """Items shown (B, K)."""
    item: np.ndarray
    """Clicked item (B,), or -1."""
    reward: np.ndarray
    """float32 (B,)."""
    terminated: np.ndarray
    """Whether the user left (B,). A truncated episode is not over: its last state has a value."""
    next_observation: np.ndarray
    """What was observed after the step (B, W), never that of the next episode."""


class Actor(Protocol):
    """Whatever answers observations with slates."""

    world: World

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Returns slates (B, K) for histories (B, W), or for other observations (B, ...)."""


class Policy(Actor, Protocol):
    """A slate recommender that somebody trained."""

    def recommend(self, history: Sequence[int]) -> list[int]:
        """Returns a slate for a user who clicked ``history``, oldest first, of any length."""

    def policy(self) -> tuple[Arrays, Any]:
        """Returns all that greedy slates depend on: copies of arrays, and plain JSON."""


class Agent(Policy, Protocol[Batch]):
    """One that learns here. Its random numbers come from generators that it owns and saves."""

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns slates (B, K) for histories (B, W); a slot is random with chance ``explore``."""

    def update(self, batch: Batch) -> dict[str, float]:
        """Learns from a batch, and returns what is worth plotting."""

    def load_policy(self, arrays: Arrays, info: Any) -> None:
        """Acts as the agent did that gave this ``policy``."""

    def state(self) -> tuple[Arrays, Any]:
        """Returns all that training goes on from: arrays, and plain JSON."""

    def set_state(self, arrays: Arrays, info: Any) -> None:
        """Goes on from what ``state`` returned."""


def within(arrays: Arrays, prefix: str) -> Arrays:
    """Returns the arrays whose names begin with ``prefix``, without it."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def means(reports: Sequence[dict[str, float]]) -> dict[str, float]:
    """Returns the mean of each name over the reports that have it."""
    names = {name: None for report in reports for name in report}
    return {name: float(np.mean([r[name] for r in reports if name in r])) for name in names}


def check_finite(report: dict[str, float], update: int, step: int) -> None:
    """Stops a training that diverges.

    Raises:
        RecGymError: a number of an update's report is not finite; it is named, with the update and
            the step.
    """
    for name, value in report.items():
        if not math.isfinite(value):
            raise RecGymError(
                f"training diverged: {name} is {value} at update {update}, step {step}; lower the"
                " learning rate"
            )


def recommend(agent: Policy, history: Sequence[int]) -> list[int]:
    """What every agent's ``recommend`` does: pads or cuts the history, and acts on it.

    Raises:
        RecGymError: what is no integer, an id that is not in the catalog, or an agent that reads no
            ids.
    """
    world = agent.world
    if not world.ids:
        raise RecGymError("recommend: this agent reads observations, not item ids; call its act")
    for item in history:
        if not isinstance(item, int | np.integer):
            raise RecGymError(f"history: {item!r} is no item id; ids are integers")
    clicked = np.array(history, np.int64)
    unknown = clicked[(clicked < 0) | (clicked >= world.n_items)]
    if len(unknown):
        raise RecGymError(f"history: item {unknown[0]} is not in 0..{world.n_items - 1}")
    observation = np.append(np.full(world.window, world.n_items), clicked)[-world.window :]
    return [int(item) for item in agent.act(observation[None])[0]]


class Replay:
    """The last ``capacity`` transitions, sampled uniformly with replacement."""

    def __init__(self, capacity: int, world: World) -> None:
        self.capacity, self.written = capacity, 0
        observed = np.zeros((capacity, world.window), np.int32 if world.ids else np.float32)
        self.memory = Transitions(
            observation=observed,
            slate=np.zeros((capacity, world.slate_size), np.int32),
            item=np.zeros(capacity, np.int32),
            reward=np.zeros(capacity, np.float32),
            terminated=np.zeros(capacity, np.bool_),
            next_observation=observed.copy(),
        )

    def __len__(self) -> int:
        """How many transitions there are to sample from."""
        return min(self.written, self.capacity)

    def add(self, new: Transitions) -> None:
        """Stores B transitions over the oldest ones."""
        rows = (self.written + np.arange(len(new.reward))) % self.capacity
        for memory, values in zip(self.memory, new, strict=True):
            memory[rows] = values
        self.written += len(rows)

    def sample(self, rng: np.random.Generator, size: int) -> Transitions:
        """Draws ``size`` transitions."""
        rows = rng.integers(len(self), size=size)
        return Transitions(*(memory[rows] for memory in self.memory))


@dataclass(frozen=True)
class LoopConfig:
    """How an agent meets its environment. Equal configs give equal numbers of updates."""

    num_envs: int = 64
    """Rows of the vector environment, which are stepped at once."""
    updates: int = 4
    """Updates after each step of all rows."""
    fresh: bool = False
    """Update once, on what was just seen, instead of from memory (for agents that count)."""
    batch_size: int = 128
    """Transitions an update."""
    capacity: int = 100_000
    """Transitions that the replay memory holds."""
    warm_up: int = 1_280
    """Environment steps with random slates before the first update."""
    explore_start: float = 1.0
    """Probability of a random item in a slot, after the warm-up."""
    explore_end: float = 0.05
    """The same once ``explore_share`` of the steps are done; it falls linearly between."""
    explore_share: float = 0.5
    """Share of the steps over which exploration falls."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        counts = ("num_envs", "updates", "batch_size", "capacity")
        shares = ("explore_start", "explore_end", "explore_share")
        ranges = dict.fromkeys(counts, AT_LEAST_1) | dict.fromkeys(shares, SHARE)
        check_ranges(self, ranges | {"warm_up": AT_LEAST_0})


class ReplayLoop:
    """Steps a vector environment, remembers, and trains from memory (Chen et al., section 5.2).

    Args:
        agent: what acts and learns.
        env: made with ``autoreset_mode="disabled"``, so that what a step returns is always what
            followed the slate: the loop resets finished rows itself.
        config: the schedule.
        steps: environment steps (rows) that the whole training will take.
        rng: draws the samples from memory.
        seed: of the environment.
    """

    def __init__(
        self,
        agent: Agent[Transitions],
        env: SlateVectorEnv,
        config: LoopConfig,
        steps: int,
        rng: np.random.Generator,
        seed: int,
    ) -> None:
        self.agent, self.env, self.config, self.steps, self.rng = agent, env, config, steps, rng
        self.replay = Replay(config.capacity, agent.world)
        self.steps_done, self.updates_done = 0, 0
        self.observation, _ = env.reset(seed=seed)

    def explore(self) -> float:
        """Returns the probability of a random item in a slot, now."""
        config = self.config
        if self.steps_done < config.warm_up:
            return 1.0
        span = max(config.explore_share * self.steps - config.warm_up, 1.0)
        fallen = min((self.steps_done - config.warm_up) / span, 1.0)
        return config.explore_start + fallen * (config.explore_end - config.explore_start)

    def iterate(self) -> dict[str, float]:
        """Steps all rows once, then updates; returns means over rows and over updates.

        Raises:
            RecGymError: a loss is no longer a finite number.
        """
        explore = self.explore()
        slate = self.agent.act(self.observation, explore)
        after, reward, terminated, truncated, info = self.env.step(slate)
        seen = Transitions(self.observation, slate, info["item"], reward, terminated, after)
        self.replay.add(seen)
        done = terminated | truncated
        if done.any():
            after, _ = self.env.reset(options={"reset_mask": done})
        self.observation = after
        self.steps_done += len(reward)
        metrics = {
            "explore": explore,
            "reward": float(np.mean(reward)),
            "click_rate": float(np.mean(info["item"] >= 0)),
        }
        if self.config.fresh:
            return metrics | self._update(seen)
        if self.steps_done < self.config.warm_up:
            return metrics
        reports = [
            self._update(self.replay.sample(self.rng, self.config.batch_size))
            for _ in range(self.config.updates)
        ]
        return metrics | means(reports)

    def _update(self, batch: Transitions) -> dict[str, float]:
        """Updates the agent once, and stops a training that diverges."""
        report = self.agent.update(batch)
        self.updates_done += 1
        check_finite(report, self.updates_done, self.steps_done)
        return report

    def state(self) -> tuple[Arrays, Any]:
        """Returns all of the loop but the agent: memory, environment, random numbers, counts."""
        filled = len(self.replay)
        arrays = {
            f"replay.{name}": values[:filled]
            for name, values in self.replay.memory._asdict().items()
        }
        env_arrays, env_info = self.env.get_state()
        arrays |= {f"env.{name}": values for name, values in env_arrays.items()}
        return arrays, {
            "steps": self.steps_done,
            "updates": self.updates_done,
            "written": self.replay.written,
            "rng": self.rng.bit_generator.state,
            "env": env_info,
        }

    def set_state(self, arrays: Arrays, info: Any) -> None:
        """Goes on from what ``state`` returned."""
        for name, values in self.replay.memory._asdict().items():
            stored = arrays[f"replay.{name}"]
            values[: len(stored)] = stored
        self.observation = self.env.set_state(within(arrays, "env."), info["env"])
        self.steps_done, self.updates_done = info["steps"], info["updates"]
        self.replay.written = info["written"]
        self.rng.bit_generator.state = info["rng"]
