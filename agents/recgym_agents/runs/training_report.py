"""The report of a training: policies beside their baselines, the user model, and the commands.

Any world and any log has one, with the parts that there are: SlateMDP-v0 has no user model and no
log, and a log may lack titles, features, slates, and clicks of test users.
"""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
from matplotlib.figure import Figure

from recgym.data import Dataset, floors
from recgym.data.descriptions import counts
from recgym.errors import RecGymError
from recgym.files import read_json
from recgym.metrics import Estimate
from recgym.simulators import SIMULATORS
from recgym.simulators.learned_user import load_user_model
from recgym.users.folder import FittedUserModel
from recgym_agents.runs.evaluation import evaluate
from recgym_agents.runs.html_report import Section, commands, image, table
from recgym_agents.runs.run_files import CONFIG
from recgym_agents.runs.run_metrics import read_metrics
from recgym_agents.runs.saved_agents import check_import, load_agent
from recgym_agents.runs.training import TrainConfig

BLUE, GREY = "#2458b3", "#8a8a8a"
ENV_OPTIONS = ("slate_size", "ensemble", "split", "user_model")
"""Arguments of environments that recgym train has options for."""


@dataclass(frozen=True)
class Policy:
    """A trained agent and what it earned."""

    name: str
    folder: Path
    about: dict[str, Any]
    reward: dict[str, Estimate]
    """By world, that of training first: reward per step, averaged over time, then users."""
    click_rate: dict[str, Estimate]
    """By world."""


def worlds_of(env_id: str, env_args: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the worlds that an agent is scored in, and the arguments of each.

    A fitted user model has up to two: "train users", and "test users" if it was fitted to them.
    Others have one, which is named after its id.
    """
    given = {**gymnasium.spec(env_id).kwargs, **env_args}
    if "split" not in inspect.signature(SIMULATORS.find(given["simulator"])).parameters:
        return {env_id: dict(env_args)}
    members = load_user_model(given["user_model"]).members
    alone = {name: value for name, value in env_args.items() if name != "ensemble"}
    return {
        f"{split} users": {**alone, "split": split}
        for split in ("train", "test")
        if split in members
    }


def score_policy(folder: Path, episodes: int, seed: int, *, trust: bool = False) -> Policy:
    """Scores a trained agent in its world; in a fitted user model, in that of test users too.

    Args:
        folder: of the agent.
        episodes: in each world.
        seed: the same seed meets every agent with the same users and luck.
        trust: read what can run code as it is read too; see ``load_agent``.

    Raises:
        RecGymError: the folder holds no agent or no run, or one that learned from a log alone.
    """
    agent, about = load_agent(folder, trust=trust)
    name = read_json(folder / CONFIG)["agent"]
    if about["env"] is None:
        raise RecGymError(f"{folder}: learned from a log alone; a report needs an environment")
    check_import(about["env"], trust)
    reward, click_rate = {}, {}
    for world, arguments in worlds_of(about["env"], about["env_args"]).items():
        found = evaluate(agent, about["env"], arguments, episodes, seed)
        reward[world], click_rate[world], _ = found.estimates()
    return Policy(name, folder, about, reward, click_rate)


def check_worlds(policies: Sequence[Policy]) -> None:
    """Checks that policies can stand in one table.

    Raises:
        RecGymError: there are none, or their worlds differ.
    """
    if not policies:
        raise RecGymError("a report needs one run at least")
    first = policies[0]
    for other in policies:
        if other.about["env"] != first.about["env"] or list(other.reward) != list(first.reward):
            raise RecGymError(
                f"{other.folder}: of {other.about['env']} ({', '.join(other.reward)}), which is no"
                f" world of {first.folder}; make a report of each"
            )


def policies_section(policies: Sequence[Policy], episodes: int) -> Section:
    """The table of policies in every world."""
    worlds = list(policies[0].reward)
    header = ["policy", *(f"{what}, {w}" for w in worlds for what in ("reward", "click rate"))]
    rows = []
    for policy in policies:
        row = [policy.name]
        for world in worlds:
            row += [_interval(policy.reward[world]), _interval(policy.click_rate[world])]
        rows.append(row)
    learned = "Policies are scored in the world that they were trained in. "
    if len(worlds) > 1:
        learned = (
            "Policies were trained in a model of the training users, and are scored in that model"
            " and in one fitted to other users. "
        )
    text = (
        f"{learned}Reward per step is averaged over time, then over users; intervals are 95% over"
        f" users (or episodes, where no users are named), {episodes} episodes in each world, the"
        " same users and luck for every policy."
    )
    return Section("Policies", text, (table("", header, rows),))


def learning_section(policy: Policy, others: Sequence[Policy]) -> Section:
    """The learning curve from ``metrics.jsonl``, against the other policies in the same world.

    Raises:
        RecGymError: the run has no metrics, or they are damaged.
    """
    lines = [line for line in read_metrics(policy.folder) if "validation_reward" in line]
    if not lines:
        return Section("Learning", f"{policy.name} was trained without validation episodes.")
    levels = {other.name: next(iter(other.reward.values())).mean for other in others}
    steps, values = ([line[name] for line in lines] for name in ("steps", "validation_reward"))
    figure = learning_curve(steps, values, policy.name, levels)
    text = "Reward per step in validation episodes in the environment of training."
    return Section("Learning", text, (image(figure, "learning curve"),))


def data_section(dataset: Dataset) -> Section:
    """What the log holds, and what rules that know no user score on its test pages."""
    info = dataset.info
    facts = {
        "dataset": info["name"],
        "licence": info["licence"],
        **info.get("read_as", {}),
        **{name.replace("_", " "): f"{n:,}" for name, n in counts(dataset).items()},
    }
    facts |= {
        f"mended: {what.replace('_', ' ')}": n for what, n in info.get("mended", {}).items() if n
    }
    parts = [table("Facts", ["", ""], [[name, str(value)] for name, value in facts.items()])]
    found = floors(dataset)
    text = "What was logged. No page with a click of a test user is there to score rules on."
    if found:
        text = "What was logged, and how often rules without a user model find the clicked item."
        parts.append(_scores_table("Rules on pages of test users", found))
    return Section("Data", text, tuple(parts))


def model_section(model: FittedUserModel) -> Section:
    """What the user model was fitted on, and its held-out scores beside the floors."""
    facts = {
        "fitted on": model.info["dataset"],
        "licence": model.info["licence"],
        "user model": model.config.summary,
        **{
            f"click rate of random slates, {member} users": f"{rate:.2f}"
            for member, rate in model.info["random_click_rate"].items()
        },
    }
    text = (
        "The user model was fitted to clicks of training users, and predicts those of test users: "
        "which item of a page is clicked, given the clicks before. The other rules need no model."
    )
    scores = {"user model": model.scores, **model.scores["floors"]}
    parts = (
        table("Facts", ["", ""], [[name, str(value)] for name, value in facts.items()]),
        _scores_table("Scores on pages of test users", scores),
    )
    return Section("User model", text, parts)


def commands_section(made_before: Sequence[str], policies: Sequence[Policy], last: str) -> Section:
    """The commands that made everything.

    Args:
        made_before: commands that made the data and the user model; "" where none is known.
        policies: whose trainings follow.
        last: the command that makes the report.
    """
    lines = [line for line in made_before if line]
    for policy in policies:
        lines += _train_commands(policy)
    return Section("Commands", "Run in this order.", (commands([*lines, last]),))


def _train_commands(policy: Policy) -> list[str]:
    """The command lines of a training, from its configuration; one each time it went on."""
    config = read_json(policy.folder / CONFIG)
    steps = [*config.get("continued", []), config["steps"]]
    return [_train_command(policy.folder, config | {"steps": count}) for count in steps]


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
        pairs = [f"{key}={_written(value)}" for key, value in values.items()]
        words += [f"--{name.replace('_', '-')}", *pairs] if pairs else []
    if config["validation_episodes"] != TrainConfig.validation_episodes:
        words += ["--validation-episodes", str(config["validation_episodes"])]
    return shlex.join(words)


def _written(value: Any) -> str:
    """A setting as the command line reads it: JSON, or a text as it is."""
    return value if isinstance(value, str) else json.dumps(value)


def _scores_table(caption: str, scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns a table of scores by rule, with the columns that there are."""
    columns = {
        "precision_at_1": "precision at 1",
        "precision_at_2": "precision at 2",
        "log_likelihood": "log-likelihood, nats a page",
        "reward_log_likelihood": "log-likelihood of rewards, nats a click",
    }
    names = [name for name in columns if any(name in values for values in scores.values())]
    rows = [
        [rule, *(f"{values[name]:.3f}" if name in values else "" for name in names)]
        for rule, values in scores.items()
    ]
    return table(caption, ["rule", *(columns[name] for name in names)], rows)


def _interval(estimate: Estimate) -> str:
    return f"{estimate.mean:.3f} ({estimate.low:.3f} .. {estimate.high:.3f})"


def learning_curve(
    steps: Sequence[float], values: Sequence[float], name: str, levels: dict[str, float]
) -> Figure:
    """Draws a value over training steps, with the levels of other policies as dashed lines."""
    figure = Figure(figsize=(7, 3.2))
    axes = figure.subplots()
    axes.plot(steps, values, color=BLUE, label=name)
    for style, (policy, level) in zip(("--", "-.", ":"), levels.items(), strict=False):
        axes.axhline(level, color=GREY, linestyle=style, linewidth=1, label=policy)
    axes.set_xlabel("environment steps")
    axes.set_ylabel("reward per step")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
