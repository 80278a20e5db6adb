"""The kinds of user model: one table, and one way to add to it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import Field, dataclass
from types import ModuleType
from typing import Any, ClassVar, Literal, Protocol

from recgym.lookup import Registry
from recgym.users import (
    gan,
    gru4rec,
    meta,
    neighbours,
    recurrent,
    session_blend,
    trees,
    wide_deep,
)
from recgym.users.gan import GANUserConfig
from recgym.users.gru4rec import GRU4RecConfig
from recgym.users.meta import MetaUserConfig
from recgym.users.neighbours import NeighbourConfig
from recgym.users.recurrent import RecurrentUserConfig
from recgym.users.session_blend import SessionBlendConfig
from recgym.users.trees import TreeUserConfig
from recgym.users.wide_deep import WideDeepUserConfig


class UserConfig(Protocol):
    """What the configuration of every kind says: a frozen dataclass, with fields of its own."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def features(self) -> int:
        """Length of an item's feature vector (D)."""

    @property
    def window(self) -> int:
        """Clicked items that are remembered."""

    @property
    def outside(self) -> Literal["end", "no_click"] | None:
        """What a user may do instead of clicking."""

    @property
    def draws_rewards(self) -> bool:
        """Whether a click's reward in simulation is drawn, with the probability that is said."""

    @property
    def reads_sequences(self) -> bool:
        """Whether the state depends on every click, so that fitting runs over whole sequences."""

    @property
    def summary(self) -> str:
        """The model in a few words."""


@dataclass(frozen=True)
class Kind:
    """A row of ``KINDS``."""

    config: type[Any]
    """A frozen dataclass, see ``UserConfig``."""
    functions: ModuleType
    """The module with the model's shapes, prepare, initial, respond and advance."""
    fit: str
    """What fits one member, as "module:function", imported when asked for, as it may need torch.
    Called with the configuration, a ``FitConfig``, a ``Task``, an ``ItemTable`` to learn or (N, D)
    frozen features, and a function to tell of each epoch; returns parameters and features. What
    else there is to say of the fit goes into ``Task.notes``."""
    logits: str
    """What scores held-out pages, as "module:function". Called with the configuration, a member's
    parameters, features (N, D) and ``Pages``; returns the logits of choices (P, K + 1), minus
    infinity where no option exists, and of rewards (P, K), or None if the kind learns none."""
    by_session: bool = False
    """Whether it remembers the clicks of a session, and knows leaving (a field ``outside``); or all
    clicks of a user (a field ``no_click``)."""
    contexts: bool = False
    """Whether each user has a context, which sequences of hers tell (a field ``outside``)."""
    rewards: Literal["utility", "logged", "recovered"] = "utility"
    """What a click is worth: the utility of the item, which explains choices, or what the log
    holds, whose probability the kind learns, or what inverse reinforcement learning recovers."""
    item_features: Literal["learned", "catalog"] = "learned"
    """Whether a fit learns the items' features, or they are the catalog's, standardised, and how
    popular an item was, so that the log sets how many there are."""
    chooses: bool = True
    """Whether it says choice probabilities; else it ranks, and cannot be an environment's user."""

    @property
    def fit_member(self) -> Callable[..., Any]:
        """The function of ``fit``."""
        return _imported(self.fit)

    @property
    def page_logits(self) -> Callable[..., Any]:
        """The function of ``logits``."""
        return _imported(self.logits)


KINDS: Registry[Kind] = Registry(
    "kind of user model",
    {
        "gan": Kind(
            GANUserConfig,
            gan,
            fit="recgym.users.minimax:fit_member",
            logits="recgym.users.scoring:page_logits",
        ),
        "recurrent": Kind(
            RecurrentUserConfig,
            recurrent,
            fit="recgym.users.likelihood:maximise_likelihood",
            logits="recgym.users.scoring:session_logits",
            by_session=True,
            rewards="logged",
        ),
        "meta": Kind(
            MetaUserConfig,
            meta,
            fit="recgym.users.adversary:fit_member",
            logits="recgym.users.meta_scoring:page_logits",
            contexts=True,
            rewards="recovered",
        ),
        "wide-deep": Kind(
            WideDeepUserConfig,
            wide_deep,
            fit="recgym.users.likelihood:maximise_likelihood",
            logits="recgym.users.scoring:page_logits",
        ),
        "gru4rec": Kind(
            GRU4RecConfig,
            gru4rec,
            fit="recgym.users.likelihood:maximise_likelihood",
            logits="recgym.users.scoring:page_logits",
            chooses=False,
        ),
        "neighbours": Kind(
            NeighbourConfig,
            neighbours,
            fit="recgym.users.neighbour_fitting:fit_member",
            logits="recgym.users.scoring:page_logits",
            item_features="catalog",
            chooses=False,
        ),
        "session-blend": Kind(
            SessionBlendConfig,
            session_blend,
            fit="recgym.users.blend_fitting:fit_member",
            logits="recgym.users.scoring:page_logits",
            chooses=False,
        ),
        "trees": Kind(
            TreeUserConfig,
            trees,
            fit="recgym.users.tree_fitting:fit_member",
            logits="recgym.users.scoring:page_logits",
            item_features="catalog",
        ),
    },
    lambda found: isinstance(found, Kind),
)
"""The name of a kind -> its row. ``KINDS.register`` adds one from a package of one's own."""


def name_of(config: UserConfig) -> str:
    """Returns the name of a model's kind."""
    return next(name for name in KINDS if KINDS.find(name).config is type(config))


def kind_of(config: UserConfig) -> Kind:
    """Returns the row of a model's kind."""
    return KINDS.find(name_of(config))


def functions_of(config: UserConfig) -> ModuleType:
    """Returns the module with a model's shapes, prepare, initial, respond and advance."""
    return kind_of(config).functions


def _imported(function: str) -> Callable[..., Any]:
    module, _, name = function.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found
