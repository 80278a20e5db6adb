"""Trains an agent, in an environment or from a log; a stopped run goes on at its checkpoint."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from recgym.errors import RecGymError
from recgym_agents.runs.devices import torch_threads
from recgym_agents.runs.parallel_training import jobs_for, train_all
from recgym_agents.runs.progress import watching
from recgym_agents.runs.run import default_folder
from recgym_agents.runs.run_folder import TrainConfig
from recgym_agents.runs.run_metrics import describe_end
from recgym_agents.runs.training import train as train_run
from recgym_agents.zoo import AGENTS

MOST_LEVELS = 100
"""Lists in lists of a setting, which a message can still show."""
Settings = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE")]


def settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Reads NAME=VALUE pairs; a value that is not JSON is a string."""
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise RecGymError(f"setting {pair!r}: must be NAME=VALUE")
        opened = itertools.accumulate((mark in "[{") - (mark in "]}") for mark in text)
        if max(opened, default=0) > MOST_LEVELS:
            raise RecGymError(f"setting {name}: more than {MOST_LEVELS} lists in lists")
        try:
            values[name] = json.loads(text)
        except json.JSONDecodeError:
            values[name] = text
        except ValueError:
            raise RecGymError(f"setting {name}: too long a number") from None
    return values


def _agents() -> str:
    """Returns the help of ``--agent``: the rows of the zoo."""
    rows = [f"{name}: {AGENTS.find(name).about}" for name in AGENTS]
    return "\n".join(["its name, or module:name of one of your own", *rows])


AgentName = Annotated[str, tyro.conf.arg(help=_agents())]


def main(
    agent: AgentName,
    steps: int,
    env: str | None = None,
    seed: int = 0,
    seeds: str | None = None,
    jobs: int | None = None,
    out: str | None = None,
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
    threads: int = 1,
) -> None:
    """Trains an agent, in an environment or from a log; a stopped run goes on at its checkpoint.

    Args:
        agent: name of an agent, or module:name of one that a module registers.
        steps: environment steps: slates shown, rounded up to whole rounds of the loop; offline,
            logged steps read.
        env: environment id, such as RecGAN-v0, or module:id; none with a log alone, whose
            slate_size and window (among env_args) must then be given.
        seed: all random numbers come from it.
        seeds: several runs instead of one, such as 0..4 or 0,3,7, each in a folder of its own.
        jobs: runs that train at once, with --seeds; as many as there are cores if not given.
        out: folder of the run, or with --seeds of their folders; runs/ENV/AGENT/SEED if not given.
        slate_size: items in a slate; the environment's default if not given.
        ensemble: user models that episodes draw from; 0 for one.
        split: whose user model: that of the training users, or of the test users.
        user_model: folder of a fitted user model, or the name of a shipped one.
        env_args: other arguments of the environment.
        agent_args: settings of the agent, such as discount=0.95 or hidden=[256,128].
        loop_args: settings of its training loop (the zoo's agents), such as updates=2.
        log: folder of a prepared dataset to learn from, with schedule=offline or online-offline.
        reports: lines of metrics, validations and checkpoints in the whole run.
        validation_episodes: episodes a validation; 0 keeps the last policy instead of the best.
        compile: fuse the scan of the candidates with torch.compile.
        device: where networks learn, such as cuda.
        threads: of torch, in each run; more than one pays for large networks only.
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
        out=str(default_folder(env, log, agent, seed) if out is None else out),
        env_args={k: v for k, v in given.items() if v is not None} | settings(env_args),
        agent_args=settings(agent_args),
        loop_args=settings(loop_args),
        log=log,
        reports=reports,
        validation_episodes=validation_episodes,
        compile=compile,
        device=device,
    )
    if seeds is not None:
        parent = default_folder(env, log, agent, seed).parent if out is None else Path(out)
        runs = [replace(config, seed=one, out=str(parent / str(one))) for one in seeds_in(seeds)]
        _train_all(runs, jobs_for(threads) if jobs is None else jobs, threads)
        return
    with torch_threads(threads), watching([agent], steps) as watch:
        train_run(config, partial(watch, 0))
    print("\n".join((*describe_end(Path(config.out), steps), config.out)))


def seeds_in(text: str) -> list[int]:
    """Reads seeds: ``0..4`` is 0 to 4, and ``0,3,7`` those three.

    Raises:
        RecGymError: anything else, no seed, or one twice.
    """
    span = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", text)
    if span:
        found = list(range(int(span[1]), int(span[2]) + 1))
    else:
        found = [int(part) for part in re.findall(r"\d+", text)]
    if not found or not (span or re.fullmatch(r"\d{1,9}(,\d{1,9})*", text)):
        raise RecGymError(f"--seeds {text}: must be such as 0..4, or 0,3,7")
    if len(set(found)) < len(found):
        raise RecGymError(f"--seeds {text}: names a seed twice")
    return found


def _train_all(configs: list[TrainConfig], jobs: int, threads: int) -> None:
    """Trains runs that differ by their seed, and prints how each ended.

    Raises:
        RecGymError: one or more failed.
    """
    with watching([f"seed {config.seed}" for config in configs], configs[0].steps) as watch:
        failed = train_all(configs, jobs, threads, watch)
    for number, config in enumerate(configs):
        if number not in failed:
            ends = describe_end(Path(config.out), config.steps)
            print("; ".join((config.out, *ends)))
    if failed:
        lines = [f"seed {configs[number].seed}: {line}" for number, line in failed.items()]
        raise RecGymError("; ".join(lines))
