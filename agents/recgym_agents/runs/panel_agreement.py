"""Do the worlds of two members of a user model, of disjoint users, rank a panel of policies alike?

It is asked of the identified reward, of the reward as it was learned, and of clicks: what the log
does not fix of rewards differs from member to member, and takes the order of policies with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.registry import ENVIRONMENTS
from recgym.users.agreement import kendall_tau
from recgym.users.folder import FittedUserModel
from recgym.users.kinds import kind_of
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.runs.evaluation import ROWS, make_vector_env, run_episodes
from recgym_agents.runs.policy_panel import PANEL, PanelPolicy
from recgym_agents.runs.training_users import TrainingUsers

MEMBERS = ("train", "test")
"""The two worlds, by the users whose member answers."""
MEASURES = {
    "identified": "reward a session, identified",
    "raw": "reward a session, as learned",
    "clicks": "click rate",
}
"""What policies are ranked by."""
RESAMPLES = 2_000


@dataclass(frozen=True)
class Tau:
    """Kendall's tau-b of two rankings, with a 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Writes "0.91 (0.87 .. 0.96)"."""
        return f"{self.value:.2f} ({self.low:.2f} .. {self.high:.2f})"


@dataclass(frozen=True, eq=False)
class PanelAgreement:
    """What each policy of the panel earned in both worlds."""

    env: str
    """the environment that they were played in"""
    values: Mapping[str, tuple[Array, Array]]
    """measure -> (U, P) of each user and policy in the world of training users, and of test users,
    who need not be as many"""

    @property
    def means(self) -> dict[str, tuple[Array, Array]]:
        """Measure -> (P,) mean over users in both worlds."""
        return {
            name: (first.mean(axis=0), second.mean(axis=0))
            for name, (first, second) in self.values.items()
        }

    @property
    def taus(self) -> dict[str, Tau]:
        """Measure -> how alike both worlds rank the panel; without those that do not vary."""
        return {
            name: tau_of(*self.values[name])
            for name, means in self.means.items()
            if all(np.ptp(one) > 0.0 for one in means)
        }

    def by_policy(self) -> dict[str, dict[str, list[float]]]:
        """Returns policy -> measure -> the mean in both worlds."""
        return {
            policy: {
                name: [float(one[number]) for one in means] for name, means in self.means.items()
            }
            for number, policy in enumerate(PANEL)
        }

    def summary(self) -> dict[str, float]:
        """Returns the rank correlations and their intervals by name."""
        return {
            f"panel_tau_{name}{end}": number
            for name, tau in self.taus.items()
            for end, number in (("", tau.value), ("_low", tau.low), ("_high", tau.high))
        }


def environment_of(user_model: str, model: FittedUserModel) -> tuple[str, dict[str, Any]]:
    """Returns the id and the arguments of the environment that plays a user model.

    Args:
        user_model: its folder, or the name of a shipped one, which has an environment of its own.
        model: the fitted user model.
    """
    for env_id, arguments in ENVIRONMENTS.items():
        if arguments.get("user_model") == user_model:
            return env_id, {}
    return "M3Rec-v0" if kind_of(model.config).contexts else "RecGAN-v0", {"user_model": model}


def panel_agreement(
    model: FittedUserModel,
    clicks: Array,
    env_id: str,
    env_args: Mapping[str, Any],
    episodes: int,
    seed: int = 0,
) -> PanelAgreement:
    """Plays every policy of the panel in the worlds of both members.

    Args:
        model: the fitted user model.
        clicks: (N,) how often training users clicked each item in the log.
        env_id: the environment that plays it.
        env_args: its arguments.
        episodes: of each policy in each world, the same users for all.
        seed: of the users' choices, and of what policies draw.

    Raises:
        RecGymError: there is no member of test users, or the environment cannot play the model.
    """
    if "test" not in model.members:
        raise RecGymError(
            "the user model has no member of test users, so that there are no two worlds to"
            " compare; fit it without --no-test-users"
        )
    known = TrainingUsers.of(model, clicks)
    # A reward that the log holds is identified as it is.
    logged = kind_of(model.config).rewards == "logged"
    rewards = ("identified",) if logged else ("identified", "raw")
    envs = {
        (reward, split): make_vector_env(
            env_id,
            {**env_args, "split": split, "reward": reward},
            min(episodes, ROWS),
            "next-step",
        )
        for reward in rewards
        for split in MEMBERS
    }
    earned: dict[tuple[str, str], list[Array]] = {world: [] for world in envs}
    clicked: dict[str, list[Array]] = {split: [] for split in MEMBERS}
    console = Console(stderr=True)
    for name in track(PANEL, "playing the panel of policies", console=console, transient=True):
        for (reward, split), env in envs.items():
            policy = PanelPolicy(EnvironmentSpec.of(env), known, name, seed)
            _, _, click_rate, session = run_episodes(policy, env, episodes, seed).by_user()
            earned[reward, split].append(session)
            if reward == "identified":
                clicked[split].append(click_rate)
    columns = {reward: [earned[reward, split] for split in MEMBERS] for reward in rewards}
    columns["clicks"] = [clicked[split] for split in MEMBERS]
    values = {
        name: (np.stack(first, axis=1), np.stack(second, axis=1))
        for name, (first, second) in columns.items()
    }
    return PanelAgreement(env_id, values)


def tau_of(first: Array, second: Array, seed: int = 0) -> Tau:
    """Returns how alike two worlds rank P policies by their means over users.

    The interval is over users: those of each world are drawn again with replacement, the same for
    all policies.

    Args:
        first: (U, P) of each user and policy in one world.
        second: (V, P) in the other.
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    means = [
        rng.multinomial(len(values), np.full(len(values), 1.0 / len(values)), size=RESAMPLES)
        @ values
        / len(values)
        for values in (first, second)
    ]
    low, high = np.quantile(kendall_tau(*means), [0.025, 0.975])
    value = kendall_tau(first.mean(axis=0), second.mean(axis=0))
    return Tau(float(value), float(low), float(high))
