"""Evaluates a trained agent: reward and click rate, with 95% intervals.

They are over users, or over episodes in worlds that name none. With a log, it is estimated what the
agent would have earned in place of the policy that made it.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recgym.data import Dataset
from recgym.errors import RecGymError
from recgym.files import write_json
from recgym.ope import OffPolicyEstimate
from recgym.settings import AT_LEAST_0, AT_LEAST_1, check_number
from recgym.users.folder import FittedUserModel, load_user_model
from recgym.users.realism import realism_of, training_clicks
from recgym_agents.commands.train import Settings, settings
from recgym_agents.runs.evaluation import ESTIMATES, evaluate, evaluation_file
from recgym_agents.runs.log_evaluation import evaluate_on_log
from recgym_agents.runs.panel_agreement import PanelAgreement, environment_of, panel_agreement
from recgym_agents.runs.realism_report import write_realism
from recgym_agents.runs.run import world_of
from recgym_agents.runs.run_folder import check_folder
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.trained_agent import TrainedAgent

LOG_FILE = "log-evaluation.json"


def main(
    folder: Annotated[Path | None, tyro.conf.Positional] = None,
    episodes: int = 1000,
    env: str | None = None,
    split: Literal["train", "test"] | None = None,
    ensemble: int | None = None,
    user_model: str | None = None,
    env_args: Settings = (),
    log: Path | None = None,
    drawn: bool = False,
    seed: int = 0,
    out: Path | None = None,
    trust: bool = False,
    realism: Path | None = None,
    data: Path | None = None,
) -> None:
    """Evaluates a trained agent and prints a table; or says how real a user model is.

    Args:
        folder: of the agent; none with "--realism".
        episodes: how many; episode e is of user e modulo the number of users. With "--realism", of
            each policy of the panel in each of its worlds.
        env: environment id, or module:id; that of the training if not given (there is none after a
            log alone).
        split: "test" scores on the user model of other users than the agent learned from.
        ensemble: user models that episodes draw from; 0 for one.
        user_model: folder of a fitted user model, or the name of a shipped one.
        env_args: other arguments of the environment, as NAME=VALUE.
        log: folder of a prepared dataset with propensities: no episode is played, and it is
            estimated what the agent would have earned from its test users, or from those of
            "--split train".
        drawn: with "--log": of the slates that the agent draws as it explores, not of those that it
            thinks best.
        seed: the same seed meets every agent with the same users and random numbers.
        out: where the numbers go, each user's among them; by default a file in FOLDER:
            evaluation.json, or evaluation-test.json with "--split test", or with the id of an
            environment that is not that of the training. A file that holds an evaluation with other
            arguments of the environment is not written over. With "--log", log-evaluation.json.
        trust: read what can run any code as it is read: an agent of Stable-Baselines3, or the
            module of an agent or environment that the folder names as "module:name".
        realism: folder of a fitted user model, or the name of a shipped one, to write a report of
            instead: realism.html and realism.json, into the folder OUT, runs/realism/NAME if not
            given.
        data: with "--realism", folder that recgym prepare wrote, which the model was fitted on.
    """
    if realism is not None:
        if folder is not None:
            raise RecGymError("--realism: takes a user model, and no agent; leave out FOLDER")
        if data is None:
            raise RecGymError("--realism: needs the log that the model was fitted on; add --data")
        _report_realism(realism, data, out, episodes, seed)
        return
    if folder is None:
        raise RecGymError("name the folder of an agent, or a user model with --realism")
    if data is not None:
        raise RecGymError("--data: goes with --realism")
    agent, about = load_agent(folder, trust=trust)
    if log is not None:
        if env or ensemble is not None or user_model or env_args:
            raise RecGymError(
                "--log: no environment is played; leave out --env, --env-args, --ensemble and"
                " --user-model"
            )
        _on_log(agent, folder, log, split or "test", drawn, seed, out or folder / LOG_FILE)
        return
    if drawn:
        raise RecGymError("--drawn: goes with --log; in an environment agents show their best")
    given = {"split": split, "ensemble": ensemble, "user_model": user_model}
    changed = {k: v for k, v in given.items() if v is not None} | settings(env_args)
    env, arguments = world_of(folder, about, env, changed)
    path = out or evaluation_file(folder, about, env, arguments)
    if path.is_dir():
        raise RecGymError(f"{path}: is a folder; --out names a file")
    check_folder(path.parent)
    evaluation = evaluate(agent, env, arguments, episodes, seed)
    users, *by_user = evaluation.by_user()
    name = os.fsencode(folder).decode("utf-8", "replace")
    table = Table(title=Text(f"{name}: {episodes} episodes in {env}"))
    for column in ("metric", "mean", "95% interval", "worst tenth", "median"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    record = {"env": env, "env_args": arguments, "episodes": episodes, "seed": seed}
    for name, values, mean in zip(ESTIMATES, by_user, evaluation.estimates(), strict=True):
        tenth, median = sorted(values)[len(values) // 10], sorted(values)[len(values) // 2]
        known = math.isfinite(mean.low)  # not if there is a single user
        low, high = (mean.low, mean.high) if known else (None, None)
        interval = f"{low:.4f} .. {high:.4f}" if known else "unknown"
        table.add_row(name, f"{mean.mean:.4f}", interval, f"<= {tenth:.4f}", f"{median:.4f}")
        key = name.replace(" ", "_")
        record[key] = {"mean": mean.mean, "low": low, "high": high}
        record[f"{key}_by_user"] = [float(value) for value in values]
    record["user"] = [int(user) for user in users]
    write_json(path, record)
    Console().print(table)


def _on_log(
    agent: TrainedAgent,
    folder: Path,
    log: Path,
    split: Literal["train", "test"],
    drawn: bool,
    seed: int,
    path: Path,
) -> None:
    """Prints and writes what a log says of an agent."""
    if path.is_dir():
        raise RecGymError(f"{path}: is a folder; --out names a file")
    check_folder(path.parent)
    found = evaluate_on_log(agent.inner, Dataset.load(log), split, drawn, seed)
    name, source = (os.fsencode(one).decode("utf-8", "replace") for one in (folder, log))
    table = Table(title=Text(f"{name}: reward, from {source}"))
    columns = ("of a", "estimator", "estimate", "95% interval", "effective", "of rows")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < 2 else "right")
    notes: dict[str, None] = {}
    for unit, estimates in (("page", found.page), ("session", found.session)):
        for one in estimates:
            size = f"{one.effective_sample_size:,.0f}"
            table.add_row(
                unit, _title(one), f"{one.estimate:.4f}", _interval(one), size, f"{one.n:,}"
            )
            notes |= {f"{unit}, {_title(one)}: {caution.text}": None for caution in one.warnings}
    if found.no_session:
        notes[f"nothing is said of sessions: {found.no_session}"] = None
    if found.no_direct:
        notes[f"the direct method says nothing: {found.no_direct}"] = None
    if found.left_out:
        notes[f"{found.left_out:,} pages with slates of another size were left out"] = None
    write_json(
        path,
        {
            "log": source,
            "split": split,
            "drawn": drawn,
            "seed": seed,
            "left_out": found.left_out,
            "page": [_record(one) for one in found.page],
            "session": [_record(one) for one in found.session],
            "no_session": found.no_session,
            "no_direct": found.no_direct,
        },
    )
    console = Console()
    console.print(table)
    for note in notes:
        console.print(f"note: {note}", markup=False, highlight=False)


def _title(one: OffPolicyEstimate) -> str:
    return "the log's own policy" if one.method == "logged" else one.method.replace("_", " ")


def _interval(one: OffPolicyEstimate) -> str:
    return f"{one.low:.4f} .. {one.high:.4f}" if math.isfinite(one.low) else "unknown"


def _record(one: OffPolicyEstimate) -> dict[str, object]:
    numbers = {
        name: value if math.isfinite(value) else None
        for name in ("estimate", "standard_error", "low", "high", "effective_sample_size")
        for value in (getattr(one, name),)
    }
    warnings = [caution.text for caution in one.warnings]
    return {"method": one.method, "n": one.n, "warnings": warnings} | numbers


def _report_realism(
    user_model: Path, data: Path, out: Path | None, episodes: int, seed: int
) -> None:
    """Writes the realism report of a user model, and prints its numbers."""
    check_number("episodes", episodes, AT_LEAST_1)
    check_number("seed", seed, AT_LEAST_0)
    place = out or Path("runs") / "realism" / user_model.name
    if place.is_file():
        raise RecGymError(f"{place}: is a file; --out names a folder with --realism")
    check_folder(place)
    model, dataset = load_user_model(user_model), Dataset.load(data)
    realism = realism_of(model, dataset, seed)
    panel = _played(str(user_model), model, dataset, episodes, seed)
    place.mkdir(parents=True, exist_ok=True)
    table = Table(title=Text(f"how real {os.fsencode(user_model).decode('utf-8', 'replace')} is"))
    table.add_column("measure")
    table.add_column("value", justify="right")
    of_panel = {} if isinstance(panel, str) else panel.summary()
    for name, value in (realism.summary() | of_panel).items():
        table.add_row(name.replace("_", " "), f"{value:.4f}")
    console = Console()
    console.print(table)
    if isinstance(panel, str):
        console.print(f"note: no panel of policies: {panel}", markup=False, highlight=False)
    console.print(f"wrote {write_realism(place, user_model.name, model, realism, panel)}")


def _played(
    name: str, model: FittedUserModel, dataset: Dataset, episodes: int, seed: int
) -> PanelAgreement | str:
    """Returns how alike both members' worlds rank the panel, or why that is not known."""
    env, arguments = environment_of(name, model)
    clicks = training_clicks(model, dataset)
    try:
        return panel_agreement(model, clicks, env, arguments, episodes, seed)
    except RecGymError as error:
        return str(error)
