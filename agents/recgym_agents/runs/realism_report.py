"""The realism report of a user model: one HTML page, and its numbers beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recgym.arrays import Array
from recgym.files import write_json
from recgym.users import FittedUserModel
from recgym.users.realism import FEATURES, Realism
from recgym_agents.runs.html_report import Section, facts, image, said, table, write_html
from recgym_agents.runs.panel_agreement import PanelAgreement
from recgym_agents.runs.panel_section import panel_section

REAL, SIMULATED = "#444444", "#0072b2"
RULES = {"random": "random", "item_ctr": "item click rate"}
MOST_RANKS = 1_000
"""Items of the popularity curve, the most clicked."""


def write_realism(
    folder: Path,
    name: str,
    model: FittedUserModel,
    realism: Realism,
    panel: PanelAgreement | str,
) -> Path:
    """Writes ``realism.html`` and ``realism.json`` into a folder; returns the page.

    Args:
        folder: where to; it is there.
        name: what the model is called on the page.
        model: the fitted user model.
        realism: what was measured of it.
        panel: how alike it and a model of other users rank policies, or why that is not known.
    """
    path = folder / "realism.html"
    write_html(path, f"How real is the user model {name}?", _sections(model, realism, panel))
    of_panel = {} if isinstance(panel, str) else panel.summary() | {"panel": panel.by_policy()}
    write_json(folder / "realism.json", realism.summary() | of_panel)
    return path


def _sections(model: FittedUserModel, found: Realism, panel: PanelAgreement | str) -> list[Section]:
    auc = found.discrimination
    told = f"{auc.auc:.2f} ({auc.low:.2f} .. {auc.high:.2f})"
    verdict = (
        f"A classifier tells simulated sessions from real ones with an AUC of {told}; .5 is chance."
        f" Predicted click probabilities are off by {found.reliability.error:.3f} on average."
    )
    info = model.info
    about = [
        ("model", model.config.summary),
        ("fitted on", f"{info['dataset']} ({info['licence']})"),
        ("command", info["command"] or "not recorded"),
        ("held-out users", f"{found.real.n_users} with {len(found.real.user)} pages"),
    ]
    return [
        Section(
            "In short",
            "Held-out users of the log, and what the model does in their place.",
            (said(verdict), facts("", about, "")),
        ),
        Section(
            "What it predicts",
            "Pages of users whom the model was not fitted on, with their own clicks before.",
            (_scores(found), _reliability(found), _slots(found)),
        ),
        Section(
            "What it does",
            "The model's users see the pages of the real ones, and live with their own clicks.",
            (_clicks(found), _popularity(found), _repeats(found)),
        ),
        Section(
            "What the log fixes of rewards",
            found.identified + ".",
            (_identified(found),),
        ),
        panel_section(panel),
        Section(
            "How the classifier works",
            "Logistic regression on features of a session and their squares, cross-fitted on two "
            f"halves of the users; the features: {', '.join(FEATURES)}.",
        ),
    ]


def _scores(found: Realism) -> str:
    columns = ("log_likelihood", "precision_at_1", "precision_at_2")
    rules = {"this model": found.scores}
    rules |= {label: found.floors[rule] for rule, label in RULES.items()}
    rows = [
        [name, *(f"{scores[column]:.3f}" if column in scores else "–" for column in columns)]
        for name, scores in rules.items()
    ]
    header = ["", "log-likelihood", "precision at 1", "precision at 2"]
    return table("", header, rows, "Nats a page; precision on pages with a click.")


def _reliability(found: Realism) -> str:
    curve = found.reliability

    def draw(axes: Axes) -> None:
        top = 1.05 * float(max(curve.predicted.max(), curve.observed.max(), 1e-3))
        axes.plot([0, top], [0, top], color="#bbbbbb", linewidth=1)
        axes.plot(curve.predicted, curve.observed, "o-", color=SIMULATED)
        axes.set_xlabel("predicted probability of an option")
        axes.set_ylabel("share that was chosen")

    return image(
        _figure(draw),
        "Reliability curve",
        f"Options in {len(curve.count)} groups of the same size; on the grey line, probabilities"
        f" are right. Expected calibration error: {curve.error:.4f}.",
    )


def _slots(found: Realism) -> str:
    real, expected = found.slots

    def draw(axes: Axes) -> None:
        slots = np.arange(1, len(real) + 1)
        axes.plot(slots, real, "o-", color=REAL, label="log")
        axes.plot(slots, expected, "o-", color=SIMULATED, label="model")
        axes.set_xlabel("slot")
        axes.set_ylabel("share of pages clicked there")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)

    return image(
        _figure(draw),
        "Clicks by slot",
        "A model that does not know slots follows only the items that stand in them.",
    )


def _clicks(found: Realism) -> str:
    def draw(axes: Axes) -> None:
        both = (found.real.clicks, found.simulated.clicks)
        _distribution(axes, both, "clicks of a user")

    real, simulated = found.real, found.simulated
    return image(
        _figure(draw),
        "Clicks of a user",
        f"Clicks of a user in the mean: real {real.clicks.mean():.2f}, simulated"
        f" {simulated.clicks.mean():.2f}; pages: {real.pages.mean():.2f} and"
        f" {simulated.pages.mean():.2f}.",
    )


def _popularity(found: Realism) -> str:
    real, simulated = found.popularity

    def draw(axes: Axes) -> None:
        ranks = np.arange(1, min(len(real), MOST_RANKS) + 1)
        axes.plot(ranks, np.cumsum(real)[: len(ranks)], color=REAL, label="real")
        axes.plot(ranks, np.cumsum(simulated)[: len(ranks)], color=SIMULATED, label="simulated")
        axes.set_xlabel("items, the most clicked in the log first")
        axes.set_ylabel("share of clicks on them")
        axes.legend(frameon=False)

    return image(
        _figure(draw),
        "Popularity of items",
        f"Total variation distance of clicks over items: {found.popularity_distance:.3f};"
        " 0 if they are the same, 1 if they share no item. Luck alone keeps it above 0.",
    )


def _repeats(found: Realism) -> str:
    real, simulated = found.repeats
    if real == simulated == 0.0:
        return said("Nobody clicked an item that she had clicked before, real or simulated.")

    def draw(axes: Axes) -> None:
        both = tuple(
            np.bincount(one.user, one.repeated, minlength=one.n_users)
            for one in (found.real, found.simulated)
        )
        _distribution(axes, both, "repeated clicks of a user")

    return image(
        _figure(draw),
        "Repeated clicks",
        f"Share of clicks on an item that the user had clicked before: real {real:.1%}, simulated"
        f" {simulated:.1%}.",
    )


def _identified(found: Realism) -> str:
    rows = [("share of the level that carries over", f"{found.level_share:.2f}")]
    words = {
        "levels": "agreement on which states are worth more",
        "items": "agreement on which items are worth more",
        "tastes": "agreement on what a state changes of that",
    }
    rows += [(words[name], f"{value:.2f}") for name, value in found.agreement.items()]
    return facts(
        "Models of training and test users, in the same states",
        rows,
        "Rank correlations of the rewards; 1 is the same order.",
    )


def _distribution(axes: Axes, both: tuple[Array, ...], label: str) -> None:
    """Draws the shares of users with at least so many of something: real, and simulated."""
    for values, colour, name in zip(both, (REAL, SIMULATED), ("real", "simulated"), strict=True):
        ordered = np.sort(values)
        share = 1.0 - np.arange(len(ordered)) / len(ordered)
        axes.step(ordered, share, where="pre", color=colour, label=name)
    axes.set_xlabel(label)
    axes.set_ylabel("share of users with as many at least")
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False)


def _figure(draw: Callable[[Axes], None]) -> Figure:
    figure = Figure(figsize=(4.8, 3.0), layout="constrained")
    axes = figure.subplots()
    draw(axes)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
