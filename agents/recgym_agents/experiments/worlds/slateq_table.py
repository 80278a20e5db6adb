"""SlateQ in RecSim's interest evolution: does it pay to look ahead, and to search slates well?"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from recgym.metrics import detectable_difference, mean_and_error
from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Claim,
    Experiment,
    Finished,
    Page,
    Place,
    Result,
    by_seed,
    folder_of,
    having,
)
from recgym_agents.experiments.results_report import p_text, seeds_text, table
from recgym_agents.experiments.verdicts import (
    LEVEL,
    differences,
    judge,
    judge_all,
    judge_bound,
    limit,
)
from recgym_agents.runs.evaluation import evaluate
from recgym_agents.runs.run_metrics import read_metrics
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train

ENV = "InterestEvolution-v0"
LUCK = 1_000
"""Added to a seed for the luck of its test sessions."""
AS_THERE = {"choice": "logit", "no_click": "worthless"}
"""As in the code of the paper's authors: no click is an option of the choice, and worth nothing."""
POLICIES: dict[str, dict[str, Any]] = {
    "random": {},
    "myopic": {**AS_THERE, "discount": 0.0, "slates": "exact"},
    "SARSA, top-k": {**AS_THERE, "target": "sarsa", "slates": "top-k"},
    "SARSA, greedy": {**AS_THERE, "target": "sarsa", "slates": "greedy"},
    "Q, top-k": {**AS_THERE, "slates": "top-k"},
    "Q, greedy": {**AS_THERE, "slates": "greedy"},
    "Q, exact": {**AS_THERE, "slates": "exact"},
    "SARSA, greedy, no click valued": {"target": "sarsa", "slates": "greedy"},
    "Q, exact, no click valued": {},
}
"""What each changes in ``slateq``, which is the last; the one before is ``slateq-sarsa``."""
PAPER = {
    "random": (159.2, 159.2),
    "myopic": (166.3, 166.3),
    "SARSA, top-k": (168.0, 172.0),
    "SARSA, greedy": (168.0, 172.0),
    "Q, exact": (174.6, 174.6),
}
"""Time watched in a session, at least and at most; for SARSA the text has a range."""
NEAR = 0.02
"""As near to the paper's figures as a claim of this page has it."""
CLAIMS = (
    ("myopic", "random", 166.3 / 159.2 - 1),
    ("SARSA, greedy", "myopic", None),
    ("Q, exact", "SARSA, greedy", None),
    ("Q, exact", "myopic", 174.6 / 166.3 - 1),
    ("Q, exact, no click valued", "Q, exact", None),
)
"""Ours, theirs, and the paper's gain where it prints one."""
BUDGET: Budget = {
    "seeds": [0, 1, 2, 3, 4],
    "steps": 40_960,
    "reports": 2,
    "validation_episodes": 400,
    "episodes": 2_000,
}
SMOKE: Budget = BUDGET | {
    "seeds": [0, 1],
    "steps": 2_560,
    "reports": 1,
    "validation_episodes": 10,
    "episodes": 40,
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a policy and seed."""
    return [{"policy": policy, "seed": seed} for policy in POLICIES for seed in budget["seeds"]]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains a policy, and scores it in sessions that all policies of a seed meet."""
    folder = folder_of(place.folder, budget)
    train(
        TrainConfig(
            env=ENV,
            agent="random" if cell["policy"] == "random" else "slateq",
            steps=budget["steps"],
            seed=cell["seed"],
            out=str(folder),
            agent_args=POLICIES[cell["policy"]],
            reports=budget["reports"],
            validation_episodes=budget["validation_episodes"],
        )
    )
    agent, _ = load_agent(folder)
    found = evaluate(agent, ENV, {}, budget["episodes"], LUCK + cell["seed"])
    validation = [line["validation_session_reward"] for line in read_metrics(folder)]
    return {
        "validation": validation,
        "session": float(found.session_reward.mean()),
        "click_rate": float(found.click_rate.mean()),
        "steps": float(found.steps.mean()),
    }


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the table, and judges the order of its rows."""
    runs = {policy: having(finished, policy=policy) for policy in POLICIES}
    random = by_seed(runs["random"], "session").mean()
    rows = []
    for policy, found in runs.items():
        session = by_seed(found, "session")
        reports = np.array([one.result["validation"] for one in found]).mean(0)
        paper = PAPER.get(policy)
        rows.append(
            [
                policy,
                "" if paper is None else " .. ".join(map(str, sorted(set(paper)))),
                seeds_text(session, 1),
                "" if paper is None else f"{_beside(session, *paper).mean():+.1%}",
                f"{session.mean() / random - 1:+.1%}",
                seeds_text(by_seed(found, "click_rate")),
                seeds_text(by_seed(found, "steps"), 1),
                " → ".join(f"{minutes:.1f}" for minutes in reports),
            ]
        )
    header = ["policy", "paper", "minutes a session", "beside the paper", "over random"]
    header += ["click rate", "slates", "minutes in validation, by report"]
    body = "\n\n".join(["## Time watched", table(header, rows), "![Time watched](slateq.png)"])
    return Page((*_claims(runs), _near(runs)), body, {"slateq": _figure(runs)})


def _beside(session: np.ndarray, low: float, high: float) -> np.ndarray:
    """Returns how far figures lie from the paper's, as shares of them; 0 between its two."""
    beside: np.ndarray = session / session.clip(low, high) - 1.0
    return beside


def _near(runs: dict[str, list[Finished]]) -> Claim:
    """Judges that every row is near the paper's, by its 95% interval over seeds."""
    verdicts, said, detectable = [], [], 0.0
    for policy, (low, high) in PAPER.items():
        mean = mean_and_error(by_seed(runs[policy], "session"))
        least, most = _beside(np.array([mean.low, mean.high]), low, high).tolist()
        verdicts += [judge_bound(least, most, -NEAR), judge_bound(-most, -least, -NEAR)]
        said.append(f"{policy} {least:+.1%} .. {most:+.1%}")
        found = detectable_difference(mean.standard_error, mean.n - 1, LEVEL)
        detectable = max(detectable, found / high)
    verdict = judge_all(verdicts)
    evidence = "; ".join(said) + limit(verdict, f"{detectable:.1%} beyond the bound")
    return Claim(f"every row is within {NEAR:.0%} of the paper's", verdict, evidence)


def _claims(runs: dict[str, list[Finished]]) -> tuple[Claim, ...]:
    """Judges the order, by paired differences over seeds."""
    pairs = [
        (by_seed(runs[ours], "session"), by_seed(runs[theirs], "session"))
        for ours, theirs, _ in CLAIMS
    ]
    claims = []
    for (ours, theirs, gain), (mine, others), found in zip(
        CLAIMS, pairs, differences(pairs), strict=True
    ):
        level = others.mean()
        verdict = judge(found, claimed=None if gain is None else gain * level)
        evidence = (
            f"{mine.mean():.1f} against {level:.1f} minutes ({found.mean / level:+.1%}, interval "
            f"{found.low / level:+.1%} .. {found.high / level:+.1%}), p {p_text(found.p_for)}"
        )
        evidence += "" if gain is None else f"; paper {gain:+.1%}"
        evidence += limit(verdict, f"{found.detectable / level:.1%}")
        claims.append(Claim(f"{ours} beats {theirs}", verdict, evidence))
    return tuple(claims)


def _figure(runs: dict[str, list[Finished]]) -> Figure:
    """Every seed as a dot, the means as lines."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    for place, found in enumerate(runs.values()):
        values = by_seed(found, "session")
        axes.scatter(values, np.full(len(values), place), s=16, color="#2458b3", alpha=0.5)
        axes.vlines(values.mean(), place - 0.3, place + 0.3, color="#e07b1a")
    axes.set_yticks(range(len(runs)), list(runs), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("minutes watched in a session")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


EXPERIMENT = Experiment(
    name="slateq",
    title="SlateQ in interest evolution",
    reproduces="Ie et al., IJCAI 2019, section 7: time watched in RecSim's interest evolution",
    method="""
[slateq](../agents/slateq.md) and its variants in
[InterestEvolution-v0](../environments/InterestEvolution-v0.md) with RecSim's defaults: 10 new
candidates at each step, slates of 3, sessions that last as long as the user's budget of time. Every
policy is trained on the same number of slates, the one of the most time watched in validation
episodes is kept, and is scored in 2,000 new sessions. The discount is .95 a slate, 0 for the myopic
policy. Candidates change at each step, so that counting clicks (popularity) has nothing to count.

The first rows do as the code of the paper's authors does: clicking none is an option of the choice
model, and a slate without a click is worth nothing, nor is what follows it. Two things differ. The
choice model is learned from clicks, where theirs is the simulator's own. And the target values the
slate of the *next* state, where RecSim's agent computes it from the current one. In the last two
rows what follows no click has a value as well, as it has in this world, where the session goes on;
and in their choice model a user is attracted by one item, and then clicks it or not, where in the
rows above no click is one option more. So two things differ.

The table shows what each row earned in validation halfway and at the end, to tell rows that more
training would help from others. The paper does not say how long its agents were trained.

Rule: "beats" is reproduced if the mean is higher, with p < .05 in a two-sided paired t-test over
seeds, Holm-corrected over the claims of this page. It is contradicted if the mean is lower with p <
.05, or if the interval, which has the correction of the strictest step (99%), lies below the
paper's gain in percent. A row is within 2% of the paper's where its 95% interval is, and is not
where it lies outside; for SARSA the paper's text has a range. A seed is a training and the luck of
its test sessions.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
