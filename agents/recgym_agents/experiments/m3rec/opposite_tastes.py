"""What M3Rec's recommender earns of two kinds of users with opposite tastes, of whom it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Experiment,
    Finished,
    Page,
    Place,
    Result,
    by_seed,
    folder_of,
    having,
)
from recgym_agents.experiments.m3rec.sequences_of_support import ENVIRONMENT, agent_rewards, told_of
from recgym_agents.experiments.m3rec.two_tastes import told_apart
from recgym_agents.experiments.m3rec.unknown_users import (
    POLICIES,
    HiddenWorld,
    Session,
    mean_reward,
)
from recgym_agents.experiments.results_report import seeds_text, table
from recgym_agents.experiments.verdicts import claim_bound
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train

LIKED, DISLIKED = 1.8, -1.0
"""Logarithms of a user's affinity to the topic that she likes, and to the other."""
WORLD = HiddenWorld(
    "interest-exploration",
    "recsim",
    horizon=1,
    support_steps=10,
    arguments={
        "slate_size": 1,
        "no_click_mass": 4.0,
        "user_type_distribution": [0.5, 0.5],
        "user_document_mean_affinity_matrix": [[LIKED, DISLIKED], [DISLIKED, LIKED]],
        "topic_distribution": [0.5, 0.5],
        "topic_quality_mean": [0.0, 0.0],
        "topic_quality_stddev": [0.3, 0.3],
    },
)
RULES = ("random", "search", "support1", "knows")
"""Policies that know the world's rules."""
AGENTS = ("m3rec", "m3rec-no-context")
BUDGET: Budget = {
    "seeds": list(range(10)),
    "steps": 20_000,
    "reports": 4,
    "validation_episodes": 500,
    "users": 2_000,
    "particles": 100,
    "generations": 6,
    "candidates": 16,
}
SMOKE: Budget = BUDGET | {
    "seeds": [0, 1],
    "steps": 640,
    "reports": 1,
    "validation_episodes": 20,
    "users": 40,
    "particles": 20,
    "generations": 1,
    "candidates": 4,
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a policy and seed."""
    return [
        {"policy": policy, "seed": seed} for seed in budget["seeds"] for policy in (*RULES, *AGENTS)
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Scores a policy with the users of a seed; an agent as it is, and told of one sequence."""
    policy, users, seed = cell["policy"], budget["users"], cell["seed"]
    if policy in RULES:
        return {"reward": mean_reward(policy, WORLD, users, seed, budget)}
    arguments: dict[str, Any] = {"observe": "clicks", "support": 1, "horizon": WORLD.horizon}
    arguments |= {"support_steps": WORLD.support_steps, **WORLD.arguments}
    config = TrainConfig(
        env=ENVIRONMENT,
        agent=policy,
        steps=budget["steps"],
        seed=seed,
        out=str(folder_of(place.folder, budget)),
        env_args=arguments,
        loop_args={"slates": WORLD.horizon},
        reports=budget["reports"],
        validation_episodes=budget["validation_episodes"],
    )
    train(config)
    agent = load_agent(Path(config.out))[0].inner
    unknown, told = (agent_rewards(agent, WORLD, users, seed, size).mean() for size in (0, 1))
    session = Session(WORLD, users, seed)
    context = agent.adapt(told_of(session, 1)).knowledge["context"]
    likes = session.state["affinity"].argmax(axis=1) == 0
    return {
        "unknown": float(unknown),
        "told": float(told),
        "auc": told_apart(np.asarray(context), likes),
    }


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the table, and judges the claims."""
    oracle = by_seed(having(finished, policy="knows"), "reward")
    ours, without = (having(finished, policy=name) for name in AGENTS)
    earned = {
        **{
            f"{name}, {label}": by_seed(runs, key)
            for name, runs in zip(AGENTS, (ours, without), strict=True)
            for key, label in (("unknown", "told of nothing"), ("told", "told of one sequence"))
        },
        **{POLICIES[name]: by_seed(having(finished, policy=name), "reward") for name in RULES},
    }
    claims = (
        claim_bound(
            "the context of one sequence tells the clusters apart (AUC > .95)",
            by_seed(ours, "auc"),
            0.95,
        ),
        claim_bound(
            "told of one sequence, M3Rec earns at least 90% of what who knows the user does",
            by_seed(ours, "told") / oracle,
            0.9,
        ),
        claim_bound(
            "told of nothing, it earns at most 70% of that",
            by_seed(ours, "unknown") / oracle,
            0.7,
            -1.0,
        ),
        claim_bound(
            "trained without a context, it earns at most 70% of that",
            by_seed(without, "told") / oracle,
            0.7,
            -1.0,
        ),
    )
    rows = [
        [name, seeds_text(reward), seeds_text(reward / oracle)]
        for name, reward in sorted(earned.items(), key=lambda one: -one[1].mean())
    ]
    body = "\n\n".join(
        [
            "## Clicks of one slate",
            "Mean ± standard error over seeds; the share is of what who knows the user earns.",
            table(["policy", "clicks", "share"], rows),
        ]
    )
    return Page(claims, body)


EXPERIMENT = Experiment(
    name="m3rec-tastes",
    title="M3Rec and users of two opposite tastes",
    reproduces="Wang et al., M3Rec: that one sequence of a user is enough to adapt to her",
    method="""
[InterestExploration-v0](../environments/InterestExploration-v0.md) with two types of users, equally
likely, and two topics: each type likes one of them as much as the other type likes the other. Ten
candidates, each of either topic, are drawn for every slate, which has one slot, and a session is
one slate; so nothing is observed of the user but her support, one sequence of ten random slates of
one. Who knows the user shows what she is most likely to click. The four bounds were fixed before
the world was; its two affinities were chosen so that who is told nothing cannot earn 70%, which the
last two claims check. One training with a seed that the page does not use was seen before it.

M3Rec is trained with its defaults but for sessions of one slate, with users of whom it is told one
sequence, and keeps the policy of the best validation. Then 2,000 other users meet every policy, the
same ones with the same luck. "told of nothing" is the same agent without support. The direction
that tells the clusters apart is the difference of their mean contexts in every other user; AUC is
that of the others. The search and the beliefs know the rules of the world, and are those of
[hidden-interests](hidden-interests.md). A seed draws users, their luck, and a training.

Rule: a claim on a mean is reproduced if its 95% interval over seeds lies on the right side of the
bound, contradicted if it lies on the wrong one.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
