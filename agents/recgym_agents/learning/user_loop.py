"""How agents that adapt to users are fed: users with support, and what they are shown after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recgym.envs import SlateVectorEnv
from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_1, SHARE, check_ranges
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.checkpointing import Arrays, Checkpointed
from recgym_agents.learning.episodes import EpisodeLog
from recgym_agents.learning.loop import LOG_USE, Loop, means
from recgym_agents.learning.user_log import UserLog, UserLogLoop
from recgym_agents.learning.user_play import play, played_support
from recgym_agents.learning.user_steps import UserBatch, UserSteps, steps_of_support
from recgym_agents.user_support import Support


@dataclass(frozen=True)
class UserLoopConfig:
    """A round meets new users: the agent adapts to each, plays with her, and learns.

    The support is what the environment hands over (``support=..`` of those that do). In others
    random slates are shown to the same users first; where candidates are new at every step and
    users are not named, there is none.

    In a log each session is a user seen once. It is cut at a page drawn anew each time: the pages
    before it are the support, and those after it are learned from, as they were logged.
    """

    schedule: Literal["online", "offline", "online-offline"] = "online"
    """Play, and learn from that; learn from a log; or play, and take as many updates from a log."""
    num_envs: int = 64
    """Users of a round, which are met at once."""
    slates: int = 20
    """Slates that each is shown once the agent has adapted; fewer if her episode ends."""
    sequences: int = 1
    """Sequences of support that are played, where the environment hands over none."""
    support_slates: int = 20
    """Slates of each of these at most."""
    without: float = 0.1
    """Share of users whose support is kept from the agent, so that it learns to do without."""
    explore: float = 0.2
    """Probability of a random item in a slot; policies that draw their slates draw them anyway."""
    kept_users: int = 512
    """Users that are remembered, to learn from again."""
    batch_users: int = 32
    """Users an update."""
    updates: int = 4
    """Updates a round."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        names = ("num_envs", "slates", "sequences", "support_slates", "kept_users", "batch_users")
        ranges = dict.fromkeys((*names, "updates"), AT_LEAST_1)
        check_ranges(self, ranges | dict.fromkeys(("without", "explore"), SHARE))

    @property
    def patience(self) -> int:
        """0: it goes on to its end."""
        return 0

    @property
    def log_use(self) -> Literal["not now", "may", "must"]:
        """Whether it learns from a log, by its ``schedule``."""
        return LOG_USE[self.schedule]

    @property
    def needs_propensities(self) -> bool:
        """It does not reweigh what was logged."""
        return False

    @property
    def needs_slates(self) -> bool:
        """It learns from what was shown."""
        return True

    def acts(self, steps: int) -> float:
        """Returns the slates shown, and those found for the next states of the updates.

        With ``schedule="offline"`` none is shown, and each logged step is learned from once.
        """
        if self.schedule == "offline":
            return steps
        users = steps / self.slates
        return steps + users / self.num_envs * self.updates * self.batch_users * self.slates

    def loop(
        self,
        agent: Any,
        env: SlateVectorEnv | None,
        steps: int,
        seeds: Sequence[int],
        log: EpisodeLog | None,
    ) -> Loop:
        """Returns the loop; see ``Schedule.loop``.

        Raises:
            RecGymError: a log that is needed and not given, or whose users cannot be learned from.
        """
        rng, users = np.random.default_rng(seeds[0]), None
        if self.schedule != "online":
            if log is None:
                raise RecGymError(f"schedule={self.schedule}: needs a log, beside an environment")
            users = UserLog(log, agent.spec, self.support_slates, self.slates, self.without, rng)
            if self.schedule == "offline":
                return UserLogLoop(agent, users, self.batch_users, steps)
        assert env is not None
        return UserLoop(agent, env, self, steps, rng, seeds[1], users)


class UserMemory(Checkpointed):
    """The last users that were met.

    Args:
        capacity: how many.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.users: UserBatch | None = None

    def add(self, new: UserBatch) -> None:
        """Stores users, and forgets the oldest."""
        every = new if self.users is None else self.users.joined(new)
        last = np.arange(len(every.query.there))[-self.capacity :]
        self.users = every.of_users(last)

    def sample(self, rng: np.random.Generator, size: int) -> UserBatch:
        """Draws users without replacement, or returns all where there are no more."""
        assert self.users is not None
        count = len(self.users.query.there)
        chosen = rng.permutation(count)[:size] if size < count else np.arange(count)
        return self.users.of_users(chosen)

    def state(self) -> tuple[Arrays, Any]:
        """Returns the users, as arrays by name."""
        parts = {} if self.users is None else self.users._asdict()
        return {f"{p}.{n}": a for p, own in parts.items() for n, a in own._asdict().items()}, None

    def set_state(self, arrays: Arrays, info: Any) -> None:
        """Goes on from what ``state`` returned."""
        self.users = None
        if arrays:
            self.users = UserBatch(
                *(
                    UserSteps(*(arrays[f"{part}.{name}"] for name in UserSteps._fields))
                    for part in UserBatch._fields
                )
            )


class UserLoop(Loop):
    """Meets users, adapts to them, plays, and learns from how that went.

    Args:
        agent: adapts, acts and learns.
        env: made with ``autoreset_mode="disabled"``.
        config: the schedule.
        steps: environment steps (rows) that the whole training will take, played support included.
        rng: draws who is kept in the dark, random slates, and batches.
        seed: of the environment.
        logged: users of a log, of whom as many batches are learned from; None for none.
    """

    kept = (*Loop.kept, "rng", "memory", "env")

    def __init__(
        self,
        agent: Any,
        env: SlateVectorEnv,
        config: UserLoopConfig,
        steps: int,
        rng: np.random.Generator,
        seed: int,
        logged: UserLog | None = None,
    ) -> None:
        super().__init__(agent, steps)
        self.env, self.config, self.rng, self.logged = env, config, rng, logged
        self.memory = UserMemory(config.kept_users)
        env.reset(seed=seed)

    def iterate(self) -> dict[str, float]:
        """Plays a round and learns; returns means over its steps and over the updates.

        Raises:
            RecGymError: a loss is no longer a finite number.
        """
        config, spec = self.config, self.agent.spec
        support, observation = self._meet(spec)
        support = support.kept_from(self.rng.random(len(observation)) < config.without)
        played = play(
            self.agent.adapt(support), self.env, observation, config.slates, config.explore
        )
        self.steps_done += int(played.there.sum())
        self.memory.add(UserBatch(steps_of_support(support, spec), played))
        reports = []
        for _ in range(config.updates):
            reports.append(self.update(self.memory.sample(self.rng, config.batch_users)))
            if self.logged is not None:
                reports.append(self.update(self.logged.draw(config.batch_users)))
        return means(reports) | {
            "reward": float(played.reward[played.there].mean()),
            "click_rate": float((played.slot[played.there] < spec.slate_size).mean()),
        }

    def _meet(self, spec: EnvironmentSpec) -> tuple[Support, np.ndarray]:
        """Returns the support of new users, and what is observed of them first."""
        observation, info = self.env.reset()
        handed_over = Support.of(info)
        if handed_over is not None:
            return handed_over, observation
        if spec.candidate_features:
            nothing = Support.none(len(observation), spec.slate_size, spec.candidate_features)
            return nothing, observation
        config = self.config
        support, observation = played_support(
            spec, self.env, info, config.sequences, config.support_slates, self.rng
        )
        self.steps_done += int(support.there.sum())
        return support, observation
