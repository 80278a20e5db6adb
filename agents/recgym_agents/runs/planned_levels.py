"""What can be earned where it can be computed: by the optimum, and by those that plan less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recgym.simulators.known_users import KnownUsers
from recgym.simulators.slate_mdp import SlateMDP
from recgym_agents.runs.evaluation import make_vector_env
from recgym_agents.runs.planned_sessions import MYOPIC, PLANNING, planned_sessions

SESSIONS = 64
"""That a planner is played in, where nothing is exact."""


@dataclass(frozen=True)
class Levels:
    """Reward per session of policies that know the world and see the user's state."""

    ahead: float
    """Of the optimum, which no policy exceeds, or of a planner where that is not known."""
    myopic: float
    """In each state, of the slate that earns most now, whatever comes after."""
    fixed: float | None = None
    """Of the best slate that was found to show always; None where it is not computed."""
    seen: bool = True
    """Whether agents see that state too."""
    exact: bool = True
    """Whether they are computed without a simulation, ``ahead`` that of the optimum."""

    @property
    def best(self) -> str:
        """What ``ahead`` is the level of."""
        return "optimum" if self.exact else "planner"

    @property
    def named(self) -> dict[str, float]:
        """The levels by what they are called, the highest first."""
        fixed = {} if self.fixed is None else {"best fixed slate": self.fixed}
        return {self.best: self.ahead, "best slate for now": self.myopic} | fixed


def levels_of(env_id: str, env_args: Mapping[str, Any]) -> Levels | None:
    """Computes what can be earned in a world; None where that is not known how.

    It is exact in a ``SlateMDP``, and simulated with a planner among ``KnownUsers``.

    Args:
        env_id: environment id.
        env_args: its arguments.

    Raises:
        RecGymError: an unknown environment or argument.
    """
    world: Any = make_vector_env(env_id, env_args, 1, "disabled", ids=False).simulator
    if isinstance(world, KnownUsers):
        planned, myopic = (
            float(planned_sessions(env_id, env_args, SESSIONS, 0, config).session_reward.mean())
            for config in (PLANNING, MYOPIC)
        )
        return Levels(planned, myopic, seen=False, exact=False)
    if not isinstance(world, SlateMDP):
        return None
    now = world.optimal_policy(0.0).slates
    return Levels(
        float(world.optimal_policy(1.0, world.horizon).values[0, 0]),
        float(world.policy_value(now, 1.0, world.horizon)[0]),
        float(world.best_fixed_slate(1.0, world.horizon).values[0]),
        seen=world.view == "state",
    )
