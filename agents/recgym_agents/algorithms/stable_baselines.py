"""The algorithms of Stable-Baselines3 as agents: by name, with which settings, under which view."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from gymnasium import spaces

from recgym.arrays import Array
from recgym.envs.slate_repair import repaired
from recgym.errors import RecGymError
from recgym.files import atomic_write
from recgym.settings import AT_LEAST_0, AT_LEAST_1, POSITIVE, SHARE, check_ranges
from recgym.simulators.base import Noise, Response, State
from recgym.simulators.views import view_of
from recgym.spaces import SlateSpace
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.checkpointing import Arrays
from recgym_agents.user_support import Support, recommend

MODEL = "model.zip"
"""What Stable-Baselines3 saves of a model, in a run's folder."""
AT_LEAST_2 = (2.0, math.inf)
RANGES = {
    **dict.fromkeys(("num_envs", "n_steps", "n_epochs", "gradient_steps"), AT_LEAST_1),
    **dict.fromkeys(("buffer_size", "target_update_interval"), AT_LEAST_1),
    "batch_size": AT_LEAST_2,
    **dict.fromkeys(("ent_coef", "learning_starts", "noise"), AT_LEAST_0),
    **dict.fromkeys(("gamma", "gae_lambda", "tau"), SHARE),
    **dict.fromkeys(("exploration_fraction", "exploration_final_eps"), SHARE),
    "learning_rate": POSITIVE,
}


@dataclass(frozen=True)
class StableBaselinesConfig:
    """What all of them can be told. Names are Stable-Baselines3's, except for the first two."""

    algorithm: ClassVar[str] = ""
    """Package and class."""
    num_envs: int = 64
    """Rows of the vector environment, which are stepped at once."""
    hidden: int | tuple[int, ...] = 64
    """Units of each of two hidden layers, or a list: the units of every layer."""
    learning_rate: float = 3e-3
    """Adam's step size (RMSprop's in A2C)."""
    gamma: float = 0.9
    """Discount of the next slate's value."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Any further arguments of the algorithm, by its own names, such as policy_kwargs."""

    @property
    def layers(self) -> list[int]:
        """The units of every hidden layer."""
        return [self.hidden] * 2 if isinstance(self.hidden, int) else list(self.hidden)

    def suited(self, spec: EnvironmentSpec) -> Self:
        """Returns what it is in an environment: nothing is left "auto"."""
        return self

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        own = asdict(self)
        check_ranges(self, {name: within for name, within in RANGES.items() if name in own})
        if min(self.layers, default=1) < 1:
            raise RecGymError(f"hidden={self.hidden}: must be at least 1")


@dataclass(frozen=True)
class OnPolicyConfig(StableBaselinesConfig):
    """Configuration of ``sb3-a2c``."""

    algorithm = "stable_baselines3.A2C"

    view: Literal["slate", "item-by-item", "proto-action", "scores", "enumerated"] = "slate"
    """How slates are named; "slate": an item id a slot."""
    n_steps: int = 5
    """Steps of each row between updates."""
    gae_lambda: float = 0.95
    """Decay of later slates' advantages."""
    ent_coef: float = 0.0
    """Weight of the policy's entropy."""


@dataclass(frozen=True)
class PPOConfig(OnPolicyConfig):
    """Configuration of ``sb3-ppo``."""

    algorithm = "stable_baselines3.PPO"

    batch_size: int = 320
    """Steps a minibatch."""
    n_epochs: int = 10
    """Passes over the steps of an update."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range, or a single step an update."""
        super().__post_init__()
        if self.num_envs * self.n_steps < 2:
            raise RecGymError("n_steps=1 with num_envs=1: an update needs at least 2 steps")


@dataclass(frozen=True)
class MaskablePPOConfig(PPOConfig):
    """Configuration of ``sb3-maskable-ppo``."""

    algorithm = "sb3_contrib.MaskablePPO"

    num_envs: int = 128
    """Rows of the vector environment, which are stepped at once."""
    n_steps: int = 20
    """Steps of each row between updates."""
    batch_size: int = 512
    """Steps a minibatch."""
    n_epochs: int = 4
    """Passes over the steps of an update."""
    view: Literal["item-by-item"] = "item-by-item"
    """How slates are named: masks say which items are left."""


@dataclass(frozen=True)
class OffPolicyConfig(StableBaselinesConfig):
    """What the algorithms with a replay memory share."""

    learning_rate: float = 3e-4
    """Adam's step size."""
    buffer_size: int = 50_000
    """Transitions that the replay memory holds."""
    learning_starts: int = 1_000
    """Random actions before the first update."""
    batch_size: int = 128
    """Transitions an update."""
    gradient_steps: int = 4
    """Updates after each step of all rows."""


@dataclass(frozen=True)
class DQNConfig(OffPolicyConfig):
    """Configuration of ``sb3-dqn``."""

    algorithm = "stable_baselines3.DQN"

    view: Literal["item-by-item", "enumerated"] = "item-by-item"
    """How slates are named; "enumerated" where there are few."""
    target_update_interval: int = 5_000
    """Actions between copies of the network into the target network."""
    exploration_fraction: float = 0.5
    """Share of the training over which exploration falls."""
    exploration_final_eps: float = 0.05
    """Probability of a random action after that."""


@dataclass(frozen=True)
class SACConfig(OffPolicyConfig):
    """Configuration of ``sb3-sac``."""

    algorithm = "stable_baselines3.SAC"

    learning_rate: float = 1e-3
    """Adam's step size."""
    view: Literal["auto", "proto-action", "scores"] = "auto"
    """How slates are named; "auto": by proto-actions where items have features, else by scores."""
    tau: float = 0.005
    """Share of the networks that goes into the target networks at each update."""

    def suited(self, spec: EnvironmentSpec) -> Self:
        """Returns what it is in an environment: nothing is left "auto"."""
        if self.view != "auto":
            return self
        return replace(self, view="scores" if spec.features is None else "proto-action")


@dataclass(frozen=True)
class TD3Config(SACConfig):
    """Configuration of ``sb3-td3``."""

    algorithm = "stable_baselines3.TD3"

    learning_rate: float = 3e-4
    """Adam's step size."""
    noise: float = 0.2
    """Standard deviation of the noise on each action's numbers."""


def algorithm_of(config: StableBaselinesConfig) -> Any:
    """Returns the class of a configuration's algorithm.

    Raises:
        RecGymError: its package is not installed.
    """
    package, _, name = config.algorithm.partition(".")
    try:
        return getattr(importlib.import_module(package), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("stable_baselines3", "sb3_contrib"):
            raise
        raise RecGymError(f'{name} needs {error.name}: pip install "recgym[sb3]"') from None


def view_name(config: Any) -> str | None:
    """Returns the name that an environment knows a configuration's view by."""
    return None if config.view == "slate" else str(config.view)


def actions_a_slate(config: Any, slate_size: int) -> int:
    """Returns how many actions name one slate."""
    return slate_size if config.view == "item-by-item" else 1


class Echo:
    """A world that observes what it is told and shows what it is given; nobody answers.

    A view of it names slates without an environment.

    Args:
        spec: the one that it stands for.
        space: of observations; those of a view go on after the world's own.
    """

    horizon, n_users = 1, 1
    reset_noise, step_noise = (0, 0), (0, 0)
    info_names: tuple[str, ...] = ()

    def __init__(self, spec: EnvironmentSpec, space: spaces.Box) -> None:
        self.n_items, self.slate_size = spec.n_items, spec.slate_size
        self.item_features: np.ndarray | None = spec.features
        low, high = (edge.reshape(-1)[: spec.window] for edge in (space.low, space.high))
        self.observation_space: spaces.Box = spaces.Box(low, high, dtype=space.dtype.type)
        self.action_space: spaces.Space[Any] = SlateSpace(self.n_items, self.slate_size)

    def reset(self, noise: Noise, users: Array | None = None) -> State:
        """Returns what views need: how many rows there are."""
        return {"step": np.zeros(len(noise.uniform), np.int64)}

    def observe(self, state: State) -> Array:
        """Returns what the state was told."""
        return state["told"]

    def step(self, state: State, slate: Array, noise: Noise) -> tuple[State, Response]:
        """Shows the slates, repaired where they repeat an item, and changes nothing."""
        nothing = np.full(len(slate), -1)
        reward, left = np.zeros(len(slate), np.float32), np.zeros(len(slate), np.bool_)
        return state, Response(nothing, nothing, reward, left, repaired(slate, self.n_items)[0])

    def to(self, backend: str, device: str) -> Self:
        """Returns itself: it has no arrays."""
        return self


class StableBaselinesAgent:
    """A model of Stable-Baselines3 with its ``MlpPolicy``, which names slates by a view.

    It reads what the environment observes by default, not item ids.

    Args:
        model: a ``BaseAlgorithm``.
        config: of its row.
        spec: that it was trained for.

    References:
        Raffin et al.: Stable-Baselines3: reliable reinforcement learning implementations. JMLR 22
        (268), 2021; its documentation names the paper of each algorithm.
    """

    def __init__(self, model: Any, config: Any, spec: EnvironmentSpec) -> None:
        self.model, self.config, self.spec = model, config, spec
        self.view: Any = view_of(Echo(spec, model.observation_space), view_name(config))

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Returns slates (B, K) for the world's observations (B, ...), without exploration."""
        noise = Noise(np.empty((len(observation), 0)), np.empty((len(observation), 0)))
        state = self.view.reset(noise) | {"told": observation}
        masked = isinstance(self.config, MaskablePPOConfig)
        for _ in range(actions_a_slate(self.config, self.spec.slate_size)):
            masks = {"action_masks": self.view.action_masks(state)} if masked else {}
            seen = self.view.observe(state)
            action, _ = self.model.predict(seen, deterministic=True, **masks)
            state, response = self.view.step(state, action, noise)
        slate: np.ndarray = response.slate
        return slate

    def adapt(self, support: Support) -> StableBaselinesAgent:
        """Returns itself: it does not adapt to users."""
        return self

    def recommend(self, history: Sequence[int], support: Support | None = None) -> list[int]:
        """Raises RecGymError: it reads observations; see ``recommend``."""
        return recommend(self, history, support)

    def policy(self) -> tuple[Arrays, Any]:
        """Returns nothing: Stable-Baselines3 keeps its own file, see ``save``."""
        return {}, {}

    def save(self, folder: Path) -> None:
        """Writes ``model.zip``."""
        with atomic_write(folder / MODEL) as temporary:
            self.model.save(temporary)

    @classmethod
    def load(cls, config: Any, spec: EnvironmentSpec, folder: Path) -> Self:
        """Reads what ``save`` wrote. The file holds pickled Python: load only what you trust.

        Raises:
            RecGymError: the file is missing or damaged, or its package is not installed.
        """
        path = folder / MODEL
        if not path.is_file():
            raise RecGymError(f"{path}: no such file")
        algorithm = algorithm_of(config)
        try:
            model = algorithm.load(path, device="cpu")
        except Exception as error:  # unpickling what is damaged can raise anything
            text = " ".join(f"{type(error).__name__}: {error}".split())
            raise RecGymError(f"{path}: not a whole model of {config.algorithm} ({text})") from None
        return cls(model, config, spec)
