"""The meta-level user model of M3Rec (Wang et al., section 4.1), as pure functions.

All users share one model; a context c makes it one user's. Her state s is her click history. From
(s, c) follows a latent policy variable z, q(z | s, c), and from z and what she is shown what she
clicks, pi(x | z, A). What a click is worth to her, r(s, x, c), is recovered from what users choose.
How c is inferred from logged sequences is in ``recgym.users.meta_context``, how all is fitted in
``recgym.users.meta_learning`` and ``recgym.users.adversary``.

No code of the authors is public. What the paper leaves open is chosen here:

- The state is the position-weighted history of ``recgym.users.gan`` (Eq. 4 there).
- q(z | s, c) is a normal distribution with independent dimensions, of one hidden layer. z is drawn
  while the model is fitted; in simulation it is the mean, so that a user's choice given her history
  and her slate has one probability, which can be scored, and planned with.
- pi(x | z, A) is a softmax over the items of the slate and the outside option, of utility 0.
- r(s, x, c) does not depend on the rest of the slate. A constant is left open by choices: not to
  click is worth 0, or if that is no option, the mean item is, in every state and to every user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from recgym.arrays import Array, beside, contiguous, namespace, product, remember, rows
from recgym.settings import check_number, check_ranges
from recgym.users import gan
from recgym.users.gan import Params, State
from recgym.users.meta_context import encoder_shapes, encoder_tables
from recgym.users.model_sizes import FEATURES, MOST_LAYERS, WIDTH, WINDOW, check_parameters
from recgym.users.similarity import similarity, similarity_shapes, similarity_tables


@dataclass(frozen=True)
class MetaUserConfig:
    """The shape of a meta-level user model."""

    context: int = 8
    """Length of a user's context (C)."""
    latent: int = 16
    """Length of the latent policy variable z_u (Z)."""
    window: int = 10
    """Clicked items that the position weights see."""
    weights: int = 4
    """Sets of position weights."""
    hidden: tuple[int, ...] = (64,)
    """Units of each hidden layer of the choice and of the reward."""
    activation: Literal["relu", "elu"] = "relu"
    """The activation of these layers."""
    units: int = 64
    """Units of the hidden layer of the latent variable, and of the context encoder's."""
    features: int = 16
    """Length of an item's feature vector (D)."""
    steps: int = 10
    """Pages of a logged sequence at most (T); a longer log of a user is cut into several."""
    outside: Literal["end", "no_click"] | None = "no_click"
    """What a user may do instead of clicking: leave, which ends the session, or see the next page;
    None where every page of the log has a click."""
    similarity: bool = False
    """Whether users rather choose what is like their clicks: see ``recgym.users.similarity``. Not
    in the paper. Choices then follow from z and from the history; rewards are as without it."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range, or too large a model."""
        widths = dict.fromkeys(("context", "latent", "weights", "hidden", "units"), WIDTH)
        check_ranges(self, widths | {"window": WINDOW, "features": FEATURES, "steps": WINDOW})
        check_number("hidden layers", len(self.hidden), (1, MOST_LAYERS))
        check_parameters(shapes(self))

    @property
    def summary(self) -> str:
        """The model in a few words."""
        similarity = ", similarity" if self.similarity else ""
        return f"meta-level, context {self.context}, latent {self.latent}{similarity}"

    @property
    def draws_rewards(self) -> bool:
        """Whether a click's reward in simulation is drawn: it is the recovered one."""
        return False

    @property
    def reads_sequences(self) -> bool:
        """Whether a step of fitting takes all pages of some users: contexts are theirs."""
        return True

    @property
    def encoding_size(self) -> int:
        """The length of an encoded history (E)."""
        return self.weights * self.features

    @property
    def situation_size(self) -> int:
        """The length of an encoded history and a context side by side."""
        return self.encoding_size + self.context


def shapes(config: MetaUserConfig) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every array of the model, by name. Matrices are (outputs, inputs)."""
    found: dict[str, tuple[int, ...]] = {
        "position.weight": (config.window, config.weights),
        "position.bias": (config.weights, config.features),
        "latent.weight": (config.units, config.situation_size),
        "latent.bias": (config.units,),
    }
    for head in ("mean", "log_std"):
        found[f"latent.{head}"] = (config.latent, config.units)
        found[f"latent.{head}_bias"] = (config.latent,)
    if config.similarity:
        found |= similarity_shapes(config.window)
    found |= gan.net_shapes(config, "choice", config.latent)
    found |= gan.net_shapes(config, "reward", config.situation_size)
    return found | encoder_shapes(config.features, config.units, config.context)


def reach(config: MetaUserConfig, name: str, shape: tuple[int, ...]) -> float:
    """Returns how far from zero a fit may start a parameter; biases start at zero."""
    if name.startswith("position."):
        return float(config.window**-0.5) if name.endswith("weight") else 0.0
    if name.startswith("similarity."):
        return 0.0
    if len(shape) == 1 and not name.endswith(".output"):
        return 0.0
    return float(shape[-1] ** -0.5)


def prepare(config: MetaUserConfig, params: Params, features: Array) -> Params:
    """Computes the tables that the other functions read.

    Args:
        config: the model's shape.
        params: arrays as named and shaped by ``shapes(config)``.
        features: (N, D) item feature vectors.

    Returns:
        Arrays by name; differentiable with respect to ``params`` and ``features`` in torch. Tables
        over items have a last row N for "no item", whose features are zero; "reward.items" has one
        more, for the mean item.
    """
    xp = namespace(features)
    tables = similarity_tables(params, features) if config.similarity else {}
    features = xp.concat([features, xp.zeros_like(features[:1])], axis=0)
    tables |= {"features": features} | gan.position_tables(params)
    for name in ("latent.weight", "latent.mean", "latent.log_std"):
        tables[name] = contiguous(params[name].T)
    for name in ("latent.bias", "latent.mean_bias", "latent.log_std_bias"):
        tables[name] = params[name]
    for net in ("choice", "reward"):
        tables |= gan.net_tables(config, net, params, features)
    items = tables["reward.items"]
    mean_item = xp.mean(items[:-1], axis=0)[None, :]
    tables["reward.items"] = xp.concat([items, mean_item], axis=0)
    nothing = xp.zeros_like(features[:1, :1])
    tables["reward.level"] = nothing
    tables["reward.dropped"] = nothing if config.outside is not None else nothing + 1.0
    return tables | encoder_tables(params)


def with_level(tables: Params, held: float, share: float) -> Params:
    """Returns NumPy tables whose rewards keep a share of how their level differs.

    The level of a state and a user is the reward of the mean item, see ``recgym.users.identified``.

    Args:
        tables: from ``prepare``.
        held: the level that all are given, but for the share that they keep of their own.
        share: in 0..1.
    """
    level = {"level": np.full((1, 1), held), "dropped": np.full((1, 1), 1.0 - share)}
    return tables | {f"reward.{name}": x.astype(np.float32) for name, x in level.items()}


def levels(config: MetaUserConfig, tables: Params, state: State) -> Array:
    """Returns the reward of the mean item (B,) to users of NumPy states, before any is dropped."""
    mean_item = np.full((len(state["history"]), 1), len(tables["reward.items"]) - 1)
    situation = situations(tables, state)
    return gan.utilities(config, tables, "reward", situation, mean_item)[:, 0]


def initial(config: MetaUserConfig, tables: Params, history: Array) -> State:
    """Returns the state of users of whom nothing but their clicks is known.

    Args:
        config: the model's shape.
        tables: from ``prepare``.
        history: (B, W) item ids, W >= window: the last click last, left-padded with N.

    Returns:
        "history", and "context" (B, C), the mean of the prior; put a user's own in its place.
    """
    first = rows(tables["encoder.mean"], namespace(history).zeros_like(history[:, 0]))
    return {"history": history, "context": namespace(first).zeros_like(first)}


def situations(tables: Params, state: State) -> Array:
    """Returns the encoded histories s_t and the contexts side by side, (B, E + C)."""
    encoding = encode(tables, state["history"])
    return namespace(encoding).concat([encoding, state["context"]], axis=1)


def encode(tables: Params, history: Array) -> Array:
    """Returns the encoded histories s_t (B, E) of item ids (B, W)."""
    encoding = gan.weigh_positions(tables, history)
    return namespace(encoding).tanh(encoding)


def latent(tables: Params, situation: Array) -> tuple[Array, Array]:
    """Returns the mean and the logarithm of the standard deviation of q(z | s, c), both (B, Z).

    Args:
        tables: from ``prepare``.
        situation: (B, E + C) from ``situations``.
    """
    hidden = namespace(situation).tanh(
        product(situation, tables["latent.weight"]) + tables["latent.bias"]
    )
    mean = product(hidden, tables["latent.mean"]) + tables["latent.mean_bias"]
    return mean, product(hidden, tables["latent.log_std"]) + tables["latent.log_std_bias"]


def choice_logits(
    config: MetaUserConfig, tables: Params, z: Array, history: Array, slate: Array
) -> Array:
    """Returns the logits of pi(x | z, A), (B, K + 1), the last of the outside option.

    Args:
        config: the model's shape.
        tables: from ``prepare``.
        z: (B, Z) latent policy variables.
        history: (B, W) item ids, which are read with similarity alone.
        slate: (B, K) item ids; N fills a slot without an item, which the caller must mask.
    """
    utility = gan.utilities(config, tables, "choice", z, slate)
    if config.similarity:
        utility = utility + similarity(tables, history, slate)
    return beside(utility, -np.inf if config.outside is None else 0.0)


def rewards(config: MetaUserConfig, tables: Params, situation: Array, slate: Array) -> Array:
    """Returns the recovered r(s, x, c) of every choice, (B, K + 1), 0 for the outside option.

    Less what the tables drop of its level: nothing unless ``with_level`` made them, or all of it
    where there is no outside option.

    Args:
        config: the model's shape.
        tables: from ``prepare``.
        situation: (B, E + C) from ``situations``.
        slate: (B, K) item ids.
    """
    mean_item = tables["reward.items"].shape[0] - 1
    utility = gan.utilities(config, tables, "reward", situation, beside(slate, mean_item))
    dropped = tables["reward.dropped"] * (utility[:, -1:] - tables["reward.level"])
    return beside((utility - dropped)[:, :-1], 0.0)


def respond(
    config: MetaUserConfig, tables: Params, state: State, slate: Array
) -> tuple[Array, Array]:
    """Scores what a user may do with a slate.

    Args:
        config: the model's shape.
        tables: from ``prepare``.
        state: B users.
        slate: (B, K) item ids; N fills a slot without an item, which the caller must mask.

    Returns:
        The logits of the user's choice given the mean of z, and the recovered rewards of each
        choice, both (B, K + 1). The last column is the outside option, which is worth 0; its logit
        is minus infinity where the model has none.
    """
    situation = situations(tables, state)
    z, _ = latent(tables, situation)
    logits = choice_logits(config, tables, z, state["history"], slate)
    return logits, rewards(config, tables, situation, slate)


def advance(config: MetaUserConfig, tables: Params, state: State, item: Array) -> State:
    """Returns the state after the users clicked ``item`` (B,); -1 leaves a row as it was."""
    return state | {"history": remember(state["history"], item)}
