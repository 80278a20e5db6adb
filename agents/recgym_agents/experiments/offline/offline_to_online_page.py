"""The page of offline-to-online: rank correlations, regret, and when estimates may be trusted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recgym.metrics import mean_and_error
from recgym.users.agreement import rank_correlation
from recgym_agents.experiments.experiment import (
    Budget,
    Claim,
    Finished,
    Page,
    Result,
    by_seed,
    having,
)
from recgym_agents.experiments.offline.world_logs import CUTOFF, LOGS
from recgym_agents.experiments.results_report import dots, p_text, seeds_text, table
from recgym_agents.experiments.verdicts import differences, judge, judge_bound, limit
from recgym_agents.zoo import FLOORS

LEVEL = 0.01
MARGIN = 0.05
"""How much less, as a share, still counts as what is reached from nothing."""
CLAIMED = ("lpi-rl", "cql", "bcq", "sqn")
"""Agents that are claimed to earn more than the random policy that logged."""
NOTHING, QUARTER = "online from nothing", "online from nothing, a quarter of the steps"
AFTER = "after the log, a quarter of the steps"
ESTIMATORS = ("ips", "doubly_robust", "independent_ips", "direct_method")
NEAR = "near the logging policy"
SCORES = (f"HR@{CUTOFF}", f"nDCG@{CUTOFF}", NEAR, *ESTIMATORS)
"""Each says how good a policy is, the higher the better."""
KEPT = ("random slates", "trained agent")
"""What a cell holds besides logs."""


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the tables, a figure of the correlations, and the verdicts."""
    scored = having(finished, part="scores")
    claims = having(finished, part="claims")
    worlds: list[str] = budget["worlds"]
    parts = ["## What is earned"]
    for log in LOGS:
        parts += [f"### {log} log", _earned(scored, worlds, log, budget)]
    correlations = {log: _by_score(scored, log, correlation) for log in LOGS}
    regrets = {log: _by_score(scored, log, regret) for log in LOGS}
    parts += [
        "## Which offline score ranks policies by what they earn",
        "Spearman's rank correlation of a score with the reward of a session in the world, over the"
        " policies of a log; mean over worlds and seeds, and its 95% interval.",
        _scores_table(correlations, 2),
        "![Rank correlations](offline-to-online.png)",
        "## What choosing by it costs",
        "Regret of the policy that scores highest: what it earns less than the best policy of the"
        " table, % of what the best earns more than random slates; mean and 95% interval.",
        _scores_table(regrets, 0, 100.0),
        _hindsight(scored),
        "## When estimates may be trusted",
        _trust(scored),
        "## On from a log",
        _online(claims),
    ]
    figure = dots({f"{log} log": found for log, found in correlations.items()}, "rank correlation")
    return Page(_claims(claims), "\n\n".join(parts), {"offline-to-online": figure})


def policies(result: Result) -> dict[str, Result]:
    """Returns what a cell found of each policy of a log."""
    return {name: one for name, one in result.items() if name != "log"}


def _scored(one: Result, score: str) -> float:
    """Returns a score of a policy, NaN where it has none."""
    if score in ESTIMATORS:
        return float(one["ope"].get(score, {}).get("estimate", np.nan))
    return float(-one.get("js", np.nan) if score == NEAR else one[score])


def _known(found: Result, log: str, score: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the scores of the policies of a log that have one (P,), and their values."""
    scores, values = np.array(
        [(_scored(one, score), one["value"]) for one in policies(found[log]).values()]
    ).T
    known = ~np.isnan(scores)
    return scores[known], values[known]


def correlation(found: Result, log: str, score: str) -> float:
    """Returns the rank correlation of a score and the value, over policies that have the score.

    0 where the score does not tell policies apart.
    """
    return rank_correlation(*_known(found, log, score))


def regret(found: Result, log: str, score: str) -> float:
    """Returns what the policy of the highest score earns less than the best one.

    As a share of what the best one earns more than random slates; among equal scores, the mean.
    """
    scores, values = _known(found, log, score)
    return _lost(found, log, float(values[scores == scores.max()].mean()))


def _lost(found: Result, log: str, value: float) -> float:
    best = max(one["value"] for one in policies(found[log]).values())
    return float((best - value) / (best - found["random slates"]["value"]))


def _by_score(
    scored: list[Finished], log: str, measure: Callable[[Result, str, str], float]
) -> dict[str, np.ndarray]:
    """Returns a measure of each score, (S,) over worlds and seeds."""
    return {
        score: np.array([measure(one.result, log, score) for one in scored]) for score in SCORES
    }


def _scores_table(by_log: dict[str, dict[str, np.ndarray]], digits: int, unit: float = 1.0) -> str:
    rows = []
    for score in SCORES:
        columns = [found[score] for found in by_log.values()]
        columns.append(np.mean(columns, axis=0))
        rows.append([score, *(_interval(unit * values, digits) for values in columns)])
    return table(["score", *(f"{log} log" for log in by_log), "all logs"], rows)


def _interval(values: np.ndarray, digits: int) -> str:
    found = mean_and_error(values)
    text = f"{found.mean:.{digits}f}"
    return text if found.n == 1 else f"{text} ({found.low:.{digits}f} .. {found.high:.{digits}f})"


def _earned(scored: list[Finished], worlds: list[str], log: str, budget: Budget) -> str:
    """Reward a session by world; ranks and divergence are means over worlds."""
    names = [*budget["policies"], *FLOORS, "popularity"]
    rows = [["the log", *(_values(scored, world, log, "log") for world in worlds), "", ""]]
    for name in names:
        found = [one.result[log][name] for one in scored]
        js = [one["js"] for one in found if "js" in one]
        ranks = np.mean([one[f"nDCG@{CUTOFF}"] for one in found])
        values = [_values(scored, world, log, name) for world in worlds]
        rows.append([name, *values, f"{ranks:.3f}", f"{np.mean(js):.3f}" if js else ""])
    for name in KEPT:
        values = [seeds_text(_kept(scored, world, name), 2) for world in worlds]
        rows.append([name, *values, "", ""])
    return table(["policy", *worlds, f"nDCG@{CUTOFF}", "JS"], rows)


def _kept(scored: list[Finished], world: str, name: str) -> np.ndarray:
    return np.array([one.result[name]["value"] for one in having(scored, world=world)])


def _values(scored: list[Finished], world: str, log: str, name: str) -> str:
    runs = having(scored, world=world)
    return seeds_text(np.array([one.result[log][name]["value"] for one in runs]), 2)


def _hindsight(scored: list[Finished]) -> str:
    """Says what it costs to choose blindly, or always the policy that turned out best."""
    names = list(policies(scored[0].result[next(iter(LOGS))]))
    lost = {
        name: np.mean(
            [
                _lost(one.result, log, one.result[log][name]["value"])
                for one in scored
                for log in LOGS
            ]
        )
        for name in names
    }
    best = min(lost, key=lambda name: lost[name])
    blind = float(np.mean(list(lost.values())))
    return (
        f"A policy drawn at random costs {100 * blind:.0f}%, on average over all logs;"
        f" always {best}, which is the best choice in hindsight, {100 * lost[best]:.0f}%."
    )


def _trust(scored: list[Finished]) -> str:
    """How far estimates of a page's reward are from what a page earned in the world."""
    rows = []
    for method in ESTIMATORS:
        for log in LOGS:
            found = [
                (one["ope"][method], one["page"])
                for run in scored
                for one in policies(run.result[log]).values()
                if method in one["ope"]
            ]
            for warned in (False, True):
                chosen = [pair for pair in found if pair[0]["warned"] == warned]
                if chosen:
                    rows.append([method, log, "yes" if warned else "no", *_errors(chosen)])
    header = ["estimator", "log", "warned", "estimates", "effective pages", "error, %", "held, %"]
    text = (
        "Estimates of the reward of a page, where the policy's users are as the log has them,"
        " against the reward of a page when the policy is played. *warned* are estimates of an"
        " effective sample size below 50 pages, of weights that are too far from 1 on average, or"
        " of equal terms, as the direct method has them of a slate that never changes; the error"
        " and the effective pages are medians, and *held* is how many 95% intervals hold"
        " what was earned."
    )
    return f"{text}\n\n{table(header, rows)}"


def _errors(chosen: list[tuple[Result, float]]) -> list[str]:
    """Returns how many estimates, the effective pages, the error, and how many intervals hold."""
    estimates, truth = [one for one, _ in chosen], np.array([page for _, page in chosen])
    column = {
        name: np.array([one[name] for one in estimates])
        for name in ("estimate", "low", "high", "effective_sample_size")
    }
    error = np.abs(column["estimate"] - truth) / np.abs(truth)
    held = (column["low"] <= truth) & (truth <= column["high"])
    return [
        str(len(chosen)),
        f"{np.median(column['effective_sample_size']):.0f}",
        f"{100 * np.median(error):.0f}",
        f"{100 * held.mean():.0f}",
    ]


def _online(claims: list[Finished]) -> str:
    rows = [
        [name, seeds_text(by_seed(claims, name))]
        for name in ("log", "lpi-rl", QUARTER, AFTER, NOTHING)
    ]
    rows[0][0], rows[1][0] = "random slates (the log)", "the log alone"
    return table(["lpi-rl learns", "clicks a session"], rows)


def _claims(runs: list[Finished]) -> tuple[Claim, ...]:
    log = by_seed(runs, "log")
    pairs = [(by_seed(runs, name), log) for name in CLAIMED]
    found = []
    for name, (ours, _), gain in zip(CLAIMED, pairs, differences(pairs, LEVEL), strict=True):
        verdict = judge(gain, LEVEL)
        numbers = (
            f"{ours.mean():.3f} against {log.mean():.3f} clicks a session ({gain.low:+.3f} .."
            f" {gain.high:+.3f}), p {p_text(gain.p_for)}{limit(verdict, f'{gain.detectable:.3f}')}"
        )
        text = f"{name} earns more than the random policy whose log it learned from"
        found.append(Claim(text, verdict, numbers))
    after, nothing = by_seed(runs, AFTER), by_seed(runs, NOTHING)
    share = mean_and_error(after / nothing - 1.0)
    numbers = (
        f"{after.mean():.3f} against {nothing.mean():.3f} clicks a session,"
        f" {100 * share.mean:+.1f}% ({100 * share.low:+.1f} .. {100 * share.high:+.1f})"
    )
    text = "After the log, lpi-rl reaches in a quarter of the steps what it reaches from nothing"
    return (*found, Claim(text, judge_bound(share.low, share.high, -MARGIN), numbers))
