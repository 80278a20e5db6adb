"""The folder of a training run, whoever trains: what it is a run of, and what it measured."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recgym.data import Dataset
from recgym.envs.backends import check_device
from recgym.errors import RecGymError
from recgym.files import read_json, sha256_of_arrays
from recgym.settings import AT_LEAST_0, AT_LEAST_1, check_ranges
from recgym.users.folder import FittedUserModel
from recgym_agents.agent import EnvironmentSpec

CONFIG, DONE, METRICS = "config.json", "DONE", "metrics.jsonl"


@dataclass(frozen=True)
class TrainConfig:
    """A training run. On the CPU the same configuration gives the same numbers on a machine."""

    env: str | None
    """Environment id; None to learn offline from ``log`` alone."""
    agent: str
    """Name in ``AGENTS``, or ``module:name``."""
    steps: int
    """Slates shown, rounded up to whole rounds of the loop; offline, logged steps read."""
    seed: int
    """All random numbers come from it."""
    out: str
    """Folder of the run."""
    env_args: dict[str, Any] = field(default_factory=dict)
    """Arguments of the environment; without one, ``slate_size`` and ``window``."""
    agent_args: dict[str, Any] = field(default_factory=dict)
    """Fields of the agent's configuration."""
    loop_args: dict[str, Any] = field(default_factory=dict)
    """Fields of the configuration of its loop; none for a library's agents."""
    log: str | None = None
    """Folder of a prepared dataset to learn from, for a loop that learns from logs."""
    reports: int = 20
    """How many times a line of metrics is written, the policy validated, and a checkpoint made."""
    validation_episodes: int = 250
    """Episodes a validation; the best policy is kept. 0 keeps the last policy."""
    compile: Literal["auto", "always", "never"] = "auto"
    """Fuse the scan of the candidates with torch.compile; "auto": where it works and pays."""
    device: str = "cpu"
    """Where networks learn, as torch names it, such as "cuda"."""


Watch = Callable[[int, dict[str, float]], None]
"""Called after every step of the rows with the steps done, and what they, their updates, and the
last validation gave."""


def check_run(config: TrainConfig) -> None:
    """Checks the settings that every training has, and that its folder can be one.

    Raises:
        RecGymError: a setting out of its range, a device that torch cannot use, or a file where the
            folder should be.
    """
    lowest = ("steps", "seed", "validation_episodes")
    check_ranges(config, dict.fromkeys(lowest, AT_LEAST_0) | {"reports": AT_LEAST_1})
    check_device(config.device)
    folder = Path(config.out)
    if folder.exists() and not folder.is_dir():
        raise RecGymError(f"{folder}: is a file; a run needs a folder")


def environment_of(config: TrainConfig, *, learns_from_logs: bool = False) -> str:
    """Returns the environment's id.

    Args:
        config: the run.
        learns_from_logs: whether the agent has a schedule that needs no environment.

    Raises:
        RecGymError: there is none, and what trains cannot do without.
    """
    if config.env is None:
        otherwise = "does not learn from logs"
        if learns_from_logs:
            otherwise = "learns without one only from a log, with the loop's schedule=offline"
        raise RecGymError(f"{config.agent}: needs an environment, env; it {otherwise}")
    return config.env


def record_of(
    config: TrainConfig, spec: EnvironmentSpec, dataset: Dataset | None = None
) -> dict[str, Any]:
    """Returns what ``config.json`` says: all that decides the numbers of a run.

    Raises:
        RecGymError: a setting that is no plain JSON.
    """
    settings = {name: value for name, value in asdict(config).items() if name != "out"}
    try:
        record: dict[str, Any] = json.loads(json.dumps(settings))  # a tuple is a list there
    except TypeError as error:
        raise RecGymError(f"a run's settings must be plain JSON: {error}") from None
    if spec.user_model is not None:
        record["user_model"] = _digest(spec.user_model)
    if dataset is not None:
        parts = {**vars(dataset.sessions), "split": dataset.split}
        arrays = {name: array for name, array in parts.items() if array is not None}
        record["log_sha256"] = sha256_of_arrays(arrays)
    return record


def is_done(folder: Path, record: dict[str, Any]) -> bool:
    """Returns whether the run of this configuration is done already.

    Raises:
        RecGymError: the folder holds a run with another configuration, or user model.
    """
    if (folder / CONFIG).exists():
        other = read_json(folder / CONFIG)
        if not isinstance(other, dict):
            raise RecGymError(f"{folder / CONFIG}: not the configuration of a run; remove {folder}")
        if "user_model" in record:  # runs made before it was recorded are taken on trust
            other.setdefault("user_model", record["user_model"])
        other = {"log": None, "device": "cpu"} | other  # as in runs made before there were any
        differing = [name for name in record if other.get(name) != record[name]]
        if differing:
            name = differing[0]
            label = "user model" if name == "user_model" else name
            raise RecGymError(
                f"{folder} holds a run with {label}={other.get(name)!r}, not {record[name]!r};"
                " choose another --out, or remove it"
            )
    return (folder / DONE).exists()


@contextmanager
def open_metrics(
    folder: Path, length: int, step: int
) -> Iterator[Callable[[dict[str, float]], int]]:
    """Opens ``metrics.jsonl``, cut to ``length`` bytes, and TensorBoard, purged after ``step``.

    Yields a function that writes a line, and returns the length of the file after it.

    Raises:
        RecGymError: the file is shorter than that.
    """
    from torch.utils.tensorboard import SummaryWriter

    path = folder / METRICS
    path.touch()
    found = path.stat().st_size
    if found < length:
        raise RecGymError(
            f"{path}: {found} bytes, the checkpoint was written after {length}; put the file back,"
            f" or remove {folder} and train again"
        )
    os.truncate(path, length)
    writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)
    with open(path, "a", encoding="utf-8") as file:

        def write(line: dict[str, float]) -> int:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
            for name, value in line.items():
                writer.add_scalar(name, value, int(line["steps"]))
            writer.flush()
            return file.tell()

        try:
            yield write
        finally:
            writer.close()


def kept_report(folder: Path) -> dict[str, float]:
    """Returns the line of metrics of the report whose policy a run has kept.

    It is the last one if none was kept: no validation, or none after pre-training.
    """
    lines = _metrics(folder)
    kept = [line for line in lines if line.get("kept")]
    return (kept or lines)[-1]


def describe_end(folder: Path, steps: int) -> list[str]:
    """Returns what a user should know of how a run of so many steps ended, a line each.

    There is nothing to know of an agent that learns nothing, and so takes no steps.
    """
    last, kept = _metrics(folder)[-1], kept_report(folder)
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


def _metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / METRICS).read_text("utf-8").splitlines()]


def _digest(model: FittedUserModel) -> str:
    """Returns the SHA-256 of all that users of a model do: the folder it came from may be refitted.

    It is over the item features, members, histories, configuration, and whether items are spent.
    """
    text = json.dumps([asdict(model.config), model.info["repeat_clicks"]], sort_keys=True)
    arrays = {"features": model.features, "config": np.frombuffer(text.encode(), np.uint8)}
    arrays |= {f"histories.{split}": ids for split, ids in model.histories.items()}
    for member, params in model.members.items():
        arrays |= {f"{member}/{name}": array for name, array in params.items()}
    return sha256_of_arrays(arrays)
