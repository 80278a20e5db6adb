"""Compares agents: trains each over seeds, scores all on the same episodes, writes a report.

Example:
    recgym compare --agents cascading-dqn reinforce --env RecGAN-v0 --seeds 0..4 --steps 30000 \
        --split test --out runs/compare/recgan
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from recgym.errors import RecGymError
from recgym_agents.commands.train import Settings, seeds_in, settings
from recgym_agents.runs.comparison import default_comparison_folder, run_comparison
from recgym_agents.runs.comparison_scores import ComparisonConfig
from recgym_agents.runs.parallel_training import jobs_for
from recgym_agents.runs.run_folder import TrainConfig

REPORT = "report.html"


def main(
    agents: tuple[str, ...],
    env: str,
    steps: int,
    seeds: str = "0..4",
    out: Path | None = None,
    env_args: Settings = (),
    agent_args: Settings = (),
    loop_args: Settings = (),
    split: Literal["train", "test"] | None = None,
    episodes: int = ComparisonConfig.episodes,
    evaluation_seed: int = ComparisonConfig.evaluation_seed,
    baselines: bool = True,
    reports: int = TrainConfig.reports,
    validation_episodes: int = TrainConfig.validation_episodes,
    jobs: int | None = None,
    threads: int = 1,
) -> None:
    """Trains agents over seeds, scores all of them on the same episodes, and reports.

    Runs that are finished are kept, and those that were stopped go on, if it is given again.

    Args:
        agents: names of the zoo, or module:name of your own.
        env: environment id, such as RecGAN-v0, or module:id.
        steps: slates shown in each training.
        seeds: a training of each agent for each, such as 0..4 or 0,3,7.
        out: folder of the runs, AGENT/SEED, and of report.html; runs/compare/ENV if not given.
        env_args: arguments of the environment, such as slate_size=5 user_model=runs/mine.
        agent_args: settings of agents, as AGENT.NAME=VALUE, such as reinforce.hidden=128.
        loop_args: settings of their training loops, as AGENT.NAME=VALUE.
        split: whose user model agents are scored in; that of training if not given.
        episodes: that each is scored on; episode e is of user e modulo the number of users.
        evaluation_seed: of the random numbers in them, the same for all.
        baselines: add popularity and random, where they can act.
        reports: lines of metrics, validations and checkpoints in each training.
        validation_episodes: episodes a validation; 0 keeps the last policy instead of the best.
        jobs: how many train at once; as many as there are cores if not given.
        threads: of torch, in each training.
    """
    config = ComparisonConfig(
        agents=agents,
        env=env,
        steps=steps,
        seeds=tuple(seeds_in(seeds)),
        out=default_comparison_folder(env) if out is None else out,
        env_args=settings(env_args),
        agent_args=by_agent(settings(agent_args), "--agent-args"),
        loop_args=by_agent(settings(loop_args), "--loop-args"),
        split=split,
        episodes=episodes,
        evaluation_seed=evaluation_seed,
        baselines=baselines,
        reports=reports,
        validation_episodes=validation_episodes,
    )
    found = run_comparison(config, jobs_for(threads) if jobs is None else jobs, threads)
    print(found)
    print(found.save_html(config.out / REPORT))


def by_agent(values: dict[str, Any], option: str) -> dict[str, dict[str, Any]]:
    """Groups settings ``AGENT.NAME`` by agent.

    Raises:
        RecGymError: one names no agent.

    >>> by_agent({"reinforce.hidden": 8, "reinforce.layers": 2}, "--agent-args")
    {'reinforce': {'hidden': 8, 'layers': 2}}
    """
    found: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        agent, dot, name = key.rpartition(".")
        if not dot:
            raise RecGymError(f"{option} {key}: whose? write AGENT.{key}=..")
        found.setdefault(agent, {})[name] = value
    return found
