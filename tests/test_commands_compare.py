"""``recgym compare``: its words, the line it prints, and the command that a report names."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from recgym.errors import RecGymError
from recgym_agents.commands import compare
from recgym_agents.commands.command_line import main, parsed
from recgym_agents.runs.comparison_scores import ComparisonConfig

WORDS = (
    "compare --agents random reinforce --env SlateMDP-v0 --steps 64 --seeds 0,2 --env-args"
    " horizon=4 n_items=12 slate_size=2 --agent-args reinforce.hidden=8 reinforce.discount=0.5"
    " --loop-args reinforce.sessions=16 --split test --episodes 10 --reports 1"
    " --validation-episodes 5 --no-baselines"
)


def test_the_report_names_the_command_that_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[ComparisonConfig] = []

    class Found:
        def save_html(self, path: Path) -> Path:
            return path

    def run(config: ComparisonConfig, jobs: int, threads: int) -> Found:
        seen.append(config)
        return Found()

    monkeypatch.setattr(compare, "run_comparison", run)
    for words in (WORDS, None):
        line = f"recgym {words} --out {tmp_path}" if words else seen[0].command
        monkeypatch.setattr(sys, "argv", shlex.split(line)[1:])
        positional, named = parsed(compare.main)
        compare.main(*positional, **named)
    assert seen[0] == seen[1]
    assert seen[0].agents == ("random", "reinforce")
    assert seen[0].seeds == (0, 2)
    assert seen[0].agent_args == {"reinforce": {"hidden": 8, "discount": 0.5}}
    assert seen[0].loop_args == {"reinforce": {"sessions": 16}}


def test_two_processes_train_what_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for jobs in ("1", "2"):
        words = f"recgym {WORDS} --jobs {jobs} --out {tmp_path / jobs}".replace("--split test", "")
        monkeypatch.setattr(sys, "argv", shlex.split(words))
        main()
        *lines, page = capsys.readouterr().out.splitlines()
        assert Path(page) == tmp_path / jobs / "report.html"
        assert Path(page).exists()
        printed.append(lines)
    assert printed[0] == printed[1]
    assert len(printed[0]) == 3


def test_a_setting_must_say_whose_it_is() -> None:
    with pytest.raises(RecGymError, match="--agent-args hidden: whose"):
        compare.by_agent({"hidden": 8}, "--agent-args")
    found = compare.by_agent({"mine.agents:tiny.hidden": 8}, "--agent-args")
    assert found == {"mine.agents:tiny": {"hidden": 8}}
