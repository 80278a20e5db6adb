"""Trains an agent in an environment: one folder a run, which can be killed and goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recgym.errors import RecGymError
from recgym.files import (
    load_arrays,
    read_json,
    save_arrays,
    sha256_of_arrays,
    write_json,
    write_text,
)
from recgym.users.folder import FittedUserModel
from recgym_agents.cascading_dqn import SlateDQN
from recgym_agents.checkpoints import save_agent
from recgym_agents.evaluation import ROWS, make_vector_env, run_episodes
from recgym_agents.loops import Arrays, LoopConfig, ReplayLoop, World, means, within
from recgym_agents.ranges import AT_LEAST_0, AT_LEAST_1, check_ranges
from recgym_agents.scan import compiled_score
from recgym_agents.table import entry_of

CHECKPOINT, CONFIG, DONE, METRICS = "checkpoint.safetensors", "config.json", "DONE", "metrics.jsonl"
WORTH_COMPILING = 1e11
"""Hidden units evaluated while scanning candidates from which compiling pays for itself."""


@dataclass(frozen=True)
class TrainConfig:
    """A training run. The same configuration gives the same numbers on the same machine."""

    env: str
    """Environment id."""
    agent: str
    """Name in ``AGENTS``."""
    steps: int
    """Environment steps; rounded up to whole steps of all rows."""
    seed: int
    """All random numbers come from it."""
    out: str
    """Folder of the run."""
    env_args: dict[str, Any] = field(default_factory=dict)
    """Arguments of the environment."""
    agent_args: dict[str, Any] = field(default_factory=dict)
    """Fields of the agent's configuration."""
    loop_args: dict[str, Any] = field(default_factory=dict)
    """Fields of ``LoopConfig``."""
    reports: int = 20
    """How many times a line of metrics is written, the policy validated, and a checkpoint made."""
    validation_episodes: int = 250
    """Episodes a validation; the best policy is kept. 0 keeps the last policy."""
    compile: Literal["auto", "always", "never"] = "auto"
    """Fuse the scan of the candidates with torch.compile; "auto": where it works and pays."""


Watch = Callable[[int, dict[str, float]], None]
"""Called after every step of the rows with the steps done and what they and their updates gave."""


def train(config: TrainConfig, watch: Watch = lambda steps, metrics: None) -> None:
    """Trains an agent and writes its folder; goes on from the last checkpoint if there is one.

    The folder holds ``config.json``, ``metrics.jsonl`` and TensorBoard events with a line for each
    report, ``params.safetensors`` (see ``load_agent``), and ``DONE``, written last. The policy kept
    is the one with the highest reward in the validation episodes, which are played in the training
    environment with luck of their own: validation selects, a test environment reports, once.

    Raises:
        RecGymError: bad settings, a folder with another run, or a training that diverges (the last
            good checkpoint is kept).
    """
    folder = Path(config.out)
    entry = entry_of(config.agent, config.agent_args, config.loop_args)
    lowest = ("steps", "seed", "validation_episodes")
    check_ranges(config, dict.fromkeys(lowest, AT_LEAST_0) | {"reports": AT_LEAST_1})
    if folder.exists() and not folder.is_dir():
        raise RecGymError(f"{folder}: is a file; a run needs a folder")
    seeds = [int(s) for s in np.random.SeedSequence(config.seed).generate_state(4)]
    schedule = entry.loop or LoopConfig(num_envs=1)
    env = make_vector_env(config.env, config.env_args, schedule.num_envs, "disabled")
    world = World.of(env)
    agent = entry.builder(entry.config, world, seeds[0])
    agent.policy()  # raises here, not at the end, if the agent lacks something
    record = {name: value for name, value in asdict(config).items() if name != "out"}
    if world.user_model is not None:
        record["user_model"] = _digest(world.user_model)
    if _is_done(folder, record):
        return
    if isinstance(agent, SlateDQN) and _compiles(config, agent, schedule):
        agent.score = compiled_score()
    write_json(folder / CONFIG, record)
    steps = 0 if entry.loop is None else config.steps
    loop = ReplayLoop(agent, env, schedule, steps, np.random.default_rng(seeds[1]), seeds[2])
    _Run(config, loop, folder, validation_seed=seeds[3]).finish(watch)
    about = {name: getattr(config, name) for name in ("env", "env_args", "seed", "steps")}
    save_agent(folder, agent, config.agent, entry, about)
    write_text(folder / DONE, "")
    (folder / CHECKPOINT).unlink(missing_ok=True)


class _Run:
    """The part of a training that a checkpoint holds: the loop, the best policy, the metrics."""

    def __init__(
        self, config: TrainConfig, loop: ReplayLoop, folder: Path, validation_seed: int
    ) -> None:
        self.config, self.loop, self.folder = config, loop, folder
        self.validation_seed = validation_seed
        self.best: tuple[Arrays, Any] | None = None
        self.best_reward = -np.inf
        rows = min(config.validation_episodes, ROWS) or 1
        self.validation = make_vector_env(config.env, config.env_args, rows, "next-step")

    def finish(self, watch: Watch) -> None:
        """Trains from the last checkpoint to the end; leaves the agent with its best policy."""
        period = -(-max(self.config.steps, 1) // self.config.reports)
        with _metrics(self.folder, *self._resume()) as metrics:
            while self.loop.steps_done < self.loop.steps:
                goal = min((self.loop.steps_done // period + 1) * period, self.loop.steps)
                reports = []
                while self.loop.steps_done < goal:
                    reports.append(self.loop.iterate())
                    watch(self.loop.steps_done, reports[-1])
                length = metrics(self._counts() | means(reports) | self._validate())
                self._save(length)
            if self.loop.steps == 0:
                metrics(self._counts() | self._validate())
        if self.best is not None:
            self.loop.agent.load_policy(*self.best)

    def _counts(self) -> dict[str, float]:
        return {"steps": self.loop.steps_done, "updates": self.loop.updates_done}

    def _validate(self) -> dict[str, float]:
        """Plays the validation episodes, and keeps the policy if it is the best so far."""
        if self.config.validation_episodes == 0:
            return {}
        agent, episodes = self.loop.agent, self.config.validation_episodes
        evaluation = run_episodes(agent, self.validation, episodes, self.validation_seed)
        reward = float(evaluation.reward.mean())
        if reward > self.best_reward:
            self.best, self.best_reward = agent.policy(), reward
        click_rate = float(evaluation.click_rate.mean())
        return {"validation_reward": reward, "validation_click_rate": click_rate}

    def _save(self, metrics_length: int) -> None:
        """Writes the checkpoint: one file, whole or absent."""
        arrays: Arrays = {}
        info: dict[str, Any] = {"metrics_length": metrics_length, "best_reward": self.best_reward}
        parts = {"agent": self.loop.agent.state(), "loop": self.loop.state()}
        if self.best is not None:
            parts["best"] = self.best
        for part, (part_arrays, part_info) in parts.items():
            arrays |= {f"{part}.{name}": array for name, array in part_arrays.items()}
            info[part] = part_info
        save_arrays(self.folder / CHECKPOINT, arrays, info)

    def _resume(self) -> tuple[int, int]:
        """Loads the checkpoint, if there is one; returns its metrics' length and its step."""
        if not (self.folder / CHECKPOINT).exists():
            return 0, 0
        arrays, info = load_arrays(self.folder / CHECKPOINT)
        self.loop.agent.set_state(within(arrays, "agent."), info["agent"])
        self.loop.set_state(within(arrays, "loop."), info["loop"])
        if "best" in info:
            self.best = (within(arrays, "best."), info["best"])
            self.best_reward = info["best_reward"]
        return info["metrics_length"], self.loop.steps_done


def _digest(model: FittedUserModel) -> str:
    """Returns the SHA-256 of all that users of a model do: the folder it came from may be refitted.

    It is over the item features, members, histories, configuration, and whether items are spent.
    """
    text = json.dumps([asdict(model.config), model.info["repeat_clicks"]], sort_keys=True)
    arrays = {"features": model.features, "config": np.frombuffer(text.encode(), np.uint8)}
    arrays |= {f"histories.{split}": ids for split, ids in model.histories.items()}
    for member, params in model.members.items():
        arrays |= {f"{member}/{name}": array for name, array in params.items()}
    return sha256_of_arrays(arrays)


def _is_done(folder: Path, record: dict[str, Any]) -> bool:
    """Returns whether the run of this configuration is done already.

    Raises:
        RecGymError: the folder holds a run with another configuration, or user model.
    """
    if (folder / CONFIG).exists():
        other = read_json(folder / CONFIG)
        if not isinstance(other, dict):
            raise RecGymError(f"{folder / CONFIG}: not the configuration of a run; remove {folder}")
        if "user_model" in record:  # runs made before it was recorded are taken on trust
            other.setdefault("user_model", record["user_model"])
        differing = [name for name in record if other.get(name) != record[name]]
        if differing:
            name = differing[0]
            label = "user model" if name == "user_model" else name
            raise RecGymError(
                f"{folder} holds a run with {label}={other.get(name)!r}, not {record[name]!r};"
                " choose another --out, or remove it"
            )
    return (folder / DONE).exists()


def _compiles(config: TrainConfig, agent: SlateDQN, schedule: LoopConfig) -> bool:
    """Decides whether the candidates are scanned by a compiled function.

    Raises:
        RecGymError: it must be compiled, and nothing compiles here.
    """
    if config.compile != "auto":
        return config.compile == "always"
    slots = agent.world.slate_size if agent.config.head == "cascade" else 1
    rows = config.steps * (1 + schedule.updates * schedule.batch_size / schedule.num_envs)
    if rows * slots * agent.world.n_items * agent.config.hidden < WORTH_COMPILING:
        return False
    try:
        compiled_score()
    except RecGymError:
        return False
    return True


@contextmanager
def _metrics(folder: Path, length: int, step: int) -> Iterator[Callable[[dict[str, float]], int]]:
    """Opens ``metrics.jsonl``, cut to ``length`` bytes, and TensorBoard, purged after ``step``.

    Yields a function that writes a line, and returns the length of the file after it.

    Raises:
        RecGymError: the file is shorter than that.
    """
    from torch.utils.tensorboard import SummaryWriter

    path = folder / METRICS
    path.touch()
    found = path.stat().st_size
    if found < length:
        raise RecGymError(
            f"{path}: {found} bytes, the checkpoint was written after {length}; put the file back,"
            f" or remove {folder} and train again"
        )
    os.truncate(path, length)
    writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)
    with open(path, "a", encoding="utf-8") as file:

        def write(line: dict[str, float]) -> int:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
            for name, value in line.items():
                writer.add_scalar(name, value, int(line["steps"]))
            writer.flush()
            return file.tell()

        try:
            yield write
        finally:
            writer.close()
