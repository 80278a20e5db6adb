"""Writes a self-contained HTML report of trained agents, the user model, and the data behind it.

Example:
    recgym report runs/demo/RecGAN-v0/*/0 --data runs/demo/data \
        --user-model runs/demo/user-model --out runs/demo/report.html
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import tyro
from rich.progress import track

from recgym.data import Dataset
from recgym.users.folder import FittedUserModel
from recgym_agents.runs.html_report import write_html
from recgym_agents.runs.training_report import (
    commands_section,
    learning_section,
    model_section,
    policies_section,
    score_policy,
    trajectory_section,
)


def main(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional],
    data: Path,
    user_model: Path,
    out: Path,
    episodes: int = 1_000,
    seed: int = 0,
) -> None:
    """Scores agents in the model they learned from and in the held-out users', and reports.

    Args:
        runs: folders of trained agents; the last one's learning curve is drawn.
        data: folder that recgym prepare wrote.
        user_model: folder that recgym fit wrote.
        out: the HTML file to write.
        episodes: episodes of each agent in each model.
        seed: of users' choices.
    """
    dataset, model = Dataset.load(data), FittedUserModel.load(user_model)
    policies = [
        score_policy(folder, episodes, seed) for folder in track(runs, description="evaluating")
    ]
    command = shlex.join(["recgym", "report", *sys.argv[1:]])
    sections = [
        policies_section(policies, episodes),
        learning_section(policies[-1], policies[:-1]),
        model_section(dataset, model),
        trajectory_section(dataset, model),
        commands_section(dataset, model, policies, command),
    ]
    write_html(out, f"RecGym: {dataset.info['name']} to a slate agent", sections)
    print(out)
