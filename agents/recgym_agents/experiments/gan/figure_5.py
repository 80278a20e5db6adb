"""Figure 5 of the GAN user model: do the cascading Q-networks agree on a slate's value?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from recgym_agents.algorithms.cascading_dqn import SlateDQN
from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Claim,
    Experiment,
    Finished,
    Page,
    Place,
    Result,
    Verdict,
    cell_id,
    having,
)
from recgym_agents.experiments.gan.policies import (
    BUDGET as TRAINING,
)
from recgym_agents.experiments.gan.policies import (
    ENVIRONMENT,
    train_policy,
)
from recgym_agents.experiments.gan.policies import (
    SMOKE as SMOKE_TRAINING,
)
from recgym_agents.experiments.results_report import seeds_text, table
from recgym_agents.runs.evaluation import make_vector_env
from recgym_agents.runs.saved_agents import load_agent

SLATE_SIZE = 5
LOWEST_CORRELATION = 0.9
LARGEST_ERROR = 0.5
"""Root mean squared difference from Q^k, in standard deviations of Q^k over the slates."""
BUDGET: Budget = {"seeds": [0, 1, 2, 3, 4], "rows": 100, "training": TRAINING}
SMOKE: Budget = {"seeds": [0], "rows": 20, "training": SMOKE_TRAINING}


def cells(budget: Budget) -> list[Cell]:
    """One cell a seed."""
    return [{"slate_size": SLATE_SIZE, "seed": seed} for seed in budget["seeds"]]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Evaluates every Q^j on the greedy slates of whole episodes.

    The agent is that of the same cell of ``recgan-policies``; it is trained here if that has not
    run.
    """
    trained: Cell = {"policy": "cascading", **cell}
    folder = train_policy(
        trained, budget["training"], place.runs / "recgan-policies" / cell_id(trained)
    )
    loaded, about = load_agent(folder)
    agent = loaded.inner
    assert isinstance(agent, SlateDQN)
    env = make_vector_env(ENVIRONMENT, about["env_args"], budget["rows"], "next-step")
    observation, _ = env.reset(seed=cell["seed"])
    values = []
    for _ in range(env.simulator.horizon):
        slate = agent.act(observation)
        with torch.no_grad():
            values.append(
                agent.network(torch.as_tensor(observation), torch.as_tensor(slate)).numpy()
            )
        observation, *_ = env.step(slate)
    q = np.concatenate(values)
    last = q[:, -1]
    return {
        "correlation": [float(np.corrcoef(q[:, j], last)[0, 1]) for j in range(SLATE_SIZE)],
        "error": [float(np.sqrt(np.mean((q[:, j] - last) ** 2))) for j in range(SLATE_SIZE)],
        "mean": [float(value) for value in q.mean(axis=0)],
        "spread": float(last.std()),
        "slates": len(q),
        "arrays": {"q": q.round(4).tolist()},
    }


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the scatter plots and the table of correlations and errors."""
    results = [one.result for one in having(finished)]
    correlation = np.array([result["correlation"] for result in results])  # (seeds, K)
    error = np.array([np.array(result["error"]) / result["spread"] for result in results])
    mean = np.array([result["mean"] for result in results])
    rows = [
        [
            f"Q^{j + 1}",
            seeds_text(correlation[:, j]),
            f"{correlation[:, j].min():.3f}",
            seeds_text(error[:, j]),
            f"{error[:, j].max():.3f}",
            seeds_text(mean[:, j]),
        ]
        for j in range(SLATE_SIZE)
    ]
    lowest, largest = correlation[:, :-1].min(axis=1), error[:, :-1].max(axis=1)  # (seeds,)
    holds = (lowest >= LOWEST_CORRELATION) & (largest <= LARGEST_ERROR)
    verdict: Verdict = "inconclusive" if holds.any() else "contradicted"
    claim = Claim(
        "the learned Q-networks satisfy Eq. 10 with a small error",
        "reproduced" if holds.all() else verdict,
        f"lowest correlation {lowest.min():.3f}, largest error {largest.max():.2f} standard "
        f"deviations of Q^5, on {int(holds.sum())} of {len(results)} seeds as the rule asks",
    )
    header = ["network", "correlation with Q^5", "lowest", "error / std of Q^5", "largest", "mean"]
    spread = seeds_text([result["spread"] for result in results])
    parts = [
        "## Q^j against Q^5",
        f"On {results[0]['slates']:,} greedy slates a seed, mean ± standard error over seeds. "
        "The error is the root mean squared difference between Q^j and Q^5; the standard "
        f"deviation of Q^5 over the slates is {spread}.",
        table(header, rows),
        "![Q^j against Q^5, first seed](figure-5.png)",
    ]
    return Page((claim,), "\n\n".join(parts), {"figure-5": _figure(results[0])})


def _figure(result: dict[str, Any]) -> Figure:
    q = np.array(result["arrays"]["q"])
    figure = Figure(figsize=(10, 2.8), layout="constrained")
    low, high = q.min(), q.max()
    for j, axes in enumerate(figure.subplots(1, SLATE_SIZE - 1, sharey=True)):
        axes.plot([low, high], [low, high], color="#8a8a8a", linewidth=1)
        axes.scatter(q[:, -1], q[:, j], s=4, color="#2458b3", alpha=0.3, linewidths=0)
        axes.set_title(f"Q^{j + 1}, correlation {result['correlation'][j]:.2f}", fontsize=9)
        axes.set_xlabel("Q^5")
    return figure


EXPERIMENT = Experiment(
    name="figure-5",
    title="Agreement of the cascading Q-networks",
    reproduces="Chen et al., Generative Adversarial User Model (ICML 2019), Figure 5",
    method="""
At the optimum every Q^j values the first j items of the greedy slate as Q^k values the whole slate
(Eq. 10); training only asks each to fit the same target (Eq. 11). The agent is "cascading" of
[recgan-policies](recgan-policies.md) at slates of 5, every seed, acting greedily for whole episodes
in the environment it was trained in. Rule: on every seed, each of Q^1 .. Q^4 correlates with Q^5 at
.9 or above, and the root mean squared difference between them, which Eq. 10 says is small, is at
most half the standard deviation of Q^5 over those slates. Contradicted: on no seed; inconclusive:
on some.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
)
