"""Stable-Baselines3 as agents: they train, are loaded, and are scored as the others are."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from stable_baselines3 import PPO

from recgym.envs import SB3VecEnv
from recgym.errors import RecGymError
from recgym.files import read_json
from recgym_agents import TrainConfig, evaluate, load_agent
from recgym_agents.algorithms.stable_baselines import MODEL, StableBaselinesAgent
from recgym_agents.commands.command_line import main
from recgym_agents.runs.evaluation import Evaluation, make_vector_env
from recgym_agents.runs.training import DONE, METRICS, train
from recgym_agents.zoo import AGENTS

WORLD: dict[str, Any] = {"n_items": 8, "slate_size": 3, "n_states": 3, "horizon": 4, "window": 2}
ON_POLICY: dict[str, Any] = {"num_envs": 8, "hidden": 8, "n_steps": 4}
OFF_POLICY: dict[str, Any] = {"num_envs": 8, "hidden": 8, "learning_starts": 16, "batch_size": 16}
SETTINGS = {
    "sb3-ppo": ON_POLICY | {"batch_size": 16, "n_epochs": 1},
    "sb3-a2c": ON_POLICY,
    "sb3-dqn": OFF_POLICY,
    "sb3-sac": OFF_POLICY,
    "sb3-td3": OFF_POLICY,
    "sb3-maskable-ppo": ON_POLICY | {"batch_size": 16, "n_epochs": 1},
}
ROLLOUTS = ("sb3-ppo", "sb3-a2c")
OBSERVATIONS = np.random.default_rng(0).random((20, 16)).astype(np.float32)

STABLE_BASELINES = [name for name in AGENTS if AGENTS.find(name).library]


def config(agent: str, out: Path, **changes: Any) -> TrainConfig:
    settings = {
        "env": "SlateMDP-v0",
        "steps": 200,
        "seed": 3,
        "env_args": WORLD,
        "agent_args": SETTINGS.get(agent, {}),
        "reports": 2,
        "validation_episodes": 20,
    }
    return TrainConfig(agent=agent, out=str(out), **settings | changes)


def parameters(agent: Any) -> dict[str, np.ndarray]:
    assert isinstance(agent, StableBaselinesAgent)
    return {name: value.numpy() for name, value in agent.model.policy.state_dict().items()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of every agent."""
    folder = tmp_path_factory.mktemp("runs")
    for agent in STABLE_BASELINES:
        train(config(agent, folder / agent))
    return folder


@pytest.mark.parametrize("name", STABLE_BASELINES)
def test_an_agent_trains_and_is_scored_as_the_others_are(name: str, runs: Path) -> None:
    folder = runs / name
    assert {DONE, "config.json", METRICS, "params.safetensors", MODEL} <= {
        path.name for path in folder.iterdir()
    }
    assert list(folder.glob("events.out.tfevents.*"))
    lines = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    # 25 steps of 8 rows; those that learn from whole rollouts of 4 steps take 28.
    assert [line["steps"] for line in lines] == [104, 224 if name in ROLLOUTS else 200]
    assert {"reward", "click_rate", "validation_reward"} <= set(lines[0])
    agent, about = load_agent(folder, trust=True)
    assert about == {"env": "SlateMDP-v0", "env_args": WORLD, "seed": 3, "steps": 200}
    slates = agent.act(OBSERVATIONS)
    assert slates.shape == (20, 3)
    assert all(len(set(slate)) == 3 for slate in slates.tolist())
    found = evaluate(agent, "SlateMDP-v0", WORLD, 300, seed=1)
    assert found.steps.max() <= 4
    # A session goes on until a slate is not clicked: n clicks in n + 1 slates, or in all 4.
    clicks = found.reward * found.steps
    np.testing.assert_allclose(clicks, np.where(clicks == 4, 4, found.steps - 1))
    np.testing.assert_array_equal(found.reward, found.click_rate)


@pytest.mark.parametrize("name", ["sb3-maskable-ppo", "sb3-sac"])
def test_the_same_seed_is_the_same_run(name: str, runs: Path, tmp_path: Path) -> None:
    train(config(name, tmp_path / "same"))
    train(config(name, tmp_path / "other", seed=4))
    assert (tmp_path / "same" / METRICS).read_text() == (runs / name / METRICS).read_text()
    ours, same, other = (
        parameters(load_agent(folder, trust=True)[0].inner)
        for folder in (runs / name, tmp_path / "same", tmp_path / "other")
    )
    for parameter, values in ours.items():
        np.testing.assert_array_equal(values, same[parameter])
    assert any((values != other[parameter]).any() for parameter, values in ours.items())


@pytest.mark.parametrize("name", STABLE_BASELINES)
def test_slates_are_those_that_the_model_makes_in_its_environment(name: str, runs: Path) -> None:
    """Act, which needs no environment, against as many predictions in the view's own."""
    agent = load_agent(runs / name, trust=True)[0].inner
    assert isinstance(agent, StableBaselinesAgent)
    view = None if agent.config.view == "slate" else agent.config.view
    theirs = SB3VecEnv("SlateMDP-v0", 30, seed=5, view=view, **WORLD)
    ours = make_vector_env("SlateMDP-v0", WORLD, 30, "same-step", ids=False)
    seen, (observation, _) = theirs.reset(), ours.reset(seed=5)
    shown = agent.act(observation)
    per_slate = 3 if view == "item-by-item" else 1
    items = []
    for _ in range(per_slate):
        masks = {}
        if name == "sb3-maskable-ppo":
            masks["action_masks"] = np.stack(theirs.env_method("action_masks"))
        action, _ = agent.model.predict(seen, deterministic=True, **masks)
        items.append(action)
        seen, _, _, infos = theirs.step(action)
    if view == "item-by-item":
        distinct = [len(set(row)) == 3 for row in np.stack(items, axis=1).tolist()]
        np.testing.assert_array_equal(shown[distinct], np.stack(items, axis=1)[distinct])
        assert all(distinct) or name != "sb3-maskable-ppo"
    elif view is None:
        plain = [len(set(row)) == 3 for row in action.tolist()]
        np.testing.assert_array_equal(shown[plain], action[plain])
    else:
        np.testing.assert_array_equal(shown, theirs.env.simulator.slates(action))
    clicked = [(row, info["item"]) for row, info in enumerate(infos) if info["item"] >= 0]
    assert clicked
    assert all(item in shown[row] for row, item in clicked)


def test_a_slate_named_item_by_item_discounts_once(tmp_path: Path) -> None:
    """Three actions name a slate: together they discount by gamma."""
    for name, each in (("sb3-maskable-ppo", 0.9 ** (1 / 3)), ("sb3-ppo", 0.9)):
        settings = {**SETTINGS[name], "gamma": 0.9, "gae_lambda": 0.8}
        train(config(name, tmp_path / name, steps=0, agent_args=settings))
        agent = load_agent(tmp_path / name, trust=True)[0].inner
        assert isinstance(agent, StableBaselinesAgent)
        assert agent.model.gamma == pytest.approx(each)
        assert agent.model.gae_lambda == pytest.approx(0.8 ** (1 / 3 if each > 0.9 else 1))


def test_the_policy_of_the_best_session_reward_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validations say which is best, by the session: the second of four, not the third."""
    steps, rewards = [2.0, 4.0, 1.0, 3.0], [0.5, 0.5, 1.0, 0.5]
    policies: list[dict[str, np.ndarray]] = []

    def validated(agent: Any, *_: Any) -> Evaluation:
        number = len(policies)
        policies.append({name: value.copy() for name, value in parameters(agent).items()})
        found = (np.array([values[number]]) for values in (rewards, rewards, steps))
        return Evaluation(np.zeros(1, np.int64), *found)

    monkeypatch.setattr("recgym_agents.runs.stable_baselines_training.run_episodes", validated)
    train(config("sb3-a2c", tmp_path, steps=400, reports=4))
    kept = parameters(load_agent(tmp_path, trust=True)[0].inner)
    assert len(policies) == 4
    for name, values in kept.items():
        np.testing.assert_array_equal(values, policies[1][name])
    for other in (policies[0], policies[2], policies[3]):
        assert any((kept[name] != values).any() for name, values in other.items())


def test_dqn_finds_the_best_item_of_a_world_with_one_state(tmp_path: Path) -> None:
    world = {"n_items": 6, "slate_size": 1, "n_states": 1, "horizon": 10, "window": 1}
    settings = {**SETTINGS["sb3-dqn"], "view": "enumerated", "learning_rate": 1e-3}
    settings["target_update_interval"] = 100
    changes = {"env_args": world, "agent_args": settings, "validation_episodes": 0}
    train(config("sb3-dqn", tmp_path, steps=4_000, **changes))
    rewards = gymnasium.make("SlateMDP-v0", **world).unwrapped.simulator.click_rewards[0]
    shown = load_agent(tmp_path, trust=True)[0].act(np.eye(6, dtype=np.float32))[:, 0]
    assert rewards.mean() < 0.6 * rewards.max()
    assert rewards[shown].mean() > 0.9 * rewards.max()


def test_its_own_library_reads_the_model(runs: Path) -> None:
    agent, _ = load_agent(runs / "sb3-ppo", trust=True)
    ours, theirs = agent.act(OBSERVATIONS), PPO.load(runs / "sb3-ppo" / MODEL, device="cpu")
    plain = [len(set(slate)) == 3 for slate in theirs.predict(OBSERVATIONS, deterministic=True)[0]]
    slates = theirs.predict(OBSERVATIONS, deterministic=True)[0]
    np.testing.assert_array_equal(ours[plain], slates[plain])


def test_a_finished_run_is_left_alone_and_a_stopped_one_begins_again(
    runs: Path, tmp_path: Path
) -> None:
    class Stop(Exception):
        pass

    def stop(steps: int, metrics: dict[str, float]) -> None:
        if steps > 120:
            raise Stop

    with pytest.raises(Stop):
        train(config("sb3-a2c", tmp_path), stop)
    assert (tmp_path / METRICS).read_text()
    assert not (tmp_path / DONE).exists()
    assert not (tmp_path / MODEL).exists()
    train(config("sb3-a2c", tmp_path))
    assert (tmp_path / METRICS).read_text() == (runs / "sb3-a2c" / METRICS).read_text()
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    train(config("sb3-a2c", tmp_path))
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    with pytest.raises(RecGymError, match="holds a run with seed=3, not 4"):
        train(config("sb3-a2c", tmp_path, seed=4))


@pytest.mark.parametrize(
    ("agent", "changes", "message"),
    [
        ("sb3-ppo", {"loop_args": {"updates": 2}}, "sb3-ppo: has no loop_args"),
        ("sb3-ppo", {"agent_args": {"clip": 0.1}}, "no setting 'clip'; there are num_envs"),
        ("sb3-ppo", {"agent_args": {"gamma": 2.0}}, r"gamma=2.0: must be in 0\.\.1"),
        ("sb3-sac", {"agent_args": {"view": "item-by-item"}}, r"does not fit auto \| proto"),
        ("sb3-sac", {"env_args": {"view": "scores"}}, "environment argument 'view'"),
        ("sb3-sac", {"env_args": {"items": 3}}, "unexpected keyword argument 'items'"),
        (
            "sb3-sac",
            {"env": "Featureless-v0", "env_args": {}, "agent_args": {"view": "proto-action"}},
            "of this world have no features",
        ),
        (
            "sb3-dqn",
            {"env_args": {"slate_size": 5}, "agent_args": {"view": "enumerated"}},
            "50 items make 2,118,760 slates of 5, more than 100,000",
        ),
        ("sb3-ppo", {"steps": -1}, "steps=-1"),
        (
            "sb3-ppo",
            {"agent_args": {"arguments": {"learning_rate": 1.0}}},
            "arguments=.*: learning_rate is no further one",
        ),
        ("sb3-dqn", {"agent_args": {"arguments": {"train_freq": 2}}}, "train_freq is no further"),
        ("sb3-a2c", {"agent_args": {"arguments": {"policy_kwargs": 3}}}, "must be named values"),
    ],
)
def test_wrong_settings_leave_nothing_behind(
    agent: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    entry = "recgym.envs:SlateVectorEnv"
    kwargs = {"simulator": "tests.small_world:SmallWorld", "features": False}
    gymnasium.register("Featureless-v0", vector_entry_point=entry, kwargs=kwargs)
    try:
        with pytest.raises(RecGymError, match=message) as caught:
            train(config(agent, tmp_path / "run", **changes))
    finally:
        del gymnasium.registry["Featureless-v0"]
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("package", ["stable_baselines3", "sb3_contrib"])
def test_without_the_library_the_extra_is_named(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    name = {"stable_baselines3": "sb3-dqn", "sb3_contrib": "sb3-maskable-ppo"}[package]
    algorithm = AGENTS.find(name).config.algorithm.partition(".")[2]
    with pytest.raises(
        RecGymError, match=f"{algorithm} needs {package}: pip install .recgym.sb3.."
    ):
        train(config(name, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_training_that_diverges_says_so(tmp_path: Path) -> None:
    for name in ("sb3-dqn", "sb3-ppo"):
        settings = SETTINGS[name] | {"learning_rate": 1e30}
        with pytest.raises(RecGymError, match="training diverged: .* lower the learning rate"):
            train(config(name, tmp_path / name, agent_args=settings))
        assert not (tmp_path / name / DONE).exists()


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_damaged_model_is_refused(damage: str, runs: Path, tmp_path: Path) -> None:
    for path in (runs / "sb3-a2c").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    data = (tmp_path / MODEL).read_bytes()
    (tmp_path / MODEL).write_bytes(data[: len(data) // 2])
    if damage == "missing":
        (tmp_path / MODEL).unlink()
    with pytest.raises(RecGymError, match=MODEL):
        load_agent(tmp_path, trust=True)


def test_it_reads_no_histories_and_no_other_world(runs: Path) -> None:
    agent, _ = load_agent(runs / "sb3-dqn", trust=True)
    with pytest.raises(RecGymError, match="reads observations, not item ids"):
        agent.recommend([1, 2])
    with pytest.raises(RecGymError, match="slate_size=2"):
        evaluate(agent, "SlateMDP-v0", WORLD | {"slate_size": 2}, 1, seed=0)


def test_it_can_be_told_what_to_observe(tmp_path: Path) -> None:
    world = WORLD | {"observe": "state"}
    train(config("sb3-sac", tmp_path, steps=40, env_args=world))
    agent, about = load_agent(tmp_path, trust=True)
    assert agent.spec.window == 3
    assert len(evaluate(agent, "SlateMDP-v0", about["env_args"], 5, seed=0).reward) == 5


def test_the_commands_train_and_evaluate_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["recgym", *words])
        main()

    out = str(tmp_path / "run")
    words = ["--env", "RecGAN-v0", "--slate-size", "3", "--agent", "sb3-a2c", "--steps", "100"]
    words += ["--seed", "0", "--validation-episodes", "20", "--agent-args", "num_envs=8"]
    run("train", *words, "--out", out)
    run("evaluate", out, "--episodes", "20", "--split", "test", "--trust")
    record = read_json(tmp_path / "run" / "evaluation-test.json")
    assert record["env_args"] == {"slate_size": 3, "split": "test"}
    assert record["reward_per_step"]["low"] < record["reward_per_step"]["high"]
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        run("train", *words, "clip=1", "--out", f"{out}-2")
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("error: sb3-a2c: no setting 'clip'; there are")
