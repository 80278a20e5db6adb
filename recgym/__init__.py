"""RecGym: Gymnasium environments whose action is a slate of items.

Importing it registers every environment id, so that ``gymnasium.make("RecGAN-v0")`` works.
"""

from recgym.errors import RecGymError
from recgym.registry import ENVIRONMENTS, register_environments

__all__ = ["ENVIRONMENTS", "RecGymError"]

register_environments()
