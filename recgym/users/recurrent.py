"""The recurrent user model of IRecGAN (Bai et al., NeurIPS 2019, section 4), as pure functions.

A recurrent network reads what a user clicked in her session. Of the items that she is shown, or of
these and leaving, she takes one with softmax probability (Eq. 1); what she clicked is rewarded, say
bought, with a probability of its own (Eq. 2). As with ``recgym.users.gan``, the functions are
written against the array API standard: what is trained with torch is what is simulated with NumPy.

What does not change between steps is computed once by ``prepare``: an item's share of the first
layer is a row of a table. The state of the network is carried from click to click.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recgym.arrays import Array, beside, contiguous, namespace, product, remember, rows
from recgym.settings import check_ranges
from recgym.users.cells import gru_cell, lstm_cell, sigmoid
from recgym.users.gan import Params, State
from recgym.users.model_sizes import FEATURES, MOST_LAYERS, WIDTH, WINDOW, check_parameters

GATES = {"lstm": 4, "gru": 3}
"""Blocks of units that a cell computes from its input."""
HEADS_SHARE = 0.1
"""How much closer to zero the heads start than the network: so close that all items of a page,
leaving, and rewards start out alike."""


@dataclass(frozen=True)
class RecurrentUserConfig:
    """The shape of a recurrent user model."""

    cell: Literal["lstm", "gru"] = "lstm"
    """The cell of the network (h^u in section 4)."""
    layers: int = 2
    """Layers of the network."""
    units: int = 64
    """Units of each layer (512 in the paper)."""
    features: int = 16
    """Length of an item's embedding vector (D; 50 in the paper)."""
    outside: Literal["end", "no_click"] | None = "end"
    """What a user may do instead of clicking: leave, which ends the session, or see the next page;
    None where the log cannot tell, as every page has a click."""
    reward: Literal["bernoulli", "expectation"] = "bernoulli"
    """Whether a click's reward in simulation is drawn, 0 or 1, or is its probability."""
    window: int = 10
    """Clicked items that an environment shows unless told otherwise; the network reads all."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range, or too large a model."""
        layers = {"layers": (1, MOST_LAYERS), "units": WIDTH}
        check_ranges(self, layers | {"features": FEATURES, "window": WINDOW})
        check_parameters(shapes(self))

    @property
    def summary(self) -> str:
        """The model in a few words."""
        return f"{self.cell}, {self.layers} x {self.units} units"

    @property
    def draws_rewards(self) -> bool:
        """Whether a click's reward in simulation is drawn, with the probability that is said."""
        return self.reward == "bernoulli"

    @property
    def reads_sequences(self) -> bool:
        """Whether the state depends on every click: it does."""
        return True


def shapes(config: RecurrentUserConfig) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every trainable array, by name. Matrices are (outputs, inputs)."""
    units, features = config.units, config.features
    gates = GATES[config.cell] * units
    found: dict[str, tuple[int, ...]] = {}
    for layer in range(config.layers):
        found[f"layer{layer}.input"] = (gates, features if layer == 0 else units)
        found[f"layer{layer}.recurrent"] = (gates, units)
        found[f"layer{layer}.bias"] = (gates,)
        if config.cell == "gru":
            found[f"layer{layer}.recurrent_bias"] = (units,)
    for head in ("click", "reward"):
        found[f"{head}.weight"] = (features, units)
        found[f"{head}.bias"] = (features,)
    if config.outside is not None:
        found["outside"] = (features,)
    return found


def reach(config: RecurrentUserConfig, name: str, shape: tuple[int, ...]) -> float:
    """Returns how far from zero a fit may start a parameter."""
    share = 1.0 if name.startswith("layer") else HEADS_SHARE
    return float(share * config.units**-0.5)


def prepare(config: RecurrentUserConfig, params: Params, features: Array) -> Params:
    """Computes the tables that ``respond`` and ``advance`` read.

    Args:
        config: the model's shape.
        params: arrays as named and shaped by ``shapes(config)``.
        features: (N, D) item embeddings.

    Returns:
        Arrays by name; differentiable with respect to ``params`` and ``features`` in torch. Tables
        over items have a last row N for "no item", whose embedding is zero. "heads" (units, 2 D)
        turns units into the two vectors that items are multiplied with, the click's and the
        reward's; where there is an outside option, its logit is one column more.
    """
    tables = scoring_tables(config, params, features)
    xp, bias = namespace(features), params["layer0.bias"]
    tables["layer0.items"] = tables["features"] @ params["layer0.input"].T + bias
    for layer in range(config.layers):
        tables[f"layer{layer}.recurrent"] = contiguous(params[f"layer{layer}.recurrent"].T)
        if layer > 0:
            tables[f"layer{layer}.input"] = contiguous(params[f"layer{layer}.input"].T)
            tables[f"layer{layer}.bias"] = params[f"layer{layer}.bias"]
        if config.cell == "gru":
            own = params[f"layer{layer}.recurrent_bias"]
            tables[f"layer{layer}.recurrent_bias"] = xp.concat(
                [xp.zeros_like(own), xp.zeros_like(own), own]
            )
    return tables


def scoring_tables(config: RecurrentUserConfig, params: Params, features: Array) -> Params:
    """Computes of the tables of ``prepare`` those that ``score`` reads: "features" and the heads.

    They are all that is read where torch's own network reads the clicks.
    """
    xp = namespace(features)
    tables = {"features": xp.concat([features, xp.zeros_like(features[:1])], axis=0)}
    weights = [params["click.weight"], params["reward.weight"]]
    biases = [params["click.bias"], params["reward.bias"]]
    if config.outside is not None:
        outside = params["outside"]
        weights.append((outside @ params["click.weight"])[None, :])
        biases.append((outside @ params["click.bias"])[None])
    tables["heads"] = contiguous(xp.concat(weights, axis=0).T)
    tables["heads.bias"] = xp.concat(biases)
    return tables


def initial(config: RecurrentUserConfig, tables: Params, history: Array) -> State:
    """Returns the state of users who clicked ``history`` in their sessions.

    Args:
        config: the model's shape.
        tables: from ``prepare``.
        history: (B, W) item ids: the last click last, left-padded with N; of W pads, s_0.

    Returns:
        "history", and of each layer "hidden0", .. (B, units), for an LSTM also "cell0", ..
    """
    xp = namespace(history)
    no_units = rows(tables["layer0.recurrent"], xp.zeros_like(history[:, 0]))[:, : config.units]
    state = {"history": history}
    for layer in range(config.layers):
        state[f"hidden{layer}"] = xp.zeros_like(no_units)
        if config.cell == "lstm":
            state[f"cell{layer}"] = xp.zeros_like(no_units)
    n_items = tables["features"].shape[0] - 1
    for column in range(history.shape[1]):
        item = history[:, column]
        state |= _read(config, tables, state, item, item != n_items)
    return state


def respond(
    config: RecurrentUserConfig, tables: Params, state: State, slate: Array
) -> tuple[Array, Array]:
    """Scores what a user may do with a slate.

    Args:
        config: the model's shape.
        tables: from ``prepare``.
        state: B users.
        slate: (B, K) item ids; N fills a slot without an item, which the caller must mask.

    Returns:
        The logits of the user's choice (Eq. 1), and the expected reward of each choice (Eq. 2),
        both (B, K + 1). The last column is the outside option, which is worth 0; its logit is minus
        infinity where the model has none.
    """
    logits, reward_logits = score(config, tables, state[f"hidden{config.layers - 1}"], slate)
    return logits, beside(sigmoid(reward_logits), 0.0)


def score(
    config: RecurrentUserConfig, tables: Params, units: Array, slate: Array
) -> tuple[Array, Array]:
    """Returns the logits of Eq. 1, (B, K + 1), and of each item's reward in Eq. 2, (B, K).

    Args:
        config: the model's shape.
        tables: from ``prepare`` or ``scoring_tables``.
        units: (B, units) s_t, the hidden units of the last layer.
        slate: (B, K) item ids.
    """
    n_rows, _ = slate.shape
    heads = product(units, tables["heads"]) + tables["heads.bias"]
    vectors = heads[:, : 2 * config.features].reshape(n_rows, 2, config.features)
    scores = vectors @ rows(tables["features"], slate).swapaxes(1, 2)  # (B, 2, K)
    if config.outside is None:
        return beside(scores[:, 0], -float("inf")), scores[:, 1]
    outside = heads[:, 2 * config.features :]
    return namespace(heads).concat([scores[:, 0], outside], axis=1), scores[:, 1]


def advance(config: RecurrentUserConfig, tables: Params, state: State, item: Array) -> State:
    """Returns the state after the users clicked ``item`` (B,); -1 leaves a row as it was."""
    after = {"history": remember(state["history"], item)}
    return after | _read(config, tables, state, item, item >= 0)


def _read(
    config: RecurrentUserConfig, tables: Params, state: State, item: Array, clicked: Array
) -> State:
    """One step of every layer, for the rows that clicked."""
    xp = namespace(item)
    # An item of -1 reads the last row, as the "no item" N does: neither is used.
    no_item = tables["features"].shape[0] - 1
    inputs = rows(tables["layer0.items"], xp.where(clicked, item, no_item))
    clicked = clicked[:, None]
    after = {}
    for layer in range(config.layers):
        hidden = state[f"hidden{layer}"]
        recurrent = product(hidden, tables[f"layer{layer}.recurrent"])
        if config.cell == "lstm":
            cell = state[f"cell{layer}"]
            reached, new_cell = lstm_cell(inputs + recurrent, cell)
            after[f"cell{layer}"] = xp.where(clicked, new_cell, cell)
        else:
            recurrent = recurrent + tables[f"layer{layer}.recurrent_bias"]
            reached = gru_cell(inputs, recurrent, hidden)
        after[f"hidden{layer}"] = xp.where(clicked, reached, hidden)
        if layer + 1 < config.layers:
            above = f"layer{layer + 1}"
            inputs = product(reached, tables[f"{above}.input"]) + tables[f"{above}.bias"]
    return after
