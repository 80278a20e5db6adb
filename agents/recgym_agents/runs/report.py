"""The report of a training: policies beside their baselines, the user model, and the commands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from recgym.data import Dataset
from recgym.errors import RecGymError
from recgym.files import read_json
from recgym.metrics import Estimate, item_ctr
from recgym.users.folder import FittedUserModel
from recgym.users.page_arrays import pages_of
from recgym.users.scoring import choice_logits
from recgym_agents.runs.evaluation import evaluate
from recgym_agents.runs.html_report import Section, commands, image, table
from recgym_agents.runs.run_files import CONFIG
from recgym_agents.runs.run_metrics import read_metrics
from recgym_agents.runs.saved_agents import check_import, load_agent
from recgym_agents.runs.training import TrainConfig

BLUE, ORANGE, GREY = "#2458b3", "#e07b1a", "#8a8a8a"
WORLDS = ("train", "test")
"""The user model that policies learn from, and the one of the held-out users."""
TRAJECTORY_LENGTH = 60
"""Clicks of the user whose trajectory is drawn, as nearly as there is one."""


@dataclass(frozen=True)
class Policy:
    """A trained agent and what it earned."""

    name: str
    folder: Path
    about: dict[str, Any]
    reward: dict[str, Estimate]
    """By world: reward per step, averaged over time, then users."""
    click_rate: dict[str, Estimate]
    """By world."""


def score_policy(folder: Path, episodes: int, seed: int, *, trust: bool = False) -> Policy:
    """Scores a trained agent in the train users' and in the test users' model.

    Args:
        folder: of the agent.
        episodes: in each world.
        seed: the same seed meets every agent with the same users and luck.
        trust: read what can run code as it is read too; see ``load_agent``.

    Raises:
        RecGymError: the folder holds no agent or no run, or its environment has no held-out users.
    """
    agent, about = load_agent(folder, trust=trust)
    name = read_json(folder / CONFIG)["agent"]
    if about["env"] is None:
        raise RecGymError(f"{folder}: learned from a log alone; a report needs an environment")
    check_import(about["env"], trust)
    env_args = {name: value for name, value in about["env_args"].items() if name != "ensemble"}
    reward, click_rate = {}, {}
    for spec in WORLDS:
        arguments = {**env_args, "split": spec}
        found = evaluate(agent, about["env"], arguments, episodes, seed)
        reward[spec], click_rate[spec], _ = found.estimates()
    return Policy(name, folder, about, reward, click_rate)


def policies_section(policies: Sequence[Policy], episodes: int) -> Section:
    """The table of policies in both worlds."""
    header = ["policy", "reward, train users", "click rate", "reward, test users", "click rate"]
    rows = []
    for policy in policies:
        row = [policy.name]
        for spec in WORLDS:
            row += [_interval(policy.reward[spec]), _interval(policy.click_rate[spec])]
        rows.append(row)
    text = (
        "Policies were trained in a model of the training users, and are scored in that model and "
        "in one fitted to other users. Reward per step is averaged over time, then over users; "
        f"intervals are 95% over users, {episodes} episodes in each model, the same users and luck "
        "for every policy."
    )
    return Section("Policies", text, (table("", header, rows),))


def learning_section(policy: Policy, others: Sequence[Policy]) -> Section:
    """The learning curve from ``metrics.jsonl``, against the other policies in the train model.

    Raises:
        RecGymError: the run has no metrics, or they are damaged.
    """
    lines = [line for line in read_metrics(policy.folder) if "validation_reward" in line]
    levels = {other.name: other.reward["train"].mean for other in others}
    steps, values = ([line[name] for line in lines] for name in ("steps", "validation_reward"))
    figure = learning_curve(steps, values, policy.name, levels)
    text = "Reward per step in validation episodes in the environment of training."
    return Section("Learning", text, (image(figure, "learning curve"),))


def model_section(dataset: Dataset, model: FittedUserModel) -> Section:
    """What the user model was fitted on, and its held-out scores beside the floors."""
    facts = {
        "dataset": dataset.info["name"],
        "licence": dataset.info["licence"],
        **{name.replace("_", " "): f"{n:,}" for name, n in dataset.info["counts"].items()},
        "user model": model.config.summary,
        **{
            f"click rate of random slates, {member} users": f"{rate:.2f}"
            for member, rate in model.info["random_click_rate"].items()
        },
    }
    names = ("precision_at_1", "precision_at_2", "log_likelihood")
    rows = [
        [rule, *(f"{scores[name]:.3f}" if name in scores else "" for name in names)]
        for rule, scores in {"user model": model.scores, **model.scores["floors"]}.items()
    ]
    header = ["rule", "precision at 1", "precision at 2", "log-likelihood, nats a page"]
    text = (
        "The user model was fitted to clicks of training users, and predicts those of test users: "
        "which item of a page is clicked, given the clicks before. The other rules need no model."
    )
    parts = (
        table("Facts", ["", ""], [[name, str(value)] for name, value in facts.items()]),
        table("Scores on pages of test users", header, rows),
    )
    return Section("User model", text, parts)


def trajectory_section(dataset: Dataset, model: FittedUserModel) -> Section:
    """One held-out user's clicks over time by genre, beside what models predict (Figure 3)."""
    groups = dataset.catalog.groups("genre:")
    if not groups:
        return Section("Trajectory of a user", "The dataset names no genres.")
    member = np.stack(list(groups.values()), axis=1)  # (N, G)
    pages = pages_of(model.config, dataset.pages("test"), model.n_items)
    clicks_of = np.bincount(pages.user[pages.clicked])
    user = int(np.argmin(np.abs(clicks_of - TRAJECTORY_LENGTH)))
    logits = choice_logits(model, pages)[:, :-1]
    popularity = np.where(pages.absent, -np.inf, _click_rates(dataset)[pages.slates])
    chosen = {"user model": logits.argmax(axis=1), "item-CTR": popularity.argmax(axis=1)}
    rows = np.arange(pages.n_pages)[pages.clicked]
    true = pages.slates[rows, pages.target[rows]]
    predicted = {name: pages.slates[rows, slot[rows]] for name, slot in chosen.items()}
    agrees = {name: (member[true] & member[items]).any(axis=1) for name, items in predicted.items()}
    own = pages.user[rows] == user
    figure = trajectory(
        list(groups),
        member[true[own]],
        {name: member[items[own]] for name, items in predicted.items()},
    )
    shares = "; ".join(
        f"{name}: {100 * agree[own].mean():.0f}% for this user, {100 * agree.mean():.0f}% for all"
        for name, agree in agrees.items()
    )
    text = (
        f"The {own.sum()} clicks of one test user, every genre of a film at its time, and the film "
        "that each model expects on the same page, given the clicks before (the paper's Figure 3). "
        f"Share of predictions with a genre of the clicked film: {shares}."
    )
    return Section("Trajectory of a user", text, (image(figure, "genres over time"),))


def commands_section(
    dataset: Dataset, model: FittedUserModel, policies: Sequence[Policy], last: str
) -> Section:
    """The commands that made everything."""
    lines = [dataset.info["command"], model.info["command"]]
    for policy in policies:
        lines += _train_commands(policy)
    return Section("Commands", "Run in this order.", (commands([*lines, last]),))


def _train_commands(policy: Policy) -> list[str]:
    """The command lines of a training, from its configuration; one each time it went on."""
    config = read_json(policy.folder / CONFIG)
    steps = [*config.get("continued", []), config["steps"]]
    return [_train_command(policy.folder, config | {"steps": count}) for count in steps]


def _train_command(folder: Path, config: dict[str, Any]) -> str:
    words = ["python", "scripts/train.py", "--out", str(folder)]
    for name in ("env", "agent", "steps", "seed"):
        words += [f"--{name}", str(config[name])]
    for name, value in config["env_args"].items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    for name in ("agent_args", "loop_args"):
        pairs = [f"{key}={value}" for key, value in config[name].items()]
        words += [f"--{name.replace('_', '-')}", *pairs] if pairs else []
    if config["validation_episodes"] != TrainConfig.validation_episodes:
        words += ["--validation-episodes", str(config["validation_episodes"])]
    return shlex.join(words)


def _click_rates(dataset: Dataset) -> np.ndarray:
    """(N + 1,) smoothed click rate of every item on training pages, and 0 for no item."""
    train = dataset.pages("train")
    clicked = train.item[train.click >= 0]
    rates: np.ndarray = item_ctr(train.slate_items, clicked, dataset.catalog.n_items)
    return np.append(rates, 0.0)


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


def trajectory(
    group_names: Sequence[str],
    true: np.ndarray,
    predictions: dict[str, np.ndarray],
) -> Figure:
    """Draws a user's clicked genres over time beside those that models predict (Figure 3).

    Args:
        group_names: G names.
        true: (T, G) bool, the genres of the item clicked at each time.
        predictions: by model, (T, G) bool, the genres of the item it predicted on the same page.
    """
    figure = Figure(figsize=(8, 0.6 + 2.6 * len(predictions)))
    panels = figure.subplots(len(predictions), 1, squeeze=False, sharex=True)[:, 0]
    used = np.any([true.any(axis=0), *(p.any(axis=0) for p in predictions.values())], axis=0)
    names = [name for name, use in zip(group_names, used, strict=True) if use]
    for axes, (model, predicted) in zip(panels, predictions.items(), strict=True):
        axes.scatter(*np.nonzero(true[:, used]), s=26, color=BLUE, alpha=0.55, label="clicked")
        times, groups = np.nonzero(predicted[:, used])
        axes.scatter(times, groups, s=34, facecolors="none", edgecolors=ORANGE, label=model)
        axes.set_yticks(range(len(names)), names, fontsize=7)
        axes.grid(alpha=0.2)
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    panels[-1].set_xlabel("page")
    return figure
