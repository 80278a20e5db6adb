"""Learning curves: what a training's metrics say over its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

CURVES = {
    "reward": "reward a step, while training",
    "validation_reward": "reward a step, in validation",
    "validation_session_reward": "reward a session, in validation",
    "validation_score": "score of logged users, in validation",
}
"""What is drawn, in a panel of its own, where a training has it."""


def learning_curves(trainings: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Draws the curves of trainings; a dot is the validation whose policy was kept.

    Args:
        trainings: by name, the lines of ``metrics.jsonl``.
    """
    panels = [
        name
        for name in CURVES
        if any(name in line for lines in trainings.values() for line in lines)
    ]
    figure = Figure(figsize=(4.2 * max(len(panels), 1), 3.2), layout="constrained")
    axes = figure.subplots(1, max(len(panels), 1), squeeze=False)[0]
    for name, panel in zip(panels, axes, strict=False):
        for title, lines in trainings.items():
            seen = [line for line in lines if name in line]
            steps, values = ([line[what] for line in seen] for what in ("steps", name))
            (curve,) = panel.plot(steps, values, marker=".", markersize=3, label=title)
            kept = [line for line in seen if line.get("kept")][-1:]
            if kept and name.startswith("validation"):
                panel.plot(kept[0]["steps"], kept[0][name], "o", color=curve.get_color())
        panel.set_xlabel("steps")
        panel.set_title(CURVES[name], fontsize=9)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    return figure
