"""The Gymnasium shells: one single, one vector, for every simulator; and the bridge to SB3."""

from typing import TYPE_CHECKING, Any

from recgym.envs.slate_env import SlateEnv
from recgym.envs.slate_vector_env import SlateVectorEnv

if TYPE_CHECKING:
    from recgym.envs.sb3_vec_env import SB3VecEnv

__all__ = ["SB3VecEnv", "SlateEnv", "SlateVectorEnv"]


def __getattr__(name: str) -> Any:
    """Imports Stable-Baselines3 only for those who ask for its environment."""
    if name != "SB3VecEnv":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from recgym.envs.sb3_vec_env import SB3VecEnv
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("stable_baselines3"):
            raise
        from recgym.errors import RecGymError

        raise RecGymError("SB3VecEnv needs Stable-Baselines3: pip install recgym[sb3]") from None
    return SB3VecEnv
