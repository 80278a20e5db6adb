"""What the benchmark publishes: sections measured now, and others that were before."""

from __future__ import annotations

from pathlib import Path

import pytest

import benchmark
from measurement import Figure, Section
from recgym.errors import RecGymError


def section(value: float) -> Section:
    return Section("Stepping", [Figure("steps", "steps/s", [value], at_least=10.0)], ["A note."])


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "single": lambda rounds: section(20.0),
        "vector": lambda rounds: section(30.0 * rounds),
    }
    monkeypatch.setattr(benchmark, "SECTIONS", found)


@pytest.mark.usefixtures("measured")
def test_a_section_measured_again_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "machine", lambda: {"processor": "one"})
    benchmark.main(rounds=1, out=tmp_path)
    monkeypatch.setattr(benchmark, "machine", lambda: {"processor": "another"})
    benchmark.main("vector", rounds=2, out=tmp_path)
    page = (tmp_path / "benchmark.md").read_text("utf-8")
    machines, single, vector = page.split("\n## ")
    assert "Machine 1:\n\n- processor: one\n\nMachine 2:\n\n- processor: another" in machines
    assert (
        "Made by `python scripts/benchmark.py --section single --rounds 1` on machine 1." in single
    )
    assert "| steps | 20 steps/s | 20 - 20 | >= 10 | pass |\n\nA note." in single
    assert (
        "Made by `python scripts/benchmark.py --section vector --rounds 2` on machine 2." in vector
    )
    assert "| steps | 60 steps/s | 60 - 60 | >= 10 | pass |" in vector


@pytest.mark.usefixtures("measured")
def test_a_missed_target_is_an_error_and_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(benchmark.SECTIONS, "single", lambda rounds: section(9.0))
    with pytest.raises(RecGymError, match="targets missed: steps"):
        benchmark.main("single", out=tmp_path)
    assert "| >= 10 | FAIL |" in (tmp_path / "benchmark.md").read_text("utf-8")
