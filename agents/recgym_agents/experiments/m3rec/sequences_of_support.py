"""What support is worth to M3Rec's recommender where interests are hidden, and what its parts."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from recgym.metrics import mean_and_error
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
from recgym_agents.experiments.m3rec.unknown_users import (
    POLICIES,
    HiddenWorld,
    Session,
    mean_reward,
)
from recgym_agents.experiments.results_report import p_text, seeds_text, table
from recgym_agents.experiments.verdicts import (
    Difference,
    claim_of,
    differences,
    judge,
    judge_all,
)
from recgym_agents.runs.curve_style import plain, style
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train
from recgym_agents.user_support import Support

WORLD = HiddenWorld("interest-exploration", "train", 10)
ENVIRONMENT = "InterestExploration-v0"
SIZES = (0, 1, 2, 5)
"""Sequences of support that agents are scored with."""
TOLD = 1
"""Sequences that agents are told of in training, if any."""
AGENTS = ("m3rec", "m3rec-no-mi", "m3rec-no-context", "popularity", "meta-pg")
OBSERVING = ("random", "search", "last")
"""Policies without support that see what an agent sees: the observation."""
UNCONDITIONED = ("m3rec-no-context", "popularity")
"""Agents that learn to do without support."""
LEVEL = 0.01
BUDGET: Budget = {
    "seeds": [0, 1, 2, 3, 4],
    "steps": 80_000,
    "reports": 2,
    "validation_episodes": 500,
    "users": 600,
    "adapting_again": ["m3rec", "meta-pg"],
    "particles": 100,
    "generations": 10,
    "candidates": 32,
}
SMOKE: Budget = BUDGET | {
    "seeds": [0, 1],
    "steps": 3_000,
    "reports": 1,
    "validation_episodes": 20,
    "users": 20,
    "particles": 20,
    "generations": 2,
    "candidates": 6,
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a policy and seed."""
    quick, slow = (*POLICIES, *AGENTS[:-1]), AGENTS[-1:]
    return [
        {"policy": policy, "seed": seed}
        for some in (quick, slow)
        for seed in budget["seeds"]
        for policy in some
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Scores a policy with the users of a seed; an agent with every size of support."""
    policy = cell["policy"]
    if policy in AGENTS:
        return _agent(cell, budget, place)
    return {"reward": mean_reward(policy, WORLD, budget["users"], cell["seed"], budget)}


def _agent(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains an agent, and scores it with the users that policies of the same seed meet."""
    arguments: dict[str, Any] = {"population": WORLD.population, "observe": "clicks"}
    arguments |= {"support": TOLD, "horizon": WORLD.horizon}
    config = TrainConfig(
        env=ENVIRONMENT,
        agent=cell["policy"],
        steps=budget["steps"],
        seed=cell["seed"],
        out=str(folder_of(place.folder, budget)),
        env_args=arguments,
        loop_args={} if cell["policy"] == "popularity" else {"slates": WORLD.horizon},
        reports=budget["reports"],
        validation_episodes=budget["validation_episodes"],
    )
    train(config)
    agent, _ = load_agent(Path(config.out))
    ways = {"reward": False}
    if cell["policy"] in budget["adapting_again"]:
        ways["remembering"] = True
    return {
        f"{name}{size}": float(
            agent_rewards(agent.inner, WORLD, budget["users"], cell["seed"], size, remembers).mean()
        )
        for name, remembers in ways.items()
        for size in SIZES
    }


def agent_rewards(
    agent: Any,
    where: HiddenWorld,
    users: int,
    seed: int,
    sequences: int,
    remembers: bool = False,
) -> np.ndarray:
    """Returns the rewards of an agent by user, with ``sequences`` of support of each.

    Args:
        agent: that adapts.
        where: the world, of new candidates at every step.
        users: how many.
        seed: of users and luck.
        sequences: of support.
        remembers: whether it adapts again after each slate, to the support and the session so far.
    """
    session = Session(where, users, seed)
    told = told_of(session, sequences)
    acting = agent.adapt(told) if sequences else agent
    steps: list[Support] = []
    while session.going.any():
        observation, before = session.bare.observe(session.state), session.reward.copy()
        slate = acting.act(observation)
        response = session.show(slate)
        if remembers and session.going.any():
            shown = np.take_along_axis(
                session.bare.candidates(observation), slate[:, :, None], axis=1
            )
            gained = (session.reward - before).astype(np.float32)
            step = (slate, response.click, gained, shown)
            steps.append(Support(*(values[:, None, None] for values in step)))
            parts = (np.concatenate(values, axis=2) for values in zip(*steps, strict=True))
            acting = agent.adapt(told.joined(Support(*parts)))
    return session.reward


def told_of(session: Session, sequences: int) -> Support:
    """Returns the first ``sequences`` of the support of a session's users, none of them for 0."""
    slots, features = session.support["support_features"].shape[-2:]
    if sequences == 0:
        return Support.none(session.users, slots, features)
    found = Support.of({name: values[:, :sequences] for name, values in session.support.items()})
    assert found is not None
    return found


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the tables and the figure, and judges the claims."""
    known = {policy: by_seed(having(finished, policy=policy), "reward") for policy in POLICIES}
    earned = {
        agent: {size: by_seed(having(finished, policy=agent), f"reward{size}") for size in SIZES}
        for agent in AGENTS
    }
    remembering = {
        agent: {
            size: by_seed(having(finished, policy=agent), f"remembering{size}") for size in SIZES
        }
        for agent in budget["adapting_again"]
    }
    oracle, ours, again = known["knows"], earned["m3rec"], remembering["m3rec"]
    floors = {name: known[name] for name in OBSERVING}
    floors |= {name: earned[name][0] for name in UNCONDITIONED}
    floors["m3rec without support"] = ours[0]
    best = max(floors, key=lambda name: floors[name].mean())
    floor = floors[best]

    half, *more = differences(
        [
            (ours[1], 0.5 * (floor + oracle)),
            *((ours[b], ours[a]) for a, b in itertools.pairwise(SIZES)),
        ],
        LEVEL,
    )
    remembers, no_context, no_mi, meta_pg = differences(
        [
            (ours[1], 0.5 * (known["session"] + oracle)),
            (ours[1], earned["m3rec-no-context"][1]),
            (ours[1], earned["m3rec-no-mi"][1]),
            (ours[1], earned["meta-pg"][1]),
        ],
        LEVEL,
    )
    again_half, again_none, again_one = differences(
        [
            (again[1], 0.5 * (known["session"] + oracle)),
            (again[0], ours[0]),
            (again[1], ours[1]),
        ],
        LEVEL,
    )
    grown = judge_all(judge(one, LEVEL) for one in more)
    steps = ", ".join(
        f"{b} over {a}: {one.mean:+.3f} ({p_text(one.p_for)})"
        for (a, b), one in zip(itertools.pairwise(SIZES), more, strict=True)
    )
    claims = (
        _claim(
            "one sequence closes at least half of the gap between the best policy without support"
            " that sees what agents see and who knows the user",
            half,
            f"{_share(ours[1], floor, oracle)} of the gap over {POLICIES.get(best, best)}",
        ),
        _claim(
            "the same, over beliefs from the whole session by who knows the rules of the world",
            remembers,
            f"{_share(ours[1], known['session'], oracle)}; with beliefs from one sequence in"
            f" place of the agent's context: {_share(known['support1'], known['session'], oracle)}",
        ),
        Claim("M3Rec earns more with each of 1, 2 and 5 sequences than with fewer", grown, steps),
        _claim("with one sequence, M3Rec earns more than without a context", no_context, ""),
        _claim("and more than without mutual information", no_mi, ""),
        _claim("and more than Meta-PG", meta_pg, ""),
        _claim("without support, M3Rec earns more if it adapts after each slate", again_none, ""),
        _claim("and so with one sequence", again_one, ""),
        _claim(
            "adapting after each slate, with one sequence, it closes at least half of the gap"
            " between beliefs from the whole session and who knows the user",
            again_half,
            _share(again[1], known["session"], oracle),
        ),
    )
    rows = [
        [label, seeds_text(known[name]), _share(known[name], floor, oracle)]
        for name, label in POLICIES.items()
    ]
    agents = [
        [name, *(f"{seeds_text(by[s])} ({_share(by[s], floor, oracle)})" for s in SIZES)]
        for name, by in (
            *earned.items(),
            *((f"{name}, after each slate", by) for name, by in remembering.items()),
        )
    ]
    body = "\n\n".join(
        [
            "![reward against support](m3rec-support.png)",
            "## Agents by sequences of support",
            "Reward a session, mean ± standard error over seeds, and in brackets the share of the"
            f" gap between {POLICIES.get(best, best)} and who knows the user.",
            table(["agent", *map(str, SIZES)], agents),
            "## Who knows the rules",
            table(["policy", "reward", "share of the gap"], rows),
        ]
    )
    return Page(claims, body, {"m3rec-support": _figure(earned, known)})


def _claim(text: str, found: Difference, evidence: str) -> Claim:
    return claim_of(text, found, evidence, LEVEL, "a session")


def _share(reward: np.ndarray, floor: np.ndarray, oracle: np.ndarray) -> str:
    share = (reward.mean() - floor.mean()) / (oracle.mean() - floor.mean())
    return f"{100 * share:.0f}%"


def _figure(earned: dict[str, dict[int, np.ndarray]], known: dict[str, np.ndarray]) -> Figure:
    """Reward against sequences of support, with who knows the rules beside it."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for index, (agent, by) in enumerate(earned.items()):
        found = [mean_and_error(by[size]) for size in SIZES]
        means = [one.mean for one in found]
        errors = [one.standard_error for one in found]
        axes.errorbar(range(len(SIZES)), means, errors, label=agent, capsize=2, **style(index))
    for name, line in (("knows", "-"), ("session", "--"), ("last", ":")):
        axes.axhline(known[name].mean(), color="0.5", linestyle=line, label=POLICIES[name])
    plain(axes)
    axes.set_xticks(range(len(SIZES)), list(map(str, SIZES)))
    axes.set_xlabel("sequences of support")
    axes.set_ylabel("reward a session")
    axes.legend(fontsize="small")
    return figure


EXPERIMENT = Experiment(
    name="m3rec-support",
    title="What one sequence of a new user is worth to M3Rec",
    reproduces="Wang et al., M3Rec: that it adapts to a user by a single sequence, and by what",
    method="""
[InterestExploration-v0](../environments/InterestExploration-v0.md) with `population="train"`,
`observe="clicks"` and `horizon=10`: users of eight types, each of whom likes one of eight topics,
and of whom is observed what they did with the last slate. Support are sequences of 20 random
slates. What can be earned there is measured by [hidden-interests](hidden-interests.md); the
policies of that page are played here anew, with the users of this one.

Each agent is trained with users of whom it is told one sequence, or none, with its defaults but
for sessions of 10 slates, and keeps the policy of the best validation. Then 600 other users meet
every policy and every agent with the same luck, once for each number of sequences, of which
training never had more than one. All agents that adapt see the same users first in training.

What is closed of a gap is (r - floor) / (oracle - floor), of mean rewards. The floor of the first
claim is the best in the mean of those without support that see what agents see: random slates,
rankings by search, beliefs from the last slate, popularity, m3rec-no-context, and m3rec itself
without support. Beliefs from the whole session see more than any agent does, which acts on what is
observed: an agent that does not remember is not told what happened before the last slate. Nor is
it in training; "after each slate" are the same trained agents, which then adapt again after each
slate, to their support and to the session so far as one more sequence.

There is no ablation "without the adversary" here: that is a property of a fitted user model, and
this world has none.

Settings of m3rec were chosen by one seed of this world, by reward with one sequence: the weight of
the mutual information (.1, .01), the divergences' weights (three values), the step size (four), how
many users an update has and how fresh they are (four), the entropy's weight (two), how many
sequences training tells of (one, five, or up to five), candidates standardised or not, and a
running mean of the parameters or none. A variant that also learned from slates imagined in its own
user model collapsed. Users were of other draws than the page's, but for the last choices, which
were made after a first, shorter training had been scored on seed 0; the other seeds are fresh.
After this page had been published once, the weight decay (none, .1, .3, .5, 1) and how many users
are remembered (192, 640) were chosen by users of another draw, and m3rec and its two ablations were
trained anew: three times the updates had shown that m3rec learned its training users by heart.
Meta-PG stayed as it was.

Rule: paired t-tests over seeds at 1%, with Holm's correction among the first claim and the three
steps of the third, among the next four that are not of agents that adapt after each slate, and
among the three that are. The latter were added after all other numbers were known.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
