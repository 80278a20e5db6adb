"""Figure 6 of the GAN user model: click rate against interactions with new users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from recgym.metrics import mean_and_error
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Claim,
    Experiment,
    Finished,
    Page,
    Place,
    Result,
    folder_of,
    having,
)
from recgym_agents.experiments.gan.policies import ENVIRONMENT, REWARD, USER_MODEL, WINDOW
from recgym_agents.experiments.results_report import p_text, seeds_text, table
from recgym_agents.experiments.verdicts import differences, judge, limit
from recgym_agents.learning.user_play import play
from recgym_agents.learning.user_steps import joined_sequences, support_of_steps
from recgym_agents.runs.assembly import loop_of
from recgym_agents.runs.curve_style import plain, style
from recgym_agents.runs.evaluation import make_vector_env
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train
from recgym_agents.zoo import entry_of

POLICIES = {
    "maml": "cascading-dqn-maml",
    "scratch": "cascading-dqn",
    "linucb": "linucb",
    "random": "random",
}
"""Policy -> agent; the first is trained in the model of other users."""
LABELS = {
    "maml": "CDQN with GAN, MAML",
    "stays": "the same, not adapting",
    "scratch": "CDQN model free",
    "linucb": "LinUCB (hybrid)",
    "random": "random",
}
OTHERS = ("scratch", "linucb")
"""Those that learn from test users alone."""
LEVEL = 0.01
REMEMBERED = 4
"""Sessions of a user that the adapting policy adapts from: the last ones."""
BUDGET: Budget = {
    "user_model": USER_MODEL,
    "seeds": [0, 1, 2, 3, 4],
    "slate_sizes": [3, 5],
    "steps": 100_000,
    "reports": 5,
    "validation_episodes": 100,
    "users": 100,
    "sessions": 20,
}
PAPER_BUDGET: Budget = BUDGET | {"sessions": 50}
SMOKE: Budget = BUDGET | {
    "seeds": [0, 1],
    "slate_sizes": [3],
    "steps": 3_000,
    "reports": 1,
    "validation_episodes": 10,
    "users": 20,
    "sessions": 2,
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a slate size, policy and seed."""
    return [
        {"policy": policy, "slate_size": size, "seed": seed}
        for size in budget["slate_sizes"]
        for policy in POLICIES
        for seed in budget["seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Lets a policy interact with test users; returns its click rate by iteration."""
    args = {"slate_size": cell["slate_size"], "window": WINDOW, "reward": REWARD}
    if cell["policy"] != "maml":
        return _result(_learning(cell, budget, args), budget)
    config = TrainConfig(
        env=ENVIRONMENT,
        agent=POLICIES["maml"],
        steps=budget["steps"],
        seed=cell["seed"],
        out=str(folder_of(place.folder, budget)),
        env_args=args,
        reports=budget["reports"],
        validation_episodes=budget["validation_episodes"],
    )
    train(config)
    agent, _ = load_agent(Path(config.out))
    adapting, staying = (
        _result(_playing(agent.inner, adapts, cell, budget, args), budget)
        for adapts in (True, False)
    )
    return adapting | {"stays": staying}


def _result(rate: np.ndarray, budget: Budget) -> Result:
    """Returns click rates by iteration (I,), and their means."""
    session = len(rate) // budget["sessions"]
    return {
        "area": float(rate.mean()),
        "first": float(rate[:session].mean()),
        "last": float(rate[-session:].mean()),
        "arrays": {"click_rate": rate.round(4).tolist()},
    }


def _playing(
    agent: Any, adapts: bool, cell: Cell, budget: Budget, args: dict[str, Any]
) -> np.ndarray:
    """Plays sessions with test users, after each of which the agent adapts to them, or not."""
    env = make_vector_env(ENVIRONMENT, {**args, "split": "test"}, budget["users"], "disabled")
    rng = np.random.default_rng([cell["seed"], 6])
    users = rng.permutation(env.simulator.n_users)[: budget["users"]]
    env.reset(seed=cell["seed"])
    actor, sessions, rates = agent, [], []
    for _ in range(budget["sessions"]):
        observation, _ = env.reset(options={"user": users})
        session = play(actor, env, observation, env.simulator.horizon, 0.0)
        rates.append((session.slot < cell["slate_size"]).mean(axis=(0, 1)))
        sessions.append(session)
        if adapts:
            actor = agent.adapt(
                support_of_steps(joined_sequences(sessions[-REMEMBERED:]), agent.spec.n_items)
            )
    return np.concatenate(rates)


def _learning(cell: Cell, budget: Budget, args: dict[str, Any]) -> np.ndarray:
    """Learns from nothing but test users, by the agent's own loop; explores as that does."""
    users = budget["users"]
    env = make_vector_env(ENVIRONMENT, {**args, "split": "test"}, users, "disabled")
    iterations = budget["sessions"] * env.simulator.horizon
    entry = entry_of(POLICIES[cell["policy"]], {}, {})
    agent = entry.builder(entry.config, EnvironmentSpec.of(env), cell["seed"])
    seeds = (cell["seed"], cell["seed"])
    loop = loop_of(agent, env, entry.schedule, iterations * users, seeds)
    return np.array([loop.iterate()["click_rate"] for _ in range(iterations)])


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the curves, the areas under them, and the verdicts."""
    sizes = budget["slate_sizes"]
    found = {size: _by_policy(finished, size) for size in sizes}
    pairs = [(size, other) for size in sizes for other in OTHERS]
    areas = [
        tuple(_values(found[size][policy], "area") for policy in ("maml", other))
        for size, other in pairs
    ]
    gains = differences([(ours, theirs) for ours, theirs in areas], LEVEL)
    claims = []
    for (size, other), (ours, theirs), gain in zip(pairs, areas, gains, strict=True):
        verdict = judge(gain, LEVEL)
        evidence = (
            f"mean click rate {ours.mean():.3f} against {theirs.mean():.3f} (interval of the"
            f" difference {gain.low:+.3f} .. {gain.high:+.3f}), p {p_text(gain.p_for)}"
        )
        text = f"{LABELS['maml']} needs fewer interactions than {LABELS[other]}, slates of {size}"
        claims.append(Claim(text, verdict, evidence + limit(verdict, f"{gain.detectable:.3f}")))
    parts, figures = [], {}
    for size in sizes:
        rows = [
            [label, *(seeds_text(_values(found[size][policy], m)) for m in METRICS)]
            for policy, label in LABELS.items()
        ]
        iterations = len(found[size]["maml"][0]["arrays"]["click_rate"])
        parts += [
            f"## Slates of {size}",
            "Mean ± standard error over seeds. The mean click rate is the area under the curve,"
            f" over {budget['users'] * iterations:,} interactions.",
            table(["policy", "mean click rate", "first session", "last session"], rows),
            f"![Click rate against interactions, slates of {size}](gan-fig6-{size}.png)",
        ]
        figures[f"gan-fig6-{size}"] = _figure(found[size], budget)
    return Page(tuple(claims), "\n\n".join(parts), figures)


METRICS = ("area", "first", "last")


def _by_policy(finished: list[Finished], size: int) -> dict[str, list[Result]]:
    """Returns what every policy did, by seed."""
    found = {
        policy: [one.result for one in having(finished, policy=policy, slate_size=size)]
        for policy in POLICIES
    }
    return found | {"stays": [one["stays"] for one in found["maml"]]}


def _values(results: list[Result], metric: str) -> np.ndarray:
    """Returns one of the numbers by seed (S,)."""
    return np.array([one[metric] for one in results])


def _figure(results: dict[str, list[Result]], budget: Budget) -> Figure:
    """Click rates by interactions, a point for each session, with intervals over seeds."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for number, (policy, label) in enumerate(LABELS.items()):
        every = np.array([one["arrays"]["click_rate"] for one in results[policy]])
        by_session = every.reshape(len(every), budget["sessions"], -1).mean(axis=2)
        points = [mean_and_error(values) for values in by_session.T]
        x = budget["users"] * every.shape[1] / budget["sessions"] * np.arange(1, len(points) + 1)
        axes.plot(x, [point.mean for point in points], label=label, **style(number))
        if len(every) > 1:
            low, high = ([getattr(p, end) for p in points] for end in ("low", "high"))
            axes.fill_between(x, low, high, color=style(number)["color"], alpha=0.12, linewidth=0)
    axes.set_xlabel("interactions with test users")
    axes.set_ylabel("click rate")
    axes.legend(frameon=False, fontsize=8)
    plain(axes)
    return figure


EXPERIMENT = Experiment(
    name="gan-fig6",
    title="Adapting to new users, with and without a user model",
    reproduces="Chen et al., Generative Adversarial User Model (ICML 2019), section 6.3, Figure 6",
    method="""
Every policy interacts with users whom the user model of
[RecGAN-v0](../environments/RecGAN-v0.md) was not fitted on, in a model of their own (split="test").
At each iteration every user is shown one slate, and after a session of 20 slates the next one
begins. The agent that adapts meets the same users in every session; those that learn from nothing
meet users who are drawn anew from the same population.

- CDQN with GAN, MAML: [cascading-dqn-maml](../agents/cascading-dqn-maml.md), trained in the model
  of the training users. After each session it adapts to each user from her own last four sessions,
  and it explores nothing. The paper does not say how often it adapts.
- The same, not adapting: as it was trained.
- CDQN model free: [cascading-dqn](../agents/cascading-dqn.md), which begins with nothing and learns
  from all test users together, exploring as it always does.
- LinUCB (hybrid): [linucb](../agents/linucb.md), likewise, by upper confidence bounds.

A click rate is that of the slates that were shown, exploration included. A seed is a training, and
the users and luck of its interactions. Rule: fewer interactions are needed if the area under the
curve, the mean click rate over all interactions, is larger, with p < .01 in a two-sided paired
t-test over seeds, Holm-corrected over the claims of this page; contradicted if it is smaller with p
< .01.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    paper_budget=PAPER_BUDGET,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
)
