"""What it is worth to know the users of a world whose interests are hidden."""

from __future__ import annotations

import numpy as np

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
    having,
)
from recgym_agents.experiments.m3rec.unknown_users import POLICIES, HiddenWorld, mean_reward
from recgym_agents.experiments.results_report import seeds_text, table
from recgym_agents.experiments.verdicts import judge_bound, limit

WORLDS = {
    f"{name}, {population}": HiddenWorld(name, population, horizon)
    for name, horizon in (("interest-exploration", 10), ("interest-evolution", 500))
    for population in ("train", "test")
}
FLOORS = ("search", "last", "session")
"""They see what agents see: the candidates, and what was made of the last slate, or of all."""
HEADROOM = 0.15
BUDGET: Budget = {
    "seeds": [0, 1, 2, 3],
    "users": 150,
    "particles": 150,
    "generations": 10,
    "candidates": 32,
}
SMOKE: Budget = BUDGET | {
    "seeds": [0, 1],
    "users": 20,
    "particles": 20,
    "generations": 2,
    "candidates": 6,
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a world, policy and seed."""
    return [
        {"world": world, "policy": policy, "seed": seed}
        for world in WORLDS
        for policy in POLICIES
        for seed in budget["seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Scores a policy with the users of a seed."""
    where = WORLDS[cell["world"]]
    reward = mean_reward(cell["policy"], where, budget["users"], cell["seed"], budget)
    return {"reward": reward}


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds a table a world, and judges its headroom."""
    parts, claims = [], []
    for world in WORLDS:
        earned = {
            policy: by_seed(having(finished, world=world, policy=policy), "reward")
            for policy in POLICIES
        }
        floor = max(FLOORS, key=lambda policy: earned[policy].mean())
        gap = earned["knows"] - earned[floor]
        rows = []
        for policy, label in POLICIES.items():
            share = (earned[policy] - earned[floor]) / np.where(gap == 0.0, np.nan, gap)
            rows.append(
                [
                    label,
                    seeds_text(earned[policy], 2),
                    f"{100 * (earned[policy].mean() / earned[floor].mean() - 1):+.1f}%",
                    f"{100 * share.mean():.0f}%",
                ]
            )
        over = mean_and_error(earned["knows"] / earned[floor] - 1.0)
        verdict = judge_bound(over.low, over.high, HEADROOM)
        evidence = (
            f"{100 * over.mean:.1f}% ({100 * over.low:.1f}% .. {100 * over.high:.1f}%) over"
            f" {POLICIES[floor]}; {100 * _over(earned, 'last'):.1f}% over beliefs from the last"
            " slate"
        )
        detectable = detectable_difference(over.standard_error, over.n - 1)
        evidence += limit(verdict, f"{detectable:.1%} from the bound")
        claims.append(
            Claim(
                f"{world}: who knows the users earns at least 15% more",
                verdict,
                evidence,
            )
        )
        parts += [
            f"## {world}",
            "Reward a session, mean ± standard error over seeds; the gain over the best of those"
            " that see what agents see, and the share of the headroom.",
            table(["policy", "reward", "gain", "of the headroom"], rows),
        ]
    return Page(tuple(claims), "\n\n".join(parts))


def _over(earned: dict[str, np.ndarray], policy: str) -> float:
    """Returns by how much who knows the users earns more than a policy, as a share."""
    return float((earned["knows"] / earned[policy]).mean() - 1.0)


EXPERIMENT = Experiment(
    name="hidden-interests",
    title="What it is worth to know users whose interests are hidden",
    reproduces="Nothing: the headroom of the worlds in which agents adapt to users",
    method="""
[InterestExploration-v0](../environments/InterestExploration-v0.md) with `horizon=10` and
[InterestEvolution-v0](../environments/InterestEvolution-v0.md), each with `observe="clicks"` and
the populations "train" and "test". Support are sequences of 20 random slates.

- Knows the user: sees affinities and interests, and shows the slate that is worth most now, filled
  slot by slot. In interest exploration nothing that is shown changes what follows, and no policy
  earns more. In interest evolution the worth of a video is its length less what it takes of the
  budget, at a price of .6 minutes a minute; how interests move is not planned for.
- Best ranking, by search: candidates are ranked by weights of topic and quality, by whether their
  topic was clicked or shown in vain in the last slate, and by what is in the slots before. The
  weights are found by a cross-entropy search: in each of 10 generations 32 sets of weights are
  tried with 150 users each, who are others than those of the result.
- Beliefs: 150 users drawn from the population stand for what a user may be like, weighed by how
  likely each would have clicked what she clicked. The slate is shown that is worth most by these
  weights. From the last slate alone that is what can be known of what is observed; from the session
  it is what an agent could know that remembers everything; from support, what one can know that
  adapts. They know the rules of the world, which agents have to learn.

The floor is the best of those that see what agents see, now or in the whole session. Populations
and lengths of sessions were chosen by looking at headroom: three settings were tried, on small
samples. Rule: the interval over seeds of the gain
of who knows the users lies above 15%; contradicted if it lies below.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
