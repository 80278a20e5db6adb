"""IRecGAN, Figure 2: learning from logs of the slate MDP, by logging policy and size of the log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from recgym.metrics import mean_and_error
from recgym_agents.experiments.experiment import (
    Budget,
    Claim,
    Experiment,
    Finished,
    Page,
    Result,
    having,
)
from recgym_agents.experiments.irecgan.figure_2_runs import (
    BUDGET,
    METHODS,
    PAPER_BUDGET,
    SMALLEST,
    SMOKE,
    WATCHED,
    cells,
    run_cell,
)
from recgym_agents.experiments.irecgan.slate_mdp_sessions import MEASURES, WORLDS
from recgym_agents.experiments.irecgan.slate_mdp_yardsticks import (
    CAPTION,
    KNOWN,
    RANDOM,
    of_policy,
    policies_table,
)
from recgym_agents.experiments.results_report import p_text, seeds_text, table
from recgym_agents.experiments.slate_mdp_known import BELIEF, FIXED
from recgym_agents.experiments.verdicts import differences, judge, limit

LEVEL = 0.01
"""Of the tests against the logging policy."""
BEAT = ("PG", "IRecGAN")
"""The methods that are held against it."""


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the tables, the tests, and the verdicts on what the paper says of its figure."""
    runs = Runs(finished, budget)
    parts, claims = [CAPTION], []
    for world in runs.worlds:
        parts += [f"## Worlds: {world}", _policies(runs, world)]
        claims += _beat_logging(runs, world) + _papers_claims(runs, world)
    parts += [
        "![Clicks and coverage by logging policy and size of the log](irecgan-fig2.png)",
        "## What was kept",
        "Updates after which a method's policy was kept, of at most "
        f"{budget['updates']:,} or so; the rounds of LSTMD and IRecGAN begin after "
        f"{budget['pretraining'] + budget['discriminator_pretraining']}. Where it is the end, more "
        "updates may have brought more. Then the adversary of IRecGAN: how often the discriminator "
        "is right, its mean score of generated steps, and their effective sample size as a share "
        "of the steps (1: the scores do not reweigh).",
        _kept(runs),
    ]
    return Page(tuple(claims), "\n\n".join(parts), {"irecgan-fig2": _figure(runs)})


class Runs:
    """The finished cells by what they are of."""

    def __init__(self, finished: list[Finished], budget: Budget) -> None:
        self.finished = finished
        self.worlds = [world for world in WORLDS if world in budget["seeds"]]
        """Kinds of worlds."""
        self.logs: list[str] = budget["logs"]
        """Logging policies."""
        self.sizes: list[int] = budget["sizes"]
        """Sessions of a log."""

    def of(self, world: str, log: str, size: int, method: str) -> list[Result]:
        """Returns what a method did that learned from logs of one kind, by seed."""
        factors = {"world": world, "log": log, "sessions": size, "training": METHODS[method]}
        return [one.result[method] for one in having(self.finished, **factors)]

    def values(self, world: str, log: str, size: int, method: str, measure: str) -> np.ndarray:
        """Returns a measure of it, (S,) by seed."""
        return np.array([one[measure] for one in self.of(world, log, size, method)])

    def known(self, world: str) -> list[Finished]:
        """Returns the cells of known policies, by seed."""
        return having(self.finished, world=world, training=KNOWN)

    def over(
        self,
        world: str,
        log: str,
        methods: Iterable[str],
        measure: str,
        sizes: list[int] | None = None,
    ) -> np.ndarray:
        """Returns means over methods and sizes of the log, all if None, (S,) by seed."""
        mean: np.ndarray = np.mean(
            [
                self.values(world, log, size, method, measure)
                for method in methods
                for size in (self.sizes if sizes is None else sizes)
            ],
            axis=0,
        )
        return mean


def _policies(runs: Runs, world: str) -> str:
    methods: list[tuple[tuple[str, ...], list[Result]]] = [
        ((method, log, f"{size:,}"), runs.of(world, log, size, method))
        for log in runs.logs
        for size in runs.sizes
        for method in METHODS
    ]
    return policies_table(("policy", "log", "sessions"), methods, runs.known(world))


def _kept(runs: Runs) -> str:
    rows = [
        [world, log, f"{size:,}"]
        + [seeds_text(runs.values(world, log, size, one, WATCHED[0]), 0) for one in METHODS]
        + [seeds_text(runs.values(world, log, size, "IRecGAN", name)) for name in WATCHED[1:]]
        for world in runs.worlds
        for log in runs.logs
        for size in runs.sizes
    ]
    header = ["worlds", "log", "sessions", *METHODS, "accuracy", "score", "effective share"]
    return table(header, rows)


def _beat_logging(runs: Runs, world: str) -> list[Claim]:
    """Judges "beats the logging policy" of the largest random logs: p < .01 over worlds."""
    size = max(runs.sizes)
    random = of_policy(runs.known(world), RANDOM, "clicks")
    pairs = [(runs.values(world, "random", size, method, "clicks"), random) for method in BEAT]
    claims = []
    for method, (ours, _), found in zip(BEAT, pairs, differences(pairs, LEVEL), strict=True):
        verdict = judge(found, LEVEL)
        text = f"{world}, ours: {method} beats the logging policy, {size:,} random sessions"
        evidence = (
            f"{ours.mean():.2f} clicks a session against {random.mean():.2f}, "
            f"p {p_text(found.p_for)}" + limit(verdict, f"{found.detectable:.2f} clicks")
        )
        claims.append(Claim(text, verdict, evidence))
    return claims


class Comparison(NamedTuple):
    """What the paper says is higher than something else; values by seed, means over sizes."""

    text: str
    ours: np.ndarray
    theirs: np.ndarray


def _papers_claims(runs: Runs, world: str) -> list[Claim]:
    """Judges what the paper says of Figure 2: higher, with p < .05 over worlds, corrected."""
    comparisons = _comparisons(runs, world)
    tested = differences([(one.ours, one.theirs) for one in comparisons])
    claims = []
    for (text, ours, theirs), found in zip(comparisons, tested, strict=True):
        verdict = judge(found)
        evidence = (
            f"{ours.mean():.3f} against {theirs.mean():.3f} ({found.mean:+.3f}), higher in "
            f"{int((ours > theirs).sum())} of {len(ours)} worlds, p {p_text(found.p_for)}"
        )
        evidence += limit(verdict, f"{found.detectable:.3f}")
        claims.append(Claim(f"{world}, {text}", verdict, evidence))
    return claims


def _comparisons(runs: Runs, world: str) -> list[Comparison]:
    found = [
        Comparison(
            f"random logs: LSTM outperforms PG ({measure})",
            runs.over(world, "random", ["LSTM"], measure),
            runs.over(world, "random", ["PG"], measure),
        )
        for measure in ("coverage@1", "coverage@10")
    ]
    covered = {log: runs.over(world, log, METHODS, "coverage@10") for log in runs.logs}
    found += [
        Comparison(
            f"coverage@10 is lower from {low} logs than from {high} ones",
            covered[high],
            covered[low],
        )
        for low, high in (("max", "random"), ("mix", "random"), ("mix", "max"))
        if {low, high} <= set(covered)
    ]
    for log in runs.logs:
        excepted = log == "random" and SMALLEST in runs.sizes
        sizes = [size for size in runs.sizes if size != SMALLEST or not excepted]
        earned = {one: runs.over(world, log, [one], "clicks", sizes) for one in METHODS}
        ours = earned.pop("IRecGAN")
        best = max(earned, key=lambda other: earned[other].mean())
        but = f", but for {SMALLEST} sessions" if excepted else ""
        text = f"{log} logs{but}: IRecGAN earns more than all others (best: {best})"
        found.append(Comparison(text, ours, earned[best]))
    return found


def _figure(runs: Runs) -> Figure:
    """Rows of panels by world and log, columns by measure; means over worlds by size of log."""
    kinds = [(world, log) for world in runs.worlds for log in runs.logs]
    figure = Figure(figsize=(10, 2.6 * len(kinds)), layout="constrained")
    panels = figure.subplots(len(kinds), len(MEASURES), sharex=True, squeeze=False)
    for row, (world, log) in zip(panels, kinds, strict=True):
        known = runs.known(world)
        for axes, measure in zip(row, MEASURES, strict=True):
            for method in METHODS:
                found = [runs.values(world, log, size, method, measure) for size in runs.sizes]
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
            for policy, style in ((BELIEF, "-"), (FIXED, "--"), (RANDOM, ":")):
                level = of_policy(known, policy, measure).mean()
                axes.axhline(level, color="grey", linestyle=style, linewidth=1, label=policy)
            axes.set_xscale("log")
            axes.set_title(f"{world}, {log} logs: {measure}", fontsize=9)
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
A log is collected in SlateMDP-v0 (10 states, 50 items, slates of 10) by one of two policies: random
slates, or the ten most rewarding items in the user's state (max). `--paper` adds the paper's third
(mix: with probability one half those of max, and else ten of the items ranked 10 to 24), its other
sizes, and its networks. Four sessions of five are learned from, the fifth selects. A seed is a
world (`mdp_seed`), a log in it, a training, and the luck of the sessions that measure it, the same
for all methods; so the intervals here are over worlds, of which the paper has one. There are two
kinds: the paper's, in which transition rows are nearly uniform, and worlds with
`concentration=.01`, in which a click decides the next state and past clicks tell much of it.

LSTM is the user model alone, by its likelihood; PG is REINFORCE on the log; IRecGAN trains both
with a discriminator (Algorithm 1), and LSTMD ranks by its user model; the zoo's `user-lstm`,
`reinforce`, `irecgan` and `user-lstm-d`. IRecGAN and LSTMD share one training, which is the same
for both; each keeps what its own score selects, and stops looking when its own patience ends, so
that both are as two trainings with one seed would leave them. As in the paper: embeddings of 50,
gamma .9, lambda_r 3, lambda_p 1, one generated session to ten logged ones, LSTMs of two layers, but
of 64 units. As in the authors' code, generated sessions are at most twice as long as the logged
ones of the update in the mean. Step sizes are the agents' defaults; two or three others were tried
in two other worlds (mdp_seed 100, 101) with 200 random sessions, and none was better in both.

Batches are of 64 sessions. A training reads as many slates whatever the size of the log, those of
as many batches of mean length as the budget has updates, and ends early when four reports in a row,
after pre-training, bring no better score on the log's validation sessions: log-likelihood for LSTM
and LSTMD, the objective of Eq. 10 for the others. PG is paid 1 + lambda_r r for a reward of r, as
IRecGAN is on logged steps. The policy kept is the best of all reports; for LSTMD and IRecGAN of
those after pre-training, so that each has learned from rounds. Their pre-training is short: at 200
updates, tried first on random logs of 200 and 1,000 sessions, the policy had fitted them too
closely before the rounds began. No method meets the world before it is measured.

Policies see the clicks of the session, not the state. coverage@r is the share of the r most
rewarding items in the user's present state that are in the slate, mean over all slates. A session's
reward is its clicks. Two protocols measure them. By ours a policy shows its ten best items, and all
sessions count, of at most 40 slates. By that of the authors' code it draws its slates, sessions
have no cap (here: a horizon of 200, which no session meets), and those without a click are dropped
from the clicks; coverage is still of all slates. Policies still see at most the last 40 clicks, but
the belief sees all. Verdicts are by our protocol.

Yardsticks that see what the methods see know the world: the best fixed slate, the best first slate
with the best to follow it, and a policy with a belief about the state, which plans as if the state
were seen one step late. Their clicks have a bound, and so has the coverage of any policy of clicks,
that of a policy which does see the state one step late. The belief plans for clicks, and so does
not reach the ceiling of coverage. The optimum and the myopic oracle see the state.

The paper prints this figure without numbers; its statements are judged, on means over all sizes,
or, where IRecGAN is to earn most, all but the one that the paper excepts; coverage@10 is compared
in the mean of the four methods. Rule: a statement is reproduced if p < .05 in a two-sided paired
t-test over worlds, and contradicted if it is so the other way round, corrected by Holm's method
over the paper's statements in one kind of world: those on the paper's worlds are the reproduction,
those on the others say what another world would have shown. For "beats the logging policy" the
level is .01, corrected over the two methods. Which rival earns most is looked up in the same
results, so that IRecGAN is held against the best by chance, too.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
    paper_budget=PAPER_BUDGET,
    takes_device=True,
)
