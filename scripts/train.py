"""Trains an agent, in an environment or from a log; a stopped run goes on at its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from command_line import run
from recgym.errors import RecGymError
from recgym_agents.runs.run_metrics import describe_end
from recgym_agents.runs.training import TrainConfig, train

Settings = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE")]


def settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Reads NAME=VALUE pairs; a value that is not JSON is a string."""
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise RecGymError(f"setting {pair!r}: must be NAME=VALUE")
        try:
            values[name] = json.loads(text)
            repr(values[name])  # messages show it
        except json.JSONDecodeError:
            values[name] = text
        except (ValueError, RecursionError):
            raise RecGymError(
                f"setting {name}: too long a number, or lists in lists too deep"
            ) from None
    return values


def main(
    agent: str,
    steps: int,
    seed: int,
    out: str,
    env: str | None = None,
    slate_size: int | None = None,
    ensemble: int | None = None,
    split: Literal["train", "test"] | None = None,
    user_model: str | None = None,
    env_args: Settings = (),
    agent_args: Settings = (),
    loop_args: Settings = (),
    log: str | None = None,
    reports: int = TrainConfig.reports,
    validation_episodes: int = TrainConfig.validation_episodes,
    compile: Literal["auto", "always", "never"] = TrainConfig.compile,
    device: str = TrainConfig.device,
) -> None:
    """Trains an agent.

    Args:
        agent: cascading-dqn, cascading-dqn-click, additive-dqn, reinforce, reinforce-is,
            reinforce-top-k, actor-critic, irecgan, pgu, acu, user-lstm, user-lstm-d, user-greedy,
            user-greedy-ensemble, popularity or random; or of Stable-Baselines3: sb3-ppo, sb3-a2c,
            sb3-dqn, sb3-sac, sb3-td3 or sb3-maskable-ppo.
        steps: environment steps: slates shown; offline, logged steps read.
        seed: all random numbers come from it.
        out: folder of the run.
        env: environment id, such as RecGAN-v0; none with a log alone, whose slate_size and window
            (among env_args) must then be given.
        slate_size: items in a slate; the environment's default if not given.
        ensemble: user models that episodes draw from; 0 for one.
        split: whose user model: that of the training users, or of the test users.
        user_model: folder of a fitted user model, or the name of a shipped one.
        env_args: other arguments of the environment.
        agent_args: settings of the agent, such as discount=0.95.
        loop_args: settings of its training loop (the zoo's agents), such as updates=2.
        log: folder of a prepared dataset to learn from, with schedule=offline or online-offline.
        reports: lines of metrics, validations and checkpoints in the whole run.
        validation_episodes: episodes a validation; 0 keeps the last policy instead of the best.
        compile: fuse the scan of the candidates with torch.compile.
        device: where networks learn, such as cuda.
    """
    given = {
        "slate_size": slate_size,
        "ensemble": ensemble,
        "split": split,
        "user_model": user_model,
    }
    config = TrainConfig(
        env=env,
        agent=agent,
        steps=steps,
        seed=seed,
        out=out,
        env_args={k: v for k, v in given.items() if v is not None} | settings(env_args),
        agent_args=settings(agent_args),
        loop_args=settings(loop_args),
        log=log,
        reports=reports,
        validation_episodes=validation_episodes,
        compile=compile,
        device=device,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn())
    task = progress.add_task(agent, total=steps)

    def watch(steps_done: int, metrics: dict[str, float]) -> None:
        progress.start()
        text = f"{agent}  reward {metrics['reward']:.3f}  clicks {metrics['click_rate']:.2f}"
        progress.update(task, completed=min(steps_done, steps), description=text)

    try:
        train(config, watch)
    finally:
        if progress.live.is_started:
            progress.stop()
    print("\n".join((*describe_end(Path(out), steps), out)))


if __name__ == "__main__":
    run(main)
