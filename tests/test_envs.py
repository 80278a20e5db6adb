"""The single and the vector environment, around a world whose answers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from recgym import RecGymError
from recgym.envs import SlateEnv, SlateVectorEnv
from recgym.simulators import SIMULATORS
from tests.fixtures.tiny_world import TinyWorld
from tests.fixtures.user_model import random_user_model


@pytest.fixture(autouse=True)
def _tiny_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIMULATORS.entries, "tiny", TinyWorld)


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


class TestSlateVectorEnv:
    def test_a_named_user_for_every_row_or_for_the_rows_of_a_mask(self) -> None:
        env = SlateVectorEnv("tiny", 3)
        assert env.reset(seed=0, options={"user": 2})[1]["user"].tolist() == [2, 2, 2]
        env.step(np.array([[0, 1, 2]] * 3))
        options = {"user": np.array([4, 5, 6]), "reset_mask": np.array([True, False, True])}
        observation, info = env.reset(options=options)
        assert observation.tolist() == [[4, 0], [2, 1], [6, 0]]
        assert info["_user"].tolist() == [True, False, True]
        assert set(options) == {"user", "reset_mask"}

    @pytest.mark.parametrize("as_given", [list, tuple, np.array])
    def test_a_list_of_seeds_seeds_the_generator_that_rows_share(self, as_given: Any) -> None:
        env = SlateVectorEnv("tiny", 3)
        users = []
        for seeds in ([1, 2, 3], [1, 2, 3], [3, 2, 1], [1, 2, 4]):
            env.reset(seed=as_given(seeds))
            users.append(env.np_random.random(8).tolist())
        assert users[0] == users[1]
        assert len({tuple(drawn) for drawn in users}) == 3
        env.reset(seed=[None, None, None])
        assert env.np_random.random(8).tolist() not in users

    def test_attributes_of_rows(self) -> None:
        env = SlateVectorEnv("tiny", 3)
        assert env.get_attr("simulator") == (env.simulator,) * 3
        env.set_attr("render_mode", "ansi")
        env.set_attr("render_mode", ["ansi"] * 3)
        env.reset(seed=0)
        frames = env.call("render")
        assert len(frames) == 3
        assert all(isinstance(frame, str) for frame in frames)
        for values in (["ansi", None, None], ["ansi"] * 2):
            with pytest.raises(RecGymError, match="set_attr: rows share one environment"):
                env.set_attr("render_mode", values)
        with pytest.raises(RecGymError, match=r"call: rows share .* no reset\(\) of their own"):
            env.call("reset")
        for ask in (lambda: env.get_attr("horizons"), lambda: env.set_attr("horizons", 3)):
            with pytest.raises(AttributeError, match="horizons"):
                ask()

    def test_slates_are_told_as_they_were_shown(self) -> None:
        env = SlateVectorEnv("tiny", 2)
        env.reset(seed=0)
        with pytest.raises(RecGymError, match="call step first"):
            env.shown_slates()
        env.step(np.array([[5, 5, 1], [0, 1, 2]]))
        assert env.shown_slates().tolist() == [[5, 0, 1], [0, 1, 2]]
        env.shown_slates()[:] = 9
        assert env.shown_slates().tolist() == [[5, 0, 1], [0, 1, 2]]

    def test_some_rows_step_alone_only_where_nothing_resets_by_itself(self) -> None:
        slate = np.array([[0, 1, 2]])
        for env in (
            SlateVectorEnv("tiny", 2),
            SlateVectorEnv("tiny", 2, autoreset_mode="disabled"),
        ):
            with pytest.raises(RecGymError, match="step_rows: needs autoreset_mode='disabled'"):
                env.step_rows(np.array([1]), slate)
        env.reset(seed=0)
        for _ in range(3):
            found = env.step_rows(np.array([1]), slate)
        assert found[3].tolist() == [True]
        with pytest.raises(RecGymError, match="is not over"):
            env.step_rows(np.array([1]), slate)
        with pytest.raises(RecGymError, match="some rows are done"):
            env.step(np.concatenate([slate, slate]))
        assert env.step_rows(np.array([0]), slate)[3].tolist() == [False]

    def test_the_state_of_another_environment_is_refused(self) -> None:
        env = SlateVectorEnv("tiny", 3)
        env.reset(seed=0)
        with pytest.raises(RecGymError, match="arrays of another environment"):
            SlateVectorEnv("tiny", 2).set_state(*env.get_state())


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

    @pytest.mark.usefixtures("compiler")
    @torch._dynamo.config.patch(error_on_recompile=True)
    def test_compiled_it_steps_as_it_does_without(self, user_model: str) -> None:
        torch._dynamo.reset()  # whatever was compiled before
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
