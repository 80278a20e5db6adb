"""Comparisons: from made-up scores to table and report, and from trainings to scores."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym_agents import Comparison, compare
from recgym_agents.runs import comparison as module
from recgym_agents.runs.comparison_figures import band_of, learning_bands, seed_dots
from recgym_agents.runs.comparison_report import comparison_sections
from recgym_agents.runs.comparison_scores import ComparisonConfig, Scores
from recgym_agents.runs.evaluation import Evaluation
from recgym_agents.runs.planned_levels import Levels

WORLD = {"n_items": 8, "n_states": 2, "slate_size": 2, "horizon": 4}
QUICK: dict[str, Any] = {
    "steps": 64,
    "seeds": [0, 1],
    "episodes": 20,
    "reports": 1,
    "validation_episodes": 5,
    "progress": False,
}
CONFIG = ComparisonConfig(("a", "b"), "SlateMDP-v0", 10, (0, 1), Path("runs/x"), episodes=3)


def evaluation(*rewards: float) -> Evaluation:
    """One episode a user, of two steps."""
    count = len(rewards)
    return Evaluation(np.arange(count), np.array(rewards), np.full(count, 0.5), np.full(count, 2))


def lines(*values: float) -> list[dict[str, float]]:
    """Metrics of a training of 10 steps a line."""
    return [
        {"steps": 10.0 * number, "validation_reward": value, "validation_session_reward": 2 * value}
        for number, value in enumerate(values, start=1)
    ]


@pytest.fixture
def scores() -> Scores:
    """In pairs, b earns 0.5 more a step with the first seed, and 1.5 with the second."""
    found = {
        "a": [evaluation(1.0, 2.0, 3.0), evaluation(1.0, 2.0, 3.0)],
        "b": [evaluation(1.5, 2.5, 3.5), evaluation(2.5, 3.5, 4.5)],
    }
    metrics = {"a": [lines(1.0), lines(2.0)], "b": [lines(1.0, 3.0), lines(2.0, 5.0)]}
    return Scores(CONFIG, found, metrics, None)


def test_the_table_has_a_row_an_agent(scores: Scores) -> None:
    best, other = Comparison(scores).table
    assert (best["agent"], best["reward_per_step"], best["behind"]) == ("b", 3.0, 0.0)
    # Over two seeds, 2.5 and 3.5: 3 +- 12.706 * 0.5.
    assert best["low"] == pytest.approx(3 - 12.706 * 0.5, abs=1e-3)
    assert math.isnan(best["p_seeds"])
    assert other["behind"] == 1.0
    assert other["behind_high"] == pytest.approx(1 + 12.706 * 0.5, abs=1e-3)
    # t = 1 / 0.5 with one degree of freedom; every user differs by 1 on average.
    assert other["p_seeds"] == pytest.approx(2 * math.atan(1 / 2) / math.pi)
    assert other["p_users"] == 0.0
    assert not other["told_apart"]
    assert other["click_rate"] == 0.5
    assert "optimum_share" not in other


def test_where_the_optimum_is_known_rewards_are_a_share_of_it(scores: Scores) -> None:
    known = replace(scores, levels=Levels(8.0, 7.0, 4.0))
    best, other = Comparison(known).table
    assert best["reward_per_session"] == 6.0
    assert (best["optimum_share"], other["optimum_share"]) == (0.75, 0.5)
    result, *_ = comparison_sections(known)
    text = "".join(result.parts)
    assert "b</td><td" in text
    assert "<td>75%</td>" in text
    assert "<td>best slate for now</td><td>7.000</td><td>88%</td>" in text
    assert "can earn here is 8.00 a session" in text


def test_it_is_printed_a_line_an_agent(scores: Scores) -> None:
    held_out = replace(scores, config=replace(CONFIG, split="test"))
    first, second, said = str(Comparison(held_out)).splitlines()
    assert said.startswith("In SlateMDP-v0, test users, b earns most")
    assert first.startswith("b  3.000 (")
    assert second.startswith("a  2.000 (2.000 to 2.000)  p over users < 0.001  p over seeds 0.295")
    assert said.endswith("A paired test cannot tell a apart from it.")


def test_the_report_says_what_was_compared_and_how_sure_it_is(scores: Scores) -> None:
    result, learning, seeds, command = comparison_sections(scores)
    assert "with 10 steps, 2 seeds each" in result.text
    assert "same 3 episodes, each with the same random numbers" in result.text
    assert "b earns most" in result.parts[0]
    assert '<td class="best">3.000 (' in result.parts[1]
    assert "<td>0.295</td><td>&lt; 0.001</td><td>no</td>" in result.parts[1]
    assert learning.parts
    assert seeds.parts
    assert CONFIG.command in command.parts[0]


def test_a_single_seed_is_said(scores: Scores) -> None:
    alone = replace(
        scores,
        config=replace(CONFIG, seeds=(0,)),
        found={name: found[:1] for name, found in scores.found.items()},
    )
    result, *_ = comparison_sections(alone)
    assert "With a single seed, intervals and tests are over users or episodes alone" in result.text
    assert "p, seeds" not in result.parts[1]
    assert "<td>&lt; 0.001</td><td>yes</td>" in result.parts[1]


def test_a_band_is_interpolated_between_reports_of_its_seeds() -> None:
    """One seed reports at 10 and 20 steps, one at 10 and 30."""
    other = [{"steps": 10.0, "x": 1.0}, {"steps": 30.0, "x": 3.0}]
    band = band_of([[{"steps": 10.0, "x": 0.0}, {"steps": 20.0, "x": 4.0}], other], "x")
    assert band is not None
    assert (band.steps[0], band.steps[-1]) == (10.0, 30.0)
    assert (band.low[0], band.mean[0], band.high[0]) == (0.0, 0.5, 1.0)
    assert (band.low[-1], band.mean[-1], band.high[-1]) == (3.0, 3.5, 4.0)
    assert band_of([[{"steps": 0.0, "x": 1.0}], [{"steps": 0.0, "x": 3.0}]], "x") == (0, 2, 1, 3)
    assert band_of([[{"steps": 0.0}]], "x") is None


def test_figures_name_every_agent_and_level(scores: Scores) -> None:
    levels = Levels(8.0, 7.0, 4.0)
    (axes,) = learning_bands(scores.metrics, "step", levels).axes
    names = {"a", "b", "optimum", "best slate for now", "best fixed slate"}
    assert {text.get_text() for text in axes.texts} == names
    assert len(axes.collections) == 1  # the band of b; a has one report
    (axes,) = seed_dots({"a": np.array([1.0, 2.0])}, "session", levels).axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["a", "optimum", "best slate for now", "best fixed slate"]
    assert axes.collections[2].get_offsets().tolist() == [[8.0, 1.0]]
    assert axes.collections[0].get_offsets()[:, 0].tolist() == [1.0, 2.0]


def test_agents_are_trained_scored_and_kept(tmp_path: Path, monkeypatch: Any) -> None:
    found = compare(["random"], "SlateMDP-v0", out=tmp_path / "c", env_args=WORLD, **QUICK)
    assert {row["agent"] for row in found.table} == {"random", "popularity"}
    assert found.scores.levels is not None
    for agent in ("random", "popularity"):
        for seed in ("0", "1"):
            assert (tmp_path / "c" / agent / seed / "DONE").exists()
    assert [len(one) for one in found.scores.found["random"][0].by_user()] == [20] * 4
    page = found.save_html(tmp_path / "page.html")
    assert "popularity" in page.read_text()
    # Given again, nothing is trained, and the same is found.
    monkeypatch.setattr("recgym_agents.runs.training.loop_of", lambda *_: pytest.fail("trained"))
    again = compare(["random"], "SlateMDP-v0", out=tmp_path / "c", env_args=WORLD, **QUICK)
    assert str(again) == str(found)
    alone = compare(
        ["random"], "SlateMDP-v0", out=tmp_path / "c", env_args=WORLD, baselines=False, **QUICK
    )
    assert len(alone.table) == 1


def test_every_agent_meets_the_same_users_in_the_world_of_test_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def scored(agent: Any, env: str, env_args: Any, episodes: int, seed: int) -> Evaluation:
        seen.append((env, dict(env_args), episodes, seed))
        return evaluation(1.0, 2.0)

    monkeypatch.setattr(module, "evaluate", scored)
    world = {"horizon": 3, "ensemble": 5}
    settings = QUICK | {"steps": 0, "evaluation_seed": 7, "split": "test", "baselines": False}
    compare(["random"], "RecGAN-v0", out=tmp_path, env_args=world, **settings)
    assert seen == [("RecGAN-v0", {"horizon": 3, "split": "test"}, 20, 7)] * 2


@pytest.mark.parametrize(
    ("agents", "changes", "message"),
    [
        ([], {}, "agents: none is named"),
        (["random", "random"], {}, "agents: random is named twice"),
        (["random", "recgym_agents.zoo:random"], {}, "agents: random is named twice"),
        (["nobody"], {}, "agent 'nobody': unknown"),
        (["user-greedy"], {}, "user-greedy: cannot act in SlateMDP-v0: the environment has no"),
        (["random"], {"seeds": []}, "seeds: none"),
        (["random"], {"seeds": [3, 3]}, "seeds: 3 is named twice"),
        (["random"], {"seeds": [-1]}, "seed=-1"),
        (["random"], {"episodes": 0}, "episodes=0"),
        (["random"], {"jobs": 0}, "jobs=0"),
        (["random"], {"threads": 0}, "threads=0"),
        (["random"], {"split": "test"}, "'split'"),
        (["random"], {"agent_args": {"reinforce": {}}}, "'reinforce' is none of the agents"),
        (["random"], {"agent_args": {"random": {"x": 1}}}, "no setting 'x'"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    agents: list[str], changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    settings = QUICK | {"env_args": WORLD, "out": tmp_path / "c"} | changes
    with pytest.raises(RecGymError) as caught:
        compare(agents, "SlateMDP-v0", **settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_training_that_fails_is_named(tmp_path: Path) -> None:
    (tmp_path / "random").mkdir()
    (tmp_path / "random" / "1").write_text("")
    with pytest.raises(RecGymError, match="random, seed 1: .*is a file"):
        compare(["random"], "SlateMDP-v0", out=tmp_path, env_args=WORLD, **QUICK)
    assert (tmp_path / "popularity" / "1" / "DONE").exists()
