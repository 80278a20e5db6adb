"""The command lines that made runs, from their configurations."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recgym.files import read_json
from recgym_agents.runs.html_report import Section, commands
from recgym_agents.runs.run_files import CONFIG
from recgym_agents.runs.run_folder import TrainConfig

ENV_OPTIONS = ("slate_size", "ensemble", "split", "user_model")
"""Arguments of environments that ``recgym train`` has options for."""


def commands_section(made_before: Sequence[str], runs: Sequence[Path], last: str) -> Section:
    """The commands that made everything.

    Args:
        made_before: commands that made the data and the user model; "" where none is known.
        runs: folders of the trainings that follow.
        last: the command that makes the report.
    """
    lines = [line for line in made_before if line]
    for folder in runs:
        lines += _train_commands(folder)
    text = "Run in this order, they make everything that this report is of, and the report."
    return Section("Commands", text, (commands([*lines, last]),))


def written(values: Mapping[str, Any], option: str, prefix: str = "") -> list[str]:
    """Returns settings as words of a command line; none if there are none.

    Args:
        values: by name.
        option: such as ``--agent-args``.
        prefix: before every name.
    """
    pairs = [
        f"{prefix}{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in values.items()
    ]
    return [option, *pairs] if pairs else []


def _train_commands(folder: Path) -> list[str]:
    """The command lines of a training, from its configuration; one each time it went on."""
    config = read_json(folder / CONFIG)
    steps = [*config.get("continued", []), config["steps"]]
    return [_train_command(folder, config | {"steps": count}) for count in steps]


def _train_command(folder: Path, config: dict[str, Any]) -> str:
    words = ["recgym", "train", "--out", str(folder)]
    for name in ("env", "agent", "steps", "seed", "log"):
        words += [f"--{name}", str(config[name])] if config.get(name) is not None else []
    given = config["env_args"]
    for name in [name for name in ENV_OPTIONS if name in given]:
        words += [f"--{name.replace('_', '-')}", str(given[name])]
    others = {name: value for name, value in given.items() if name not in ENV_OPTIONS}
    settings = {"env_args": others} | {name: config[name] for name in ("agent_args", "loop_args")}
    for name, values in settings.items():
        words += written(values, f"--{name.replace('_', '-')}")
    if config["validation_episodes"] != TrainConfig.validation_episodes:
        words += ["--validation-episodes", str(config["validation_episodes"])]
    return shlex.join(words)
