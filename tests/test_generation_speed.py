"""What the benchmark of generation counts."""

from __future__ import annotations

import pytest

import generation_speed
from generation_speed import PARTS, irecgan, measure_parts, multiply_adds, python_calls


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation_speed, "HORIZON", 4)


def test_a_round_makes_no_more_calls_for_more_sessions() -> None:
    assert python_calls(10) == python_calls(40) > 0  # one generated session, and four


def test_parts_of_a_round_do_not_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a second whenever it is read, each part takes its calls."""
    agent, real = irecgan("end"), generation_speed.real_sessions(10)
    ticks = iter(range(1_000))
    monkeypatch.setattr(generation_speed.time, "process_time", lambda: next(ticks))
    agent.updates = generation_speed.PRETRAINING + generation_speed.DISCRIMINATOR_PRETRAINING
    spent = measure_parts(agent)
    agent.update(real)
    # Real and generated sessions are read twice by the user model and the agent, who then descend.
    counts = {"generate": 1, "scores": 1, "user step": 3, "agent step": 3, "discriminator": 1}
    assert dict(spent) == counts
    assert set(spent) == set(PARTS)


def test_multiply_adds_are_counted_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"LAYERS": 1, "UNITS": 2, "EMBEDDING": 3, "ITEMS": 7, "SLATE": 5}
    for name, value in sizes.items():
        monkeypatch.setattr(generation_speed, name, value)
    # User: 3 clicks read by 4 gates * 2 * 2; 4 slates, of 2 units by 7 outputs of the heads and
    # 2 vectors of 3 by 5 items. Agent: 4 times 2 units by 7 items; 16 and 4 gates * 2 * 3 inputs of
    # each of the 3 clicks read.
    user = 3 * 16 + 4 * (14 + 30)
    assert multiply_adds() == {"user": user, "agent": user + 4 * 14 + 3 * 40}
