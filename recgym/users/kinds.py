"""The kinds of user model: what configures each, and the functions that it is made of."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from recgym.users import gan, meta, recurrent
from recgym.users.gan import GANUserConfig
from recgym.users.meta import MetaUserConfig
from recgym.users.recurrent import RecurrentUserConfig

UserConfig = GANUserConfig | RecurrentUserConfig | MetaUserConfig
"""The configuration of a user model of any kind."""

KINDS: dict[str, type[Any]] = {
    "gan": GANUserConfig,
    "recurrent": RecurrentUserConfig,
    "meta": MetaUserConfig,
}
"""The name of a kind -> its configuration."""
MODULES: dict[str, ModuleType] = {"gan": gan, "recurrent": recurrent, "meta": meta}
"""The name of a kind -> its functions."""


def kind_of(config: UserConfig) -> str:
    """Returns the name of a model's kind."""
    return next(name for name, kind in KINDS.items() if isinstance(config, kind))


def functions_of(config: UserConfig) -> ModuleType:
    """Returns the module with a model's shapes, prepare, initial, respond and advance."""
    return MODULES[kind_of(config)]
