"""The settings of the deep Q-learners of Table 3, chosen in validation episodes."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Experiment,
    Finished,
    Page,
    Place,
    Result,
    folder_of,
    having,
)
from recgym_agents.experiments.gan.policies import BUDGET as TRAINING
from recgym_agents.experiments.gan.policies import ENVIRONMENT, REWARD, WINDOW
from recgym_agents.experiments.results_report import seeds_text, table
from recgym_agents.runs.run_metrics import read_metrics
from recgym_agents.runs.training import TrainConfig, train

AGENTS = ("cascading-dqn-paper", "additive-dqn", "cascading-dqn-click")
SLATE_SIZE = 5
LEARNING_RATES = (3e-4, 1e-3, 3e-3)
TARGET_PERIODS = (50, 200, 500)
"""The grid; the same for all agents."""

SHARED = ("user_model", "steps", "reports", "validation_episodes")
BUDGET: Budget = {"seeds": [100], **{name: TRAINING[name] for name in SHARED}}
SMOKE: Budget = BUDGET | {"steps": 1_500, "reports": 2, "validation_episodes": 20}


def cells(budget: Budget) -> list[Cell]:
    """One cell an agent, setting and seed."""
    return [
        {"agent": agent, "learning_rate": rate, "target_period": period, "seed": seed}
        for agent in AGENTS
        for rate in LEARNING_RATES
        for period in TARGET_PERIODS
        for seed in budget["seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains one agent; nothing but its own validation episodes is looked at."""
    folder = folder_of(place.folder, budget)
    config = TrainConfig(
        env=ENVIRONMENT,
        agent=cell["agent"],
        steps=budget["steps"],
        seed=cell["seed"],
        out=str(folder),
        env_args={"slate_size": SLATE_SIZE, "window": WINDOW, "reward": REWARD},
        agent_args={name: cell[name] for name in ("learning_rate", "target_period")},
        reports=budget["reports"],
        validation_episodes=budget["validation_episodes"],
    )
    train(config)
    rewards = [line["validation_reward"] for line in read_metrics(folder)]
    return {"validation_reward": rewards, "score": float(np.mean(rewards[len(rewards) // 2 :]))}


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds a table of the grid, and the learning curves."""
    rows = []
    for agent in AGENTS:
        for rate in LEARNING_RATES:
            scores = [
                seeds_text([one.result["score"] for one in runs])
                for period in TARGET_PERIODS
                if (runs := having(finished, agent=agent, learning_rate=rate, target_period=period))
            ]
            rows.append([agent, f"{rate:g}", *scores])
    header = ["agent", "learning rate", *(f"period {period}" for period in TARGET_PERIODS)]
    parts = [
        "## Reward in validation episodes",
        "Reward per step, mean of the second half of the training's validations.",
        table(header, rows),
        "![Learning curves](recgan-tuning.png)",
    ]
    return Page((), "\n\n".join(parts), {"recgan-tuning": _figure(finished)})


def _figure(finished: list[Finished]) -> Figure:
    """The validation reward of every setting as training goes on."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    panels = figure.subplots(1, len(AGENTS), sharey=True)
    for axes, agent in zip(panels, AGENTS, strict=True):
        for one in having(finished, agent=agent):
            rate, period = one.cell["learning_rate"], one.cell["target_period"]
            rewards = one.result["validation_reward"]
            style = (":", "--", "-")[LEARNING_RATES.index(rate)]
            colour = f"C{TARGET_PERIODS.index(period)}"
            axes.plot(rewards, style, color=colour, label=f"{rate:g}, {period}")
        axes.set_title(agent, fontsize=9)
        axes.set_xlabel("validation")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("reward per step")
    panels[0].legend(title="learning rate, period", fontsize=7, title_fontsize=7)
    return figure


EXPERIMENT = Experiment(
    name="recgan-tuning",
    title="Settings of the slate Q-learners in RecGAN-v0",
    reproduces="no table: how the settings behind recgan-policies were chosen",
    method="""
Each deep Q-learner of recgan-policies is trained in the model of the training users with every
setting of one grid, as long as there, at slates of 5, with a seed that is used nowhere else. The
score is its reward per step in validation episodes of that same environment (the reward also for
RWD1, which learns from clicks), averaged over the second half of the training, since the best of
many noisy validations favours restless settings. Of each agent, the setting of the highest score is
the one that recgan-policies uses, at both slate sizes. No policy is played in the model of the test
users here.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
