"""IRecGAN, Figure 2: learning from logs of the slate MDP, by logging policy and size of the log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from recgym.metrics import holm, mean_and_error, paired_bootstrap
from recgym_agents.experiments.experiment import (
    Budget,
    Claim,
    Experiment,
    Finished,
    Page,
    by_seed,
    having,
)
from recgym_agents.experiments.irecgan.figure_2_runs import (
    BUDGET,
    METHODS,
    ORACLES,
    PAPER,
    SHOWN,
    SMALLEST,
    SMOKE,
    WATCHED,
    cells,
    run_cell,
)
from recgym_agents.experiments.irecgan.slate_mdp_sessions import make_world, oracles
from recgym_agents.experiments.results_report import p_text, seeds_text, table
from recgym_agents.experiments.verdicts import Difference, differences, judge, limit

LEVEL = 0.01
"""Of the tests against the logging policy."""
METRIC = {"coverage@1": "coverage@1", "coverage@10": "coverage@10", "clicks a session": "session"}
"""A panel of the figure -> the result that it shows."""


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the tables, the tests, and the verdicts on what the paper says of its figure."""
    runs = Runs(finished, budget)
    shown = SHOWN if SHOWN in runs.sizes else max(runs.sizes)
    against = runs.against_logging(shown)
    parts = [
        f"## {shown:,} random sessions",
        "Clicks a session, mean ± standard error over worlds. Oracles are at the planner's exact "
        "values, of which the shares are; further down they are played, as the methods are. Gains "
        "are over the logging policy, with p-values that Holm's method corrected over the "
        f"{len(METHODS)} methods, two-sided over worlds and one-sided over sessions.",
        _shares(runs, shown, against),
    ]
    for title, metric in METRIC.items():
        parts += [f"## {title[0].upper()}{title[1:]}", _by_size(runs, metric)]
    parts += [
        "## What was kept",
        "Updates after which the policy was kept, of at most "
        f"{budget['updates']:,} or so; the rounds of LSTMD and IRecGAN begin after "
        f"{budget['pretraining'] + budget['discriminator_pretraining']}. Where it is the end, more "
        "updates may have brought more.",
        _by_size(runs, "updates", known=False, digits=0),
        "The adversary of IRecGAN then: how often the discriminator is right, its mean score of "
        "generated steps, and their effective sample size as a share of the steps (1: the scores "
        "do not reweigh).",
        _adversary(runs),
        "![Coverage and clicks by logging policy and size of the log](irecgan-fig2.png)",
    ]
    claims = (*_beat_logging(runs, shown, against), *_papers_claims(runs))
    return Page(claims, "\n\n".join(parts), {"irecgan-fig2": _figure(runs)})


class Gain(NamedTuple):
    """What a method has over the logging policy."""

    low: float
    high: float
    """95% interval over worlds, not corrected."""
    over_worlds: Difference
    """Tested by a two-sided paired t-test."""
    p_sessions: float


class Runs:
    """The finished cells by what they are of."""

    def __init__(self, finished: list[Finished], budget: Budget) -> None:
        self.finished, self.budget = finished, budget
        self.logs: list[str] = budget["logs"]
        """Logging policies."""
        self.sizes: list[int] = budget["sizes"]
        """Sessions of a log."""

    def of(self, log: str, size: int, method: str) -> list[Finished]:
        """Returns a method's trainings on logs of one kind, by seed."""
        return having(self.finished, log=log, sessions=size, method=method)

    def values(self, log: str, size: int, method: str, metric: str) -> np.ndarray:
        """Returns what they found, (S,) by seed."""
        return by_seed(self.of(log, size, method), metric)

    def untrained(self, policy: str, metric: str = "session") -> np.ndarray:
        """Returns what an oracle or a logging policy found, (S,) by seed."""
        return by_seed(having(self.finished, policy=policy), metric)

    def against_logging(self, size: int) -> dict[str, Gain]:
        """Holds every method that learned from random sessions against random slates."""
        random = having(self.finished, policy="random")
        found = [self.of("random", size, method) for method in METHODS]
        pairs = [(by_seed(one, "session"), by_seed(random, "session")) for one in found]
        p_sessions = holm(
            np.array([paired_bootstrap(_sessions(one), _sessions(random)) for one in found])
        )
        known = [mean_and_error(ours - theirs) for ours, theirs in pairs]
        tested = zip(METHODS, known, differences(pairs, LEVEL), p_sessions.tolist(), strict=True)
        return {method: Gain(one.low, one.high, *tests) for method, one, *tests in tested}


def _sessions(runs: list[Finished]) -> np.ndarray:
    """The clicks of all sessions of all seeds, one after the other."""
    return np.concatenate([one.result["arrays"]["session"] for one in runs])


def _shares(runs: Runs, size: int, against: dict[str, Gain]) -> str:
    """The table of one size of random logs; oracles at the planner's values."""
    known = _planned(runs.budget["seeds"])
    header = ["policy", "clicks a session", *(f"share of {name}" for name in ORACLES)]
    header += ["gain over random", "95% over worlds", "p, worlds", "p, sessions"]
    rows = []
    policies = {name: runs.values("random", size, name, "session") for name in METHODS}
    for name, values in (policies | known | {"random": runs.untrained("random")}).items():
        row = [name, seeds_text(values)]
        row += [f"{values.mean() / known[oracle].mean():.0%}" for oracle in ORACLES]
        if name in against:
            gain = against[name]
            row += [f"{gain.over_worlds.mean:+.2f}", f"{gain.low:+.2f} .. {gain.high:+.2f}"]
            row += [p_text(gain.over_worlds.p_for), p_text(gain.p_sessions)]
        rows.append([*row, *[""] * (len(header) - len(row))])
    return table(header, rows)


def _planned(seeds: list[int]) -> dict[str, np.ndarray]:
    """Returns what the oracles are worth exactly, by seed."""
    found: dict[str, list[float]] = {name: [] for name in ORACLES}
    for seed in seeds:
        _, world = make_world(seed, rows=1)
        for name, slates in oracles(world).items():
            found[name].append(float(world.policy_value(slates, 1.0, world.horizon)[0]))
    return {name: np.array(values) for name, values in found.items()}


def _by_size(runs: Runs, metric: str, known: bool = True, digits: int = 3) -> str:
    """A result of every method, log and size; if ``known``, of what learns nothing, too."""
    rows = [
        [log, method]
        + [seeds_text(runs.values(log, size, method, metric), digits) for size in runs.sizes]
        for log in runs.logs
        for method in METHODS
    ]
    for policy in (*ORACLES, "mix", "random") if known else ():  # max is the myopic oracle
        rows.append(["", policy, *[seeds_text(runs.untrained(policy, metric))] * len(runs.sizes)])
    return table(["log", "method", *(f"{size:,}" for size in runs.sizes)], rows)


def _adversary(runs: Runs) -> str:
    rows = [
        [log, f"{size:,}"]
        + [seeds_text(runs.values(log, size, "IRecGAN", name)) for name in WATCHED[1:]]
        for log in runs.logs
        for size in runs.sizes
    ]
    return table(["log", "sessions", "accuracy", "score", "effective share"], rows)


def _beat_logging(runs: Runs, size: int, against: dict[str, Gain]) -> list[Claim]:
    """Judges "beats the logging policy": p < .01, corrected, over worlds and over sessions."""
    random, claims = runs.untrained("random"), []
    for method in ("PG", "IRecGAN"):
        values = runs.values("random", size, method, "session")
        worlds, p_sessions = against[method].over_worlds, against[method].p_sessions
        verdict = judge(replace(worlds, p_for=max(worlds.p_for, p_sessions)), LEVEL)
        claims.append(
            Claim(
                f"ours: {method} beats the logging policy, {size:,} random sessions",
                verdict,
                f"{values.mean():.2f} clicks a session against {random.mean():.2f}, "
                f"p {p_text(worlds.p_for)} over worlds, {p_text(p_sessions)} over sessions"
                + limit(verdict, f"{worlds.detectable:.2f} clicks"),
            )
        )
    return claims


class Comparison(NamedTuple):
    """What the paper says is higher than something else; values by seed, means over sizes."""

    text: str
    ours: np.ndarray
    theirs: np.ndarray


def _papers_claims(runs: Runs) -> list[Claim]:
    """Judges what the paper says of Figure 2: higher, with p < .05 over worlds, corrected."""
    comparisons = _comparisons(runs)
    tested = differences([(one.ours, one.theirs) for one in comparisons])
    claims = []
    for (text, ours, theirs), found in zip(comparisons, tested, strict=True):
        verdict = judge(found)
        evidence = (
            f"{ours.mean():.3f} against {theirs.mean():.3f} ({found.mean:+.3f}), higher in "
            f"{int((ours > theirs).sum())} of {len(ours)} worlds, p {p_text(found.p_for)}"
        )
        claims.append(Claim(text, verdict, evidence + limit(verdict, f"{found.detectable:.3f}")))
    return claims


def _comparisons(runs: Runs) -> list[Comparison]:
    found = [
        Comparison(
            f"random logs: LSTM outperforms PG ({metric})",
            _over(runs, "random", ["LSTM"], metric),
            _over(runs, "random", ["PG"], metric),
        )
        for metric in ("coverage@1", "coverage@10")
    ]
    narrow = [log for log in runs.logs if log != "random"]
    found += [
        Comparison(
            f"coverage@10 is lower from {log} logs than from random ones",
            _over(runs, "random", METHODS, "coverage@10"),
            _over(runs, log, METHODS, "coverage@10"),
        )
        for log in narrow
    ]
    if {"max", "mix"} <= set(narrow):
        found.append(
            Comparison(
                "coverage@10 is lower from mix logs than from max logs",
                _over(runs, "max", METHODS, "coverage@10"),
                _over(runs, "mix", METHODS, "coverage@10"),
            )
        )
    for log in runs.logs:
        at_least = SMALLEST + 1 if log == "random" and len(runs.sizes) > 1 else 0
        sizes = [size for size in runs.sizes if size >= at_least]
        earned = {one: _over(runs, log, [one], "session", sizes) for one in METHODS}
        ours = earned.pop("IRecGAN")
        best = max(earned, key=lambda other: earned[other].mean())
        but = f", but for {SMALLEST} sessions" if at_least else ""
        text = f"{log} logs{but}: IRecGAN earns more than all others (best: {best})"
        found.append(Comparison(text, ours, earned[best]))
    return found


def _over(
    runs: Runs, log: str, methods: Iterable[str], metric: str, sizes: list[int] | None = None
) -> np.ndarray:
    """Returns means over methods and sizes of the log, all if None, (S,) by seed."""
    mean: np.ndarray = np.mean(
        [
            runs.values(log, size, method, metric)
            for method in methods
            for size in (runs.sizes if sizes is None else sizes)
        ],
        axis=0,
    )
    return mean


def _figure(runs: Runs) -> Figure:
    """Rows of panels by logging policy, columns by metric; means over worlds by size of log."""
    figure = Figure(figsize=(10, 2.6 * len(runs.logs)), layout="constrained")
    panels = figure.subplots(len(runs.logs), len(METRIC), sharex=True, squeeze=False)
    for row, log in zip(panels, runs.logs, strict=True):
        for axes, (title, metric) in zip(row, METRIC.items(), strict=True):
            for method in METHODS:
                found = [runs.values(log, size, method, metric) for size in runs.sizes]
                by_size = [mean_and_error(values) for values in found]
                axes.errorbar(
                    runs.sizes,
                    [one.mean for one in by_size],
                    [one.standard_error for one in by_size],
                    label=method,
                    marker="o",
                    markersize=3,
                    linewidth=1,
                )
            for policy, style in (("best fixed slate", "--"), ("random", ":")):
                level = runs.untrained(policy, metric).mean()
                axes.axhline(level, color="grey", linestyle=style, linewidth=1, label=policy)
            axes.set_xscale("log")
            axes.set_title(f"{log}: {title}", fontsize=9)
            axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("logged sessions")
    panels[0][0].legend(fontsize=7, frameon=False)
    return figure


EXPERIMENT = Experiment(
    name="irecgan-fig2",
    title="IRecGAN: learning from logs of the slate MDP",
    reproduces="IRecGAN, Figure 2: coverage and cumulative reward by logging policy and log size",
    method="""
A log is collected in SlateMDP-v0 (10 states, 50 items, slates of 10) by one of three policies:
random slates; the ten most rewarding items in the user's state (max); or, with probability one
half, those, and else ten of the items ranked 10 to 24 (mix). Four sessions of five are learned
from, the fifth selects. A seed is a world (`mdp_seed`), a log in it, a training, and the luck of
the sessions that score it, the same for all methods; so the intervals here are over worlds, of
which the paper has one.

LSTM is the user model alone, by its likelihood; PG is REINFORCE on the log; IRecGAN trains both
with a discriminator (Algorithm 1), and LSTMD ranks by its user model; the zoo's `user-lstm`,
`reinforce`, `irecgan` and `user-lstm-d`. LSTMD is a training of its own, because it is selected by
its own score. As in the paper: embeddings of 50, gamma .9, lambda_r 3, lambda_p 1, one generated
session to ten logged ones, LSTMs of two layers, but of 64 units; `--paper` takes the paper's 512.
Step sizes are the agents' defaults; two or three others were tried in two other worlds (mdp_seed
100, 101) with 200 random sessions, and none was better in both. Batches are of 64 sessions. A
training reads as many slates whatever the size of the log, those of 400 batches (up to 480 updates
where the last batch of a pass is smaller), and ends early when four reports in a row, after
pre-training, bring no better score on the log's validation sessions: log-likelihood for LSTM and
LSTMD, the objective of Eq. 10 for the others. PG is paid 1 + lambda_r r for a reward of r, as
IRecGAN is on logged steps. The policy kept is the best of all reports; for LSTMD and IRecGAN of
those after pre-training, so that each has learned from rounds. Their pre-training is short: at 200
updates, tried first on random logs of 200 and 1,000 sessions, the policy had fitted them too
closely before the rounds began. No method meets the world before it is scored.

Policies see the clicks of the session, not the state, and show their ten best items. coverage@r is
the share of the r most rewarding items in the user's present state that are in the slate, mean over
all slates. A session's reward is its clicks. The optimum and the myopic oracle see the state, which
clicks hardly give away (transition rows are nearly uniform), so the best fixed slate is the fairer
bar; it is the best that exchanging single items found, and a policy that knows which state sessions
begin in can be a little better. Rows without a training are the same for all sizes.

The paper prints this figure without numbers; its statements are judged, on means over all sizes,
or, where IRecGAN is to earn most, all but the one that the paper excepts; coverage@10 is compared
in the mean of the four methods. Rule: a statement is reproduced if p < .05 in a two-sided paired
t-test over worlds, corrected by Holm's method over the paper's statements, and contradicted if it
is so the other way round; for "beats the logging policy", reproduced if p < .01 over worlds and
over sessions (one-sided paired bootstrap), each corrected over the methods.
Which rival earns most is looked up in the same results, so that IRecGAN is held against the best by
chance, too.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    paper_budget=PAPER,
    takes_device=True,
)
