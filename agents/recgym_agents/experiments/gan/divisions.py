"""Table 3's policies again, with the users divided, and both user models fitted, anew each time."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Claim,
    Experiment,
    Finished,
    Page,
    Place,
    Result,
)
from recgym_agents.experiments.gan.policies import (
    BUDGET as TABLE_3,
)
from recgym_agents.experiments.gan.policies import (
    WORLDS,
    papers_gain,
    score_policy,
    train_policy,
)
from recgym_agents.experiments.results_report import dots, p_text, seeds_text, table
from recgym_agents.experiments.user_logs import fit_division
from recgym_agents.experiments.verdicts import differences, judge, limit
from recgym_agents.runs.saved_agents import load_agent

LOG = "ml-100k"
POLICIES = ("random", "popularity", "user-greedy", "RWD1", "additive", "cascading")
SLATE_SIZE = 5
CLAIMS = (
    ("cascading beats user-greedy on held-out users", "test", "user-greedy"),
    ("cascading beats additive on held-out users", "test", "additive"),
    ("cascading beats RWD1 on held-out users", "test", "RWD1"),
    ("cascading beats user-greedy where it trained", "train", "user-greedy"),
)
"""Text, world, and the policy that cascading is held against."""

BUDGET: Budget = {
    "seeds": [1, 2, 3, 4],
    "epochs": None,
    **{name: value for name, value in TABLE_3.items() if name not in ("seeds", "slate_sizes")},
    "user_model": "fitted anew",
    "steps": 48_000,
    "reports": 6,
}
SMOKE: Budget = BUDGET | {
    "seeds": [1, 2],
    "epochs": 1,
    "steps": 1_500,
    "reports": 2,
    "validation_episodes": 20,
    "users": 50,
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a division; its number is also the seed of the fits, of training, and of luck."""
    return [{"seed": seed} for seed in budget["seeds"]]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Divides the users, fits both models, and trains and scores every policy."""
    folder = place.folder / "user-model"
    model = fit_division(LOG, budget["epochs"], cell["seed"], place, folder)
    world = {"user_model": str(folder)}
    result: Result = {
        "precision_at_1": model.scores["precision_at_1"],
        "random_click_rate": model.info["random_click_rate"],
    }
    for policy in POLICIES:
        one: Cell = {"policy": policy, "slate_size": SLATE_SIZE, **cell}
        agent, _ = load_agent(train_policy(one, budget, place.folder / policy, world))
        scores = score_policy(agent, one, budget, world)
        result[policy] = {name: scores[name] for name in WORLDS}
    return result


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the table, the paired tests over divisions, and the verdicts."""
    if not finished:
        return Page((Claim(CLAIMS[0][0], "data not available here", ""),), "")
    greedy = _scores(finished, "user-greedy", "test", "reward")
    rows = []
    for policy in POLICIES:
        texts = [
            seeds_text(_scores(finished, policy, world, metric))
            for world in WORLDS
            for metric in ("reward", "click_rate")
        ]
        share = 100 * (_scores(finished, policy, "test", "reward") / greedy - 1)
        rows.append([policy, *texts, seeds_text(share, 1)])
    header = ["policy", "reward, train users", "click rate", "reward, test users", "click rate"]
    parts = [
        f"## Slates of {SLATE_SIZE}",
        "Reward per step and click rate, mean ± standard error over divisions of the users, in the "
        "model of the training users and in the model of the test users; the gain is the mean of "
        "each division's own.",
        table([*header, "gain over user-greedy, test, %"], rows),
        "![Gain over user-greedy](recgan-divisions.png)",
    ]
    figures = {"recgan-divisions": _figure(finished)}
    return Page(tuple(_claims(finished)), "\n\n".join(parts), figures)


def _scores(finished: list[Finished], policy: str, world: str, metric: str) -> np.ndarray:
    """One figure of a policy in each division."""
    return np.array([one.result[policy][world][metric] for one in finished])


def _claims(finished: list[Finished]) -> list[Claim]:
    pairs = [
        (_scores(finished, "cascading", world, "reward"), _scores(finished, other, world, "reward"))
        for _, world, other in CLAIMS
    ]
    claims = []
    for (text, world, other), (ours, theirs), gain in zip(
        CLAIMS, pairs, differences(pairs), strict=True
    ):
        claimed = papers_gain("cascading", other, SLATE_SIZE) if world == "test" else None
        level = theirs.mean()
        verdict = judge(gain, claimed=None if claimed is None else claimed * level)
        evidence = (
            f"reward {ours.mean():.3f} against {level:.3f} ({gain.mean / level:+.1%}, interval "
            f"{gain.low / level:+.1%} .. {gain.high / level:+.1%}), higher in "
            f"{int((ours > theirs).sum())} of {len(ours)} divisions, p {p_text(gain.p_for)}"
        )
        evidence += "" if claimed is None else f"; paper {claimed:+.1%}"
        evidence += limit(verdict, f"{gain.detectable / level:.0%}")
        claims.append(Claim(text, verdict, evidence))
    return claims


def _figure(finished: list[Finished]) -> Figure:
    """Each division's gain over user-greedy, in both worlds."""
    panels = {}
    for world in WORLDS:
        greedy = _scores(finished, "user-greedy", world, "reward")
        panels[f"model of the {world} users"] = {
            policy: 100 * (_scores(finished, policy, world, "reward") / greedy - 1)
            for policy in POLICIES
            if policy not in ("random", "user-greedy")
        }
    return dots(panels, "gain over user-greedy, %")


EXPERIMENT = Experiment(
    name="recgan-divisions",
    title="Slate policies in RecGAN-v0 under other divisions of the users",
    reproduces="Chen et al., Generative Adversarial User Model (ICML 2019), Table 3",
    method="""
What recgan-policies cannot say: how much its verdicts owe to one division of the users, and to one
pair of fitted models. Here the users of MovieLens 100K are divided 50 / 12.5 / 37.5 anew for every
replicate, one user model is fitted on the training users and another on the test users (item
features shared and frozen), and the policies are trained in the one and scored in both, with the
settings of recgan-policies and half of its steps. The division, the fits, training, and luck all
change together, so that errors and tests cover them all. The user models of different divisions
share users of the one log: other logs stay out of sight.

Rule: "beats" is reproduced if the mean is higher, with p < .05 in a two-sided paired t-test over
divisions, Holm-corrected over the claims of this page. It is contradicted if the mean is lower with
p < .05, or if the interval, which has the correction of the strictest step (98.75%), lies below the
paper's gain in percent. Gains in percent are what can be compared: its rewards are those of another
log.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
