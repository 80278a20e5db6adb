"""The folder of a training run, whoever trains: what it is a run of, and whether it is done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recgym.data import Dataset
from recgym.envs.backends import check_device
from recgym.errors import RecGymError
from recgym.files import read_json, sha256_of_arrays, write_json, writing
from recgym.settings import AT_LEAST_0, AT_LEAST_1, check_ranges
from recgym.users.folder import FittedUserModel
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.runs.run_files import (
    CHECKPOINT,
    CONFIG,
    DONE,
    PARAMS,
    check_done,
    done_steps,
    remedy,
)
from recgym_agents.runs.run_metrics import read_metrics
from recgym_agents.zoo import AGENTS


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
        RecGymError: a setting out of its range, a device that torch cannot use, or a folder that
            cannot be written.
    """
    lowest = ("steps", "seed", "validation_episodes")
    check_ranges(config, dict.fromkeys(lowest, AT_LEAST_0) | {"reports": AT_LEAST_1})
    check_device(config.device)
    try:
        os.fsencode(config.out).decode("utf-8")  # TensorBoard writes no other names
    except UnicodeDecodeError:
        raise RecGymError(f"{config.out}: its name is not UTF-8; choose another folder") from None
    check_folder(Path(config.out))


def check_folder(folder: Path) -> None:
    """Checks that files can be written into a folder, which need not be there yet.

    Raises:
        RecGymError: it, or the one that it would be made in, is a file or cannot be written.
    """
    whole = folder.absolute()
    there = next(path for path in (whole, *whole.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise RecGymError(f"{there}: is a file; a folder is needed")
    if not os.access(there, os.W_OK | os.X_OK):
        raise RecGymError(f"{there}: cannot be written; choose another folder")


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
    try:
        settings = {name: value for name, value in asdict(config).items() if name != "out"}
        record: dict[str, Any] = json.loads(json.dumps(settings))  # a tuple is a list there
    except (TypeError, ValueError, RecursionError) as error:
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

    It is not if more steps are asked for than a finished run had, which goes on.

    Raises:
        RecGymError: the folder holds a run with another configuration, or user model; one that has
            more steps, or cannot go on; or a finished one that is not whole any more.
    """
    if not (folder / CONFIG).exists():
        if (folder / DONE).exists() or (folder / CHECKPOINT).exists():
            raise RecGymError(f"{folder / CONFIG}: no such file; {remedy(folder / CONFIG)}")
        return False
    other = read_json(folder / CONFIG)
    if not isinstance(other, dict):
        raise RecGymError(f"{folder / CONFIG}: not the configuration of a run; remove {folder}")
    if "user_model" in record:  # runs made before it was recorded are taken on trust
        other.setdefault("user_model", record["user_model"])
    other = {"log": None, "device": "cpu"} | other  # as in runs made before there were any
    differing = [name for name in record if other.get(name) != record[name]]
    if differing == ["steps"]:
        _check_goes_on(folder, other, record)
        return False
    if differing:
        name = differing[0]
        label = "user model" if name == "user_model" else name
        raise RecGymError(
            f"{folder} holds a run with {label}={other.get(name)!r}, not {record[name]!r};"
            " choose another --out, or remove it"
        )
    if not (folder / DONE).exists() or done_steps(folder) not in (None, record["steps"]):
        return False
    check_done(folder)
    if not (folder / PARAMS).exists():
        raise RecGymError(f"{folder / PARAMS}: no such file; {remedy(folder / PARAMS)}")
    return True


def _check_goes_on(folder: Path, held: dict[str, Any], record: dict[str, Any]) -> None:
    """Checks that a run goes on to more steps; what differs is their number alone.

    Raises:
        RecGymError: it has more already, is not finished, or has nothing to go on from.
    """
    steps, asked = held.get("steps"), record["steps"]
    elsewhere = "choose another --out, or remove it"
    if not isinstance(steps, int):
        raise RecGymError(f"{folder / CONFIG}: steps={steps!r} is no number; remove {folder}")
    if asked < steps:
        raise RecGymError(f"{folder} holds a run with steps={steps}, not {asked}; {elsewhere}")
    if AGENTS.find(record["agent"]).library:
        raise RecGymError(
            f"{folder} holds a run with steps={steps}, and {record['agent']} cannot go on to"
            f" {asked}; {elsewhere}"
        )
    if not (folder / DONE).exists():
        raise RecGymError(
            f"{folder} holds an unfinished run with steps={steps}, not {asked}; finish it with"
            f" {steps} first, or {elsewhere}"
        )
    if not (folder / CHECKPOINT).exists() and read_metrics(folder)[-1]["steps"] > 0:
        raise RecGymError(
            f"{folder} holds a run with steps={steps} without the checkpoint that it would go on"
            f" from to {asked}; {elsewhere}"
        )


def begin(folder: Path, record: dict[str, Any]) -> None:
    """Writes ``config.json``; a run is not done from then on.

    Where a finished run goes on to more steps, ``continued`` lists how many it had each time
    before: its numbers are not those of a run that had them all from the start.
    """
    held = read_json(folder / CONFIG) if (folder / CONFIG).exists() else record
    continued = held.get("continued", [])
    if held["steps"] != record["steps"]:
        continued = [*continued, held["steps"]]
    write_json(folder / CONFIG, record | ({"continued": continued} if continued else {}))
    with writing(folder / DONE):
        (folder / DONE).unlink(missing_ok=True)


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
