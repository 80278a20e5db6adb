"""The kinds of user model: what configures each, and the functions that it is made of."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from recgym.users import gan, recurrent
from recgym.users.gan import GANUserConfig
from recgym.users.recurrent import RecurrentUserConfig

UserConfig = GANUserConfig | RecurrentUserConfig
"""The configuration of a user model of any kind."""

KINDS: dict[str, type[Any]] = {"gan": GANUserConfig, "recurrent": RecurrentUserConfig}
"""The name of a kind -> its configuration."""


def kind_of(config: UserConfig) -> str:
    """Returns the name of a model's kind."""
    return "recurrent" if isinstance(config, RecurrentUserConfig) else "gan"


def functions_of(config: UserConfig) -> ModuleType:
    """Returns the module with a model's shapes, prepare, initial, respond and advance."""
    return recurrent if isinstance(config, RecurrentUserConfig) else gan
