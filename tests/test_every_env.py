"""What holds for every registered environment id."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_of_stable_baselines

from recgym import ENVIRONMENTS, pages
from recgym.envs import SlateVectorEnv
from tests.fixtures.user_model import random_user_model

IDS = list(ENVIRONMENTS)
HISTORIES = {"RecGAN-v0": "position-weight", "RecGAN-LSTM-v0": "lstm"}
each_id = pytest.mark.parametrize("name", IDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of user models made for these tests, one for each id."""
    folder = tmp_path_factory.mktemp("user_models")
    for name in IDS:
        random_user_model(40, history=HISTORIES[name]).save(folder / name)
    return folder


@pytest.mark.filterwarnings("error")
@each_id
@pytest.mark.parametrize(
    "arguments",
    [{}, {"observe": "items"}, {"ensemble": 2}, {"split": "test", "window": 15, "slate_size": 3}],
)
def test_passes_both_checkers_without_a_warning(
    folder: Path, name: str, arguments: dict[str, Any]
) -> None:
    env = gymnasium.make(name, user_model=str(folder / name), **arguments)
    check_env(env.unwrapped)
    check_env_of_stable_baselines(env.unwrapped, skip_render_check=False)


@pytest.mark.filterwarnings("error")
@each_id
def test_its_spec_makes_it_again_from_json(folder: Path, name: str) -> None:
    env = gymnasium.make(name, user_model=str(folder / name), slate_size=4, observe="items")
    assert env.spec is not None
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.action_space == env.action_space
    assert (again.reset(seed=1)[0] == env.reset(seed=1)[0]).all()
    assert env.spec.max_episode_steps is None
    assert gymnasium.spec(name).entry_point == "recgym.envs:SlateEnv"


@pytest.mark.filterwarnings("error")
@each_id
@pytest.mark.parametrize("mode", ["next-step", "same-step", "disabled"])
def test_make_vec_makes_the_vector_environment(folder: Path, name: str, mode: str) -> None:
    env = gymnasium.make_vec(
        name, num_envs=3, user_model=str(folder / name), autoreset_mode=mode, max_episode_steps=2
    )
    assert isinstance(env, SlateVectorEnv)
    assert isinstance(env.metadata["autoreset_mode"], gymnasium.vector.AutoresetMode)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    for step in range(2):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert observation in env.observation_space
        assert reward.shape == (3,)
        assert not terminated.any()
        assert truncated.all() == (step == 1)


@pytest.mark.filterwarnings("error")
@each_id
def test_infos_always_have_the_same_keys(folder: Path, name: str) -> None:
    env = gymnasium.make(name, user_model=str(folder / name), ensemble=2)
    keys = {"click", "item", "repaired", "user", "member"}
    assert set(env.reset(seed=0)[1]) == keys
    assert set(env.step(env.action_space.sample())[4]) == keys


@pytest.mark.filterwarnings("error")
@each_id
@pytest.mark.parametrize("vector", [False, True])
def test_every_declared_render_mode_works(folder: Path, name: str, vector: bool) -> None:
    make: Any = gymnasium.make_vec if vector else gymnasium.make
    for mode in gymnasium.make(name, user_model=str(folder / name)).metadata["render_modes"]:
        env = make(name, user_model=str(folder / name), render_mode=mode)
        env.reset(seed=0)
        before = env.render()
        env.step(env.action_space.sample())
        after = env.render()
        for frame in (before[0], after[0]) if vector else (before, after):
            if mode == "ansi":
                assert isinstance(frame, str)
            else:
                assert frame.dtype == np.uint8
                assert frame.shape[2] == 3


@each_id
def test_its_page_says_what_it_does_now(repository: Path, name: str) -> None:
    written = repository / "docs" / "environments" / f"{name}.md"
    assert written.read_text("utf-8") == pages.page(name), "run: python -m recgym.pages"


def test_stable_baselines_trains_in_it(folder: Path) -> None:
    from stable_baselines3 import PPO

    env = gymnasium.make(IDS[0], user_model=str(folder / IDS[0]))
    PPO("MlpPolicy", env, n_steps=16, batch_size=16, n_epochs=1, device="cpu").learn(32)


def test_importing_recgym_is_light() -> None:
    code = "import sys, recgym; print(*{'torch', 'polars', 'array_api_compat'} & set(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == ""
