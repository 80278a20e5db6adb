"""Writes a self-contained HTML report of trained agents, the user model, and the data behind it.

Example:
    python scripts/report.py runs/demo/RecGAN-v0/*/0 --data runs/demo/data \
        --user-model runs/demo/user-model --out runs/demo/report.html
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import tyro
from rich.progress import track

from command_line import run
from recgym.data import Dataset
from recgym.errors import RecGymError
from recgym.users.folder import FittedUserModel
from recgym_agents.runs.html_report import write_html
from recgym_agents.runs.report import (
    commands_section,
    learning_section,
    model_section,
    policies_section,
    score_policy,
    trajectory_section,
)
from recgym_agents.runs.run_folder import check_folder


def main(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional],
    data: Path,
    user_model: Path,
    out: Path,
    episodes: int = 1_000,
    seed: int = 0,
    trust: bool = False,
) -> None:
    """Scores agents in the model they learned from and in the held-out users', and reports.

    Args:
        runs: folders of trained agents; the last one's learning curve is drawn.
        data: folder that scripts/prepare.py wrote.
        user_model: folder that scripts/fit.py wrote.
        out: the HTML file to write.
        episodes: episodes of each agent in each model.
        seed: of users' choices.
        trust: read what can run any code as it is read too; see evaluate.py.
    """
    if not runs:
        raise RecGymError("no run given: name the folders of one or more trained agents")
    if out.is_dir():
        raise RecGymError(f"{out}: is a folder; --out names a file")
    check_folder(out.parent)
    dataset, model = Dataset.load(data), FittedUserModel.load(user_model)
    policies = [
        score_policy(folder, episodes, seed, trust=trust)
        for folder in track(runs, description="evaluating")
    ]
    command = shlex.join(["python", *sys.argv])
    sections = [
        policies_section(policies, episodes),
        learning_section(policies[-1], policies[:-1]),
        model_section(dataset, model),
        trajectory_section(dataset, model),
        commands_section(dataset, model, policies, command),
    ]
    write_html(out, f"RecGym: {dataset.info['name']} to a slate agent", sections)
    print(out)


if __name__ == "__main__":
    run(main)
