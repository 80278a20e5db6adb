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
VARIANTS: dict[str, list[dict[str, Any]]] = {
    name: [
        {},
        {"observe": "items"},
        {"ensemble": 2},
        {"split": "test", "window": 15, "slate_size": 3},
    ]
    for name in HISTORIES
} | {
    "SlateMDP-v0": [
        {},
        {"observe": "items", "window": 3},
        {"observe": "state", "n_states": 4, "slate_size": 3, "concentration": 0.1},
    ]
}
"""Every id -> arguments that it is checked with."""
INFO = {name: {"user"} for name in HISTORIES} | {"SlateMDP-v0": {"state"}}
"""Every id -> the entries of its info beside those of the shells."""
Base = dict[str, dict[str, Any]]
each_id = pytest.mark.parametrize("name", IDS)
each_variant = pytest.mark.parametrize(
    ("name", "arguments"), [(name, variant) for name in IDS for variant in VARIANTS[name]]
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """Every id -> arguments that make it small: a user model made for these tests."""
    folder = tmp_path_factory.mktemp("user_models")
    arguments: Base = {name: {} for name in IDS}
    for name, history in HISTORIES.items():
        random_user_model(40, history=history).save(folder / name)
        arguments[name] = {"user_model": str(folder / name)}
    return arguments


@pytest.mark.filterwarnings("error")
@each_variant
def test_passes_both_checkers_without_a_warning(
    base: Base, name: str, arguments: dict[str, Any]
) -> None:
    env = gymnasium.make(name, **base[name], **arguments)
    check_env(env.unwrapped)
    check_env_of_stable_baselines(env.unwrapped, skip_render_check=False)


@pytest.mark.filterwarnings("error")
@each_id
def test_its_spec_makes_it_again_from_json(base: Base, name: str) -> None:
    env = gymnasium.make(name, **base[name], slate_size=4, observe="items")
    assert env.spec is not None
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.action_space == env.action_space
    assert (again.reset(seed=1)[0] == env.reset(seed=1)[0]).all()
    assert env.spec.max_episode_steps is None
    assert gymnasium.spec(name).entry_point == "recgym.envs:SlateEnv"


@pytest.mark.filterwarnings("error")
@each_id
@pytest.mark.parametrize("mode", ["next-step", "same-step", "disabled"])
def test_make_vec_makes_the_vector_environment(base: Base, name: str, mode: str) -> None:
    env = gymnasium.make_vec(
        name, num_envs=3, **base[name], autoreset_mode=mode, max_episode_steps=2
    )
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


@pytest.mark.filterwarnings("error")
@each_id
def test_infos_always_have_the_same_keys(base: Base, name: str) -> None:
    env = gymnasium.make(name, **base[name])
    keys = {"click", "item", "repaired"} | INFO[name]
    assert set(env.reset(seed=0)[1]) == keys
    assert set(env.step(env.action_space.sample())[4]) == keys


@pytest.mark.filterwarnings("error")
@each_id
@pytest.mark.parametrize("vector", [False, True])
def test_every_declared_render_mode_works(base: Base, name: str, vector: bool) -> None:
    make: Any = gymnasium.make_vec if vector else gymnasium.make
    for mode in gymnasium.make(name, **base[name]).metadata["render_modes"]:
        env = make(name, **base[name], render_mode=mode)
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


@each_id
def test_stable_baselines_trains_in_it(base: Base, name: str) -> None:
    from stable_baselines3 import PPO

    env = gymnasium.make(name, **base[name])
    PPO("MlpPolicy", env, n_steps=16, batch_size=16, n_epochs=1, device="cpu").learn(32)


def test_importing_recgym_is_light() -> None:
    code = "import sys, recgym; print(*{'torch', 'polars', 'array_api_compat'} & set(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == ""
