"""What policies earn that know a slate MDP and of its user only the clicks."""

from __future__ import annotations

import numpy as np

from recgym.simulators.slate_mdp import SlateMDP

FIXED, START, BELIEF = "best fixed slate", "start, then fixed", "belief"
BOUND = "bound of click policies"
CLICK_POLICIES = (FIXED, START, BELIEF, BOUND)
"""Least to most clicks; no policy of clicks earns more than the last, nearly."""

HEADROOM = 0.1
"""By how much more than a floor an oracle has to earn for shares of the gap to be given."""


def has_headroom(floor: np.ndarray, oracle: np.ndarray) -> bool:
    """Whether there is enough between a floor's clicks and an oracle's, (S,) each, to share."""
    return bool(oracle.mean() >= (1.0 + HEADROOM) * floor.mean())


def clicks_of_known(world: SlateMDP, paths: int) -> dict[str, float]:
    """Returns clicks a session of ``CLICK_POLICIES``; all but the belief's are exact.

    Args:
        world: the simulator, with the horizon that is planned for.
        paths: drawn for the mean of the belief's policy, see ``BeliefPolicy.expected_clicks``.
    """
    horizon = world.horizon
    belief = world.belief_policy(gamma=1.0, horizon=horizon).expected_clicks(paths)
    values = (
        float(world.best_fixed_slate(1.0, horizon).values[0]),
        float(world.best_start_and_fixed_slate(1.0, horizon).values[0]),
        float(belief.mean()),
        world.click_bound(1.0, horizon),
    )
    return dict(zip(CLICK_POLICIES, values, strict=True))
