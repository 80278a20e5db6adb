"""How far trainings are: a bar each in a terminal, lines elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from recgym_agents.runs import progress
from recgym_agents.runs.progress import scores, watching


def shown(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> io.StringIO:
    """Makes the console one whose text is returned."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, color_system=None)
    monkeypatch.setattr(progress, "Console", lambda stderr: console)
    return text


def test_the_scores_of_a_step_and_of_the_last_validation_are_shown() -> None:
    metrics = {"reward": 0.25, "click_rate": 0.5, "loss": 3.0}
    assert scores(metrics) == "reward 0.250  clicks 0.50"
    metrics["validation_session_reward"] = 12.0
    assert scores(metrics) == "reward 0.250  clicks 0.50  validation, a session 12.000"
    assert scores({"validation_score": 1.0}) == "validation 1.000"


def test_elsewhere_a_line_is_written_for_each_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, terminal=False)
    with watching(["a", "b"], steps=1_000) as watch:
        for done in range(10, 1_021, 10):
            watch(0, done, {"reward": done})
        watch(1, 350, {"reward": 2.0})
    lines = text.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[0] == "a: 100 of 1,000 steps  reward 100.000"
    assert lines[9] == "a: 1,000 of 1,000 steps  reward 1000.000"
    assert lines[10] == "b: 350 of 1,000 steps  reward 2.000"


def test_in_a_terminal_there_is_a_bar_each(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, terminal=True)
    with watching(["first", "second"], steps=50) as watch:
        watch(0, 64, {"validation_score": 2.5})
    first, second = text.getvalue().rpartition("first")[2].strip().splitlines()[:2]
    assert first.startswith("validation 2.500")
    assert "50/50" in first
    assert second.startswith("second")
    assert " 0/50" in second


def test_what_takes_no_steps_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal in (True, False):
        text = shown(monkeypatch, terminal)
        with watching(["idle"], steps=50):
            pass
        assert text.getvalue() == ""
