"""The section of a realism report on how alike two worlds rank a panel of policies."""

from __future__ import annotations

from recgym_agents.runs.html_report import Section, facts, said, table
from recgym_agents.runs.panel_agreement import MEASURES, PanelAgreement
from recgym_agents.runs.policy_panel import PANEL

HEADING = "Whether other users rank policies alike"
WORLDS = ("training users", "test users")


def panel_section(panel: PanelAgreement | str) -> Section:
    """Returns the section.

    Args:
        panel: what was measured, or why nothing was.
    """
    if isinstance(panel, str):
        return Section(HEADING, f"Not measured: {panel}.")
    users = [len(one) for one in panel.values["identified"]]
    text = (
        "An environment is of use if what is better in it is better for users whom it was not"
        f" fitted on. So {len(PANEL)} policies that learn nothing are played in {panel.env} twice:"
        " with the member of training users, which policies may know, and with that of the test"
        f" users, which none has seen; {users[0]:,} and {users[1]:,} users or sessions."
    )
    shown = facts("The panel", [(name, about) for name, (about, _) in PANEL.items()], "")
    return Section(HEADING, text, (said(_verdict(panel)), _table(panel), shown))


def _verdict(panel: PanelAgreement) -> str:
    taus = panel.taus
    found = [
        f"by {MEASURES[name]}, tau is {tau}, the same order in {(1 + tau.value) / 2:.0%} of pairs"
        for name, tau in taus.items()
    ]
    same = [MEASURES[name] for name in panel.values if name not in taus]
    sentences = [f"How alike both worlds rank the panel, by Kendall's tau: {'; '.join(found)}."]
    if "raw" not in panel.values:
        sentences.append("The log holds rewards, so that those learned are identified.")
    sentences += [f"By {name}, no policy differs from another." for name in same]
    return " ".join(sentences)


def _table(panel: PanelAgreement) -> str:
    means = panel.means
    header = ["policy", *(f"{MEASURES[name]}: {users}" for name in means for users in WORLDS)]
    columns = [one for both in means.values() for one in both]
    rows = [
        [name, *(f"{values[number]:.3f}" for values in columns)]
        for number, name in enumerate(PANEL)
    ]
    best = {(int(values.argmax()), number) for number, values in enumerate(columns, start=1)}
    meaning = (
        "Marked: the highest of its column. Kendall's tau is 1 for the same order, 0 for one by"
        " chance, -1 for the opposite one; in brackets, its 95% interval when the users of both"
        " worlds are drawn again."
    )
    return table("", header, rows, meaning, best)
