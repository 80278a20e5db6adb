"""Trains an agent, in an environment or from a log: a folder a run, which goes on if killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recgym.errors import RecGymError
from recgym.files import load_arrays, save_arrays
from recgym.locks import locked
from recgym_agents.checkpointing import Arrays, within
from recgym_agents.learning.loop import Loop, means
from recgym_agents.runs.assembly import (
    Validate,
    env_of,
    loop_of,
    read_log,
    spec_of,
    validation_of,
)
from recgym_agents.runs.devices import on_device
from recgym_agents.runs.environment_arguments import with_own
from recgym_agents.runs.run_files import (
    CHECKPOINT,
    DONE,
    METRICS,
    write_done,
)
from recgym_agents.runs.run_folder import (
    TrainConfig,
    Watch,
    begin,
    check_run,
    is_done,
    record_of,
)
from recgym_agents.runs.run_metrics import metrics_writer
from recgym_agents.runs.saved_agents import save_agent
from recgym_agents.runs.stable_baselines_training import train_stable_baselines
from recgym_agents.zoo import entry_of

__all__ = ["CHECKPOINT", "DONE", "METRICS", "TrainConfig", "Watch", "train"]


def train(config: TrainConfig, watch: Watch = lambda steps, metrics: None) -> None:
    """Trains an agent and writes its folder; goes on from the last checkpoint if there is one.

    The folder holds ``config.json``, ``metrics.jsonl`` and TensorBoard events with a line for each
    report, ``checkpoint.safetensors``, ``params.safetensors`` (see ``load_agent``), and ``DONE``,
    written last, with digests of what an agent is loaded from. The policy kept is the one with the
    highest reward a session in the validation episodes, played in the training environment with
    random numbers of their own; offline, the one with the highest mean score on the log's
    validation users. Validation selects, a test environment reports, once.

    A finished run of fewer steps goes on to those asked for, from its last checkpoint: networks,
    moments, memory, environment, random numbers and the best policy so far stand as they stood.
    What depends on the number of steps (how exploration falls, when reports are written) follows
    the new number from there on, and ``patience`` counts anew. The numbers are therefore not those
    of a run that had all steps from the start; ``config.json`` says so under ``continued``.

    A library's agent begins again if it was stopped, and does not go on to more
    steps; see ``train_stable_baselines``.

    Raises:
        RecGymError: bad settings, a folder with another run or in use by another process or that
            cannot be written, or a training that diverges (the last good checkpoint is kept).
    """
    entry = entry_of(config.agent, config.agent_args, config.loop_args)
    own = with_own(config.agent, entry.env_args, config.env, config.env_args)
    config = replace(config, env_args=own)
    if entry.library:
        train_stable_baselines(config, entry, watch)
        return
    folder = Path(config.out)
    check_run(config)
    seeds = [int(s) for s in np.random.SeedSequence(config.seed).generate_state(4)]
    schedule = entry.schedule
    env = env_of(config, schedule)
    dataset = read_log(config, schedule)
    spec = spec_of(config, env, dataset)
    agent = entry.builder(entry.config, spec, seeds[0])
    agent.to(config.device)
    agent.policy()  # raises here, not at the end, if the agent lacks something
    record = record_of(config, spec, dataset)
    if is_done(folder, record):
        return
    agent.compile(config.compile, config.device, schedule.acts(config.steps))
    steps = 0 if entry.loop is None else config.steps
    loop = loop_of(agent, env, schedule, steps, seeds[1:3], dataset)
    validate = validation_of(config, schedule, loop, dataset, seeds[3])
    run = _Run(config, loop, validate, schedule.patience)
    about = {name: getattr(config, name) for name in ("env", "env_args", "seed", "steps")}
    with locked(folder):
        if is_done(folder, record):  # since it was asked above
            return
        begin(folder, record)
        with on_device(config.device):
            run.finish(watch)
        save_agent(folder, agent, config.agent, entry, about)
        write_done(folder, config.steps)


class _Run:
    """The part of a training that a checkpoint holds: the loop, the best policy, the metrics."""

    def __init__(
        self, config: TrainConfig, loop: Loop, validate: Validate | None, patience: int
    ) -> None:
        self.config, self.loop, self.validate, self.patience = config, loop, validate, patience
        self.folder = Path(config.out)
        self.best: tuple[Arrays, Any] | None = None
        self.best_reward = -np.inf
        self.waited = 0
        self.validated: dict[str, float] = {}

    def finish(self, watch: Watch) -> None:
        """Trains from the last checkpoint to the end; leaves the agent with its best policy."""
        period = -(-max(self.config.steps, 1) // self.config.reports)
        metrics = metrics_writer(self.folder, *self._resume())
        while self.loop.steps_done < self.loop.steps and not self._stalled():
            goal = min((self.loop.steps_done // period + 1) * period, self.loop.steps)
            reports = []
            while self.loop.steps_done < goal:
                reports.append(self.loop.iterate())
                watch(self.loop.steps_done, reports[-1] | self.validated)
            length = metrics(self._counts() | means(reports) | self._validate())
            self._save(length)
        if self.loop.steps == 0:
            metrics(self._counts() | self._validate())
        if self.best is not None:
            self.loop.agent.load_policy(*self.best)

    def _counts(self) -> dict[str, float]:
        return {"steps": self.loop.steps_done, "updates": self.loop.updates_done}

    def _validate(self) -> dict[str, float]:
        """Validates the policy, and keeps it if it is the best so far, pre-training apart."""
        if self.validate is None:
            return {}
        value, line = self.validate()
        self.validated = line
        if not self.loop.agent.ready:
            return line | {"kept": 0.0}
        self.waited += 1
        if value > self.best_reward:
            self.best, self.best_reward, self.waited = self.loop.agent.policy(), value, 0
        return line | {"kept": float(self.waited == 0)}

    def _stalled(self) -> bool:
        """Returns whether the validations have not been better for too long."""
        return 0 < self.patience <= self.waited

    def _save(self, metrics_length: int) -> None:
        """Writes the checkpoint: one file, whole or absent."""
        arrays: Arrays = {}
        info: dict[str, Any] = {
            "metrics_length": metrics_length,
            "best_reward": self.best_reward,
            "waited": self.waited,
            "of_steps": self.config.steps,
        }
        parts = {"agent": self.loop.agent.state(), "loop": self.loop.state()}
        if self.best is not None:
            parts["best"] = self.best
        for part, (part_arrays, part_info) in parts.items():
            arrays |= {f"{part}.{name}": array for name, array in part_arrays.items()}
            info[part] = part_info
        save_arrays(self.folder / CHECKPOINT, arrays, info)

    def _resume(self) -> tuple[int, int]:
        """Loads the checkpoint, if there is one; returns its metrics' length and its step.

        Raises:
            RecGymError: the checkpoint is damaged, or of another kind of training.
        """
        path = self.folder / CHECKPOINT
        if not path.exists():
            return 0, 0
        arrays, info = load_arrays(path)
        try:
            self.loop.agent.set_state(within(arrays, "agent."), info["agent"])
            self.loop.set_state(within(arrays, "loop."), info["loop"])
            if "best" in info:
                self.best = (within(arrays, "best."), info["best"])
                self.best_reward = info["best_reward"]
            # Checkpoints made before these were counted have none.
            if info.get("of_steps", self.config.steps) == self.config.steps:
                self.waited = info.get("waited", 0)
            return info["metrics_length"], self.loop.steps_done
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            text = " ".join(str(error).split())
            raise RecGymError(
                f"{path}: not a checkpoint of this run ({text}); remove {self.folder} and train"
                " again"
            ) from None
