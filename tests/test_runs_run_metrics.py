"""What a training measures, as it is written and read."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recgym.errors import RecGymError
from recgym_agents.runs.run_files import METRICS
from recgym_agents.runs.run_metrics import (
    describe_end,
    kept_report,
    metrics_writer,
    read_metrics,
)


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    """What TensorBoard shows of a value."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_lines_go_to_the_file_and_to_tensorboard(tmp_path: Path) -> None:
    write = metrics_writer(tmp_path, 0, 0)
    lengths = [write({"steps": steps, "reward": steps / 4}) for steps in (10, 20, 30)]
    assert lengths[-1] == (tmp_path / METRICS).stat().st_size
    assert [line["steps"] for line in read_metrics(tmp_path)] == [10, 20, 30]
    assert scalars(tmp_path, "reward") == [(10, 2.5), (20, 5.0), (30, 7.5)]
    again = metrics_writer(tmp_path, lengths[1], 20)
    again({"steps": 40, "reward": 1.0})
    assert [line["steps"] for line in read_metrics(tmp_path)] == [10, 20, 40]
    assert scalars(tmp_path, "reward") == [(10, 2.5), (20, 5.0), (40, 1.0)]
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "metrics.jsonl: no such file; train the agent again"),
        (b"", "metrics.jsonl: no report in it"),
        (b"\xff\n", "metrics.jsonl: not UTF-8"),
        (b'{"steps": 1}\n{"steps": 2', "metrics.jsonl, line 2: no report of a training"),
        (b'{"steps": 1}\n\n', "metrics.jsonl, line 2: no report of a training"),
        (b"[1]\n", "metrics.jsonl, line 1: no report of a training"),
        (b'{"reward": 1}\n', "metrics.jsonl, line 1: no report of a training"),
        (b'{"steps": 1, "reward": "a"}\n', "metrics.jsonl, line 1: no report of a training"),
        (b"[" * 100_000, "metrics.jsonl, line 1: no report of a training"),
        (b'{"steps": ' + b"1" * 5_000 + b"}", "metrics.jsonl, line 1: no report of a training"),
    ],
)
def test_metrics_that_are_not_there_or_damaged_are_one_line(
    data: bytes | None, message: str, tmp_path: Path
) -> None:
    if data is not None:
        (tmp_path / METRICS).write_bytes(data)
    for read in (read_metrics, kept_report, lambda folder: describe_end(folder, 10)):
        with pytest.raises(RecGymError, match=message) as caught:
            read(tmp_path)
        assert "\n" not in str(caught.value)
