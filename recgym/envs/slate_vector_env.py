"""The Gymnasium vector environment around a simulator: many episodes as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector.utils import batch_space

from recgym import rendering
from recgym.arrays import Array, keep_freed_memory, namespace
from recgym.envs import infos, masks, row_attributes
from recgym.envs.autoreset import gymnasium_mode, mode_name
from recgym.envs.backends import Transition, backend_of
from recgym.envs.options import check_options, mask_of, seed_of, users_of
from recgym.envs.shared_arguments import RENDER_MODES, build_world, with_episode_length
from recgym.errors import RecGymError
from recgym.simulators.base import State


class SlateVectorEnv(gymnasium.vector.VectorEnv[Any, Array, Array]):
    """Many users who are shown slates of items, as one batch.

    Rows behave as the sub-environments of ``gymnasium.vector.SyncVectorEnv`` in each autoreset
    mode, with the same infos; but all rows share one random generator. With ``backend="torch"``
    all that is returned are tensors on ``device``, "final_obs" too: one (B, ...) tensor whose rows
    count where "_final_obs" says so.

    Args:
        simulator: name of the simulator, see ``recgym.simulators.SIMULATORS``.
        view: another way to give slates, see ``recgym.simulators.views.VIEWS``; None or "slate" for
            item ids.
        mask_keys: names of the observation and of its action mask, such as ["observations",
            "action_mask"], for libraries that read both from a dict; only for view="item-by-item".
        num_envs: episodes, B.
        autoreset_mode: "next-step", "same-step", or "disabled" (then reset the rows that are done
            with ``reset(options={"reset_mask": done})``); or Gymnasium's ``AutoresetMode``.
        backend: "numpy", or "torch".
        device: torch device.
        compile: fuse a step with torch.compile (the first one then takes some seconds).
        render_mode: "ansi", "rgb_array", or None.
        titles: folder of a prepared dataset, whose titles are shown in renders; ids when None.
        max_episode_steps: actions in an episode, another way to give the simulator's ``horizon``.
        **arguments: the simulator's own arguments.

    Raises:
        RecGymError: an unknown argument, one out of its range, or no C++ compiler to compile with.
    """

    def __init__(
        self,
        simulator: str,
        num_envs: int = 1,
        *,
        view: str | None = None,
        mask_keys: Sequence[str] | None = None,
        autoreset_mode: Any = "next-step",
        backend: str = "numpy",
        device: str = "cpu",
        compile: bool = False,
        render_mode: str | None = None,
        titles: str | None = None,
        max_episode_steps: int | None = None,
        **arguments: Any,
    ) -> None:
        self._mode = mode_name(autoreset_mode)
        if num_envs < 1:
            raise RecGymError(f"num_envs={num_envs}: must be at least 1")
        world = build_world(simulator, arguments, render_mode, max_episode_steps, view)
        keep_freed_memory()
        self._backend = backend_of(world, backend, device, compile)
        self.simulator = self._backend.simulator
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.autoreset_mode = gymnasium_mode(self._mode)
        """Gymnasium's ``AutoresetMode``; with Gymnasium 1.0, which has none, our own name."""
        self.metadata = {
            "render_modes": RENDER_MODES,
            "render_fps": 4,
            "autoreset_mode": self.autoreset_mode,
        }
        self._keys = masks.keys_of(mask_keys, world)
        self.single_observation_space = masks.observation_space(world, self._keys)
        self.single_action_space = world.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._titles = rendering.load_titles(titles, world.n_items)
        self._spec: EnvSpec | None = None
        self._state: State | None = None
        self._done: Array = self._backend.array(np.zeros(num_envs, np.bool_))
        self._any_done = False
        self._slate: Array | None = None
        self._shown: tuple[np.ndarray, ...] | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """How it was made, None unless by ``gymnasium.make_vec``; with ``max_episode_steps``."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = with_episode_length(spec, self.simulator)
        if self._spec is not None and "autoreset_mode" in self._spec.kwargs:
            self._spec.kwargs = self._spec.kwargs | {"autoreset_mode": self._mode}  # plain JSON

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode in every row, or in those of a mask.

        Args:
            seed: of the random numbers of all rows, which share one generator: an integer, or a
                list of one for each row, which seed it together.
            options: {"user": i} or {"user": int array (B,)} to meet those users, drawn otherwise;
                {"reset_mask": bool array (B,)} to leave the other rows as they are.

        Raises:
            RecGymError: an unknown option, or a value that does not fit.
        """
        super().reset(seed=seed_of(seed, self.num_envs))
        given = check_options(options, ("user", "reset_mask"))
        users = users_of(given, self.num_envs, self.simulator.n_users)
        mask = mask_of(given, self.num_envs)
        if self._state is None and not mask.all():
            raise RecGymError("reset option 'reset_mask': the first reset must be of all rows")
        self._backend.seed(self.np_random)
        begun = self._backend.array(mask)
        fresh = self._begin(int(mask.sum()), None if users is None else users[mask])
        self._state = fresh if self._state is None else _replace(self._state, begun, fresh)
        self._done = self._done & ~begun
        self._any_done = bool(self._done.any())
        self._slate = self._shown = None
        info = {
            name: self._backend.array(np.full(self.num_envs, value))
            for name, value in infos.AT_RESET.items()
        } | infos.of_episode(self.simulator, self._state)
        observation = masks.beside(self.simulator.observe(self._state), info, self._keys)
        return observation, infos.with_masks(info, begun)

    def step(self, actions: Array) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Shows a slate to every user.

        Args:
            actions: item ids (B, K), or what the view asks for. A repeated id is replaced by the
                lowest id not in its slate.

        Raises:
            RecGymError: another shape, an id out of range, or ``reset`` is due.
        """
        if self._state is None:
            raise RecGymError("step: no episode has begun; call reset first")
        if self._any_done and self._mode == "disabled":
            raise RecGymError(
                "step: some rows are done; reset them: reset(options={'reset_mask': done})"
            )
        after = self._backend.step(self._state, actions)
        info, done, some_done = after.info, after.done, after.any_done
        if self._any_done and self._mode == "next-step":
            self._restart(after, self._done)
            for values in (after.reward, after.terminated, after.truncated, done):
                values[self._done] = 0
            some_done = done.any()
        self._state, self._done, self._any_done = after.state, done, bool(some_done)
        self._slate = after.slate
        final: dict[str, Any] = {}
        if self._any_done and self._mode == "same-step":
            last = masks.beside(after.observation, info, self._keys)
            final = infos.final(last, info, done)
            self._restart(after, done)
        if self.render_mode is not None:
            shown = after.slate, info["click"], after.reward
            self._shown = tuple(map(_to_numpy, shown))
        observation = masks.beside(after.observation, info, self._keys)
        info = infos.with_masks(info, namespace(done).ones_like(done)) | final
        return observation, after.reward, after.terminated, after.truncated, info

    def step_rows(
        self, rows: Array, actions: Array
    ) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Shows slates to some users; the other rows stay as they are.

        Args:
            rows: numbers of R rows, each once, int64 (R,).
            actions: those of these rows, as in ``step``.

        Returns:
            What ``step`` does, of these R rows in their order.

        Raises:
            RecGymError: what ``step`` raises, or ``autoreset_mode`` is not "disabled".
        """
        if self._state is None or self._mode != "disabled" or self._done[rows].any():
            raise RecGymError(
                "step_rows: needs autoreset_mode='disabled', and rows whose episode has begun and"
                " is not over"
            )
        after = self._backend.step({k: v[rows] for k, v in self._state.items()}, actions)
        for name, values in after.state.items():
            self._state[name][rows] = values
        self._done[rows] = after.done
        self._any_done = bool(self._done.any())
        self._slate = None
        info = infos.with_masks(after.info, namespace(after.done).ones_like(after.done))
        observation = masks.beside(after.observation, info, self._keys)
        return observation, after.reward, after.terminated, after.truncated, info

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Returns what each row answers, as ``SyncVectorEnv.call``; see ``row_attributes``."""
        return row_attributes.call(self, name, *args, **kwargs)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Returns an attribute of each row, as ``SyncVectorEnv.get_attr``."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Sets an attribute of all rows; see ``row_attributes``."""
        row_attributes.set_attribute(self, name, values)

    def __len__(self) -> int:
        """Returns how many rows there are, B."""
        return self.num_envs

    def action_masks(self) -> Array:
        """Returns which actions would not repeat an item, bool (B, N), for view="item-by-item".

        Raises:
            RecGymError: another view, or no episode has begun.
        """
        return masks.masks_of(self.simulator, self._state)

    def shown_slates(self) -> Array:
        """Returns the item ids that the last step showed, int64 (B, K); -1 in rows without any.

        Raises:
            RecGymError: the last call was not ``step``.
        """
        if self._slate is None:
            raise RecGymError("shown_slates: nothing was shown yet; call step first")
        return namespace(self._slate).asarray(self._slate, copy=True)

    def render(self) -> tuple[Any, ...] | None:
        """Returns a picture of each row's last slate: text, or an image (height, width, 3)."""
        if self.render_mode is None or self._state is None:
            return None
        pages = (self._page(self._state, row) for row in range(self.num_envs))
        return tuple(rendering.render(self.render_mode, page, self._titles) for page in pages)

    def get_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Returns all that decides how the episodes go on, given the same actions.

        Returns:
            Arrays by name, and the state of the random generator as plain JSON.

        Raises:
            RecGymError: no episode has begun.
        """
        if self._state is None:
            raise RecGymError("get_state: no episode has begun; call reset first")
        arrays = {f"state.{name}": _to_numpy(array) for name, array in self._state.items()}
        arrays |= {"done": _to_numpy(self._done)} | self._backend.noise_state()
        return arrays, dict(self.np_random.bit_generator.state)

    def set_state(self, arrays: dict[str, np.ndarray], rng: dict[str, Any]) -> Any:
        """Continues where ``get_state`` was called, and returns the observations of that moment.

        Raises:
            RecGymError: the arrays are of another environment.
        """
        shapes = {name: tuple(array.shape) for name, array in self._begin(self.num_envs).items()}
        state = {name: arrays.get(f"state.{name}", np.empty(0)) for name in shapes}
        if {name: array.shape for name, array in state.items()} != shapes:
            raise RecGymError("set_state: arrays of another environment; make it as it was made")
        self._backend.seed(self.np_random)
        self._backend.set_noise_state(arrays)
        self.np_random.bit_generator.state = rng
        self._state = {name: self._backend.array(array) for name, array in state.items()}
        self._done = self._backend.array(arrays["done"])
        self._any_done = bool(self._done.any())
        self._slate = self._shown = None
        info = infos.of_episode(self.simulator, self._state)
        return masks.beside(self.simulator.observe(self._state), info, self._keys)

    def _begin(self, n_rows: int, users: np.ndarray | None = None) -> State:
        """Returns the state of new episodes."""
        noise = self._backend.draw(n_rows, self.simulator.reset_noise)
        return self.simulator.reset(noise, None if users is None else self._backend.array(users))

    def _restart(self, after: Transition, rows: Array) -> None:
        """Starts new episodes in some rows (B,) of a transition."""
        fresh = self._begin(int(rows.sum()))
        _replace(after.state, rows, fresh)
        after.observation[rows] = self.simulator.observe(fresh)
        begun = infos.of_episode(self.simulator, fresh)
        for name, values in after.info.items():
            values[rows] = begun[name] if name in begun else int(infos.AT_RESET[name])

    def _page(self, state: State, row: int) -> rendering.Page:
        step = int(state["step"][row])
        user = int(state["user"][row]) if "user" in state else None
        if self._shown is None or step == 0:
            return rendering.Page(step, user, (), -1, 0.0)
        slate, click, reward = (values[row] for values in self._shown)
        return rendering.Page(step, user, slate.tolist(), int(click), float(reward))


def _replace(state: State, rows: Array, fresh: State) -> State:
    """Writes new episodes into some rows (B,) of a state, and returns it."""
    for name, values in fresh.items():
        if len(values) == len(rows):
            state[name] = values
        else:
            state[name][rows] = values
    return state


def _to_numpy(array: Array) -> np.ndarray:
    """Returns a copy in NumPy."""
    return array.copy() if isinstance(array, np.ndarray) else array.cpu().numpy().copy()
