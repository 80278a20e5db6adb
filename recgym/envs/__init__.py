"""The Gymnasium shells: one single, one vector, for every simulator."""

from recgym.envs.slate_env import SlateEnv
from recgym.envs.slate_vector_env import SlateVectorEnv

__all__ = ["SlateEnv", "SlateVectorEnv"]
