"""A training in Python: ``train`` an agent, and use the ``Run`` that it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure

from recgym.errors import RecGymError
from recgym.files import read_json
from recgym.settings import check_types
from recgym_agents.agent import Compile
from recgym_agents.runs import training
from recgym_agents.runs.devices import CPU, torch_threads
from recgym_agents.runs.evaluation import Evaluation, evaluate
from recgym_agents.runs.learning_curves import learning_curves
from recgym_agents.runs.progress import watching
from recgym_agents.runs.run_files import CONFIG
from recgym_agents.runs.run_folder import TrainConfig
from recgym_agents.runs.run_metrics import read_metrics
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.trained_agent import TrainedAgent, in_world

NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Run:
    """A finished training: its folder, its agent, and how well it does."""

    folder: Path
    """Where all of it is kept."""
    agent: TrainedAgent
    """With the policy that was best in validation."""
    config: dict[str, Any]
    """What was trained, and how: ``config.json``."""

    def __repr__(self) -> str:
        """Returns what was trained, where, and for how long."""
        what = (f"{name}={self.config.get(name)!r}" for name in ("agent", "env", "steps", "seed"))
        return f"Run({str(self.folder)!r}: {', '.join(what)})"

    @staticmethod
    def load(folder: str | Path, *, trust: bool = False) -> Run:
        """Reads the folder of a finished training.

        Args:
            folder: of the run.
            trust: read what can run code as it is read, too; see ``load_agent``.

        Raises:
            RecGymError: it holds none, or a damaged one.
        """
        agent, _ = load_agent(folder, trust=trust)
        return Run(Path(folder), agent, read_json(Path(folder) / CONFIG))

    @property
    def metrics(self) -> list[dict[str, float]]:
        """The lines of ``metrics.jsonl``, one a report."""
        return read_metrics(self.folder)

    def evaluate(
        self,
        episodes: int = 1000,
        *,
        split: Literal["train", "test"] | None = None,
        seed: int = 0,
        env: str | None = None,
        env_args: Mapping[str, Any] = NOTHING,
        threads: int = 1,
    ) -> Evaluation:
        """Plays greedy episodes; printed, it tells rewards and click rate with their intervals.

        Args:
            episodes: how many; episode e is of user e modulo the number of users.
            split: "test" scores in the model of other users than the agent learned from.
            seed: the same seed meets every agent with the same users and the same random numbers.
            env: environment id; that of training if not given.
            env_args: arguments of the environment that differ from those of training.
            threads: of torch.

        Raises:
            RecGymError: the agent cannot act there, or it learned from a log alone and no ``env``
                is given.
        """
        given = dict(env_args) if split is None else {"split": split, **env_args}
        name, arguments = world_of(self.folder, self.agent.about, env, given)
        with torch_threads(threads):
            return evaluate(self.agent, name, arguments, episodes, seed)

    def plot(self) -> Figure:
        """Draws reward and validation over the steps of the training."""
        return learning_curves({self.config["agent"]: self.metrics})

    def recommend(self, history: Sequence[int]) -> list[int]:
        """Returns a slate for a user who clicked ``history``, oldest first, of any length."""
        return self.agent.recommend(history)


def train(
    agent: str,
    env: str | None = None,
    *,
    steps: int,
    seed: int = 0,
    out: str | Path | None = None,
    env_args: Mapping[str, Any] = NOTHING,
    agent_args: Mapping[str, Any] = NOTHING,
    loop_args: Mapping[str, Any] = NOTHING,
    log: str | Path | None = None,
    reports: int = TrainConfig.reports,
    validation_episodes: int = TrainConfig.validation_episodes,
    compile: Compile = TrainConfig.compile,
    device: str = CPU,
    threads: int = 1,
    progress: bool = True,
) -> Run:
    """Trains an agent and returns its run; one that was stopped, or is finished, is not begun anew.

    Args:
        agent: name in ``AGENTS``, or ``module:name`` of one that a module registers.
        env: environment id, or ``module:id``; None to learn from ``log`` alone.
        steps: slates shown; offline, logged steps read.
        seed: all random numbers come from it.
        out: folder of the run; ``runs/ENV/AGENT/SEED`` if not given.
        env_args: arguments of the environment, such as ``{"slate_size": 10}``.
        agent_args: settings of the agent, such as ``{"hidden": 128}``.
        loop_args: settings of its training loop, such as ``{"updates": 2}``.
        log: folder of a prepared dataset to learn from.
        reports: lines of metrics, validations and checkpoints in the whole run.
        validation_episodes: episodes a validation; 0 keeps the last policy instead of the best.
        compile: fuse the scan of the candidates with torch.compile.
        device: where networks learn, such as "cuda".
        threads: of torch; more than one pays for large networks only.
        progress: show how far it is, on standard error.

    Raises:
        RecGymError: bad settings, such as an environment in place of its id, a folder with another
            run, or a training that diverges.
    """
    log = None if log is None else str(log)
    config = TrainConfig(
        env=env,
        agent=agent,
        steps=steps,
        seed=seed,
        out="" if out is None else str(out),
        env_args=dict(env_args),
        agent_args=dict(agent_args),
        loop_args=dict(loop_args),
        log=log,
        reports=reports,
        validation_episodes=validation_episodes,
        compile=compile,
        device=device,
    )
    check_types(config)
    if out is None:
        config = replace(config, out=str(default_folder(env, log, agent, seed)))
    with torch_threads(threads):
        if progress:
            with watching([agent], steps) as watch:
                training.train(config, partial(watch, 0))
        else:
            training.train(config)
    return Run.load(config.out, trust=True)  # it was written just now


def default_folder(env: str | None, log: str | None, agent: str, seed: int) -> Path:
    """Returns the folder of a run that is given none: ``runs/WORLD/AGENT/SEED``."""
    world = Path(log or "log").resolve().name if env is None else env.rpartition(":")[2]
    return Path("runs", world, agent.rpartition(":")[2], str(seed))


def world_of(
    folder: Path, about: Mapping[str, Any], env: str | None, changed: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Returns the environment that an agent is scored in, and its arguments.

    Args:
        folder: of the agent, for the message.
        about: what was saved of its training.
        env: environment id; that of training, with its arguments, if it is None or the same one,
            with or without the module that registers it.
        changed: arguments that differ from those of training.

    Raises:
        RecGymError: none is given, and it learned from a log alone.
    """
    name = env or about["env"]
    if name is None:
        raise RecGymError(
            f"{folder}: learned from a log alone; name an environment with --env, or env="
        )
    same = name.rpartition(":")[2] == (about["env"] or "").rpartition(":")[2]
    return name, in_world(about["env_args"] if same else {}, changed)
