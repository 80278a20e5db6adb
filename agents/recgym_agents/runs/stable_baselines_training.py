"""Trains an algorithm of Stable-Baselines3 by its own ``learn``, in the folder of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from recgym.errors import RecGymError
from recgym.files import writing
from recgym.locks import locked
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.stable_baselines import (
    StableBaselinesAgent,
    actions_a_slate,
    algorithm_of,
    view_name,
)
from recgym_agents.learning.loop import means
from recgym_agents.runs.evaluation import ROWS, make_vector_env, run_episodes
from recgym_agents.runs.run_files import write_done
from recgym_agents.runs.run_folder import (
    TrainConfig,
    Watch,
    begin,
    check_run,
    environment_of,
    is_done,
    record_of,
)
from recgym_agents.runs.run_metrics import metrics_writer
from recgym_agents.runs.saved_agents import save_agent
from recgym_agents.zoo import Entry


def train_stable_baselines(config: TrainConfig, row: Entry, watch: Watch) -> None:
    """Trains an agent of Stable-Baselines3 and writes its folder; see ``train``.

    Steps are slates: where K actions name one, ``learn`` is asked for K times as many. The folder
    holds what the others' do, with the policy in ``model.zip``, as Stable-Baselines3 saves it, and
    with its own TensorBoard events. A run that was stopped begins again, and one that is done does
    not go on to more steps: Stable-Baselines3 does not keep all that this takes.

    Raises:
        RecGymError: bad settings, a package that is not installed, a view that does not suit the
            world, a folder with another run or in use or that cannot be written, or a training
            that diverges.
    """
    if config.compile == "always":
        raise RecGymError(f"compile='always': {config.agent} scans no candidates; leave it out")
    if config.log is not None:
        raise RecGymError(f"log={config.log!r}: {config.agent} does not learn from logs; omit it")
    check_run(config)
    folder = Path(config.out)
    seeds = [int(s) for s in np.random.SeedSequence(config.seed).generate_state(4)]
    first = make_vector_env(environment_of(config), config.env_args, 1, "disabled", ids=False)
    spec = EnvironmentSpec.of(first, ids=False)
    row = replace(row, config=row.config.suited(spec))
    model = _model(config, row.config, spec, seeds[0])
    agent = StableBaselinesAgent(model, row.config, spec)
    record = record_of(config, spec)
    if is_done(folder, record):
        return
    about = {name: getattr(config, name) for name in ("env", "env_args", "seed", "steps")}
    with locked(folder):
        if is_done(folder, record):  # since it was asked above
            return
        begin(folder, record)
        for events in folder.glob("events.out.tfevents.*"):  # of the run that was stopped
            events.unlink()
        write = metrics_writer(folder, 0, 0)
        training = _Training(config, agent, write, watch, validation_seed=seeds[3])
        training.learn()
        agent.save(folder)
        save_agent(folder, agent, config.agent, row, about)
        write_done(folder, config.steps)


def _model(config: TrainConfig, settings: Any, spec: EnvironmentSpec, seed: int) -> Any:
    """Returns the algorithm in its vector environment.

    ``gamma`` and ``gae_lambda`` are a slate's: K actions that name one share them, each with the
    K-th root, and so the policy that is best does not depend on the view.

    Raises:
        RecGymError: ``arguments`` that the algorithm does not have, or that are set already.
    """
    algorithm = algorithm_of(settings)
    from stable_baselines3.common.noise import NormalActionNoise
    from stable_baselines3.common.vec_env import VecMonitor

    from recgym.envs import SB3VecEnv

    view = view_name(settings)
    env = SB3VecEnv(environment_of(config), settings.num_envs, view=view, **config.env_args)
    keywords = asdict(settings)
    for name in ("view", "num_envs", "hidden"):
        keywords.pop(name)
    given = keywords.pop("arguments")
    for name in ("gamma", "gae_lambda"):
        if name in keywords:
            keywords[name] **= 1.0 / actions_a_slate(settings, spec.slate_size)
    if "noise" in keywords:
        zeros = np.zeros(env.action_space.shape or ())
        keywords["action_noise"] = NormalActionNoise(zeros, zeros + keywords.pop("noise"))
    if "buffer_size" in keywords:
        keywords["train_freq"] = 1
    keywords |= {"seed": seed, "device": config.device}
    where = f"{config.agent}: arguments={given}"
    taken = sorted(given.keys() & keywords.keys())
    if taken:
        raise RecGymError(
            f"{where}: {taken[0]} is no further one; leave it out, or set it directly"
        )
    policy = given.get("policy_kwargs", {})
    if not isinstance(policy, dict):
        raise RecGymError(f"{where}: policy_kwargs must be named values")
    keywords |= given | {"policy_kwargs": {"net_arch": settings.layers} | policy}
    try:
        return algorithm("MlpPolicy", VecMonitor(env), **keywords)
    except (TypeError, ValueError) as error:
        raise RecGymError(f"{where}: {error}") from None


class _Training:
    """What is counted, validated and kept while Stable-Baselines3 trains; it is its callback."""

    def __init__(
        self,
        config: TrainConfig,
        agent: StableBaselinesAgent,
        write: Callable[[dict[str, float]], int],
        watch: Watch,
        validation_seed: int,
    ) -> None:
        self.config, self.agent, self.write, self.watch = config, agent, write, watch
        self.validation_seed = validation_seed
        rows = min(config.validation_episodes, ROWS) or 1
        env = environment_of(config)
        self.validation = make_vector_env(env, config.env_args, rows, "next-step", ids=False)
        self.actions = actions_a_slate(agent.config, agent.spec.slate_size)
        self.period = -(-max(config.steps, 1) // config.reports)
        self.goal = self.period
        self.calls, self.steps = 0, 0
        self.reward, self.clicks = 0.0, 0.0
        self.reports: list[dict[str, float]] = []
        self.validated: dict[str, float] = {}
        self.best: dict[str, Any] | None = None
        self.best_reward = -np.inf

    def learn(self) -> None:
        """Trains to the end; leaves the agent with its best policy."""
        from stable_baselines3.common.logger import configure

        model = self.agent.model
        model.set_logger(configure(self.config.out, ["tensorboard"]))
        try:
            slates = -(-self.config.steps // model.n_envs) * model.n_envs
            # Its logs are dumped with each report.
            model.learn(slates * self.actions, callback=self, log_interval=None)
        except (ValueError, RuntimeError):  # what torch raises when it draws by NaN
            self._check()
            raise
        self._report()
        model.logger.close()
        if self.best is not None:
            model.policy.load_state_dict(self.best)

    def __call__(self, found: dict[str, Any], _globals: dict[str, Any]) -> bool:
        """Called after every step of the rows; rows fill their slates at the same time."""
        self.calls += 1
        self.reward += float(np.mean(found["rewards"]))
        self.clicks += float(np.mean([info["click"] >= 0 for info in found["infos"]]))
        if self.calls % self.actions:
            return True
        self.steps += len(found["rewards"])
        self.reports.append({"reward": self.reward, "click_rate": self.clicks})
        self.watch(self.steps, self.reports[-1] | self.validated)
        self.reward = self.clicks = 0.0
        if self.goal <= self.steps < self.config.steps:
            self.goal = (self.steps // self.period + 1) * self.period
            self._report()
        return True

    def _report(self) -> None:
        """Writes a line of metrics, after the validation episodes; keeps the policy if it is best.

        Raises:
            RecGymError: the training has diverged.
        """
        self._check()
        line: dict[str, float] = {"steps": self.steps} | means(self.reports)
        self.reports = []
        if self.config.validation_episodes:
            episodes = self.config.validation_episodes
            found = run_episodes(self.agent, self.validation, episodes, self.validation_seed)
            self.validated = {
                "validation_reward": float(found.reward.mean()),
                "validation_click_rate": float(found.click_rate.mean()),
                "validation_session_reward": float(found.session_reward.mean()),
            }
            line |= self.validated
            if line["validation_session_reward"] > self.best_reward:
                policy = self.agent.model.policy.state_dict()
                self.best = {name: value.clone() for name, value in policy.items()}
                self.best_reward = line["validation_session_reward"]
        self.write(line)
        with writing(Path(self.config.out)):
            self.agent.model.dump_logs()

    def _check(self) -> None:
        """Raises RecGymError if a parameter is no longer a finite number."""
        for name, value in self.agent.model.policy.state_dict().items():
            if not value.isfinite().all():
                raise RecGymError(
                    f"training diverged: {name} is not finite at step {self.steps}; lower the"
                    " learning rate"
                )
