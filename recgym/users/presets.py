"""What was chosen for each dataset on its validation users; everything else is the default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from recgym.lookup import Registry
from recgym.users.gan import GANUserConfig
from recgym.users.gru4rec import GRU4RecConfig
from recgym.users.kinds import UserConfig
from recgym.users.likelihood import FitConfig
from recgym.users.meta import MetaUserConfig
from recgym.users.meta_settings import MetaFit
from recgym.users.neighbours import NeighbourConfig
from recgym.users.recurrent import RecurrentUserConfig
from recgym.users.session_blend import SessionBlendConfig
from recgym.users.trees import TreeUserConfig
from recgym.users.wide_deep import WideDeepUserConfig

Model = Literal["gan-pw", "gan-lstm"]
"""GAN user models."""
RecurrentModel = Literal["irecgan-lstm", "irecgan-gru"]
"""Recurrent user models."""
Preset = Callable[[str], tuple[UserConfig, FitConfig]]
"""Of the name of a dataset: how a user model is configured, and how it is fitted."""

SMALL_PAGES = (
    GANUserConfig(hidden=(64, 64), activation="elu"),
    FitConfig(
        epochs=60,
        patience=10,
        batch_pages=64,
        batch_users=64,
        embedding_decay=1.0,
        learning_rate=3e-3,
        weight_decay=20.0,
        item_dropout=0.0,
    ),
)
"""About a thousand training pages: strong decay, without which likelihood overfits at once."""

MANY_ITEMS = (
    GANUserConfig(hidden=(64, 64)),
    FitConfig(batch_users=64, embedding_scale=2.0, embedding_decay=0.0, item_dropout=0.0),
)
"""More items than clicks: large random embeddings tell unseen items apart, so that the model can
see that an item on the page is one that the user has just opened."""

PRESETS: dict[str, tuple[GANUserConfig, FitConfig]] = {
    "gan_yelp": SMALL_PAGES,
    "gan_taobao": SMALL_PAGES,
    "trivago": MANY_ITEMS,
}
"""By the name of the dataset."""


RECURRENT = FitConfig(
    epochs=120,
    patience=10,
    margin=1.0,
    static_ridges=(1.0, 3.0, 10.0, 30.0, 100.0),
    batch_users=64,
    learning_rate=1e-3,
    projection_scale=0.03,
    item_dropout=0.0,
)
"""What a recurrent user model is fitted with unless its dataset has a preset: from the choice model
without a history, with small steps, as far as validation pages gain by more than a standard error.
That holds on a thousand sessions whose clicks tell next to nothing. Chosen on logs of
SlateMDP-v0."""

RECURRENT_PRESETS: dict[str, tuple[RecurrentUserConfig, FitConfig]] = {
    "ml-100k": (
        RecurrentUserConfig(units=32),
        FitConfig(
            epochs=16,
            batch_users=32,
            learning_rate=4e-3,
            embedding_scale=0.3,
            projection_scale=0.3,
            item_dropout=0.0,
        ),
    ),
    "trivago": (
        RecurrentUserConfig(),
        replace(
            RECURRENT,
            epochs=80,
            patience=6,
            margin=0.0,
            static_ridges=(),
            learning_rate=4e-3,
            embedding_scale=2.0,
            embedding_decay=0.0,
            projection_scale=1.0,
        ),
    ),
}
"""By the name of the dataset: MovieLens has more items and longer sessions, trivago more items than
clicks (see ``MANY_ITEMS``)."""


META = FitConfig(batch_users=16, item_dropout=0.0, patience=10)
"""What a meta-level user model is fitted with unless its dataset has a preset."""

META_PRESETS: dict[str, tuple[MetaUserConfig, FitConfig]] = {
    "ml-100k": (MetaUserConfig(), replace(META, epochs=20, patience=3, meta=MetaFit(rounds=6))),
    "trivago": (MetaUserConfig(), replace(META, embedding_scale=2.0, embedding_decay=0.0)),
}
"""By the name of the dataset: what MovieLens gains after so many passes is in its third digit;
trivago's embeddings begin as its GAN user model's do (see ``MANY_ITEMS``)."""


def recurrent_preset(dataset: str, model: RecurrentModel) -> tuple[RecurrentUserConfig, FitConfig]:
    """Returns the configuration of a recurrent user model for a dataset.

    Args:
        dataset: ``info["name"]`` of the prepared data.
        model: "irecgan-lstm" or "irecgan-gru".
    """
    cell: Literal["lstm", "gru"] = "gru" if model == "irecgan-gru" else "lstm"
    config, fit = RECURRENT_PRESETS.get(dataset, (RecurrentUserConfig(), RECURRENT))
    return replace(config, cell=cell), fit


def preset(
    dataset: str, model: Model, regularizer: Literal["entropy", "l2"] = "entropy"
) -> tuple[GANUserConfig, FitConfig]:
    """Returns the configuration of a model for a dataset.

    Args:
        dataset: ``info["name"]`` of the prepared data.
        model: "gan-pw" (position weights) or "gan-lstm".
        regularizer: "entropy" or "l2".
    """
    config, fit = PRESETS.get(dataset, (GANUserConfig(), FitConfig()))
    history: Literal["position-weight", "lstm"] = (
        "lstm" if model == "gan-lstm" else "position-weight"
    )
    return replace(config, history=history, regularizer=regularizer), fit


def meta_preset(dataset: str) -> tuple[MetaUserConfig, FitConfig]:
    """Returns the configuration of a meta-level user model for a dataset."""
    return META_PRESETS.get(dataset, (MetaUserConfig(), META))


def compared(config: UserConfig, dataset: str) -> tuple[UserConfig, FitConfig]:
    """Returns a model to compare a GAN user model with, and how that is fitted to a dataset."""
    return config, preset(dataset, "gan-pw")[1]


def deep(config: WideDeepUserConfig, dataset: str) -> tuple[WideDeepUserConfig, FitConfig]:
    """Returns a deep model for a dataset, its layers those of the GAN user model there."""
    theirs, fit = preset(dataset, "gan-pw")
    return replace(config, hidden=theirs.hidden), fit


def ranked(config: UserConfig, dataset: str) -> tuple[UserConfig, FitConfig]:
    """Returns a recurrent ranking model for a dataset; with fewer users a step, it takes long."""
    fit = preset(dataset, "gan-pw")[1]
    return config, replace(fit, batch_users=max(fit.batch_users, 32))


def boosted(dataset: str) -> tuple[TreeUserConfig, FitConfig]:
    """Returns a user model of boosted trees: 150 at most, and 10 without a gain, for all logs."""
    return TreeUserConfig(), FitConfig(epochs=150, patience=10, learning_rate=0.15)


@dataclass(frozen=True)
class ModelEntry:
    """A row of ``MODELS``."""

    preset: Preset
    """How it is configured and fitted, by the name of the dataset."""
    about: str
    """One line that says what it is."""


MODELS: Registry[ModelEntry] = Registry(
    "user model",
    {
        "gan-pw": ModelEntry(
            partial(preset, model="gan-pw"),
            "a generative adversarial user model with position weights over the clicked items",
        ),
        "gan-lstm": ModelEntry(
            partial(preset, model="gan-lstm"),
            "a generative adversarial user model whose LSTM reads the clicked items",
        ),
        "irecgan-lstm": ModelEntry(
            partial(recurrent_preset, model="irecgan-lstm"),
            "IRecGAN's recurrent model of clicks and rewards, of LSTM cells",
        ),
        "irecgan-gru": ModelEntry(
            partial(recurrent_preset, model="irecgan-gru"),
            "IRecGAN's recurrent model of clicks and rewards, of GRU cells",
        ),
        "m3rec": ModelEntry(
            meta_preset,
            "M3Rec's meta-level model: each user's context from her log, rewards from her choices",
        ),
        "gru4rec": ModelEntry(
            partial(ranked, GRU4RecConfig()),
            "a recurrent network with a pairwise ranking loss; ranks only",
        ),
        "item-knn": ModelEntry(
            partial(compared, NeighbourConfig()),
            "the items most often clicked together with those clicked; ranks only",
        ),
        "sknn": ModelEntry(
            partial(compared, NeighbourConfig("sessions")),
            "the items of the sessions most like the user's; ranks only",
        ),
        "scknn-w": ModelEntry(
            partial(ranked, SessionBlendConfig()),
            "gru4rec and sknn, weighted; ranks only",
        ),
        "scknn-c": ModelEntry(
            partial(ranked, SessionBlendConfig("cascade")),
            "gru4rec, of what sknn lets pass; ranks only",
        ),
        "xgboost": ModelEntry(
            boosted,
            "clicks item by item, by boosted trees of XGBoost",
        ),
        "ccf": ModelEntry(
            partial(compared, WideDeepUserConfig(wide=False, factors=16, hidden=())),
            "collaborative competitive filtering: choices from the page, by user and item factors",
        ),
        "wide-deep-ccf": ModelEntry(
            partial(deep, WideDeepUserConfig()),
            "choices from the page, by wide and deep features",
        ),
        "wide-deep-lr": ModelEntry(
            partial(deep, WideDeepUserConfig(objective="click")),
            "clicks item by item, by logistic regression on wide and deep features",
        ),
        "deepfm": ModelEntry(
            partial(deep, WideDeepUserConfig(objective="click", wide=False, factors=16)),
            "clicks item by item, by a factorization machine and a network of the same features",
        ),
    },
    lambda found: isinstance(found, ModelEntry),
)
"""The user models by name, for ``recgym fit --model``. ``MODELS.register`` adds one."""
