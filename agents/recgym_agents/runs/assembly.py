"""What a training is put together from: its environment, log, loop, and validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from recgym.data import Dataset, Split
from recgym.envs import SlateVectorEnv
from recgym.errors import RecGymError
from recgym.settings import changed
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.learning.episodes import EpisodeLog
from recgym_agents.learning.loop import Loop, Schedule
from recgym_agents.runs.evaluation import ROWS, make_vector_env, run_episodes
from recgym_agents.runs.run_folder import TrainConfig, environment_of

Validate = Callable[[], tuple[float, dict[str, float]]]
"""Returns what the policy is selected by, the higher the better, and what is written of it."""


def loop_of(
    agent: Any,
    env: SlateVectorEnv | None,
    schedule: Schedule,
    steps: int,
    seeds: Sequence[int],
    dataset: Dataset | None = None,
) -> Loop:
    """Returns the loop that a schedule asks for.

    Args:
        agent: what acts and learns.
        env: made with ``autoreset_mode="disabled"``; only a loop that is offline needs none.
        schedule: the loop's configuration.
        steps: of the whole training.
        seeds: of what is drawn from memory, and of the environment.
        dataset: a log, whose training users are learned from.
    """
    log = None
    if dataset is not None:
        log = _episodes(dataset, "train", agent.spec)
    return schedule.loop(agent, env, steps, seeds, log)


def validation_of(
    config: TrainConfig, schedule: Schedule, loop: Loop, dataset: Dataset | None, seed: int
) -> Validate | None:
    """Returns how policies are validated: in the environment, or offline on logged users.

    Raises:
        RecGymError: a log whose validation users cannot be scored.
    """
    if config.validation_episodes == 0:
        return None
    if schedule.log_use == "must":
        assert dataset is not None
        held_out = _episodes(dataset, "validation", loop.agent.spec)
        try:
            loop.check_held_out(held_out)
        except RecGymError as error:
            raise RecGymError(
                f"{config.log}, validation users: {error}; divide its users again, or set"
                " validation_episodes to 0"
            ) from None

        def score() -> tuple[float, dict[str, float]]:
            found = loop.score(held_out)
            return found, {"validation_score": found}

        return score
    episodes = config.validation_episodes
    rows = min(episodes, ROWS)
    env = make_vector_env(environment_of(config), config.env_args, rows, "next-step")

    def play() -> tuple[float, dict[str, float]]:
        found = run_episodes(loop.agent, env, episodes, seed)
        session_reward = float(found.session_reward.mean())
        return session_reward, {
            "validation_reward": float(found.reward.mean()),
            "validation_click_rate": float(found.click_rate.mean()),
            "validation_session_reward": session_reward,
        }

    return play


def env_of(config: TrainConfig, schedule: Schedule) -> SlateVectorEnv | None:
    """Makes the environment that an agent learns in, if any.

    Raises:
        RecGymError: none is named, and the schedule is not offline; or see ``make_vector_env``.
    """
    if config.env is None and schedule.log_use == "must":
        return None
    name = environment_of(config, learns_from_logs=schedule.log_use != "never")
    return make_vector_env(name, config.env_args, schedule.num_envs, "disabled")


@dataclass(frozen=True)
class LogWorld:
    """What a log does not say of the world that an agent is built for; 0 is not given."""

    slate_size: int = 0
    """Items of a slate that the agent shows, K."""
    window: int = 0
    """Clicked items that it observes, W."""


def spec_of(
    config: TrainConfig, env: SlateVectorEnv | None, dataset: Dataset | None
) -> EnvironmentSpec:
    """Returns what an agent is told: of its environment, or of its log, if that is all there is.

    Raises:
        RecGymError: the log has another catalog than the environment; or there is no environment,
            and ``env_args`` lack ``slate_size`` or ``window``, or have something else.
    """
    if env is not None:
        spec = EnvironmentSpec.of(env)
        if dataset is not None and dataset.catalog.n_items != spec.n_items:
            raise RecGymError(
                f"{config.log}: {dataset.catalog.n_items} items, the environment has {spec.n_items}"
            )
        return spec
    assert dataset is not None
    given = changed(LogWorld(), config.env_args, "env_args without an environment")
    for name, value in vars(given).items():
        if value < 1:
            raise RecGymError(
                f"env_args without an environment: {name} must be given, and at least 1"
            )
    features = dataset.catalog.features if dataset.catalog.feature_names else None
    return EnvironmentSpec(dataset.catalog.n_items, given.slate_size, given.window, features)


def read_log(config: TrainConfig, schedule: Schedule) -> Dataset | None:
    """Reads the log that an agent learns from, if any.

    Raises:
        RecGymError: a log that the schedule has no use for, or that it lacks; or one without users
            or propensities that are needed.
    """
    use = schedule.log_use
    if config.log is None:
        if use == "must":
            raise RecGymError("schedule=offline: needs a log, the folder of a prepared dataset")
        return None
    if use == "never":
        raise RecGymError(f"log={config.log!r}: {config.agent} does not learn from logs; omit it")
    if use == "not now":
        raise RecGymError(
            f"log={config.log!r}: not read with schedule=online; set the loop's schedule to offline"
            " or online-offline, or omit it"
        )
    dataset = Dataset.load(config.log)
    needed: list[Split] = ["train"]
    if use == "must" and config.validation_episodes:
        needed.append("validation")
    for split in needed:
        pages = dataset.pages(split)
        if pages.n_pages == 0:
            raise RecGymError(f"{config.log}: no {split} users; divide its users again")
        if schedule.needs_slates and not pages.slate_sizes.any():
            raise RecGymError(
                f"{config.log}: no page of a {split} user has a slate; {config.agent} learns from"
                " what was shown: choose an agent that learns from sequences, such as lpi-rl"
            )
    if schedule.needs_propensities and dataset.sessions.slot_propensities is None:
        raise RecGymError(
            f"{config.log}: has no propensities; set logging_policy=frequency, which estimates them"
        )
    return dataset


def _episodes(dataset: Dataset, split: Split, spec: EnvironmentSpec) -> EpisodeLog:
    return EpisodeLog.of_sessions(dataset.pages(split), spec.window, spec.n_items)
