"""What holds for the vector environment of every registered id, in every view."""

from __future__ import annotations

import json
import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from recgym import ENVIRONMENTS, RecGymError
from recgym.envs import SlateVectorEnv, backends
from recgym.envs.infos import AT_RESET
from recgym.simulators import Noise
from tests.fixtures.every_env import (
    CASES,
    MASK_KEYS,
    ROWS,
    Case,
    assert_same,
    overwrite,
    plain,
    rounds,
)
from tests.fixtures.row_streams import RowStreams, single_rows

pytestmark = pytest.mark.filterwarnings("error")

MODES = ["next-step", "same-step", "disabled"]
each_id = pytest.mark.parametrize("name", list(ENVIRONMENTS))
each_case = pytest.mark.parametrize("case", list(CASES.values()), ids=list(CASES))
each_mode = pytest.mark.parametrize("mode", MODES)


def make_vec(case: Case, rows: int, **arguments: Any) -> SlateVectorEnv:
    env = gymnasium.make_vec(case.name, rows, **case.arguments, **arguments)
    assert isinstance(env, SlateVectorEnv)
    return env


@each_id
@each_mode
def test_make_vec_makes_the_vector_environment(name: str, mode: str) -> None:
    arguments = {key: value for key, value in ROWS[name].variants[0].items() if key != "horizon"}
    env = gymnasium.make_vec(name, 3, **arguments, autoreset_mode=mode, max_episode_steps=2)
    assert isinstance(env, SlateVectorEnv)
    assert isinstance(env.metadata["autoreset_mode"], gymnasium.vector.AutoresetMode)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
    assert observation in env.observation_space
    assert reward.shape == (3,)
    assert not truncated.any()
    if not terminated.any():
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        assert (terminated | truncated).all()


@each_case
@each_mode
def test_rows_are_single_environments_in_gymnasiums_own_vector(case: Case, mode: str) -> None:
    ours = RowStreams(5, case.name, 3, autoreset_mode=mode, **case.arguments)
    theirs = single_rows(5, case.name, 3, mode, **case.arguments)
    rounding = ROWS[case.name].rounding
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    assert_same(ours.reset(), theirs.reset(), rounding)
    ours.action_space.seed(0)
    ended = 0
    for _ in range(2 * ours.simulator.horizon * rounds(case, ours.simulator) + 1):
        actions = ours.action_space.sample()
        step = ours.step(actions)
        assert_same(step, theirs.step(actions), rounding)
        done = step[2] | step[3]
        ended += done.sum()
        if mode == "disabled" and done.any():
            with pytest.raises(RecGymError, match="reset them"):
                ours.step(actions)
            after = ours.reset(options={"reset_mask": done})
            expected = theirs.reset(options={"reset_mask": done})
            assert_same(after[0], expected[0], rounding)
            for name in (*AT_RESET, *ours.simulator.info_names):
                assert (after[1][f"_{name}"] == expected[1][f"_{name}"]).all()
                assert (after[1][name][done] == expected[1][name][done]).all()
    assert ended >= 6


@each_case
@pytest.mark.parametrize("n_rows", [1, 16])
def test_one_row_or_many_are_single_environments(case: Case, n_rows: int) -> None:
    ours = RowStreams(6, case.name, n_rows, **case.arguments)
    theirs = single_rows(6, case.name, n_rows, "next-step", **case.arguments)
    assert_same(ours.reset(), theirs.reset(), ROWS[case.name].rounding)
    ours.action_space.seed(0)
    for _ in range(2 * rounds(case, ours.simulator)):
        actions = ours.action_space.sample()
        assert_same(ours.step(actions), theirs.step(actions), ROWS[case.name].rounding)


@each_case
def test_torch_steps_as_numpy_does_on_the_same_noise(case: Case) -> None:
    seen: list[list[Any]] = []
    for backend in ("numpy", "torch"):
        env = make_vec(case, 6, backend=backend)
        generator = np.random.default_rng(0)
        to: Any = np.asarray if backend == "numpy" else torch.tensor

        def draw(
            n_rows: int, counts: tuple[int, int], generator: Any = generator, to: Any = to
        ) -> Noise:
            return Noise(*map(to, backends.draw(generator, n_rows, counts)))

        env._backend.draw = draw  # type: ignore[method-assign]
        env.action_space.seed(1)
        steps = [*env.reset()]
        for _ in range(2 * env.simulator.horizon):
            steps += env.step(env.action_space.sample())
        seen.append(steps)
    for one, two in zip(*seen, strict=True):
        if isinstance(one, dict):
            assert set(one) == set(two)
            for name in one:
                rounding = 1e-5 if name in MASK_KEYS else 0.0
                np.testing.assert_allclose(one[name], two[name].numpy(), rtol=0, atol=rounding)
        else:
            assert isinstance(two, torch.Tensor)
            np.testing.assert_allclose(one, two.numpy(), atol=1e-5)


@each_case
@pytest.mark.parametrize(
    ("mode", "backend"), [("next-step", "numpy"), ("disabled", "numpy"), ("same-step", "torch")]
)
def test_saved_or_pickled_it_goes_on_as_it_would_have(case: Case, mode: str, backend: str) -> None:
    def play(env: SlateVectorEnv) -> list[Any]:
        env.action_space.seed(0)
        seen: list[Any] = []
        for _ in range(8):
            observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
            seen += [observation, reward, info]
            done = np.asarray(terminated | truncated)
            if mode == "disabled" and done.any():
                seen.append(env.reset(options={"reset_mask": done})[0])
        return [plain(values) for values in seen]

    env = make_vec(case, 5, autoreset_mode=mode, backend=backend)
    env.reset(seed=4)
    play(env)
    copy = pickle.loads(pickle.dumps(env))
    other = make_vec(case, 5, autoreset_mode=mode, backend=backend)
    arrays, rng = env.get_state()
    observation = other.set_state(arrays, json.loads(json.dumps(rng)))
    if backend == "numpy":
        assert observation in env.observation_space
    assert play(env) == play(copy) == play(other)


@each_case
@pytest.mark.parametrize("mode", ["next-step", "same-step"])
def test_what_was_returned_is_the_callers(case: Case, mode: str) -> None:
    env, twin = (make_vec(case, 4, autoreset_mode=mode) for _ in range(2))
    assert_same(env.reset(seed=1), twin.reset(seed=1))
    env.action_space.seed(0)
    for _ in range(9):
        actions = env.action_space.sample()
        expected = twin.step(actions.copy())
        returned = env.step(actions)
        assert_same(returned, expected)
        overwrite((*returned, actions))


@each_case
def test_its_rows_are_asked_as_those_of_gymnasiums_own(case: Case) -> None:
    env, theirs = make_vec(case, 3), single_rows(0, case.name, 3, "next-step", **case.arguments)
    assert len(env) == 3
    assert env.spec is not None
    assert theirs.get_attr("spec")[0].max_episode_steps == env.spec.max_episode_steps
    env.reset(seed=0), theirs.reset(seed=0)
    for name in ("observation_space", "action_space", "render_mode"):
        assert env.get_attr(name) == theirs.get_attr(name)
    assert env.call("render") == theirs.call("render") == (None,) * 3
    if case.view == "item-by-item":
        for _ in range(2):
            assert_same(env.call("action_masks"), theirs.call("action_masks"))
            env.step(np.array([3, 4, 5])), theirs.step(np.array([3, 4, 5]))
    else:
        with pytest.raises(RecGymError, match="only view='item-by-item'"):
            env.call("action_masks")


@each_id
@each_mode
def test_gymnasiums_own_names_of_an_autoreset_mode_do_too(name: str, mode: str) -> None:
    arguments = ROWS[name].variants[0]
    ours = gymnasium.make_vec(name, 2, **arguments, autoreset_mode=mode)
    member = gymnasium.vector.AutoresetMode[mode.replace("-", "_").upper()]
    for given in (member, member.value):
        env: Any = gymnasium.make_vec(name, 2, **arguments, autoreset_mode=given)
        assert env.autoreset_mode is env.metadata["autoreset_mode"] is member
        assert env.spec.kwargs["autoreset_mode"] == mode
    assert ours.autoreset_mode is member  # type: ignore[attr-defined]


@each_case
def test_a_vector_environment_is_made_again_from_its_spec(case: Case) -> None:
    env = make_vec(case, 3)
    again: Any = gymnasium.make_vec(env.spec)
    assert again.num_envs == 3
    assert again.spec.max_episode_steps == env.spec.max_episode_steps  # type: ignore[union-attr]
    assert again.simulator.horizon == env.simulator.horizon
    assert_same(again.reset(seed=1), env.reset(seed=1))


@each_case
def test_some_rows_step_alone(case: Case) -> None:
    """As they would among all; the others stay where they were."""
    env = RowStreams(3, case.name, 4, autoreset_mode="disabled", **case.arguments)
    twin = RowStreams(3, case.name, 4, autoreset_mode="disabled", **case.arguments)
    assert_same(env.reset(), twin.reset())
    env.action_space.seed(0)
    actions = env.action_space.sample()
    expected = twin.step(actions)
    for rows in ([3, 1], [0, 2]):
        env.drawing = np.array(rows)
        found = env.step_rows(np.array(rows), actions[rows])
        for ours, theirs in zip(plain(found[1:4]), plain(expected[1:4]), strict=True):
            assert np.allclose(ours, [theirs[row] for row in rows], atol=1e-5)
        for name in ("click", "item", "repaired"):
            assert (found[4][name] == expected[4][name][rows]).all()
    assert_same(_state(env), _state(twin), 1e-5)


def _state(env: SlateVectorEnv) -> dict[str, Any]:
    return env.get_state()[0]
