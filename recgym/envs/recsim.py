"""RecSim's own environments, and those that others wrote for it, as Gymnasium wants them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from recgym.envs import actions, infos
from recgym.envs.options import check_options
from recgym.envs.shared_arguments import METADATA, check_render_mode
from recgym.errors import RecGymError
from recgym.rendering import Card, Scene, answer, render
from recgym.simulators.arguments import whole
from recgym.simulators.recsim_parts import HORIZON
from recgym.spaces import SlateSpace

LARGEST = 1e6
"""What has no finite bound in RecSim is observed as at most this."""


class RecSimEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """Any environment of RecSim (needs the package, `pip install "recgym[recsim]"`).

    The action is a slate, `MultiDiscrete([N] * K)`: the position of a candidate in each slot. A
    repeated position is replaced by the lowest that is not in the slate, as in all environments
    here. The observation is one `Box` of float32: what RecSim shows of the candidates, row by row,
    then what it shows of the user, then what it shows of the response to each slot of the last
    slate, zeros before the first. A `Discrete` is shown as its number; entries of a `Dict` come in
    the order of their names. Infos hold "click" (the first clicked slot, -1 for none, and where
    responses show no "click"), "item" (position of the clicked candidate), and "repaired".

    RecSim draws clicks from NumPy's global generator. A reset with a seed seeds it, and the
    samplers of users and documents.

    Args:
        env: a ``recsim.simulator.recsim_gym.RecSimGymEnv`` of one user.
        horizon: slates after which an episode is truncated; by default as late as RecSim's runner
            would.
        render_mode: "ansi" (text), "rgb_array" (an image), or None.

    Raises:
        RecGymError: RecSim is not installed, or ``env`` is no such environment.
    """

    metadata = METADATA

    def __init__(self, env: Any, horizon: int = HORIZON, render_mode: str | None = None) -> None:
        _check_kind(env)
        self.env = env
        self.horizon = whole("horizon", horizon, 1)
        check_render_mode(render_mode)
        self.render_mode = render_mode
        inner = env.environment
        self.n_items, self.slate_size = inner.num_candidates, inner.slate_size
        self.action_space = SlateSpace(self.n_items, self.slate_size)
        shown = env.observation_space
        document = next(iter(shown["doc"].spaces.values()))
        self._parts = [document] * self.n_items + [shown["user"], *shown["response"].spaces]
        bounds = [_bounds(space) for space in self._parts]
        self._n_features = len(bounds[0][0])
        low, high = (np.concatenate(ends).astype(np.float32) for ends in zip(*bounds, strict=True))
        self._low, self._high = low, high
        self.observation_space = gymnasium.spaces.Box(low, high, dtype=np.float32)
        self._n_response = sum(len(low) for low, _ in bounds[self.n_items + 1 :])
        self._step: int | None = None  # slates shown; None when a reset is due
        self._seeded = False
        self._shown = Scene(0, horizon, self.slate_size)
        self.spec = EnvSpec(
            "RecSim-v0",
            "recgym.envs.recsim:RecSimEnv",
            order_enforce=False,
            disable_env_checker=True,
            max_episode_steps=self.horizon,
            kwargs={"env": env, "horizon": horizon},
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode.

        Args:
            seed: seeds RecSim's samplers and NumPy's global generator.
            options: there are none.

        Raises:
            RecGymError: an option.
        """
        super().reset(seed=seed)
        check_options(options, ())
        if seed is not None or not self._seeded:
            self._seed_all()
        shown = self.env.reset()
        self._step = 0
        self._shown = Scene(0, self.horizon, self.slate_size)
        return self._observation(shown), dict(infos.AT_RESET)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Shows a slate.

        Args:
            action: positions of K candidates.

        Raises:
            RecGymError: another shape, a position out of range, or the episode is over.
        """
        if self._step is None:
            raise RecGymError("step: no episode has begun, or it is over; call reset first")
        array = actions.as_array(action, self.action_space, ())[None]
        slates, replaced = actions.check(self.action_space, array)
        slate = slates[0].tolist()
        shown, reward, terminated, _ = self.env.step(slate)
        step = self._step + 1
        truncated = step >= self.horizon and not terminated
        self._step = None if terminated or truncated else step
        click = next((slot for slot, one in enumerate(shown["response"]) if _clicked(one)), -1)
        info = {
            "click": np.int64(click),
            "item": np.int64(slate[click] if click >= 0 else -1),
            "repaired": replaced[0],
        }
        if self.render_mode is not None:
            self._shown = Scene(
                step,
                self.horizon,
                self.slate_size,
                cards=tuple(Card(slot, f"item {item}") for slot, item in enumerate(slate)),
                click=click,
                outcome=answer(click, bool(terminated), truncated),
                reward=float(reward),
                so_far=self._shown.so_far + float(reward),
            )
        return self._observation(shown), float(reward), bool(terminated), truncated, info

    def candidates(self, observation: np.ndarray) -> np.ndarray:
        """Returns what is shown of the candidates (..., N, D) in observations (..., size)."""
        split = self.n_items * self._n_features
        rows = observation.shape[:-1]
        return observation[..., :split].reshape(*rows, self.n_items, self._n_features)

    def render(self) -> Any:
        """Returns a picture of the last slate: text, or an image (height, width, 3)."""
        if self.render_mode is None:
            return None
        return render(self.render_mode, self._shown)

    def _observation(self, shown: dict[str, Any]) -> np.ndarray:
        """Lays out what RecSim shows; numbers out of bounds are clipped.

        Raises:
            RecGymError: it is not what RecSim's spaces say.
        """
        values = [*shown["doc"].values(), shown["user"], *(shown["response"] or ())]
        spaces = self._parts[: len(values)]
        numbers = [number for pair in zip(spaces, values, strict=True) for number in _flat(*pair)]
        if shown["response"] is None:
            numbers += [0.0] * self._n_response
        if len(numbers) != len(self._low):
            raise RecGymError(
                f"RecSimEnv: RecSim shows {len(numbers)} numbers, and its observation_space has"
                f" {len(self._low)}; correct the spaces of its documents, users or responses"
            )
        return np.clip(np.array(numbers, np.float32), self._low, self._high)

    def _seed_all(self) -> None:
        """Seeds RecSim's samplers and NumPy's global generator from this environment's own."""
        inner = self.env.environment
        seeds = self.np_random.integers(2**32, size=3).tolist()
        inner._document_sampler._seed = seeds[0]
        inner.user_model._user_sampler._seed = seeds[1]
        self.env.reset_sampler()
        np.random.seed(seeds[2])  # noqa: NPY002 (RecSim draws from it)
        self._seeded = True


def _check_kind(env: Any) -> None:
    """Raises a RecGymError unless RecSim is installed and ``env`` is an environment of one user."""
    try:
        wanted = importlib.import_module("recsim.simulator.recsim_gym").RecSimGymEnv
        single = importlib.import_module("recsim.simulator.environment").SingleUserEnvironment
    except ModuleNotFoundError as error:
        raise RecGymError(
            f'RecSimEnv needs RecSim ({error}): pip install "recgym[recsim]"'
        ) from None
    if not isinstance(env, wanted) or not isinstance(env.environment, single):
        raise RecGymError(
            f"RecSimEnv: {type(env).__name__} is not a RecSimGymEnv around a SingleUserEnvironment"
        )


def _bounds(space: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns the least and the greatest of each number that a space of Gym has, both finite.

    Raises:
        RecGymError: a kind of space that has no numbers.
    """
    kind = type(space).__name__
    if kind in ("Dict", "Tuple"):
        parts = [_bounds(part) for part in _members(space)]
        nothing = np.empty(0)
        low = np.concatenate([nothing, *(part[0] for part in parts)])
        return low, np.concatenate([nothing, *(part[1] for part in parts)])
    if kind == "Discrete":
        return np.array([space.start]), np.array([space.start + space.n - 1])
    if kind == "MultiDiscrete":
        return np.zeros(space.nvec.size), space.nvec.ravel() - 1
    if kind == "MultiBinary":
        size = int(np.prod(space.shape))
        return np.zeros(size), np.ones(size)
    if kind == "Box":
        low, high = space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
        return np.maximum(low, -LARGEST), np.minimum(high, LARGEST)
    raise RecGymError(f"RecSimEnv cannot show a space of the kind {kind}")


def _flat(space: Any, value: Any) -> list[float]:
    """Returns a value of a space as numbers, in the order of ``_bounds``."""
    kind = type(space).__name__
    if kind == "Dict":
        return [number for name in space.spaces for number in _flat(space[name], value[name])]
    if kind == "Tuple":
        pairs = zip(space.spaces, value, strict=True)
        return [number for part, one in pairs for number in _flat(part, one)]
    numbers: list[float] = np.asarray(value, np.float64).ravel().tolist()
    return numbers


def _members(space: Any) -> Iterable[Any]:
    """Returns the spaces in a Dict or a Tuple."""
    return space.spaces.values() if isinstance(space.spaces, dict) else space.spaces


def _clicked(response: Any) -> bool:
    return isinstance(response, dict) and bool(response.get("click", False))
