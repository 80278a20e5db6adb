"""What holds for every registered environment id, in every view."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import AddRenderObservation, RecordVideo
from stable_baselines3.common.env_checker import check_env as check_env_of_stable_baselines

from recgym import ENVIRONMENTS, RecGymError, environment_docs
from recgym.envs.shared_arguments import RENDER_MODES
from recgym.simulators import SIMULATORS
from recgym.simulators.support import INFO_NAMES
from recgym.simulators.views import VIEWS
from recgym.spaces import SlateSpace
from tests.fixtures.every_env import (
    CASES,
    MASK_KEYS,
    ROWS,
    Case,
    overwrite,
    plain,
    play,
    refusal,
    rounds,
    world,
)

pytestmark = pytest.mark.filterwarnings("error")

each_id = pytest.mark.parametrize("name", list(ENVIRONMENTS))
each_case = pytest.mark.parametrize("case", list(CASES.values()), ids=list(CASES))


def make(case: Case, **arguments: Any) -> Any:
    return gymnasium.make(case.name, **case.arguments, **arguments)


def test_every_id_is_tested() -> None:
    assert list(ROWS) == list(ENVIRONMENTS)


@each_id
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_that_does_not_suit_is_refused_in_one_line(name: str, view: str) -> None:
    """Also for the id's own arguments, which may have too many slates to number them."""
    for arguments in ({}, *ROWS[name].variants):
        reason = refusal(world(name, arguments), view)
        if reason is None:
            gymnasium.make(name, view=view, **arguments)
        else:
            with pytest.raises(RecGymError, match=f"view='{view}': .*{reason}") as error:
                gymnasium.make(name, view=view, **arguments)
            assert "\n" not in str(error.value)


@each_case
def test_passes_both_checkers_without_a_warning(case: Case) -> None:
    env = make(case)
    check_env(env.unwrapped)
    check_env_of_stable_baselines(env.unwrapped, skip_render_check=False)


@each_id
def test_its_spec_makes_it_again_from_json(name: str, tmp_path: Path) -> None:
    for number, arguments in enumerate([{}, *ROWS[name].variants]):
        plain = dict(arguments)
        if "user_model" in arguments:
            plain["user_model"] = str(tmp_path / str(number))
            arguments["user_model"].save(tmp_path / str(number))
        for view in (None, *VIEWS):
            if refusal(world(name, plain), view) is not None:
                continue
            env = gymnasium.make(name, view=view, **plain)
            assert env.spec is not None
            again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
            assert again.observation_space == env.observation_space
            assert again.action_space == env.action_space
            assert (again.reset(seed=1)[0] == env.reset(seed=1)[0]).all()
            assert play(again, 3) == play(env, 3)
    assert gymnasium.spec(name).max_episode_steps is None
    assert gymnasium.spec(name).entry_point == "recgym.envs:SlateEnv"


@each_case
def test_the_same_seed_is_the_same_rollout(case: Case) -> None:
    env, other = make(case), make(case)
    rollouts = []
    for one, seed in [(env, 3), (other, 3), (env, 3), (env, 4)]:
        rollouts.append([*plain(one.reset(seed=seed)), *play(one, 25)])
    assert rollouts[0] == rollouts[1] == rollouts[2] != rollouts[3]


@each_case
def test_pickled_in_an_episode_it_goes_on_as_it_would_have(case: Case) -> None:
    env = make(case)
    env.reset(seed=1)
    env.action_space.seed(1)
    over = True
    while over:  # a first step that does not end the episode
        env.reset()
        over = any(env.step(env.action_space.sample())[2:4])
    pickled = pickle.loads(pickle.dumps(env))
    assert play(pickled, 20) == play(env, 20)


@each_case
def test_what_was_returned_is_the_callers(case: Case) -> None:
    """Writing to observations, infos and actions changes nothing of what follows."""
    env, twin = make(case), make(case)
    returned = env.reset(seed=2)
    expected = twin.reset(seed=2)
    env.action_space.seed(0)
    over = False
    for _ in range(20):
        assert plain(returned) == plain(expected)
        overwrite(returned)
        returned[-1].clear()
        if over:
            returned, expected, over = env.reset(), twin.reset(), False
            continue
        action = env.action_space.sample()
        expected = twin.step(np.copy(action))
        returned = env.step(action)
        over = any(expected[2:4])
        overwrite(action)


@each_case
def test_an_episode_is_truncated_after_its_horizon(case: Case) -> None:
    env = make(case)
    simulator = env.unwrapped.simulator
    steps = simulator.horizon * rounds(case, simulator)
    env.action_space.seed(0)
    env.reset(seed=0)
    truncations = 0
    for _ in range(40):
        env.reset()
        for step in range(1, steps + 1):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            assert truncated == (step == steps and not terminated)
            if terminated or truncated:
                break
        truncations += truncated
        with pytest.raises(RecGymError, match="call reset first"):
            env.step(env.action_space.sample())
    assert truncations > 0


@each_case
def test_infos_always_have_the_same_keys(case: Case) -> None:
    env = make(case)
    _, info = env.reset(seed=0)
    keys = {"click", "item", "repaired", *env.unwrapped.simulator.info_names}
    keys |= {"action_mask"} if case.view == "item-by-item" else set()
    assert set(info) == keys
    assert (info["click"], info["item"], info["repaired"]) == (-1, -1, 0)
    env.action_space.seed(0)
    for _ in range(20):
        assert set(info) == keys
        for name, value in info.items():
            whole = name == "action_mask" or name in INFO_NAMES  # support is handed over whole
            assert type(value) is (np.ndarray if whole else np.int64)
            dtypes = {"action_mask": np.int8} | dict.fromkeys(INFO_NAMES[1:], np.float32)
            assert value.dtype == dtypes.get(name, np.int64)
        *_, terminated, truncated, info = env.step(env.action_space.sample())
        if terminated or truncated:
            _, info = env.reset()


@pytest.mark.parametrize("case", [case for case in CASES.values() if case.view == "item-by-item"])
def test_infos_and_observations_tell_which_items_are_left(case: Case) -> None:
    """As many as the slate has been filled with are not, and Gymnasium samples among the others."""
    env = make(case)
    size = env.unwrapped.simulator.slate_size
    observation, info = env.reset(seed=0)
    chosen: list[int] = []
    for step in range(1, 3 * size):
        mask = info["action_mask"]
        assert np.flatnonzero(mask == 0).tolist() == sorted(chosen)
        assert (env.unwrapped.action_masks() == mask).all()
        if "mask_keys" in case.arguments:
            assert (observation[MASK_KEYS[1]] == mask).all()
        assert observation in env.observation_space
        item = int(env.action_space.sample(mask))
        chosen = [*chosen, item] if step % size else []
        observation, _, terminated, truncated, info = env.step(item)
        assert info["repaired"] == 0
        if terminated or truncated:
            observation, info = env.reset()


@each_id
def test_masks_are_beside_the_same_observations(name: str) -> None:
    arguments = ROWS[name].variants[0] | {"view": "item-by-item"}
    env, masked = (
        gymnasium.make(name, **arguments),
        gymnasium.make(name, **arguments, mask_keys=["obs", "mask"]),
    )
    assert isinstance(masked.observation_space, spaces.Dict)
    assert masked.observation_space["obs"] == env.observation_space
    observation, beside = env.reset(seed=3)[0], masked.reset(seed=3)[0]
    for _ in range(9):
        assert set(beside) == {"obs", "mask"}
        assert (beside["obs"] == observation).all()
        item = np.flatnonzero(beside["mask"])[-1]
        observation, _, terminated, truncated, _ = env.step(item)
        beside = masked.step(item)[0]
        if terminated or truncated:
            observation, beside = env.reset()[0], masked.reset()[0]


@each_id
def test_the_plain_view_has_a_name(name: str) -> None:
    arguments = ROWS[name].variants[0]
    env, plain_view = (gymnasium.make(name, **arguments, view=view) for view in (None, "slate"))
    assert plain_view.action_space == env.action_space
    assert type(plain_view.unwrapped.simulator) is type(env.unwrapped.simulator)  # type: ignore[attr-defined]


@each_case
def test_its_spec_says_how_long_an_episode_is(case: Case) -> None:
    """Read there by wrappers, though no TimeLimit is around it; made again, it is the same."""
    env = make(case)
    simulator = env.unwrapped.simulator
    steps = simulator.horizon * rounds(case, simulator)
    assert env.spec.max_episode_steps == steps
    wrapped: Any = env
    while wrapped is not env.unwrapped:
        assert not isinstance(wrapped, gymnasium.wrappers.TimeLimit)
        wrapped = wrapped.env
    if isinstance(env.observation_space, spaces.Box):
        aware = gymnasium.wrappers.TimeAwareObservation(make(case), flatten=True)
        aware.reset(seed=0)
    again = gymnasium.make(copy.deepcopy(env.spec))
    assert again.spec is not None
    assert again.spec.max_episode_steps == steps
    again.reset(seed=5), env.reset(seed=5)
    terminated = truncated = False
    env.action_space.seed(0)
    while not (terminated or truncated):
        action = env.action_space.sample()
        observation, _, terminated, truncated, _ = env.step(action)
        same = again.step(action)
        assert plain(same[0]) == plain(observation)
        assert (same[2] or same[3]) == (terminated or truncated)
    assert gymnasium.spec(case.name).max_episode_steps is None


@each_id
def test_an_unknown_argument_is_also_a_type_error(name: str) -> None:
    for make_env in (gymnasium.make, gymnasium.make_vec):
        for kind in (RecGymError, TypeError):
            with pytest.raises(
                kind, match="got an unexpected keyword argument 'frameskip'"
            ) as error:
                make_env(name, frameskip=4)
            assert "\n" not in str(error.value)


@each_id
def test_its_page_names_its_infos(name: str) -> None:
    text = inspect.getdoc(SIMULATORS.find(ENVIRONMENTS[name]["simulator"])) or ""
    section = text.partition("\n## Info\n")[2].partition("\n## ")[0]
    shown: set[str] = set()
    for arguments in ROWS[name].variants:
        shown |= set(gymnasium.make(name, **arguments).reset(seed=0)[1])
    assert set(re.findall(r"`([a-z_]+)`", section)) == shown


@each_case
def test_actions_out_of_range_are_refused_and_change_nothing(case: Case) -> None:
    env, twin = make(case), make(case)
    space = env.action_space
    if isinstance(space, SlateSpace):
        good = np.arange(space.slate_size)
        wrong = [np.where(good == 1, value, good) for value in (-1, space.n_items)]
    elif isinstance(space, spaces.Discrete):
        wrong = [np.int64(-1), space.n]
    else:
        assert isinstance(space, spaces.Box)
        wrong = [np.full(space.shape, value) for value in (-1.5, 1.5, np.nan)]
    for one in (env, twin):
        one.reset(seed=0)
    for action in wrong:
        with pytest.raises(RecGymError, match=r"out of range|is not in") as error:
            env.step(action)
        assert "\n" not in str(error.value)
    assert play(env, 5) == play(twin, 5)


@each_id
def test_repeated_items_are_repaired(name: str) -> None:
    for arguments in ROWS[name].variants:
        envs = [gymnasium.make(name, **arguments) for _ in range(2)]
        size = envs[0].unwrapped.simulator.slate_size  # type: ignore[attr-defined]
        for env in envs:
            env.reset(seed=0)
        repeats = envs[0].step(np.full(size, 2))
        lowest = [2, *[item for item in range(size) if item != 2]][:size]
        distinct = envs[1].step(np.array(lowest))
        assert repeats[4].pop("repaired") == size - 1
        assert distinct[4].pop("repaired") == 0
        assert plain(repeats) == plain(distinct)


@each_id
def test_clicked_items_are_spent_where_the_world_spends_them(name: str) -> None:
    """The same few items, shown again and again."""
    for arguments in ROWS[name].variants:
        env = gymnasium.make(name, **(arguments | {"horizon": 30}))
        size = env.unwrapped.simulator.slate_size  # type: ignore[attr-defined]
        again = 0
        for seed in range(10):
            env.reset(seed=seed)
            clicked: set[int] = set()
            over = False
            while not over:
                *_, terminated, truncated, info = env.step(np.arange(size))
                again += info["item"] in clicked
                clicked |= {info["item"]} - {-1}
                over = terminated or truncated
        assert (again == 0) == ROWS[name].spends


@each_case
@pytest.mark.parametrize("vector", [False, True])
def test_every_declared_render_mode_works(case: Case, vector: bool) -> None:
    for mode in RENDER_MODES:
        if vector:
            env: Any = gymnasium.make_vec(case.name, 2, **case.arguments, render_mode=mode)
        else:
            env = make(case, render_mode=mode)
        assert mode in env.metadata["render_modes"]
        env.reset(seed=0)
        before = env.render()
        simulator, size = env.unwrapped.simulator, env.unwrapped.simulator.slate_size
        for _ in range(rounds(case, simulator)):
            env.step(env.action_space.sample())
        after = env.render()
        width, height = env.metadata["render_size"]
        for blank, frame in zip(before, after, strict=True) if vector else [(before, after)]:
            if mode == "ansi":
                assert "step 0 of" in blank
                assert "nothing shown yet" in blank
                assert "step 1 of" in frame
                assert len(re.findall(r"^[> ] [ \d]\d ", frame, re.MULTILINE)) == size
            else:
                assert frame.dtype == blank.dtype == np.uint8
                assert frame.shape == blank.shape == (height, width, 3)
                assert (frame != blank).any()


@pytest.mark.parametrize("case", [case for case in CASES.values() if case.view is None])
def test_frames_are_an_observation_for_wrappers_that_make_them_one(case: Case) -> None:
    """Which asks for frames of one size from reset to end."""
    env = AddRenderObservation(make(case, render_mode="rgb_array"), render_only=False)
    env.reset(seed=0)
    env.action_space.seed(0)
    over = False
    while not over:
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        assert observation in env.observation_space
        over = terminated or truncated


@each_id
def test_an_episode_is_recorded_from_reset_to_end(name: str, tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    env = gymnasium.make(name, **ROWS[name].variants[0], render_mode="rgb_array")
    folder = tmp_path / "videos"
    env = RecordVideo(env, str(folder), disable_logger=True)
    env.reset(seed=0)
    while not any(env.step(env.action_space.sample())[2:4]):
        pass
    env.close()
    assert len(list(folder.glob("*.mp4"))) == 1


@each_id
def test_its_page_says_what_it_does_now(repository: Path, name: str) -> None:
    written = repository / "docs" / "environments" / f"{name}.md"
    assert written.read_text("utf-8") == environment_docs.page(name), (
        "run: python -m recgym.environment_docs"
    )


@each_id
def test_its_page_is_linked_and_has_a_film_of_a_rollout(repository: Path, name: str) -> None:
    """The film itself may be stale: fitted users round differently elsewhere."""
    for page, folder in (
        ("README.md", "docs/environments"),
        ("docs/environments.md", "environments"),
    ):
        text = (repository / page).read_text("utf-8")
        assert f"[{name}]({folder}/{name}.md)" in text
    written = repository / "docs" / "environments" / f"{name}.gif"
    assert written.stat().st_size < 200_000
    frames = environment_docs.film(name)
    assert len({frame.tobytes() for frame in frames}) > environment_docs.STEPS
    again = environment_docs.film(name)
    assert all((one == other).all() for one, other in zip(frames, again, strict=True))


@each_id
def test_stable_baselines_trains_in_it(name: str) -> None:
    from stable_baselines3 import PPO

    env = gymnasium.make(name, **ROWS[name].variants[0])
    PPO("MlpPolicy", env, n_steps=16, batch_size=16, n_epochs=1, device="cpu").learn(32)


def test_importing_recgym_is_light() -> None:
    code = "import sys, recgym; print(*{'torch', 'polars', 'array_api_compat'} & set(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == ""
