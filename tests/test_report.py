"""The HTML report: one file, nothing fetched, and what it says of a small dataset."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recgym.data import Catalog, Dataset, Sessions
from recgym.errors import RecGymError
from recgym.files import read_json, write_json
from recgym.metrics import Estimate
from recgym.users import gan
from recgym.users.folder import FittedUserModel
from recgym_agents.commands import report as script
from recgym_agents.runs import training_report as report
from recgym_agents.runs.html_report import Section, table, write_html
from recgym_agents.runs.training import TrainConfig, train
from recgym_agents.runs.training_report import Policy
from recgym_agents.runs.user_trajectory import trajectory_section

N_ITEMS = 4


@pytest.fixture
def dataset() -> Dataset:
    """A training user and a test user; items 0 and 1 are comedies, 2 and 3 dramas."""
    user = np.array([0, 0, 1, 1, 1])
    slates = np.array([[0, 2], [0, 3], [0, 2], [1, 2], [2, 3]])
    click = np.array([0, 0, 0, 0, -1])
    sessions = Sessions(
        user=user,
        session=user,
        step=np.array([0, 1, 0, 1, 2]),
        slate_offsets=np.arange(6) * 2,
        slate_items=slates.reshape(-1),
        click=click,
        item=np.where(click >= 0, slates[:, 0], -1),
        reward=(click >= 0).astype(np.float32),
    )
    genres = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    names = ("genre:Comedy", "genre:Drama")
    catalog = Catalog(tuple("abcd"), ("A", "B", "C", "D"), genres, names)
    info = {"name": "small", "licence": "none", "no_click": True, "repeat_clicks": True}
    info |= {"counts": {"users": 2}, "command": "recgym prepare"}
    return Dataset(sessions, catalog, np.array([0, 2], np.int8), info)


@pytest.fixture
def model() -> FittedUserModel:
    """A user model whose parameters are all zero but the taste for the first feature."""
    config = gan.GANUserConfig(features=2, hidden=(1,), window=2, weights=1)
    params = {name: np.zeros(shape, np.float32) for name, shape in gan.shapes(config).items()}
    params["reward.item"] = np.array([[1.0, 0.0]], np.float32)
    params["reward.output"] = np.ones(1, np.float32)
    features = np.array([[2, 0], [1, 0], [0, 0], [0, 0]], np.float32)
    scores = {"precision_at_1": 0.5, "floors": {"random": {"precision_at_1": 0.25}}}
    info = {"random_click_rate": {"train": 0.5}, "dataset": "small", "licence": "none"}
    return FittedUserModel(config, features, {"train": params}, {}, info, scores)


def policy(folder: Path, name: str = "cascading-dqn", reward: float = 1.0) -> Policy:
    config = {
        "env": "RecGAN-v0",
        "agent": name,
        "steps": 5,
        "seed": 0,
        "env_args": {"slate_size": 3},
    }
    config |= {"agent_args": {"discount": 0.5}, "loop_args": {}, "validation_episodes": 250}
    write_json(folder / "config.json", config)
    both = dict.fromkeys(("train users", "test users"), Estimate(reward, 0.1, 0.8, 1.2, 3))
    return Policy(name, folder, {"env": "RecGAN-v0"}, both, both)


def test_a_page_is_one_file_that_fetches_nothing(tmp_path: Path) -> None:
    figure = report.learning_curve([1, 2], [0.0, 1.0], "a", {"b": 0.5})
    parts = (table("<c>", ["x"], [["<script>"]]), report.image(figure, 'a "curve"'))
    write_html(tmp_path / "page.html", "A & B", [Section("<h>", "t", parts)])
    text = (tmp_path / "page.html").read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "A &amp; B" in text
    sources = re.findall(r'(?:src|href)="([^"]{5})', text)
    assert sources == ["data:"]
    assert "http" not in re.sub(r'src="[^"]*"', "", text)


def test_policies_are_shown_with_intervals_in_both_models(tmp_path: Path) -> None:
    section = report.policies_section([policy(tmp_path)], episodes=7)
    assert section.parts[0].count("1.000 (0.800 .. 1.200)") == 4
    assert "7 episodes" in section.text


def test_the_learning_curve_needs_metrics(tmp_path: Path) -> None:
    one = policy(tmp_path)
    with pytest.raises(RecGymError, match=r"metrics.jsonl: no such file"):
        report.learning_section(one, [])
    (tmp_path / "metrics.jsonl").write_text('{"steps": 1, "validation_reward": 0.5}\n')
    assert report.learning_section(one, [policy(tmp_path, "random")]).parts[0].startswith("<img")
    (tmp_path / "metrics.jsonl").write_text('{"steps": 1, "reward": 0.5}\n')
    assert "without validation episodes" in report.learning_section(one, []).text


def test_the_trajectory_compares_true_and_predicted_genres(
    dataset: Dataset, model: FittedUserModel
) -> None:
    section = trajectory_section(dataset, model)
    # The model prefers comedies. Click rates of training pages: item 0 2.5 / 3, 1 (never shown) .5,
    # 2 and 3 .5 / 2; so both rules expect the comedy on both clicked pages.
    assert "The 2 clicks of one test user" in section.text
    assert "user model: 100% for this user, 100% for all" in section.text
    assert "item-CTR: 100% for this user" in section.text


def test_a_trajectory_is_drawn_by_any_words_and_left_out_without(
    dataset: Dataset, model: FittedUserModel
) -> None:
    def with_features(*names: str, factor: float = 1.0) -> Dataset:
        features = factor * dataset.catalog.features
        catalog = replace(dataset.catalog, feature_names=names, features=features)
        return replace(dataset, catalog=catalog)

    found = trajectory_section(with_features("topic:a", "topic:b"), model)
    assert "each by its topic" in found.text
    for other in (with_features("x", "y"), with_features("feature:0", "feature:1", factor=0.5)):
        assert trajectory_section(other, model).parts == ()
    unclicked = replace(dataset, split=np.array([2, 0], np.int8))
    sessions = replace(unclicked.sessions, click=np.full(5, -1), item=np.full(5, -1))
    found = trajectory_section(replace(unclicked, sessions=sessions), model)
    assert found.text == "No test user clicks anything on a page."
    fewer = replace(model, features=model.features[:3])
    with pytest.raises(RecGymError, match="has 4 items, the user model 3"):
        trajectory_section(dataset, fewer)


def test_the_data_are_shown_with_what_rules_score(dataset: Dataset) -> None:
    facts, rules = report.data_section(dataset).parts
    assert "<td>clicked pages</td><td>4</td>" in facts
    assert "<td>random</td><td>0.500</td>" in rules
    nobody = replace(dataset, split=np.array([0, 1], np.int8))
    section = report.data_section(nobody)
    assert len(section.parts) == 1
    assert "No page with a click of a test user" in section.text


def test_the_user_model_is_shown_beside_its_floors(model: FittedUserModel) -> None:
    facts, scores = report.model_section(model).parts
    assert "small" in facts
    assert scores.index("0.500") < scores.index("0.250")
    assert "nats" not in scores


def test_every_command_is_named(tmp_path: Path) -> None:
    made_before = ["recgym prepare", "", "recgym fit"]
    (text,) = report.commands_section(made_before, [policy(tmp_path)], "last").parts
    lines = text.removeprefix("<pre>").removesuffix("</pre>").splitlines()
    assert lines[:2] == ["recgym prepare", "recgym fit"]
    assert lines[2].endswith("--steps 5 --seed 0 --slate-size 3 --agent-args discount=0.5")
    assert lines[3] == "last"


def test_what_cannot_be_reported_is_one_line_before_anything_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "score_policy", lambda *arguments, **trust: pytest.fail("scored"))
    (tmp_path / "file").write_text("")
    page = tmp_path / "page.html"
    for runs, out, message in (
        ((), page, "no run given: name the folders of one or more trained agents"),
        ((tmp_path,), tmp_path, "is a folder; --out names a file"),
        ((tmp_path,), tmp_path / "file" / "page.html", "file: is a file"),
    ):
        with pytest.raises(RecGymError, match=message):
            script.main(runs, data=tmp_path, user_model=tmp_path, out=out)


def test_damaged_metrics_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(RecGymError, match=r"metrics\.jsonl: no report in it"):
        report.learning_section(policy(tmp_path), [])


def test_a_run_that_went_on_has_a_command_for_each_time(
    tmp_path: Path,
) -> None:
    one = policy(tmp_path)
    config = read_json(tmp_path / "config.json")
    write_json(tmp_path / "config.json", config | {"continued": [2, 3]})
    (text,) = report.commands_section([], [one], "last").parts
    assert [line.split()[9] for line in text.splitlines()[:-1]] == ["2", "3", "5"]


def test_a_command_has_every_argument_of_its_environment(tmp_path: Path) -> None:
    one = policy(tmp_path)
    config = read_json(tmp_path / "config.json")
    config |= {"env_args": {"horizon": 10, "observe": "items", "split": "test"}, "log": "data/x"}
    write_json(tmp_path / "config.json", config | {"loop_args": {"schedule": "offline", "a": True}})
    (text,) = report.commands_section([], [one], "last").parts
    for words in (
        "--log data/x",
        "--split test --env-args horizon=10 observe=items --agent-args discount=0.5",
        "--loop-args a=true schedule=offline",
    ):
        assert words in text


def test_policies_of_different_worlds_are_no_table(tmp_path: Path) -> None:
    one = policy(tmp_path)
    report.check_worlds([one, one])
    with pytest.raises(RecGymError, match="of SlateMDP-v0 .*make a report of each"):
        report.check_worlds([one, replace(one, about={"env": "SlateMDP-v0"})])
    with pytest.raises(RecGymError, match="one run at least"):
        report.check_worlds([])


@pytest.mark.parametrize("world", ["SlateMDP-v0", "InterestExploration-v0"])
def test_a_world_without_a_user_model_has_a_report(
    world: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recgym_agents.commands import report as script

    run, page = tmp_path / "run", tmp_path / "report.html"
    train(
        TrainConfig(
            env=world,
            agent="random",
            steps=4,
            seed=0,
            out=str(run),
            env_args={"horizon": 3},
            validation_episodes=2,
        )
    )
    monkeypatch.setattr(sys, "argv", ["scripts/report.py"])
    script.main((run,), page, episodes=4)
    text = page.read_text()
    assert f"<th>reward, {world}</th><th>click rate, {world}</th>" in text
    assert re.findall("<h2>([^<]*)", text) == ["Policies", "Learning", "Commands"]


def test_a_user_model_without_test_users_is_one_world(
    model: FittedUserModel, tmp_path: Path
) -> None:
    info = {**model.info, "repeat_clicks": True}
    nobody = {"train": np.full((2, 2), 4)}
    replace(model, info=info, histories=nobody).save(tmp_path)
    found = report.worlds_of("RecGAN-v0", {"user_model": str(tmp_path), "ensemble": 2})
    assert found == {"train users": {"user_model": str(tmp_path), "split": "train"}}
    assert list(report.worlds_of("RecGAN-v0", {})) == ["train users", "test users"]
    assert report.worlds_of("SlateMDP-v0", {"horizon": 5}) == {"SlateMDP-v0": {"horizon": 5}}
