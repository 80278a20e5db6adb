"""Figures of a comparison: learning curves with bands over seeds, and what each seed earned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from recgym.arrays import Array
from recgym_agents.runs.curve_style import (
    COLOURS,
    GREY,
    End,
    name_ends,
    over_steps,
    plain,
    style,
)
from recgym_agents.runs.planned_levels import Levels
from recgym_agents.runs.standings import Unit

POINTS = 60
"""Of a curve and its band."""
Trainings = Sequence[Sequence[Mapping[str, float]]]
"""The lines of metrics of trainings that differ by their seed."""


class Band(NamedTuple):
    """A value over the steps of trainings that differ by their seed, each (P,)."""

    steps: Array
    mean: Array
    low: Array
    """The lowest of the seeds."""
    high: Array
    """The highest."""


def band_of(trainings: Trainings, name: str) -> Band | None:
    """Returns the mean of a value over seeds and what it ranges over; None if one lacks it.

    Seeds report at steps of their own, and so are interpolated to the same, from the first step
    that all have reached; one that ended early stays at its last value.

    Args:
        trainings: by seed.
        name: of the value.
    """
    curves = []
    for lines in trainings:
        seen = [line for line in lines if name in line]
        if not seen:
            return None
        curves.append(([line["steps"] for line in seen], [line[name] for line in seen]))
    first, last = (pick(steps[end] for steps, _ in curves) for pick, end in ((max, 0), (max, -1)))
    grid = np.linspace(first, last, POINTS if last > first else 1)
    values = np.stack([np.interp(grid, steps, values) for steps, values in curves])  # (S, P)
    return Band(grid, values.mean(axis=0), values.min(axis=0), values.max(axis=0))


def learning_bands(trainings: Mapping[str, Trainings], unit: Unit, levels: Levels | None) -> Figure:
    """Draws validation rewards over steps, the mean over seeds and a band from lowest to highest.

    Agents that learn nothing are level lines, and so are those that are computed.

    Args:
        trainings: by agent.
        unit: of the rewards.
        levels: what is computed of the world, if it can be.
    """
    name = "validation_reward" if unit == "step" else "validation_session_reward"
    figure = Figure(figsize=(3.4, 3.6))
    axes = figure.subplots()
    ends = []
    for number, (agent, lines) in enumerate(trainings.items()):
        band, drawn = band_of(lines, name), style(number)
        if band is None:
            continue
        if len(band.steps) == 1:
            axes.axhline(band.mean[-1], linewidth=1.3, **drawn)
        else:
            axes.plot(band.steps, band.mean, linewidth=1.8, **drawn)
            shade = {"color": drawn["color"], "alpha": 0.18, "linewidth": 0}
            axes.fill_between(band.steps, band.low, band.high, **shade)
        ends.append(End(agent, float(band.mean[-1]), drawn["color"]))
    for text, level in (levels.named if levels else {}).items():
        axes.axhline(level, color=GREY, linewidth=0.8)
        ends.append(End(text, level, GREY))
    over_steps(axes)
    axes.set_ylabel(f"reward a {unit}, in validation")
    plain(axes)
    name_ends(axes, ends)
    return figure


def seed_dots(rewards: Mapping[str, Array], unit: Unit, levels: Levels | None) -> Figure:
    """Draws what each seed earned as a dot and their mean as a bar, an agent a row.

    What is computed has rows of its own, with a diamond each.

    Args:
        rewards: by agent, a value a seed.
        unit: of the rewards.
        levels: what is computed of the world, if it can be.
    """
    computed = {} if levels is None else levels.named
    rows = [*rewards, *computed]
    figure = Figure(figsize=(3.6, 0.9 + 0.3 * len(rows)))
    axes = figure.subplots()
    axes.grid(axis="y", alpha=0.3)
    for row, values in enumerate(rewards.values()):
        axes.scatter(values, np.full(len(values), row), s=18, color=COLOURS[0], alpha=0.6)
        axes.vlines(np.mean(values), row - 0.32, row + 0.32, color=COLOURS[1], linewidth=2)
    for row, level in enumerate(computed.values(), start=len(rewards)):
        axes.scatter(level, row, s=26, color=GREY, marker="D")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(f"reward a {unit}")
    plain(axes)
    return figure
