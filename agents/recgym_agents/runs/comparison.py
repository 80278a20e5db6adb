"""Agents beside each other: trained over seeds, scored on the same episodes, tested in pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track

from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_1, check_number
from recgym_agents.runs.comparison_figures import learning_bands
from recgym_agents.runs.comparison_report import comparison_sections
from recgym_agents.runs.comparison_scores import ComparisonConfig, Scores
from recgym_agents.runs.compatibility import why_not
from recgym_agents.runs.evaluation import Evaluation, evaluate, make_vector_env
from recgym_agents.runs.findings import interval, probability, ranking
from recgym_agents.runs.html_report import write_html
from recgym_agents.runs.parallel_training import train_all, train_in_turn
from recgym_agents.runs.planned_levels import levels_of
from recgym_agents.runs.progress import WatchMany, watching
from recgym_agents.runs.run_folder import TrainConfig, check_folder
from recgym_agents.runs.run_metrics import read_metrics
from recgym_agents.runs.saved_agents import load_agent

BASELINES = ("popularity", "random")
"""What every comparison has, unless told not to, where they can act."""
NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Comparison:
    """A finished comparison; printed, it is a line an agent and what the tests say."""

    scores: Scores
    """What agents earned, and how they learned."""

    @property
    def table(self) -> list[dict[str, Any]]:
        """A row an agent, the best first; ``pandas.DataFrame`` takes it as it is.

        ``low`` and ``high`` are 95% intervals over seeds (over users, with a single seed), and so
        are ``behind_low`` and ``behind_high`` of how much less it earns than the best; of p-values
        see ``Standing``. What is not known is not a number.
        """
        scores, rows = self.scores, []
        clicks = scores.click_rates
        for one in scores.standings:
            row = {
                "agent": one.name,
                f"reward_per_{scores.unit}": one.reward.mean,
                "low": one.reward.low,
                "high": one.reward.high,
                "click_rate": clicks[one.name],
                "behind": 0.0 if one.behind is None else one.behind.mean,
                "behind_low": math.nan if one.behind is None else one.behind.low,
                "behind_high": math.nan if one.behind is None else one.behind.high,
                "p_seeds": one.p_seeds,
                "p_users": one.p_users,
                "told_apart": one.told_apart,
            }
            if scores.levels is not None:
                row[f"{scores.levels.best}_share"] = one.reward.mean / scores.levels.ahead
            rows.append(row)
        return rows

    def plot(self) -> Figure:
        """Draws validation rewards over the steps of the trainings, with bands over seeds."""
        return learning_bands(self.scores.metrics, self.scores.unit, self.scores.levels)

    def save_html(self, path: str | Path) -> Path:
        """Writes the report: one file that needs no network; returns where it is.

        Raises:
            RecGymError: it cannot be written.
        """
        write_html(
            Path(path),
            f"RecGym: agents compared in {self.scores.config.env}",
            comparison_sections(self.scores),
        )
        return Path(path)

    def __str__(self) -> str:
        """Writes a line an agent, and what the tests say."""
        ranked, unit = self.scores.standings, self.scores.unit
        width = max(len(one.name) for one in ranked)
        lines = []
        for one in ranked:
            tests = {"users": probability(one.p_users), "seeds": probability(one.p_seeds)}
            found = [f"p over {over} {p}" for over, p in tests.items() if p]
            lines.append("  ".join((f"{one.name:{width}}", interval(one.reward), *found)))
        return "\n".join([*lines, ranking(ranked, unit, f"In {self.scores.config.place}")])


def compare(
    agents: Sequence[str],
    env: str,
    *,
    steps: int,
    seeds: Sequence[int] = range(5),
    out: str | Path | None = None,
    env_args: Mapping[str, Any] = NOTHING,
    agent_args: Mapping[str, Mapping[str, Any]] = NOTHING,
    loop_args: Mapping[str, Mapping[str, Any]] = NOTHING,
    split: Literal["train", "test"] | None = None,
    episodes: int = ComparisonConfig.episodes,
    evaluation_seed: int = ComparisonConfig.evaluation_seed,
    baselines: bool = True,
    reports: int = TrainConfig.reports,
    validation_episodes: int = TrainConfig.validation_episodes,
    jobs: int = 1,
    threads: int = 1,
    progress: bool = True,
) -> Comparison:
    """Trains agents over seeds, and scores all of them on the same episodes.

    Runs that are finished are kept, and those that were stopped go on, if called again.

    Args:
        agents: names in ``AGENTS``, or ``module:name`` of those that a module registers.
        env: environment id, or ``module:id``.
        steps: slates shown in each training.
        seeds: a training of each agent for each; with a single one, intervals and tests are over
            users alone.
        out: folder of the runs; ``runs/compare/ENV`` if not given.
        env_args: arguments of the environment, such as ``{"slate_size": 10}``.
        agent_args: by agent, settings of it, such as ``{"reinforce": {"hidden": 128}}``.
        loop_args: by agent, settings of its training loop.
        split: "test" scores in the model of other users than the agents learned from.
        episodes: that each is scored on; episode e is of user e modulo the number of users.
        evaluation_seed: of the random numbers in them, the same for all.
        baselines: add popularity and random, where they can act.
        reports: lines of metrics, validations and checkpoints in each training.
        validation_episodes: episodes a validation; 0 keeps the last policy instead of the best.
        jobs: how many train at once. More than one start processes, which a script of one's own
            must allow: by calling this below ``if __name__ == "__main__":``.
        threads: of torch, in each training.
        progress: show how far it is, on standard error.

    Raises:
        RecGymError: an agent is named twice, is not known, or cannot act in the world; a seed twice
            or below 0; bad settings; or a training that failed.
    """
    config = ComparisonConfig(
        agents=tuple(agents),
        env=env,
        steps=steps,
        seeds=tuple(seeds),
        out=default_comparison_folder(env) if out is None else Path(out),
        env_args=env_args,
        agent_args=agent_args,
        loop_args=loop_args,
        split=split,
        episodes=episodes,
        evaluation_seed=evaluation_seed,
        baselines=baselines,
        reports=reports,
        validation_episodes=validation_episodes,
    )
    return run_comparison(config, jobs=jobs, threads=threads, progress=progress)


def default_comparison_folder(env: str) -> Path:
    """Returns the folder of a comparison that is given none: ``runs/compare/ENV``."""
    return Path("runs", "compare", env.rpartition(":")[2])


def run_comparison(
    config: ComparisonConfig, jobs: int, threads: int, progress: bool = True
) -> Comparison:
    """As ``compare``, of settings that are there already.

    Args:
        config: what is compared.
        jobs: how many train at once; one trains in this process.
        threads: of torch, in each training.
        progress: show how far it is, on standard error.

    Raises:
        RecGymError: see ``compare``.
    """
    check_number("threads", threads, AT_LEAST_1)
    check_number("jobs", jobs, AT_LEAST_1)
    check_folder(config.out)
    make_vector_env(config.env, config.scored_in, 1, "disabled")  # raises here, not at the end
    config = replace(config, agents=(*config.agents, *_checked_baselines(config)))
    runs = config.runs
    failed = _train(runs, config.steps, jobs, threads, progress)
    if failed:
        lines = [
            f"{runs[number].agent}, seed {runs[number].seed}: {failed[number]}" for number in failed
        ]
        raise RecGymError("; ".join(lines))
    found: dict[str, list[Evaluation]] = {agent: [] for agent in config.agents}
    metrics: dict[str, list[list[dict[str, float]]]] = {agent: [] for agent in config.agents}
    console = Console(stderr=True)
    for run in track(runs, "evaluating", console=console, disable=not progress, transient=True):
        agent, _ = load_agent(run.out, trust=True)  # it was trained by this command
        found[run.agent].append(
            evaluate(agent, config.env, config.scored_in, config.episodes, config.evaluation_seed)
        )
        metrics[run.agent].append(read_metrics(Path(run.out)))
    return Comparison(Scores(config, found, metrics, levels_of(config.env, config.scored_in)))


def _checked_baselines(config: ComparisonConfig) -> list[str]:
    """Checks that agents can act in the world; returns the baselines that are to be added.

    Raises:
        RecGymError: one cannot, or is not known.
    """
    for agent in config.agents:
        why = why_not(agent, config.env, config.env_args, config.agent_args.get(agent, {}))
        if why:
            why = why.removeprefix(f"{agent}: ")
            raise RecGymError(f"{agent}: cannot act in {config.env}: {why}")
    missing = [name for name in BASELINES if config.baselines and name not in config.agents]
    return [name for name in missing if not why_not(name, config.env, config.env_args)]


def _train(
    runs: Sequence[TrainConfig], steps: int, jobs: int, threads: int, progress: bool
) -> dict[int, str]:
    """Trains what is not finished; returns by its number why a run failed."""
    if not progress:
        return _each(runs, jobs, threads, lambda *unseen: None)
    with watching([f"{run.agent}, seed {run.seed}" for run in runs], steps) as watch:
        return _each(runs, jobs, threads, watch)


def _each(runs: Sequence[TrainConfig], jobs: int, threads: int, watch: WatchMany) -> dict[int, str]:
    if jobs == 1:
        return train_in_turn(runs, threads, watch)
    return train_all(runs, jobs, threads, watch)
