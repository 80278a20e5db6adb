"""One transition of a batch of episodes, in NumPy or in torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import gymnasium
import numpy as np

from recgym.arrays import Array
from recgym.envs import actions, infos
from recgym.errors import RecGymError
from recgym.simulators.base import Noise, Simulator, State


class Transition(NamedTuple):
    """B episodes after a step; all its arrays but the state's are the caller's to write to."""

    state: State
    slate: Array
    """Item ids as they were shown (B, K); -1 where nothing was."""
    observation: Array
    reward: Array
    terminated: Array
    truncated: Array
    info: dict[str, Array]
    """The shells' own entries, and those of the simulator."""
    done: Array
    """Whose episode is over, bool (B,)."""
    any_done: Array
    """Whether any is, bool ()."""


def transition(
    simulator: Simulator, state: State, action: Array, replaced: Array, noise: Noise
) -> Transition:
    """Steps B episodes: the pure function that torch.compile fuses.

    Args:
        simulator: the world.
        state: of the B episodes.
        action: distinct item ids (B, K), or what a view asks for.
        replaced: ids that were replaced in each slate (B,).
        noise: as much of it as ``simulator.step_noise`` says.
    """
    state, response = simulator.step(state, action, noise)
    click, item, reward, terminated, slate = response
    truncated = (state["step"] >= simulator.horizon) > terminated  # and not terminated
    info = {"click": click, "item": item, "repaired": replaced}
    info |= infos.of_episode(simulator, state)
    done = terminated | truncated
    observation, any_done = simulator.observe(state), done.any()
    return Transition(
        state, slate, observation, reward, terminated, truncated, info, done, any_done
    )


def draw(generator: np.random.Generator, n_rows: int, counts: tuple[int, int]) -> Noise:
    """Draws NumPy noise: ``counts`` uniforms and standard normals for each row."""
    uniforms, normals = counts
    uniform = generator.random((n_rows, uniforms))
    return Noise(
        uniform, generator.standard_normal((n_rows, normals)) if normals else uniform[:, :0]
    )


class Backend(Protocol):
    """How a vector environment reads actions, draws noise, and steps."""

    simulator: Simulator
    """The world, with its arrays in this backend."""

    def seed(self, generator: np.random.Generator) -> None:
        """Makes the environment's generator the source of all noise."""

    def draw(self, n_rows: int, counts: tuple[int, int]) -> Noise:
        """Draws ``counts`` uniforms and standard normals for each row."""

    def array(self, values: np.ndarray) -> Array:
        """Returns a copy of NumPy values in this backend."""

    def step(self, state: State, action: Any) -> Transition:
        """Checks and repairs slates, draws noise, and steps; an error leaves all as it was."""

    def noise_state(self) -> dict[str, np.ndarray]:
        """Returns what the environment's generator does not know about the noise."""

    def set_noise_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Goes back to where ``noise_state`` was called."""


class NumpyBackend:
    """Steps in NumPy; the noise is drawn from the environment's generator."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self._generator = np.random.default_rng()

    def seed(self, generator: np.random.Generator) -> None:
        """See ``Backend.seed``."""
        self._generator = generator

    def draw(self, n_rows: int, counts: tuple[int, int]) -> Noise:
        """See ``Backend.draw``."""
        return draw(self._generator, n_rows, counts)

    def array(self, values: np.ndarray) -> Array:
        """See ``Backend.array``."""
        return values.copy()

    def step(self, state: State, action: Any) -> Transition:
        """See ``Backend.step``."""
        n_rows = len(state["step"])
        array = actions.as_array(action, self.simulator.action_space, (n_rows,))
        checked, replaced = actions.check(self.simulator.action_space, array)
        noise = self.draw(n_rows, self.simulator.step_noise)
        return transition(self.simulator, state, checked, replaced, noise)

    def noise_state(self) -> dict[str, np.ndarray]:
        """See ``Backend.noise_state``."""
        return {}

    def set_noise_state(self, arrays: dict[str, np.ndarray]) -> None:
        """See ``Backend.set_noise_state``."""


class TorchBackend:
    """Steps in torch on one device, from actions to observations.

    Args:
        simulator: the world, in NumPy.
        device: where its arrays go, such as "cpu" or "cuda".
        compile: fuse the transition with torch.compile.

    Raises:
        RecGymError: no torch, no such device, or no C++ compiler to compile with.
    """

    def __init__(self, simulator: Simulator, device: str, compile: bool) -> None:
        self._torch_generator = _generator_on(device)
        self._compile_errors = _need_compiler() if compile else ()
        self.simulator = simulator.to("torch", device)
        self._device = device
        self._compile = compile
        self._transition: Callable[..., Any] | None = None

    def seed(self, generator: np.random.Generator) -> None:
        """See ``Backend.seed``; torch's generator is seeded with a number drawn from it."""
        self._torch_generator.manual_seed(int(generator.integers(2**63)))

    def draw(self, n_rows: int, counts: tuple[int, int]) -> Noise:
        """See ``Backend.draw``."""
        import torch

        to = {"generator": self._torch_generator, "device": self._device}
        uniforms, normals = counts
        return Noise(torch.rand(n_rows, uniforms, **to), torch.randn(n_rows, normals, **to))

    def array(self, values: np.ndarray) -> Array:
        """See ``Backend.array``."""
        import torch

        return torch.tensor(values, device=self._device)

    def step(self, state: State, action: Any) -> Transition:
        """See ``Backend.step``."""
        import torch

        n_rows = len(state["step"])
        space, tensor = self.simulator.action_space, self._tensor(action, n_rows)
        if tensor.device.type == "cpu":  # in NumPy, which starts sooner, on the same memory
            arrays = actions.check(space, tensor.numpy())
            checked, replaced = (torch.from_numpy(array) for array in arrays)
        else:
            checked, replaced = actions.check(space, tensor)
        if self._transition is None:
            self._transition = self._build()
        noise = self.draw(n_rows, self.simulator.step_noise)
        try:
            return Transition(*self._transition(state, checked, replaced, noise))
        except self._compile_errors as error:
            cause = str(error).strip().splitlines()[0]
            raise RecGymError(
                f"compile=True: torch.compile does not work here ({cause}); mend the C++ compiler,"
                " or leave compile=False"
            ) from None

    def noise_state(self) -> dict[str, np.ndarray]:
        """See ``Backend.noise_state``."""
        return {"noise": self._torch_generator.get_state().numpy()}

    def set_noise_state(self, arrays: dict[str, np.ndarray]) -> None:
        """See ``Backend.set_noise_state``."""
        import torch

        self._torch_generator.set_state(torch.tensor(arrays["noise"]))

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the compiled function, which does not pickle and is made again when needed."""
        return self.__dict__ | {"_transition": None}

    def _tensor(self, action: Any, n_rows: int) -> Array:
        """Returns actions as a tensor on the device, see ``actions.as_array``."""
        import torch

        space = self.simulator.action_space
        if not isinstance(action, torch.Tensor):
            return self.array(actions.as_array(action, space, (n_rows,)))
        box = isinstance(space, gymnasium.spaces.Box)
        whole = (
            not (action.is_floating_point() or action.is_complex()) and action.dtype != torch.bool
        )
        fits = whole or (box and action.is_floating_point())
        if action.shape != (n_rows, *(space.shape or ())) or not fits:
            raise actions.refusal(tuple(action.shape), action.dtype, space, (n_rows,))
        return action.to(self._device, torch.float32 if box else torch.int64)

    def _build(self) -> Callable[..., Any]:
        import torch

        function = partial(transition, self.simulator)
        return torch.compile(function, fullgraph=True, dynamic=False) if self._compile else function


def backend_of(world: Simulator, backend: str, device: str, compile: bool) -> Backend:
    """Returns the backend of a vector environment by its name.

    Raises:
        RecGymError: an unknown name, or what ``TorchBackend`` raises.
    """
    if backend == "torch":
        return TorchBackend(world, device, compile)
    if backend != "numpy":
        raise RecGymError(f"backend={backend!r}: must be one of numpy, torch")
    if compile or device != "cpu":
        raise RecGymError("compile=True and device need backend='torch'")
    return NumpyBackend(world)


def _generator_on(device: str) -> Any:
    """Returns a torch generator, or says in one line why there cannot be one."""
    try:
        import torch
    except ImportError:
        raise RecGymError("backend='torch' needs torch: pip install torch") from None
    check_device(device)
    return torch.Generator(device)


def check_device(device: str) -> None:
    """Checks a device's name, such as "cpu" or "cuda".

    Raises:
        RecGymError: torch cannot use it.
    """
    import torch

    try:
        torch.zeros(1, device=device).sum().item()
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0].split(". ")[0]
        raise RecGymError(f"device={device!r}: torch cannot use it ({reason})") from None


def _need_compiler() -> tuple[type[Exception], ...]:
    """Returns what torch.compile raises where it fails, or says that there is no compiler."""
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor import cpp_builder, exc

    try:
        cpp_builder.get_cpp_compiler()
    except exc.InvalidCxxCompiler:
        raise RecGymError(
            "compile=True needs a C++ compiler: install g++ or clang++, name one in the variable"
            " CXX, or leave compile=False"
        ) from None
    return (TorchDynamoException,)
