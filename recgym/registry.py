"""The environments by id: one table, registered with Gymnasium when ``recgym`` is imported."""

from __future__ import annotations

from typing import Any

import gymnasium

ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "RecGAN-v0": {"simulator": "learned-user", "user_model": "recgan"},
    "RecGAN-LSTM-v0": {"simulator": "learned-user", "user_model": "recgan-lstm"},
    "IRecGAN-v0": {"simulator": "learned-user", "user_model": "irecgan", "slate_size": 10},
    "M3Rec-v0": {"simulator": "meta-user", "user_model": "m3rec"},
    "SlateMDP-v0": {"simulator": "slate-mdp"},
    "KnownUsers-v0": {"simulator": "known-users"},
    "InterestEvolution-v0": {"simulator": "interest-evolution"},
    "InterestExploration-v0": {"simulator": "interest-exploration"},
    "LongTermSatisfaction-v0": {"simulator": "long-term-satisfaction"},
}
"""Environment id -> the arguments of its shell; the shells themselves are imported when made."""


def register_environments() -> None:
    """Registers every id of ``ENVIRONMENTS``.

    The horizon is the simulator's, so the specs have no ``max_episode_steps``. The shells check
    actions and the order of calls themselves, so Gymnasium's wrappers for that are left out.
    """
    for name, arguments in ENVIRONMENTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(
                id=name,
                entry_point="recgym.envs:SlateEnv",
                vector_entry_point="recgym.envs:SlateVectorEnv",
                order_enforce=False,
                disable_env_checker=True,
                kwargs=arguments,
            )
