"""The single and the vector environment, around a world whose answers are known."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from recgym import RecGymError
from recgym.envs import SlateEnv, SlateVectorEnv, backends
from recgym.simulators import SIMULATORS, Noise
from tests.fixtures.tiny_world import TinyWorld
from tests.fixtures.user_model import random_user_model

MODES = ["next-step", "same-step", "disabled"]


@pytest.fixture(autouse=True)
def _tiny_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIMULATORS, "tiny", TinyWorld)


@pytest.fixture(scope="module")
def user_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("user_model")
    random_user_model().save(folder)
    return str(folder)


class FixedNoise:
    """A generator that hands out numbers from a list, for one row or for many alike."""

    def __init__(self, rows: list[list[float]]) -> None:
        self.rows = [iter(row) for row in rows]

    def random(self, size: tuple[int, int]) -> np.ndarray:
        assert size[0] <= len(self.rows)
        return np.array([[next(row) for _ in range(size[1])] for row in self.rows[: size[0]]])

    def standard_normal(self, size: tuple[int, int]) -> np.ndarray:
        return np.zeros(size)


class TestSlateEnv:
    def test_an_episode_by_hand(self) -> None:
        env = SlateEnv("tiny")
        _, info = env.reset(seed=0, options={"user": 4})
        assert info == {"click": -1, "item": -1, "repaired": 0, "user": 4}
        env.np_random = FixedNoise([[0.3, 0.99, 0.0]])  # type: ignore[assignment]
        observation, reward, terminated, truncated, info = env.step(np.array([5, 2, 0]))
        assert observation.tolist() == [4, 1]
        assert reward == pytest.approx(2.4)
        assert info == {"click": 1, "item": 2, "repaired": 0, "user": 4}
        _, reward, terminated, truncated, info = env.step(np.array([3, 3, 3]))
        assert (reward, info["click"], info["repaired"]) == (0.0, -1, 2)
        _, reward, terminated, truncated, info = env.step(np.array([1, 2, 3], np.uint8))
        assert (terminated, truncated) == (False, True)
        assert type(reward) is float
        assert type(terminated) is type(truncated) is bool
        with pytest.raises(RecGymError, match="call reset first"):
            env.step([1, 2, 3])

    def test_a_user_who_leaves_ends_the_episode_as_terminated(self) -> None:
        env = SlateEnv("tiny", exit_item=2, horizon=1)
        env.reset(seed=0)
        env.np_random = FixedNoise([[0.0]])  # type: ignore[assignment]
        assert env.step([2, 1, 0])[2:4] == (True, False)

    def test_same_seed_same_episode(self) -> None:
        env = SlateEnv("tiny", n_items=50)
        episodes = []
        for _ in range(2):
            first = env.reset(seed=3)[0].tolist()
            episodes.append([first, *(env.step([1, 2, 3])[1] for _ in range(3))])
        assert episodes[0] == episodes[1]

    def test_pickled_in_an_episode_it_goes_on_as_it_would_have(self, user_model: str) -> None:
        env = SlateEnv("learned-user", user_model=user_model)
        env.reset(seed=1)
        env.step([1, 2, 3, 4, 5])
        copy = pickle.loads(pickle.dumps(env))
        for _ in range(5):
            ours, theirs = env.step([6, 7, 8, 9, 10]), copy.step([6, 7, 8, 9, 10])
            assert (ours[0] == theirs[0]).all()
            assert ours[1:] == theirs[1:]

    @pytest.mark.parametrize("observe", ["features", "items"])
    def test_what_was_returned_is_the_callers(self, user_model: str, observe: str) -> None:
        env = SlateEnv("learned-user", user_model=user_model, observe=observe)
        twin = SlateEnv("learned-user", user_model=user_model, observe=observe)
        for one in (env, twin):
            one.reset(seed=2)
        for _ in range(6):
            observation, *ours = env.step([6, 7, 8, 9, 10])
            expected, *theirs = twin.step([6, 7, 8, 9, 10])
            assert (observation == expected).all()
            assert ours == theirs
            observation[:] = 0


class RowStreams(SlateVectorEnv):
    """A vector environment whose rows draw from a stream each, as single environments do."""

    def __init__(self, seed: int, rows: int, **arguments: Any) -> None:
        super().__init__("tiny", rows, **arguments)
        self.streams = [np.random.default_rng([seed, row]) for row in range(rows)]
        self.drawing = np.arange(rows)
        self._backend.draw = self.draw  # type: ignore[method-assign]

    def draw(self, n_rows: int, counts: tuple[int, int]) -> Noise:
        noise = [backends.draw(self.streams[row], 1, counts) for row in self.drawing]
        drawn = Noise(*(np.concatenate(values) for values in zip(*noise, strict=True)))
        if n_rows == len(self.drawing):
            return drawn
        everyone = Noise(*(np.zeros((n_rows, values.shape[1])) for values in drawn))
        for all_rows, values in zip(everyone, drawn, strict=True):
            all_rows[self.drawing] = values
        return everyone

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.drawing = np.flatnonzero((options or {}).get("reset_mask", np.ones(self.num_envs)))
        return super().reset(seed=seed, options=options)

    def step(self, actions: Any) -> Any:
        due = self._done if self._mode == "next-step" else np.zeros(self.num_envs)
        self.drawing = np.flatnonzero(np.logical_not(due))
        return super().step(actions)

    def _restart(self, after: Any, info: Any, rows: Any) -> None:
        self.drawing = np.flatnonzero(rows)
        super()._restart(after, info, rows)


def single_rows(seed: int, rows: int, mode: str, **arguments: Any) -> SyncVectorEnv:
    """Gymnasium's own vector environment over single ones with the same streams."""
    gymnasium_mode = AutoresetMode[mode.replace("-", "_").upper()]
    sync = SyncVectorEnv(
        [lambda: SlateEnv("tiny", **arguments)] * rows, autoreset_mode=gymnasium_mode
    )
    for row, env in enumerate(sync.envs):
        env.np_random = np.random.default_rng([seed, row])
    return sync


def assert_same(ours: Any, theirs: Any) -> None:
    """Compares observations, numbers and infos, in whatever containers."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for name in theirs:
            assert_same(ours[name], theirs[name])
    elif isinstance(theirs, tuple):
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    elif theirs.dtype == object:
        for one, other in zip(ours, theirs, strict=True):
            assert (one is None) == (other is None)
            if other is not None:
                np.testing.assert_array_equal(one, other)
    else:
        assert ours.dtype.kind == theirs.dtype.kind
        np.testing.assert_array_equal(ours, theirs.astype(ours.dtype))


class TestSlateVectorEnv:
    @pytest.mark.parametrize("mode", MODES)
    def test_rows_are_single_environments_in_gymnasiums_own_vector(self, mode: str) -> None:
        arguments = {"horizon": 4, "exit_item": 2}
        ours = RowStreams(5, 6, autoreset_mode=mode, **arguments)
        theirs = single_rows(5, 6, mode, **arguments)
        assert ours.observation_space == theirs.observation_space
        assert ours.action_space == theirs.action_space
        assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
        assert_same(ours.reset(), theirs.reset())
        ours.action_space.seed(0)
        ended = 0
        for _ in range(40):
            actions = ours.action_space.sample()
            step = ours.step(actions)
            assert_same(step, theirs.step(actions))
            done = step[2] | step[3]
            ended += done.sum()
            if mode == "disabled" and done.any():
                with pytest.raises(RecGymError, match="reset them"):
                    ours.step(actions)
                after = ours.reset(options={"reset_mask": done})
                expected = theirs.reset(options={"reset_mask": done})
                np.testing.assert_array_equal(after[0], expected[0])
                for name in ("click", "item", "repaired", "user"):
                    assert (after[1][f"_{name}"] == expected[1][f"_{name}"]).all()
                    assert (after[1][name][done] == expected[1][name][done]).all()
        assert ended > 40

    def test_a_named_user_for_every_row_or_for_the_rows_of_a_mask(self) -> None:
        env = SlateVectorEnv("tiny", 3)
        assert env.reset(seed=0, options={"user": 2})[1]["user"].tolist() == [2, 2, 2]
        env.step(np.array([[0, 1, 2]] * 3))
        options = {"user": np.array([4, 5, 6]), "reset_mask": np.array([True, False, True])}
        observation, info = env.reset(options=options)
        assert observation.tolist() == [[4, 0], [2, 1], [6, 0]]
        assert info["_user"].tolist() == [True, False, True]
        assert set(options) == {"user", "reset_mask"}

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("backend", ["numpy", "torch"])
    def test_goes_on_from_a_saved_state_as_it_would_have(
        self, user_model: str, mode: str, backend: str
    ) -> None:
        def make() -> SlateVectorEnv:
            arguments = {"user_model": user_model, "ensemble": 2, "horizon": 3}
            return SlateVectorEnv(
                "learned-user", 5, autoreset_mode=mode, backend=backend, **arguments
            )

        def play(env: SlateVectorEnv, steps: int) -> list[Any]:
            generator = np.random.default_rng(0)
            seen: list[Any] = []
            for _ in range(steps):
                observation, reward, _, truncated, info = env.step(
                    generator.integers(0, 30, (5, 5))
                )
                seen += [observation, reward, info["item"]]
                if mode == "disabled" and truncated.any():
                    seen.append(env.reset(options={"reset_mask": np.asarray(truncated)})[0])
            return [np.asarray(values) for values in seen]

        env = make()
        env.reset(seed=4)
        play(env, 2 if mode == "disabled" else 3)
        arrays, rng = env.get_state()
        rng = json.loads(json.dumps(rng))
        ours = play(env, 8)
        other = make()
        observation = other.set_state(arrays, rng)
        assert observation.shape == env.observation_space.shape
        for one, two in zip(ours, play(other, 8), strict=True):
            np.testing.assert_array_equal(one, two)
        with pytest.raises(RecGymError, match="arrays of another environment"):
            SlateVectorEnv("learned-user", 4, user_model=user_model).set_state(arrays, rng)

    def test_pickled_in_an_episode_it_goes_on_as_it_would_have(self, user_model: str) -> None:
        for backend in ("numpy", "torch"):
            env = SlateVectorEnv("learned-user", 4, user_model=user_model, backend=backend)
            env.reset(seed=1)
            copy = pickle.loads(pickle.dumps(env))
            actions = np.arange(20).reshape(4, 5)
            for _ in range(3):
                ours, theirs = env.step(actions), copy.step(actions)
                for one, two in zip(ours[:4], theirs[:4], strict=True):
                    np.testing.assert_array_equal(one, two)

    def test_what_was_returned_is_the_callers(self, user_model: str) -> None:
        arguments = {"user_model": user_model, "horizon": 3, "observe": "items"}
        for mode in ("next-step", "same-step"):
            envs = [
                SlateVectorEnv("learned-user", 4, autoreset_mode=mode, **arguments)
                for _ in range(2)
            ]
            for env in envs:
                env.reset(seed=1)
            for step in range(9):
                actions = np.random.default_rng(step).integers(0, 30, (4, 5))
                ours, theirs = (env.step(actions) for env in envs)
                assert_same(ours, theirs)
                for values in (*ours[:4], *ours[4].values()):
                    if isinstance(values, np.ndarray):
                        values[:] = 0
                actions[:] = 0


class TestTorch:
    def test_everything_is_a_tensor(self, user_model: str) -> None:
        env = SlateVectorEnv(
            "learned-user",
            3,
            user_model=user_model,
            backend="torch",
            autoreset_mode="same-step",
            horizon=2,
        )
        _, info = env.reset(seed=0)
        actions = torch.arange(15).reshape(3, 5)
        env.step(actions)
        *returned, final = env.step(actions)
        final_info = final.pop("final_info")
        for values in (*returned, *info.values(), *final.values(), *final_info.values()):
            assert isinstance(values, torch.Tensor)
            assert len(values) == 3
        assert final["_final_obs"].all()
        assert (final["final_obs"] != returned[0]).any()

    def test_steps_as_numpy_does_on_the_same_noise(
        self, user_model: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        envs = [
            SlateVectorEnv("learned-user", 6, user_model=user_model, backend=backend, horizon=3)
            for backend in ("numpy", "torch")
        ]

        def draw(n_rows: int, counts: tuple[int, int]) -> Noise:
            return backends.draw(generator, n_rows, counts)

        def draw_torch(n_rows: int, counts: tuple[int, int]) -> Noise:
            return Noise(*map(torch.tensor, draw(n_rows, counts)))

        monkeypatch.setattr(envs[0]._backend, "draw", draw)
        monkeypatch.setattr(envs[1]._backend, "draw", draw_torch)
        seen: list[list[Any]] = []
        for env in envs:
            generator = np.random.default_rng(0)
            steps = [env.reset()[0]]
            for step in range(9):
                actions = np.random.default_rng(step).integers(0, 30, (6, 5))
                steps += env.step(actions)[:4]
            seen.append(steps)
        for one, two in zip(*seen, strict=True):
            np.testing.assert_allclose(one, two.numpy(), atol=1e-5)

    def test_compiled_it_steps_as_it_does_without(
        self, user_model: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("torch._dynamo.config.error_on_recompile", True)
        envs = [
            SlateVectorEnv(
                "learned-user",
                16,
                user_model=user_model,
                backend="torch",
                compile=compile,
                horizon=3,
            )
            for compile in (False, True)
        ]
        observations = [env.reset(seed=5)[0] for env in envs]
        assert (observations[0] == observations[1]).all()
        for step in range(9):
            actions = torch.tensor(np.random.default_rng(step).integers(0, 30, (16, 5)))
            plain, compiled = (env.step(actions) for env in envs)
            for one, two in zip(plain[:4], compiled[:4], strict=True):
                torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
            assert (plain[4]["item"] == compiled[4]["item"]).all()
