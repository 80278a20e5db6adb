"""The HTML report: one file, nothing fetched, and what it says of a small dataset."""

from __future__ import annotations

import html
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recgym.data import Catalog, Dataset, Sessions
from recgym.errors import RecGymError
from recgym.files import read_json, write_json
from recgym.users import gan
from recgym.users.folder import FittedUserModel
from recgym_agents.commands import report as script
from recgym_agents.runs.data_sections import data_section, model_section
from recgym_agents.runs.evaluation import Evaluation
from recgym_agents.runs.html_report import (
    Section,
    commands,
    facts,
    image,
    said,
    table,
    write_html,
)
from recgym_agents.runs.policies_section import learning_curve, policies_sections
from recgym_agents.runs.run_commands import commands_section
from recgym_agents.runs.scored_runs import TEST, TRAIN, ScoredRun, by_world, titles, worlds_of
from recgym_agents.runs.training import TrainConfig, train
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


def evaluation(*rewards: float, steps: int = 2) -> Evaluation:
    """One episode a user, who earns the reward at every step and always clicks."""
    users = len(rewards)
    lengths = np.full(users, steps)
    return Evaluation(np.arange(users), np.array(rewards), np.ones(users), lengths)


def run(
    folder: Path,
    name: str = "cascading-dqn",
    train: tuple[float, ...] = (1.0, 2.0, 3.0),
    test: tuple[float, ...] = (1.0, 2.0, 3.0),
) -> ScoredRun:
    config = {
        "env": "RecGAN-v0",
        "agent": name,
        "steps": 5,
        "seed": 0,
        "env_args": {"slate_size": 3},
    }
    config |= {"agent_args": {"discount": 0.5}, "loop_args": {}, "validation_episodes": 250}
    write_json(folder / "config.json", config)
    (folder / "metrics.jsonl").write_text('{"steps": 5, "reward": 0.5}\n')
    found = {TRAIN: evaluation(*train), TEST: evaluation(*test)}
    return ScoredRun(name, folder, "RecGAN-v0", {"slate_size": 3}, {"discount": 0.5}, found)


def test_a_page_is_one_file_that_fetches_nothing(tmp_path: Path) -> None:
    figure = learning_curve([1, 2], [0.0, 1.0], "a", {"b": 0.5}, "step")
    parts = (
        table("<c>", ["x"], [["<script>"]], "<m>"),
        facts("<f>", [("<n>", "<v>")], ""),
        image(figure, 'a "curve"', "<i>"),
        said("<s>", ("a.md", "<more>")),
        commands(["<go>"]),
    )
    write_html(tmp_path / "page.html", "A & B", [Section("<h>", "t", parts)])
    text = (tmp_path / "page.html").read_text()
    body = text[text.index("<body>") :]
    for word in ("c", "script", "m", "f", "n", "v", "i", "s", "more", "go", "h"):
        assert f"&lt;{word}&gt;" in body
    assert "<script>" not in body
    assert "A &amp; B" in text
    assert re.findall(r'src="([^"]{5})', text) == ["data:"]
    assert re.findall(r'href="([^"]*)"', text) == ["a.md"]
    assert "http" not in re.sub(r'src="[^"]*"', "", text)


def test_the_best_is_marked_in_every_column_and_what_is_close_to_it(tmp_path: Path) -> None:
    """B earns 1 more of every training user, and 1, 1 and -1.5 more of the test users."""
    runs = [
        run(tmp_path / "a", "a"),
        run(tmp_path / "b", "b", (2.0, 3.0, 4.0), (2.0, 3.0, 1.5)),
    ]
    section, _ = policies_sections(runs, tmp_path / "report.html")
    rows = re.findall("<tr>(.*?)</tr>", section.parts[0])
    assert "reward a step, train users" in rows[0]
    # Means 2 and 3 of three users; Student's interval is +- 4.303 * 1 / sqrt(3) = 2.484.
    assert "<td>2.000 (-0.484 to 4.484)</td>" in rows[1]
    assert '<td class="best">3.000 (0.516 to 5.484)</td>' in rows[2]
    assert "≈ 2.000" in rows[1]
    assert rows[2].count('class="best">1.000') == 2
    assert "3 users" in section.parts[0]
    assert section.text.endswith("compared in pairs. The world's arguments: slate_size=3.")


def test_what_happened_is_said_from_the_numbers(tmp_path: Path) -> None:
    greedy = run(tmp_path / "greedy", "greedy", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    learner = run(tmp_path / "dqn", "dqn", (2.0, 3.0, 4.1), (3.0, 4.0, 4.9))
    section, _ = policies_sections([greedy, learner], tmp_path / "report.html")
    said = section.parts[1]
    assert (
        "In the model that it was trained in, dqn earns more than the next best, greedy:"
        " 3.033 against 2.000 a step"
    ) in said
    assert (
        "On users that it was not trained on, dqn earns less than greedy: 3.967 against 5.000"
        " a step, a difference of 1.033 (0.890 to 1.177)."
    ) in said
    assert "A policy that plans learns what pays in one fitted model" in said
    assert re.search('href="([^"]*)"', said)[1].endswith("docs/results/recgan-policies.md")  # type: ignore[index]


def test_the_learning_curve_needs_metrics(tmp_path: Path) -> None:
    one = run(tmp_path)
    _, section = policies_sections([one], tmp_path / "report.html")
    assert "without validation episodes" in section.text
    lines = [
        '{"steps": 2, "validation_reward": 0.25, "kept": 1.0}',
        '{"steps": 5, "validation_reward": 0.125, "kept": 0.0}',
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    _, section = policies_sections([one], tmp_path / "report.html")
    assert "begins at 0.250 and ends at 0.125" in section.parts[0]
    assert "that of step 2, with 0.250" in section.parts[0]
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(RecGymError, match=r"metrics\.jsonl: no report in it"):
        policies_sections([one], tmp_path / "report.html")
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.raises(RecGymError, match=r"metrics.jsonl: no such file"):
        policies_sections([one], tmp_path / "report.html")


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
    known, rules = data_section(dataset).parts
    assert "<td>clicked pages</td><td>4</td>" in known
    assert "<td>random</td><td>0.500</td>" in rules
    nobody = replace(dataset, split=np.array([0, 1], np.int8))
    section = data_section(nobody)
    assert len(section.parts) == 1
    assert "No page with a click of a test user" in section.text


def test_the_user_model_is_shown_beside_its_floors(model: FittedUserModel) -> None:
    known, scores = model_section(model).parts
    assert "small" in known
    assert scores.index("0.500") < scores.index("0.250")
    assert "logarithm" not in scores
    probable = {**model.scores, "log_likelihood": -1.0, "reward_log_likelihood": -2.0}
    _, scores = model_section(replace(model, scores=probable)).parts
    assert "0 is certainty, and -1.39 one in four" in scores
    assert "a density" in scores


def lines_of(section: Section) -> list[str]:
    return [html.unescape(line) for line in re.findall("<span>(.*?)</span>", section.parts[0])]


def test_every_command_is_named(tmp_path: Path) -> None:
    made_before = ["recgym prepare", "", "recgym fit"]
    lines = lines_of(commands_section(made_before, [run(tmp_path).folder], "last"))
    assert lines[:2] == ["recgym prepare", "recgym fit"]
    assert lines[2].endswith("--steps 5 --seed 0 --slate-size 3 --agent-args discount=0.5")
    assert lines[3] == "last"


def test_what_cannot_be_reported_is_one_line_before_anything_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "score_run", lambda *arguments, **trust: pytest.fail("scored"))
    (tmp_path / "file").write_text("")
    page = tmp_path / "page.html"
    for runs, out, message in (
        ((), page, "no run given: name the folders of one or more trained agents"),
        ((tmp_path,), tmp_path, "is a folder; --out names a file"),
        ((tmp_path,), tmp_path / "file" / "page.html", "file: is a file"),
    ):
        with pytest.raises(RecGymError, match=message):
            script.main(runs, data=tmp_path, user_model=tmp_path, out=out)


def test_a_run_that_went_on_has_a_command_for_each_time(
    tmp_path: Path,
) -> None:
    one = run(tmp_path)
    config = read_json(tmp_path / "config.json")
    write_json(tmp_path / "config.json", config | {"continued": [2, 3]})
    lines = lines_of(commands_section([], [one.folder], "last"))
    assert [line.split()[9] for line in lines[:-1]] == ["2", "3", "5"]


def test_a_command_has_every_argument_of_its_environment(tmp_path: Path) -> None:
    one = run(tmp_path)
    config = read_json(tmp_path / "config.json")
    config |= {"env_args": {"horizon": 10, "observe": "items", "split": "test"}, "log": "data/x"}
    write_json(tmp_path / "config.json", config | {"loop_args": {"schedule": "offline", "a": True}})
    text = "\n".join(lines_of(commands_section([], [one.folder], "last")))
    for words in (
        "--log data/x",
        "--split test --env-args horizon=10 observe=items --agent-args discount=0.5",
        "--loop-args a=true schedule=offline",
    ):
        assert words in text


def test_runs_of_one_world_share_a_table(tmp_path: Path) -> None:
    one = run(tmp_path / "one")
    seen_otherwise = replace(one, env_args={"slate_size": 3, "observe": "state", "window": 2})
    larger = replace(one, env_args={"slate_size": 5})
    elsewhere = replace(one, env="SlateMDP-v0")
    without_test_users = replace(one, found={TRAIN: one.found[TRAIN]})
    runs = [one, larger, elsewhere, seen_otherwise, without_test_users]
    assert by_world(runs) == [
        [one, seen_otherwise],
        [larger],
        [elsewhere],
        [without_test_users],
    ]


def test_two_runs_of_an_agent_are_named_by_their_settings_or_folders(tmp_path: Path) -> None:
    one, other = run(tmp_path / "0", "a"), run(tmp_path / "1", "a")
    assert titles([one, run(tmp_path / "2", "b")]) == ["a", "b"]
    assert titles([one, other]) == [f"a ({tmp_path / '0'})", f"a ({tmp_path / '1'})"]
    plain = replace(other, agent_args={})
    assert titles([one, plain]) == ["a, discount=0.5", "a"]
    with pytest.raises(RecGymError, match="named twice; name each run once"):
        titles([one, one])


@pytest.mark.parametrize("world", ["SlateMDP-v0", "InterestExploration-v0"])
def test_a_world_without_a_user_model_has_a_report(
    world: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, page = tmp_path / "run", tmp_path / "report.html"
    train(
        TrainConfig(
            env=world,
            agent="random",
            steps=4,
            seed=0,
            out=str(folder),
            env_args={"horizon": 3},
            validation_episodes=2,
        )
    )
    monkeypatch.setattr(sys, "argv", ["scripts/report.py"])
    script.main((folder,), page, episodes=4)
    text = page.read_text()
    unit = {"SlateMDP-v0": "session", "InterestExploration-v0": "step"}[world]  # some leave
    assert f">reward a {unit}</th>" in text
    assert ("share of the optimum" in text) == (world == "SlateMDP-v0")
    headings = [f"Policies in {world}", f"Learning in {world}", "Commands"]
    assert re.findall("<h2>([^<]*)", text) == headings


def test_a_user_model_without_test_users_is_one_world(
    model: FittedUserModel, tmp_path: Path
) -> None:
    info = {**model.info, "repeat_clicks": True}
    nobody = {"train": np.full((2, 2), 4)}
    replace(model, info=info, histories=nobody).save(tmp_path)
    trained_in = {"ensemble": 2, "pessimism": 1.0, "entropy_bonus": 0.1, "reward": "raw"}
    found = worlds_of("RecGAN-v0", {"user_model": str(tmp_path), **trained_in})
    assert found == {"train users": {"user_model": str(tmp_path), "split": "train"}}
    assert list(worlds_of("RecGAN-v0", {})) == ["train users", "test users"]
    assert worlds_of("SlateMDP-v0", {"horizon": 5}) == {"SlateMDP-v0": {"horizon": 5}}
