"""IRecGAN's Figure 3: policies that meet a slate MDP and learn from what they showed, in turn."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from recgym.metrics import detectable_ratio, paired_variances
from recgym_agents.experiments.experiment import (
    Budget,
    Claim,
    Experiment,
    Finished,
    Page,
    Result,
    Verdict,
    having,
)
from recgym_agents.experiments.irecgan.figure_3_runs import (
    BUDGET,
    METHODS,
    SMOKE,
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
from recgym_agents.experiments.verdicts import (
    LEVEL,
    Difference,
    differences,
    judge,
    judge_all,
    limit,
)


class Comparison(NamedTuple):
    """A mean over the last iterations that should be above another, paired by seed."""

    ours: str
    theirs: str
    our_measure: str
    their_measure: str


def _both(ours: str, theirs: str) -> list[Comparison]:
    return [Comparison(ours, theirs, measure, measure) for measure in COVERAGES]


COVERAGES = ("coverage@1", "coverage@10")
LEARNERS = ("PG-online", "PG-online&offline", "IRecGAN")
DRAWN = "LSTM-offline ends below all RL methods in both coverages"
GREEDY = "LSTM-offline, greedy, ends below all RL methods in both coverages"
SLOW = "PG-online improves slowly: it ends below PG-online&offline in both coverages"
SPREAD = "PG-online has a high variance: above PG-online&offline's in both coverages"
BETTER = "IRecGAN ends above PG-online&offline in both coverages"
HARD = "coverage@10 is harder to improve: it ends below coverage@1 for all RL methods"
CLAIMS = {
    DRAWN: [one for name in LEARNERS for one in _both(name, "LSTM-offline")],
    GREEDY: [one for name in LEARNERS for one in _both(name, "LSTM-offline, greedy")],
    SLOW: _both("PG-online&offline", "PG-online"),
    BETTER: _both("IRecGAN", "PG-online&offline"),
    HARD: [Comparison(name, name, *COVERAGES) for name in LEARNERS],
}
"""A statement of the paper -> the comparisons that all have to hold."""


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the tables, the tests, and a verdict for each statement of the paper."""
    parts, claims, lines = [], [], {}
    for world in (one for one in WORLDS if one in budget["seeds"]):
        runs = {name: having(finished, world=world, method=name) for name in METHODS}
        known = having(finished, world=world, method=KNOWN)
        found = _claims(runs, _tests(runs, budget), budget)
        claims += [replace(one, text=f"{world}: {one.text}") for one in found]
        final: list[tuple[tuple[str, ...], list[Result]]] = [
            ((name,), [one.result["final"] for one in some]) for name, some in runs.items()
        ]
        parts += [
            f"## Worlds: {world}",
            policies_table(("policy",), final, known),
            f"While they learn, means over the last {budget['later']} of {budget['iterations']} "
            "iterations, which the verdicts are on: drawn slates, sessions as in our protocol.",
            _learning(runs, budget),
        ]
        lines[world] = runs, known
    figure = "![Coverage and clicks by iteration](irecgan-fig3.png)"
    body = "\n\n".join((f"Of what was learned in the end. {CAPTION}", *parts, figure))
    return Page(tuple(claims), body, {"irecgan-fig3": _figure(lines)})


def _learning(runs: dict[str, list[Finished]], budget: Budget) -> str:
    rows = [
        [name, *(seeds_text(_later(found, measure, budget)) for measure in MEASURES)]
        for name, found in runs.items()
    ]
    return table(["policy", *MEASURES], rows)


def _later(runs: list[Finished], measure: str, budget: Budget) -> np.ndarray:
    """Returns the mean over the last iterations, by seed."""
    return np.array([np.mean(one.result[measure][-budget["later"] :]) for one in runs])


def _tests(runs: dict[str, list[Finished]], budget: Budget) -> dict[Comparison, Difference]:
    """Makes every comparison of the page."""
    comparisons = [one for some in CLAIMS.values() for one in some]
    pairs = [
        (
            _later(runs[one.ours], one.our_measure, budget),
            _later(runs[one.theirs], one.their_measure, budget),
        )
        for one in comparisons
    ]
    return dict(zip(comparisons, differences(pairs), strict=True))


def _claims(
    runs: dict[str, list[Finished]], tests: dict[Comparison, Difference], budget: Budget
) -> tuple[Claim, ...]:
    claims = []
    for text, comparisons in CLAIMS.items():
        verdict = judge_all(judge(tests[one]) for one in comparisons)
        evidence = "; ".join(_evidence(one, tests[one]) for one in comparisons)
        claims.append(Claim(text, verdict, evidence))
        if text == SLOW:
            claims.append(_spread(runs, budget))
    return tuple(claims)


def _evidence(one: Comparison, found: Difference) -> str:
    limits = limit(judge(found), f"{found.detectable:.3f}")
    return f"{_named(one)} {found.mean:+.3f} (p {p_text(found.p_for)}{limits})"


def _named(one: Comparison) -> str:
    if one.ours == one.theirs:
        return f"{one.ours}: {one.our_measure} - {one.their_measure}"
    return f"{one.ours} - {one.theirs}, {one.our_measure}:"


def _spread(runs: dict[str, list[Finished]], budget: Budget) -> Claim:
    """Judges "high variance": a larger one over seeds, with p < .05."""
    verdicts: list[Verdict] = []
    evidence = []
    for measure in COVERAGES:
        ours, theirs = (
            _later(runs[name], measure, budget) for name in ("PG-online", "PG-online&offline")
        )
        p = paired_variances(ours, theirs)
        judged: Verdict = "reproduced" if ours.std() > theirs.std() else "contradicted"
        verdicts.append(judged if p < LEVEL else "inconclusive")
        deviations = f"{ours.std(ddof=1):.3f} against {theirs.std(ddof=1):.3f}"
        limits = limit(verdicts[-1], f"{detectable_ratio(ours, theirs):.1f} times as large")
        evidence.append(f"{measure}: standard deviation {deviations} (p {p_text(p)}{limits})")
    return Claim(SPREAD, judge_all(verdicts), "; ".join(evidence))


def _figure(worlds: dict[str, tuple[dict[str, list[Finished]], list[Finished]]]) -> Figure:
    """Each measure by iteration, a line a method, with its standard error; a row a kind of world.

    Args:
        worlds: of a kind of world, the methods' cells and those of known policies.
    """
    figure = Figure(figsize=(11, 3.6 * len(worlds)), layout="constrained")
    panels = figure.subplots(len(worlds), len(MEASURES), squeeze=False)
    for row, (world, (runs, known)) in zip(panels, worlds.items(), strict=True):
        for axes, measure in zip(row, MEASURES, strict=True):
            for number, (name, found) in enumerate(runs.items()):
                values = np.array([one.result[measure] for one in found])
                mean, error = values.mean(0), values.std(0, ddof=1) / len(values) ** 0.5
                iteration, color = np.arange(1, len(mean) + 1), f"C{number}"
                axes.plot(iteration, mean, color=color, label=name)
                axes.fill_between(iteration, mean - error, mean + error, color=color, alpha=0.2)
            for policy, style in ((BELIEF, "-"), (FIXED, "--"), (RANDOM, ":")):
                worth = of_policy(known, policy, measure).mean()
                axes.axhline(worth, color="grey", linestyle=style, linewidth=0.9, label=policy)
            axes.set_title(f"{world}: {measure}", fontsize=9)
            axes.set_xlabel("iteration")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.spines[["top", "right"]].set_visible(False)
    panels[0][-1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


EXPERIMENT = Experiment(
    name="irecgan-fig3",
    title="Learning online and offline in turn, in the slate MDP",
    reproduces="Bai, Guan and Wang (NeurIPS 2019), Figure 3 and what section 7.1 says of it",
    method="""
The text of the paper gives none of its figure's numbers; only its statements are judged here. A
method plays 200 sessions in SlateMDP-v0 with its current policy, then learns from all that it has
stored, 20 times, from scratch. Each seed is a world of its own, which all methods of a seed meet.
There are two kinds of worlds: the paper's, in which transition rows are nearly uniform, and worlds
with `concentration=.01`, in which a click decides the next state and past clicks tell much of it.

- **Online.** The 200 sessions come in ten rounds of 20. Each round is learned from by one update
  before the next is played, and not again: all updates are on-policy. (One update by all 200 would
  leave PG-online 20 updates altogether.)
- **Offline.** Ten updates an iteration, each by 100 of all sessions stored so far, without
  importance weights, as in the paper's Eq. 9, though old sessions are those of old policies.
- **PG-online** and **PG-online&offline** are `reinforce`. **IRecGAN** (`irecgan`) is given the same
  sessions and updates as PG-online&offline. Its first iteration is its pre-training: the last fifth
  of the offline updates is the discriminator's, the updates before are the agent's and the user
  model's, by real sessions alone. From the second iteration on, each is a round of Algorithm 1.
- **LSTM-offline** (`user-lstm`) fits its user model, offline only. The paper does not say how it
  shows slates while it collects sessions. *LSTM-offline* draws them as the others do, here from the
  softmax of the user model's logits (Eq. 1); *LSTM-offline, greedy* shows the ten highest. The
  statement is judged for both.

What is recorded is the policy before each iteration, in sessions that nothing learns from, with
luck that is the same for all methods: coverage@r, the share of the r most rewarding items in the
user's state that her slate holds, mean over slates, and clicks per session. Slates are those that a
method shows as it learns: drawn, by all but the greedy one. Random slates of 10 of 50 items cover
20% whatever r is, so that both coverages begin alike.

What was learned in the end is measured by two protocols. By ours a policy shows the ten items that
it ranks first, and all sessions count, of at most 40 slates. By that of the authors' code it shows
slates as it does while it learns, sessions have no cap (here: a horizon of 200, which no session
meets), and those without a click are dropped from the clicks; coverage is still of all slates.
Beside them stand policies that know the world, which [irecgan-fig2](irecgan-fig2.md) explains.

All networks are two LSTM layers of 64 units (the paper: 512), with item embeddings of 50; discount
.9, lambda_r 3 (IRecGAN's rewards are 1 + 3 r, Eq. 10; those of PG are r), one generated session to
ten real ones, and as in the authors' code at most twice as long as the real ones of the update in
the mean; observations hold 40 clicks; clicked items remain candidates. Step sizes were chosen
by the clicks of the last five iterations, in the paper's kind of worlds, none of them reported: the
agent's from .003, .01 and .03 with the two policy gradients (mdp_seed 100 and 101), the user
model's from .003 and .01 with LSTM-offline (mdp_seed 100 alone). The largest was best in each case;
IRecGAN takes both as they are. Ten updates by 100 were set by what they cost.

Rules, all on the mean of the last five iterations: a method ends above another if the difference
over seeds is positive, with p < .05 in a two-sided paired t-test over seeds, corrected by Holm's
method over all comparisons in one kind of world: those on the paper's worlds are the reproduction,
those on the others say what another world would have shown. A statement about several methods or
both coverages needs every one of its comparisons, and is contradicted by one that is as significant
the other way round.
The variance is larger if the standard deviation over seeds is, for both coverages, with p < .05 in
the paired test of Pitman and Morgan, uncorrected; it includes how worlds differ, for both methods
alike.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
