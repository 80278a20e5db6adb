"""The Gymnasium shells: one single, one vector, for every simulator; and bridges to libraries."""

import importlib
from typing import TYPE_CHECKING, Any

from recgym.envs.slate_env import SlateEnv
from recgym.envs.slate_vector_env import SlateVectorEnv

if TYPE_CHECKING:
    from recgym.envs.sb3_vec_env import SB3VecEnv
    from recgym.envs.tianshou_vec_env import TianshouVecEnv

__all__ = ["SB3VecEnv", "SlateEnv", "SlateVectorEnv", "TianshouVecEnv"]

BRIDGES = {
    "SB3VecEnv": (
        "sb3_vec_env",
        "stable_baselines3",
        'Stable-Baselines3: pip install "recgym[sb3]"',
    ),
    "TianshouVecEnv": ("tianshou_vec_env", "tianshou", "Tianshou: pip install tianshou"),
}
"""Class -> its module, the package that it needs, and how to get that."""


def __getattr__(name: str) -> Any:
    """Imports a library only for those who ask for its environment."""
    if name not in BRIDGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, package, remedy = BRIDGES[name]
    try:
        return getattr(importlib.import_module(f"recgym.envs.{module}"), name)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(package):
            raise
        from recgym.errors import RecGymError

        raise RecGymError(f"{name} needs {remedy}") from None
