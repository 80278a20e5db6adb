"""The part of a report on trained agents: what they earn, how they learned, what that says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from recgym.metrics import mean_and_error
from recgym_agents.runs.curve_style import End, name_ends, over_steps, plain, style
from recgym_agents.runs.findings import (
    against_plans,
    interval,
    ranking,
    standing_of,
    transfer,
)
from recgym_agents.runs.html_report import Section, image, said, table
from recgym_agents.runs.planned_levels import Levels, levels_of
from recgym_agents.runs.run_metrics import kept_report, read_metrics
from recgym_agents.runs.scored_runs import TEST, TRAIN, ScoredRun, titles
from recgym_agents.runs.standings import Standing, Unit, rewards_by_user, standings, unit_of

STUDY = Path(__file__).parents[3] / "docs" / "results" / "recgan-policies.md"
"""The page that studies policies in the model of other users; not there in an installed wheel."""
WHERE = {TRAIN: "In the model that it was trained in", TEST: "On users that it was not trained on"}


def policies_sections(runs: Sequence[ScoredRun], out: Path) -> list[Section]:
    """What agents of one world earn and how the last one learned.

    Args:
        runs: of one world; see ``by_world``.
        out: the report's file, for links to begin at.

    Raises:
        RecGymError: a run is named twice, or has no metrics.
    """
    names = titles(runs)
    levels = levels_of(runs[0].env, runs[0].env_args)
    found = [one for run in runs for one in run.found.values()]
    unit = unit_of(found) if levels is None else "session"  # as the levels are
    ranked = {
        world: standings(
            {
                name: rewards_by_user([run.found[world]], unit)
                for name, run in zip(names, runs, strict=True)
            }
        )
        for world in runs[0].found
    }
    users = len(runs[0].found[next(iter(ranked))].by_user()[0])
    meaning = _meaning(users, levels)
    parts = (
        _table(names, runs, ranked, unit, levels, meaning),
        *_findings(names[-1], ranked, unit, levels, out),
    )
    section = Section(f"Policies in {runs[0].env}", _introduction(runs), parts)
    return [section, _learning(names, runs, ranked, unit, levels)]


def _introduction(runs: Sequence[ScoredRun]) -> str:
    found = runs[0].found
    episodes = len(next(iter(found.values())).user)
    learned, each = "Policies are scored in the world that they were trained in", ""
    if len(found) > 1:
        each = " in each world"
        learned = (
            "Policies were trained in a model of the training users, and are scored in that model"
            " and in one fitted to other users, the test users"
        )
    given = ", ".join(f"{name}={value}" for name, value in runs[0].env_args.items())
    return (
        f"{learned}: {episodes:,} episodes{each}, with the same users and the same random"
        " numbers for every policy, so that policies can be compared in pairs."
        + (f" The world's arguments: {given}." if given else "")
    )


def _meaning(users: int, levels: Levels | None) -> str:
    text = (
        "Marked: the highest mean of its column. In brackets: the 95% interval over"
        f" {users:,} users (or episodes, where no users are named). A reward with ≈ cannot be told"
        " apart from the marked one by a paired t-test over them (p at least 0.05, Holm-corrected)."
        " Each policy is one training; recgym compare tells how much another seed would change."
    )
    if levels is not None:
        text += (
            f" The last {len(levels.named)} rows are computed from the world itself, for policies"
            " that know it and see the user's state; they have no interval."
        )
    return text


def _table(
    names: Sequence[str],
    runs: Sequence[ScoredRun],
    ranked: dict[str, list[Standing]],
    unit: Unit,
    levels: Levels | None,
    meaning: str,
) -> str:
    header = ["policy"]
    for world in ranked:
        place = "" if len(ranked) == 1 else f", {world}"
        header += [f"reward a {unit}{place}", f"click rate{place}"]
    standing = {world: {one.name: one for one in found} for world, found in ranked.items()}
    clicks = {
        world: [mean_and_error(run.found[world].by_user()[2]) for run in runs] for world in ranked
    }
    rows, best = [], set()
    for row, name in enumerate(names):
        cells = [name]
        for column, world in enumerate(ranked):
            own = standing[world][name]
            close = "" if own.best or own.told_apart else "≈ "
            cells += [close + interval(own.reward), interval(clicks[world][row])]
            best |= {(row, 1 + 2 * column)} if own.best else set()
            highest = max(one.mean for one in clicks[world])
            best |= {(row, 2 + 2 * column)} if clicks[world][row].mean == highest else set()
        rows.append(cells)
    if levels is not None:
        header.append(f"share of the {levels.best}")
        for name, cells in zip(names, rows, strict=True):
            reward = next(iter(standing.values()))[name].reward.mean
            cells.append(f"{100 * reward / levels.ahead:.0f}%")
        for name, level in levels.named.items():
            rows.append([name, f"{level:.3f}", "", f"{100 * level / levels.ahead:.0f}%"])
    return table("", header, rows, meaning, best)


def _findings(
    name: str,
    ranked: dict[str, list[Standing]],
    unit: Unit,
    levels: Levels | None,
    out: Path,
) -> list[str]:
    """What the numbers say of the last policy, beside the others and beside what is computed."""
    first = next(iter(ranked.values()))
    if len(first) == 1:
        found = [
            ranking(first, unit, f"In the world of {world}") for world, first in ranked.items()
        ]
        parts = [said(" ".join(found))]
    else:
        sentences = [
            standing_of(name, standing, unit, WHERE.get(world, f"In {world}"))
            for world, standing in ranked.items()
        ]
        link = None
        if list(ranked) == [TRAIN, TEST]:
            sentences.append(transfer(name, ranked[TRAIN], ranked[TEST]))
            if STUDY.exists():
                sentences.append("With several seeds and larger trainings:")
                link = (
                    os.path.relpath(STUDY, out.resolve().parent),
                    "docs/results/recgan-policies.md",
                )
        parts = [said(" ".join(sentences), link)]
    if levels is not None:
        own = next(one for one in first if one.name == name)
        parts.append(said(against_plans(name, own.reward, levels)))
    return parts


def _learning(
    names: Sequence[str],
    runs: Sequence[ScoredRun],
    ranked: dict[str, list[Standing]],
    unit: Unit,
    levels: Levels | None,
) -> Section:
    """The learning curve of the last policy, against the others in the world of training."""
    name, run = names[-1], runs[-1]
    heading = f"Learning in {run.env}"
    validated = "validation_reward" if unit == "step" else "validation_session_reward"
    lines = [line for line in read_metrics(run.folder) if validated in line]
    if not lines:
        return Section(heading, f"{name} was trained without validation episodes.")
    others = {one.name: one.reward.mean for one in next(iter(ranked.values())) if one.name != name}
    if levels is not None:
        others |= levels.named
    steps, values = ([line[what] for line in lines] for what in ("steps", validated))
    figure = learning_curve(steps, values, name, others, unit)
    kept = kept_report(run.folder)
    text = f"The reward of {name} while it learns, in the environment of its training."
    meaning = (
        "Each point is the mean over validation episodes, played without exploration. It begins at"
        f" {values[0]:.3f} and ends at {values[-1]:.3f}; the policy that was kept is that of step"
        f" {kept['steps']:,}, with {kept.get(validated, values[-1]):.3f}. Level lines are what the"
        " others earn in the table above, in the world of training."
    )
    return Section(heading, text, (image(figure, "learning curve", meaning),))


def learning_curve(
    steps: Sequence[float],
    values: Sequence[float],
    name: str,
    levels: dict[str, float],
    unit: Unit,
) -> Figure:
    """Draws a value over training steps, with the levels of others, each named at its end."""
    figure = Figure(figsize=(3.4, 3.2))
    axes = figure.subplots()
    own = style(0)
    axes.plot(steps, values, marker="o", markersize=3, linewidth=1.8, **own)
    ends = [End(name, values[-1], own["color"])]
    for number, (policy, level) in enumerate(levels.items(), start=1):
        drawn = style(number)
        axes.axhline(level, linewidth=1.3, **drawn)
        ends.append(End(policy, level, drawn["color"]))
    axes.set_ylabel(f"reward a {unit}")
    over_steps(axes)
    plain(axes)
    name_ends(axes, ends)
    return figure
