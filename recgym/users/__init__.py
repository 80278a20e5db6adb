"""User models: pure response functions, and how each is fitted (``fitting`` needs torch)."""

from recgym.users.agreement import Agreement, agreement_of
from recgym.users.folder import SHIPPED, FittedUserModel
from recgym.users.gan import GANUserConfig
from recgym.users.meta import MetaUserConfig
from recgym.users.recurrent import RecurrentUserConfig

__all__ = [
    "SHIPPED",
    "Agreement",
    "FittedUserModel",
    "GANUserConfig",
    "MetaUserConfig",
    "RecurrentUserConfig",
    "agreement_of",
]
