"""Writes a self-contained HTML report of trained agents, and of what is behind their world.

Examples:
    recgym report runs/demo/RecGAN-v0/*/0 --data runs/demo/data \
        --user-model runs/demo/user-model --out runs/demo/report.html
    recgym report runs/random runs/dqn --out runs/slate-mdp.html
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import tyro
from rich.progress import track

from recgym.data import Dataset
from recgym.errors import RecGymError
from recgym.users.folder import FittedUserModel
from recgym_agents.runs.html_report import write_html
from recgym_agents.runs.run_folder import check_folder
from recgym_agents.runs.training_report import (
    check_worlds,
    commands_section,
    data_section,
    learning_section,
    model_section,
    policies_section,
    score_policy,
)
from recgym_agents.runs.user_trajectory import trajectory_section


def main(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional],
    out: Path,
    data: Path | None = None,
    user_model: Path | None = None,
    episodes: int = 1_000,
    seed: int = 0,
    trust: bool = False,
) -> None:
    """Scores agents in the world that they learned in, and in held-out users', and reports.

    Args:
        runs: folders of trained agents; the last one's learning curve is drawn.
        out: the HTML file to write.
        data: folder that recgym prepare wrote, if there is a log behind the world.
        user_model: folder that recgym fit wrote, if the users are a fitted model.
        episodes: episodes of each agent in each world.
        seed: of users' choices.
        trust: read what can run any code as it is read: agents of Stable-Baselines3, or the
            modules of agents and environments that the folders name as "module:name".
    """
    if not runs:
        raise RecGymError("no run given: name the folders of one or more trained agents")
    if out.is_dir():
        raise RecGymError(f"{out}: is a folder; --out names a file")
    check_folder(out.parent)
    dataset = None if data is None else Dataset.load(data)
    model = None if user_model is None else FittedUserModel.load(user_model)
    policies = [
        score_policy(folder, episodes, seed, trust=trust)
        for folder in track(runs, description="evaluating")
    ]
    check_worlds(policies)
    sections = [policies_section(policies, episodes), learning_section(policies[-1], policies[:-1])]
    made_before = []
    if dataset is not None:
        sections.append(data_section(dataset))
        made_before.append(dataset.info.get("command", ""))
    if model is not None:
        sections.append(model_section(model))
        made_before.append(model.info["command"])
    if dataset is not None and model is not None:
        sections.append(trajectory_section(dataset, model))
    last = shlex.join(["recgym", "report", *sys.argv[1:]])
    sections.append(commands_section(made_before, policies, last))
    name = policies[0].about["env"] if dataset is None else dataset.info["name"]
    write_html(out, f"RecGym: {name} to a slate agent", sections)
    print(out)
