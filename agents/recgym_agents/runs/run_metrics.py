"""What a training measures: written line by line as it goes, read when it has ended."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from recgym.errors import RecGymError
from recgym.files import writing
from recgym_agents.runs.run_files import METRICS, append
from recgym_agents.runs.tensorboard_events import EventFile


def metrics_writer(folder: Path, length: int, step: int) -> Callable[[dict[str, float]], int]:
    """Cuts ``metrics.jsonl`` to ``length`` bytes, and TensorBoard's events to those up to ``step``.

    Returns:
        A function that writes a line to both, and returns the length of the file after it.

    Raises:
        RecGymError: the file is shorter than that, or cannot be written.
    """
    path = folder / METRICS
    with writing(path):
        path.touch()
        found = path.stat().st_size
        if found < length:
            raise RecGymError(
                f"{path}: {found} bytes, the checkpoint was written after {length}; put the file"
                f" back, or remove {folder} and train again"
            )
        os.truncate(path, length)
        events = EventFile(folder, step + 1 if step else None)

    def write(line: dict[str, float]) -> int:
        with writing(path):
            whole = append(path, (json.dumps(line) + "\n").encode())
            events.add(int(line["steps"]), line)
        return whole

    return write


def kept_report(folder: Path) -> dict[str, float]:
    """Returns the line of metrics of the report whose policy a run has kept.

    It is the last one if none was kept: no validation, or none after pre-training.
    """
    lines = read_metrics(folder)
    kept = [line for line in lines if line.get("kept")]
    return (kept or lines)[-1]


def describe_end(folder: Path, steps: int) -> list[str]:
    """Returns what a user should know of how a run of so many steps ended, a line each.

    There is nothing to know of an agent that learns nothing, and so takes no steps.
    """
    last, kept = read_metrics(folder)[-1], kept_report(folder)
    found: list[str] = []
    if last["steps"] == 0:
        return found
    if last["steps"] < steps:
        found.append(f"ended after {last['steps']:,} of {steps:,} steps: validation got no better")
    if kept.get("kept"):
        found.append(f"kept the policy of step {kept['steps']:,}, the best in validation")
    elif "kept" in last:
        found.append("kept the last policy: it is still of pre-training, more steps are needed")
    return found


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Returns the lines of ``metrics.jsonl``, at least one.

    Raises:
        RecGymError: the file is missing or empty, or a line of it is no report.
    """
    path = folder / METRICS
    try:
        texts = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise RecGymError(f"{path}: no such file; train the agent again") from None
    except UnicodeDecodeError as error:
        raise RecGymError(f"{path}: not UTF-8 ({error}); train the agent again") from None
    lines = []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict) or not all(
            isinstance(value, int | float) for value in (line.get("steps"), *line.values())
        ):
            raise RecGymError(f"{path}, line {number}: no report of a training; train it again")
        lines.append(line)
    if not lines:
        raise RecGymError(f"{path}: no report in it; train the agent again")
    return lines
