"""The generative adversarial user model (Chen et al., ICML 2019, section 4), as pure functions.

A user looks at a slate of items, and clicks the one that maximises her reward minus a
regulariser (Eq. 2). Her state is her click history: position-weighted (Eq. 4) or read by an LSTM.
The functions are written against the array API standard, so the function that is trained with torch
tensors is the function that is simulated with NumPy arrays.

What does not change between steps is computed once by ``prepare``: an item's share of the first
layer is a row of a table. Arrays over slates are laid out slot first, (K, B, H), since adding a
user's (B, H) share to every slot then runs over long contiguous rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from recgym.arrays import (
    Array,
    beside,
    contiguous,
    namespace,
    product,
    remember,
    rows,
    weighted_clicks,
)
from recgym.errors import RecGymError
from recgym.settings import POSITIVE, check_number, check_ranges
from recgym.users.cells import lstm_cell
from recgym.users.model_sizes import FEATURES, MOST_LAYERS, WIDTH, WINDOW, check_parameters
from recgym.users.similarity import similarity, similarity_shapes, similarity_tables

ZEROS = np.zeros(1 << 16, np.float32)
"""What NumPy compares blocks with: faster than comparing with a scalar."""
ZERO = np.zeros((), np.float32)
"""What it compares ``FEW`` numbers with: sooner than a Python number, or a block."""
FEW = 1000
"""At most so many."""

Params = dict[str, Array]
"""Trainable arrays by name, see ``shapes``."""
State = dict[str, Array]
""""history" (B, W >= window) item ids; an LSTM adds "hidden" and "cell" (B, units)."""


class Layers(Protocol):
    """The layers of a net over (state, item)."""

    @property
    def hidden(self) -> tuple[int, ...]:
        """Units of each hidden layer."""

    @property
    def activation(self) -> Literal["relu", "elu"]:
        """The activation of the hidden layers."""

    @property
    def features(self) -> int:
        """Length of an item's feature vector (D)."""


@dataclass(frozen=True)
class GANUserConfig:
    """The shape of a GAN user model."""

    history: Literal["position-weight", "lstm"] = "position-weight"
    """How the click history becomes a state."""
    window: int = 10
    """Clicked items that the position weights see (m in Eq. 4)."""
    weights: int = 4
    """Sets of position weights (n in Eq. 4)."""
    state_activation: Literal["elu", "relu", "linear"] = "relu"
    """The activation of Eq. 4 (the authors' code uses none)."""
    units: int = 20
    """Units of the LSTM."""
    hidden: tuple[int, ...] = (64,)
    """Units of each hidden layer of the reward (one in the paper; 64 64 in the authors' code)."""
    activation: Literal["relu", "elu"] = "relu"
    """The activation of the hidden layers."""
    features: int = 16
    """Length of an item's feature vector (D)."""
    eta: float = 1.0
    """Strength of exploitation: the regulariser is divided by it (Eq. 2)."""
    regularizer: Literal["entropy", "l2"] = "entropy"
    """R in Eq. 2: negative Shannon entropy, or the squared L2 norm (with a net for behaviour)."""
    no_click: bool = True
    """Whether a user may click nothing (utility 0)."""
    similarity: bool = False
    """Whether an item is worth more if it is like those clicked: see ``recgym.users.similarity``.
    Not in the paper; with entropy alone."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range, or too large a model."""
        if self.similarity and self.regularizer != "entropy":
            raise RecGymError("similarity: is for users of the entropy regularizer alone")
        widths = dict.fromkeys(("weights", "units", "hidden"), WIDTH)
        check_ranges(self, widths | {"window": WINDOW, "features": FEATURES, "eta": POSITIVE})
        check_number("hidden layers", len(self.hidden), (1, MOST_LAYERS))
        check_parameters(shapes(self))

    @property
    def nets(self) -> tuple[str, ...]:
        """The networks over (state, item): "reward" (r), and for L2 also "behaviour" (phi)."""
        return ("reward",) if self.regularizer == "entropy" else ("reward", "behaviour")

    @property
    def summary(self) -> str:
        """The model in a few words."""
        similarity = ", similarity" if self.similarity else ""
        return f"{self.history}, {self.regularizer}{similarity}"

    @property
    def outside(self) -> Literal["no_click"] | None:
        """What a user may do instead of clicking."""
        return "no_click" if self.no_click else None

    @property
    def draws_rewards(self) -> bool:
        """Whether a click's reward in simulation is drawn: it is the item's utility."""
        return False

    @property
    def reads_sequences(self) -> bool:
        """Whether the state depends on every click, so that fitting runs over whole sequences."""
        return self.history == "lstm"

    @property
    def encoding_size(self) -> int:
        """The length of an encoded history (E)."""
        return self.units if self.history == "lstm" else self.weights * self.features


def shapes(config: GANUserConfig) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every trainable array, by name. Matrices are (outputs, inputs)."""
    units, inputs = config.units, config.features
    if config.history == "lstm":
        found: dict[str, tuple[int, ...]] = {
            "lstm.input": (4 * units, inputs),
            "lstm.recurrent": (4 * units, units),
            "lstm.bias": (4 * units,),
        }
    else:
        found = {
            "position.weight": (config.window, config.weights),
            "position.bias": (config.weights, inputs),
        }
    if config.similarity:
        found |= similarity_shapes(config.window)
    for net in config.nets:
        found |= net_shapes(config, net, config.encoding_size)
    return found


def net_shapes(config: Layers, net: str, encoding_size: int) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every array of a net over (state, item), which ``utilities`` reads.

    Args:
        config: its layers.
        net: its name.
        encoding_size: the length of an encoded state.
    """
    found: dict[str, tuple[int, ...]] = {
        f"{net}.state": (config.hidden[0], encoding_size),
        f"{net}.item": (config.hidden[0], config.features),
        f"{net}.bias0": (config.hidden[0],),
    }
    for layer in range(1, len(config.hidden)):
        found[f"{net}.weight{layer}"] = (config.hidden[layer], config.hidden[layer - 1])
        found[f"{net}.bias{layer}"] = (config.hidden[layer],)
    return found | {f"{net}.output": (config.hidden[-1],)}


def reach(config: GANUserConfig, name: str, shape: tuple[int, ...]) -> float:
    """Returns how far from zero a fit may start a parameter."""
    if name.startswith("lstm."):
        return float(config.units**-0.5)
    if name.startswith("position."):
        return float(config.window**-0.5) if name.endswith("weight") else 0.0
    if name.startswith("similarity."):
        return 0.0
    return float((shape[-1] if len(shape) > 1 else config.hidden[0]) ** -0.5)


def prepare(config: GANUserConfig, params: Params, features: Array) -> Params:
    """Computes the tables that ``respond`` and ``advance`` read.

    Args:
        config: the model's shape.
        params: arrays as named and shaped by ``shapes(config)``.
        features: (N, D) item feature vectors.

    Returns:
        Arrays by name; differentiable with respect to ``params`` and ``features`` in torch. Tables
        over items have a last row N for "no item", whose features are zero.
    """
    xp = namespace(features)
    tables = similarity_tables(params, features) if config.similarity else {}
    features = xp.concat([features, xp.zeros_like(features[:1])], axis=0)
    tables["features"] = features
    if config.history == "lstm":
        tables["lstm.input"] = features @ params["lstm.input"].T + params["lstm.bias"]
        tables["lstm.recurrent"] = contiguous(params["lstm.recurrent"].T)
    else:
        tables |= position_tables(params)
    for net in config.nets:
        tables |= net_tables(config, net, params, features)
    return tables


def position_tables(params: Params) -> Params:
    """Computes the tables that ``weigh_positions`` reads."""
    return {
        "position.weight": contiguous(params["position.weight"].T),
        "position.bias": params["position.bias"].reshape(1, -1),
    }


def net_tables(config: Layers, net: str, params: Params, features: Array) -> Params:
    """Computes the tables that ``utilities`` reads.

    Args:
        config: the layers of the net.
        net: its name.
        params: arrays as named and shaped by ``net_shapes``.
        features: (N + 1, D) item feature vectors, zeros last.
    """
    tables = {
        f"{net}.items": features @ params[f"{net}.item"].T + params[f"{net}.bias0"],
        f"{net}.state": contiguous(params[f"{net}.state"].T),
        f"{net}.output": params[f"{net}.output"],
    }
    for layer in range(1, len(config.hidden)):
        tables[f"{net}.weight{layer}"] = contiguous(params[f"{net}.weight{layer}"].T)
        tables[f"{net}.bias{layer}"] = params[f"{net}.bias{layer}"]
    return tables


def initial(config: GANUserConfig, tables: Params, history: Array) -> State:
    """Returns the state of users who clicked ``history``.

    Args:
        config: the model's shape.
        tables: from ``prepare``.
        history: (B, W) item ids, W >= window: the last click last, left-padded with N.
    """
    state = {"history": history}
    if config.history == "lstm":
        xp = namespace(history)
        n_items = tables["features"].shape[0] - 1
        no_units = rows(tables["lstm.recurrent"], xp.zeros_like(history[:, 0]))[:, : config.units]
        state |= {"hidden": xp.zeros_like(no_units), "cell": xp.zeros_like(no_units)}
        for column in range(history.shape[1]):
            item = history[:, column]
            state |= _lstm_cell(tables, state, item, item != n_items)
    return state


def encode(config: GANUserConfig, tables: Params, state: State) -> Array:
    """Returns the encoded histories s_t (B, E): Eq. 4, or the hidden units of the LSTM."""
    if config.history == "lstm":
        return state["hidden"]
    encoding = weigh_positions(tables, state["history"])
    return activate(config.state_activation, encoding)


def weigh_positions(tables: Params, history: Array) -> Array:
    """Returns the position-weighted sums F W + B of Eq. 4, before their activation: (B, n * D).

    Args:
        tables: with "features" and those of ``position_tables``.
        history: (B, W) item ids, W at least the window.
    """
    by_user = weighted_clicks(tables["features"], tables["position.weight"], history)  # (B, n, D)
    return by_user.reshape(len(history), -1) + tables["position.bias"]


def respond(
    config: GANUserConfig, tables: Params, state: State, slate: Array
) -> tuple[Array, Array]:
    """Scores what a user may do with a slate.

    Args:
        config: the model's shape.
        tables: from ``prepare``.
        state: B users.
        slate: (B, K) item ids; N fills a slot without an item, which the caller must mask.

    Returns:
        The logits of the user's choice, and her rewards, both (B, K + 1). The last column is the
        outside option, of utility 0; its logit is minus infinity where the model has none. With
        entropy, the logits are eta times the rewards (Lemma 1); with L2 they come from the
        behaviour net. Treat both as read-only: they may be the same array.
    """
    encoding = encode(config, tables, state)
    utility = utilities(config, tables, "reward", encoding, slate)
    if config.similarity:
        utility = utility + similarity(tables, state["history"], slate)
    rewards = beside(utility, 0.0)
    if config.regularizer == "l2":
        choice = utilities(config, tables, "behaviour", encoding, slate)
    elif config.eta == 1.0 and config.no_click:
        return rewards, rewards
    else:
        choice = config.eta * utility
    return beside(choice, 0.0 if config.no_click else -np.inf), rewards


def utilities(config: Layers, tables: Params, net: str, encoding: Array, slate: Array) -> Array:
    """Returns v' sigma(V [s; f] + b) for every slot: (B, K).

    Args:
        config: the layers of the net.
        tables: from ``prepare``, or ``net_tables``.
        net: its name, such as "reward" or "behaviour".
        encoding: (B, E) encoded states.
        slate: (B, K) item ids.
    """
    share = product(encoding, tables[f"{net}.state"])  # (B, H)
    by_slot, block = slate.T, None
    if isinstance(slate, np.ndarray) and slate.size * share.shape[1] > len(ZEROS):
        # As many slots at once as stay in the cache, each time in the same memory.
        together = max(len(ZEROS) // share.size, 1)
        block = np.empty((together, *share.shape), tables[f"{net}.items"].dtype)
        parts = (by_slot[start : start + together] for start in range(0, len(by_slot), together))
        values = [_values(config, tables, net, share, part, block) for part in parts]
        return np.concatenate(values).T
    return _values(config, tables, net, share, by_slot).T


def _values(
    config: Layers, tables: Params, net: str, share: Array, by_slot: Array, block: Array = None
) -> Array:
    """Returns what ``utilities`` does, slot first (K, B).

    Args:
        config: as there.
        tables: as there.
        net: as there.
        share: of the users in the first layer (B, H).
        by_slot: (K, B) item ids.
        block: of at least K slots (K, B, H), to be written over; NumPy only.
    """
    hidden = rows(tables[f"{net}.items"], by_slot, block)  # (K, B, H)
    hidden += share
    hidden = activate(config.activation, hidden).reshape(-1, hidden.shape[-1])
    for layer in range(1, len(config.hidden)):
        hidden = product(hidden, tables[f"{net}.weight{layer}"]) + tables[f"{net}.bias{layer}"]
        hidden = activate(config.activation, hidden)
    return product(hidden, tables[f"{net}.output"]).reshape(by_slot.shape)


def advance(config: GANUserConfig, tables: Params, state: State, item: Array) -> State:
    """Returns the state after the users clicked ``item`` (B,); -1 leaves a row as it was."""
    after = {"history": remember(state["history"], item)}
    if config.history == "lstm":
        after |= _lstm_cell(tables, state, item, item >= 0)
    return after


def _lstm_cell(tables: Params, state: State, item: Array, clicked: Array) -> State:
    """One step of an LSTM (gates in torch's order) for the rows that clicked."""
    xp = namespace(item)
    hidden, cell = state["hidden"], state["cell"]
    # An item of -1 reads the last row, as the "no item" N does: neither is used.
    no_item = tables["lstm.input"].shape[0] - 1
    gates = rows(tables["lstm.input"], xp.where(clicked, item, no_item))
    gates = gates + hidden @ tables["lstm.recurrent"]
    new_hidden, new_cell = lstm_cell(gates, cell)
    clicked = clicked[:, None]
    return {
        "hidden": xp.where(clicked, new_hidden, hidden),
        "cell": xp.where(clicked, new_cell, cell),
    }


def activate(name: str, x: Array) -> Array:
    """Applies an activation; a NumPy ``x`` may be overwritten."""
    if name == "linear":
        return x
    if not isinstance(x, np.ndarray):  # torch's own functions have the fastest gradients
        from torch.nn import functional

        return functional.relu(x) if name == "relu" else functional.elu(x)
    if x.size <= FEW:
        return _at_least(name, x, ZERO)
    flat = x.reshape(-1)
    for start in range(0, len(flat), len(ZEROS)):  # blocks that stay in the cache
        block = flat[start : start + len(ZEROS)]
        _at_least(name, block, ZEROS[: len(block)])
    return flat.reshape(x.shape)


def _at_least(name: str, x: Array, zero: Array) -> Array:
    """Overwrites ``x`` with max(x, 0) or, for "elu", max(x, exp(min(x, 0)) - 1)."""
    if name == "elu":
        floor = np.minimum(x, zero)
        np.exp(floor, out=floor)  # expm1 is slower
        floor -= 1.0
        return np.maximum(x, floor, out=x)
    return np.maximum(x, zero, out=x)
