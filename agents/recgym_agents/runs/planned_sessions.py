"""What a planner earns that knows a world: the yardstick of agents, in the sessions they meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from recgym.envs import SlateVectorEnv
from recgym.planning import Planner, PlannerConfig
from recgym.simulators.base import State
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.runs.evaluation import ROWS, Evaluation, make_vector_env, run_episodes
from recgym_agents.user_support import Support

PLANNING = PlannerConfig()
"""The budget, unless told otherwise."""
MYOPIC = PlannerConfig(rounds=0, continuations=0)
"""Of the floor that shows the slate of the highest reward now, and does not look ahead."""


class PlanningActor:
    """Shows a planner's slates to users whose state it sees.

    Args:
        env: that it acts in, with automatic reset.
        planner: made for the same world.
    """

    def __init__(self, env: SlateVectorEnv, planner: Planner) -> None:
        self.env, self.planner, self.spec = env, planner, EnvironmentSpec.of(env)
        self._shown = 0

    def adapt(self, support: Support) -> PlanningActor:
        """Returns itself: it sees the users' state."""
        return self

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Returns slates (B, K); no thought is given to rows whose first episode is over."""
        state = simulator_state(self.env)
        if (state["step"] == 0).all():
            self._shown = 0
        first = state["step"] == self._shown
        self._shown += 1
        slates = np.tile(np.arange(self.spec.slate_size), (len(first), 1))
        if first.any():
            slates[first] = self.planner.act({name: rows[first] for name, rows in state.items()})
        return slates


def simulator_state(env: SlateVectorEnv) -> State:
    """Returns what the simulator of an environment knows of its users, hidden or not."""
    arrays, _ = env.get_state()
    prefix = "state."
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def planned_sessions(
    env_id: str,
    env_args: Mapping[str, Any],
    episodes: int,
    seed: int,
    config: PlannerConfig = PLANNING,
) -> Evaluation:
    """Plans in a world, and plays the sessions in which ``evaluate`` scores agents.

    Args:
        env_id: environment id.
        env_args: the environment's arguments.
        episodes: how many.
        seed: of the users' choices, and of the planner's simulations.
        config: the planner's budget.

    Raises:
        RecGymError: an unknown environment or argument, or a world that cannot be planned in.
    """
    env = make_vector_env(env_id, env_args, min(episodes, ROWS), "next-step")
    return run_episodes(
        PlanningActor(env, Planner(env.simulator, config, seed)), env, episodes, seed
    )
