"""What agents are told about their environment and learn from, and what they need not write."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from torch import nn

from recgym.arrays import Array, namespace
from recgym.errors import RecGymError
from recgym.simulators.base import Noise, Simulator
from recgym.users.folder import FittedUserModel
from recgym_agents.checkpointing import Arrays, Checkpointed, arrays_of, load_arrays_into

if TYPE_CHECKING:
    from recgym_agents.user_support import Support

Compile = Literal["auto", "always", "never"]
"""Whether what is repeated most is compiled; see ``BaseAgent.compile``."""


@dataclass(frozen=True)
class EnvironmentSpec:
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
    pessimism: float = 0.0
    """Standard deviations of the members' rewards that the environment takes off their mean."""
    ids: bool = True
    """Whether observations are read as item ids, or as the numbers that they are."""
    candidate_features: int = 0
    """D, where every observation begins with the candidates of its step, N * D numbers; else 0."""
    state_length: float = 1.0
    """The Euclidean norm that an observation of numbers usually has, without the candidates."""
    candidate_length: float = 1.0
    """The norm that a candidate's features usually have, where observations begin with them."""
    candidate_scale: np.ndarray | None = None
    """Mean and standard deviation of these features (2, D), where observations begin with them."""

    @staticmethod
    def of(env: Any, ids: bool = True) -> EnvironmentSpec:
        """Reads the world off a single or vector environment of RecGym.

        Args:
            env: the environment, without a view.
            ids: whether the agent reads item ids where they are observed, as those of the zoo do.
        """
        simulator = env.unwrapped.simulator.to("numpy", "cpu")
        space = simulator.observation_space
        candidate_features, state_length, candidate_length, scale = 0, 1.0, 1.0, None
        if np.issubdtype(space.dtype, np.floating):
            observed = _first_observations(simulator)
            if hasattr(simulator, "candidates"):
                candidates = simulator.candidates(observed)
                candidate_features = candidates.shape[2]
                candidate_length = usual_length(candidates)
                scale = np.stack([candidates.mean(axis=(0, 1)), candidates.std(axis=(0, 1))])
            state_length = usual_length(observed[:, simulator.n_items * candidate_features :])
        models = [s for s in getattr(simulator, "members", [simulator]) if hasattr(s, "user_model")]
        return EnvironmentSpec(
            n_items=simulator.n_items,
            slate_size=simulator.slate_size,
            window=math.prod(space.shape),
            features=simulator.item_features,
            user_model=models[0].user_model if models else None,
            user_members=tuple(model.member for model in models),
            pessimism=getattr(simulator, "pessimism", 0.0),
            ids=ids and len(space.shape) == 1 and space.dtype == np.int64,
            candidate_features=candidate_features,
            state_length=state_length,
            candidate_length=candidate_length,
            candidate_scale=scale,
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
        xp = namespace(observation)
        return xp.asarray(observation[:, :0], dtype=xp.int64)

    def check_candidates(self, remove_clicked: bool) -> None:
        """Checks that a slate can always be filled.

        Raises:
            RecGymError: too few items, without the clicked ones if those are removed.
        """
        remove_clicked = remove_clicked and self.ids
        spoken_for = self.slate_size + (self.window if remove_clicked else 0)
        if self.n_items < spoken_for:
            without = f" without the {self.window} clicked ones" if remove_clicked else ""
            remedy = "set a smaller window or slate_size, or --agent-args remove_clicked=false"
            raise RecGymError(
                f"{self.n_items} items are too few for slates of {self.slate_size}{without}; "
                + (remedy if remove_clicked else "set a smaller slate_size")
            )


def usual_length(vectors: np.ndarray) -> float:
    """Returns the root mean square of the Euclidean norms of vectors (..., D).

    1 where there are no vectors, or all are zero: what is divided by a length needs one.
    """
    mean_square = np.square(vectors).sum(axis=-1).mean() if vectors.size else 0.0
    return math.sqrt(mean_square) if mean_square > 0.0 else 1.0


def _first_observations(simulator: Simulator) -> np.ndarray:
    """Returns what 64 users are first observed with (64, W), the same each time."""
    generator = np.random.default_rng(0)
    uniforms, normals = ((64, size) for size in simulator.reset_noise)
    noise = Noise(generator.random(uniforms), generator.standard_normal(normals))
    observed: np.ndarray = simulator.observe(simulator.reset(noise)).reshape(64, -1)
    return observed


class Transitions(NamedTuple):
    """What happened in B steps."""

    observation: np.ndarray
    """Seen before the step (B, W): clicked items, oldest first, N for none; or other numbers."""
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
    next_slate: np.ndarray = np.empty((0, 0), np.int64)
    """Items shown after that (B, K), -1 where none were (yet); (0, 0) where it is not known."""


class BaseAgent(Checkpointed):
    """What agents need not write themselves; ``kept`` names what training goes on from."""

    spec: EnvironmentSpec
    network: Any
    """What it acts by, an ``nn.Module``; one without has a ``policy`` of its own."""

    @property
    def ready(self) -> bool:
        """Whether its policy may be kept."""
        return True

    def policy(self) -> tuple[Arrays, Any]:
        """Returns all that greedy slates depend on: copies of the network's parameters."""
        return arrays_of(self.network), {}

    def load_policy(self, arrays: Arrays, info: Any) -> None:
        """Acts with the parameters ``arrays``."""
        load_arrays_into(self.network, arrays)

    def to(self, device: str) -> None:
        """Moves the networks, before they learn; all else must then be called ``on_device``.

        Raises:
            RecGymError: another device than the CPU, and no network to move there.
        """
        parts = [getattr(self, name) for name in self.kept]
        networks = [part for part in parts if isinstance(part, nn.Module)]
        if device != "cpu" and not networks:
            raise RecGymError(f"device={device!r}: this agent learns no network; leave device out")
        for network in networks:
            network.to(device)

    def compile(self, mode: Compile, device: str, rows: float) -> None:
        """Decides whether what an agent repeats most is compiled.

        Args:
            mode: "always" and "never" say so; "auto": where it works and pays.
            device: where the agent's networks are.
            rows: observations that it will act on in the whole training.

        Raises:
            RecGymError: it must be compiled, and there is nothing to compile, or it does not work.
        """
        if mode == "always":
            raise RecGymError("compile='always': this agent scans no candidates; leave it out")

    def adapt(self, support: Support) -> Any:
        """Returns the agent as it acts for the users of a support; itself, unless it learns so.

        Args:
            support: of U users. What is returned acts on U observations, one of each user in their
                order, or of a single user on any number of them; it can ``recommend`` to one, too.

        Raises:
            RecGymError: a support of another catalog, or arrays that do not fit.
        """
        spec = self.spec
        support.check(spec.n_items, spec.slate_size, spec.candidate_features)
        return self

    def recommend(self, history: Sequence[int], support: Support | None = None) -> list[int]:
        """Returns a slate for a user who clicked ``history``; see ``Policy.recommend``."""
        from recgym_agents.user_support import recommend

        return recommend(self, history, support)
