"""The parts of a report on what is behind a world: the log, and the user model fitted to it.

Any log has one, with the parts that there are: it may lack titles, features, slates, and clicks of
test users.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from recgym.data import Dataset, floors
from recgym.data.descriptions import counts
from recgym.users.folder import FittedUserModel
from recgym_agents.runs.html_report import Section, facts, table

RULES = (
    "Each rule picks the item of a page that it expects to be clicked. Precision at 1 is how often"
    " it is the one that was clicked (1.000 is always); precision at 2, how often that is among its"
    " first two. Ties count in part."
)
"""What tables of precision mean."""
COLUMNS = {
    "precision_at_1": "precision at 1",
    "precision_at_2": "precision at 2",
    "log_likelihood": "log-likelihood a page",
    "reward_log_likelihood": "log-likelihood of rewards a click",
}
"""Scores, and what they are called."""


def data_section(dataset: Dataset) -> Section:
    """What the log holds, and what rules that know no user score on its test pages."""
    info = dataset.info
    values = {
        "dataset": info["name"],
        "licence": info["licence"],
        **info.get("read_as", {}),
        **{name.replace("_", " "): f"{n:,}" for name, n in counts(dataset).items()},
    }
    mended = {what.replace("_", " "): n for what, n in info.get("mended", {}).items() if n}
    values |= {f"mended: {what}": f"{n:,}" for what, n in mended.items()}
    meaning = "A page is one display of a slate; its user clicks one item of it, or none."
    if mended:
        meaning += " Mended are rows that could not be taken as they stood, by what was wrong."
    parts = [facts("Facts", [(name, str(value)) for name, value in values.items()], meaning)]
    found = floors(dataset)
    text = "What was logged. No page with a click of a test user is there to score rules on."
    if found:
        text = "What was logged, and how often rules without a user model find the clicked item."
        parts.append(_scores_table("Rules on pages of test users", found))
    return Section("Data", text, tuple(parts))


def model_section(model: FittedUserModel) -> Section:
    """What the user model was fitted on, and its held-out scores beside those of plain rules."""
    values = {
        "fitted on": model.info["dataset"],
        "licence": model.info["licence"],
        "user model": model.config.summary,
        **{
            f"click rate of random slates, {member} users": f"{rate:.2f}"
            for member, rate in model.info["random_click_rate"].items()
        },
    }
    text = (
        "The user model was fitted to clicks of training users, and predicts those of test users:"
        " which item of a page is clicked, given the clicks before. The other rules need no model."
    )
    meaning = "The users of the environment are this model: it answers the slates that are shown."
    scores = {"user model": model.scores, **model.scores["floors"]}
    parts = (
        facts("Facts", [(name, str(value)) for name, value in values.items()], meaning),
        _scores_table("Scores on pages of test users", scores),
    )
    return Section("User model", text, parts)


def _scores_table(caption: str, scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns a table of scores by rule, with the columns that there are; the best are marked."""
    names = [name for name in COLUMNS if any(name in values for values in scores.values())]
    rows = [
        [rule, *(f"{values[name]:.3f}" if name in values else "" for name in names)]
        for rule, values in scores.items()
    ]
    best = set()
    for column, name in enumerate(names, start=1):
        known = {row: values[name] for row, values in enumerate(scores.values()) if name in values}
        best |= {(row, column) for row, value in known.items() if value == max(known.values())}
    meaning = f"Marked: the highest of its column. {RULES}"
    if "log_likelihood" in names:
        meaning += (
            " The log-likelihood is the mean natural logarithm of the probability that was given to"
            f" what the user did: 0 is certainty, and {math.log(0.25):.2f} one in four."
        )
    if "reward_log_likelihood" in names:
        meaning += " That of rewards is the same of the reward that a click paid (a density)."
    return table(caption, ["rule", *(COLUMNS[name] for name in names)], rows, meaning, best)
