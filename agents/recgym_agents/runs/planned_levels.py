"""What can be earned where it can be computed: by the optimum, and by those that plan less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from recgym.simulators.slate_mdp import SlateMDP
from recgym_agents.runs.evaluation import make_vector_env


class Levels(NamedTuple):
    """Reward per session of policies that know the world, exactly."""

    optimum: float
    """No policy earns more, though it sees the user's state."""
    myopic: float
    """In each state, of the slate that earns most now, whatever comes after."""
    fixed: float
    """Of the best slate that was found to show always."""


NAMES = ("optimum", "best slate for now", "best fixed slate")
"""What they are called, in that order."""


def levels_of(env_id: str, env_args: Mapping[str, Any]) -> Levels | None:
    """Computes what can be earned in a world; None where that is not known how.

    Args:
        env_id: environment id.
        env_args: its arguments.

    Raises:
        RecGymError: an unknown environment or argument.
    """
    world: Any = make_vector_env(env_id, env_args, 1, "disabled", ids=False).simulator
    if not isinstance(world, SlateMDP):
        return None
    now = world.optimal_policy(0.0).slates
    return Levels(
        float(world.optimal_policy(1.0, world.horizon).values[0, 0]),
        float(world.policy_value(now, 1.0, world.horizon)[0]),
        float(world.best_fixed_slate(1.0, world.horizon).values[0]),
    )
