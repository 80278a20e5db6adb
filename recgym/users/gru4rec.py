"""A session-based recurrent network that ranks items (Hidasi et al., ICLR 2016), as pure functions.

A GRU reads what was clicked, and an item's score is a product with the units. It is fitted with a
pairwise ranking loss (BPR or TOP1), whose negatives are the other items of the page. Scores rank
the items of a page, and are no logits: the model says no choice probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recgym.arrays import Array, beside, contiguous, namespace, product, remember, rows
from recgym.settings import check_ranges
from recgym.users.cells import gru_cell
from recgym.users.click_history import OfClicks
from recgym.users.gan import Params, State
from recgym.users.model_sizes import FEATURES, WIDTH, WINDOW, check_parameters


@dataclass(frozen=True)
class GRU4RecConfig(OfClicks):
    """The shape of a recurrent ranking model."""

    objective: Literal["bpr", "top1"] = "bpr"
    """The pairwise ranking loss."""
    units: int = 64
    """Units of the GRU."""
    features: int = 32
    """Length of an item's feature vector (D)."""
    window: int = 10
    """Clicked items that an environment shows; the network reads all."""
    no_click: bool = True
    """Whether a user may click nothing, which a ranking says nothing of."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range, or too large a model."""
        check_ranges(self, {"units": WIDTH, "features": FEATURES, "window": WINDOW})
        check_parameters(shapes(self))

    @property
    def summary(self) -> str:
        """The model in a few words."""
        return f"gru, {self.units} units, {self.objective}"

    @property
    def reads_sequences(self) -> bool:
        """Whether fitting runs over whole sequences: the state depends on every click."""
        return True


def shapes(config: GRU4RecConfig) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every trainable array, by name. Matrices are (outputs, inputs)."""
    units, features = config.units, config.features
    return {
        "gru.input": (3 * units, features),
        "gru.recurrent": (3 * units, units),
        "gru.bias": (3 * units,),
        "gru.recurrent_bias": (units,),
        "output.weight": (features, units),
        "output.bias": (features,),
    }


def reach(config: GRU4RecConfig, name: str, shape: tuple[int, ...]) -> float:
    """Returns how far from zero a fit may start a parameter."""
    return float(config.units**-0.5)


def prepare(config: GRU4RecConfig, params: Params, features: Array) -> Params:
    """Computes the tables that ``respond`` and ``advance`` read.

    Args:
        config: the model's shape.
        params: arrays as named and shaped by ``shapes(config)``.
        features: (N, D) item feature vectors.

    Returns:
        Arrays by name. Tables over items have a last row N for "no item", whose features are zero.
    """
    xp = namespace(features)
    features = xp.concat([features, xp.zeros_like(features[:1])], axis=0)
    own = params["gru.recurrent_bias"]
    return {
        "features": features,
        "gru.items": features @ params["gru.input"].T + params["gru.bias"],
        "gru.recurrent": contiguous(params["gru.recurrent"].T),
        "gru.recurrent_bias": xp.concat([xp.zeros_like(own), xp.zeros_like(own), own]),
        "output.weight": contiguous(params["output.weight"].T),
        "output.bias": params["output.bias"],
    }


def initial(config: GRU4RecConfig, tables: Params, history: Array) -> State:
    """Returns the state of users who clicked ``history`` (B, W), left-padded with N.

    It holds "history", and the units of the network, "hidden" (B, units).
    """
    xp = namespace(history)
    start = rows(tables["gru.recurrent"], xp.zeros_like(history[:, 0]))[:, : config.units]
    state = {"history": history, "hidden": xp.zeros_like(start)}
    n_items = tables["features"].shape[0] - 1
    for column in range(history.shape[1]):
        item = history[:, column]
        state["hidden"] = _read(tables, state["hidden"], item, item != n_items)
    return state


def respond(
    config: GRU4RecConfig, tables: Params, state: State, slate: Array
) -> tuple[Array, Array]:
    """Scores the items of a slate.

    Args:
        config: the model's shape.
        tables: from ``prepare``.
        state: B users.
        slate: (B, K) item ids; N fills a slot without an item, which the caller must mask.

    Returns:
        Scores by which items rank, with 0 for the outside option (minus infinity where there is
        none), and with 0 in any case, both (B, K + 1).
    """
    vector = product(state["hidden"], tables["output.weight"]) + tables["output.bias"]
    scores = (rows(tables["features"], slate) @ vector[:, :, None])[:, :, 0]
    outside = 0.0 if config.no_click else -float("inf")
    return beside(scores, outside), beside(scores, 0.0)


def advance(config: GRU4RecConfig, tables: Params, state: State, item: Array) -> State:
    """Returns the state after the users clicked ``item`` (B,); -1 leaves a row as it was."""
    hidden = _read(tables, state["hidden"], item, item >= 0)
    return {"history": remember(state["history"], item), "hidden": hidden}


def _read(tables: Params, hidden: Array, item: Array, clicked: Array) -> Array:
    """One step of the GRU for the rows that clicked."""
    xp = namespace(item)
    no_item = tables["features"].shape[0] - 1
    inputs = rows(tables["gru.items"], xp.where(clicked, item, no_item))
    recurrent = product(hidden, tables["gru.recurrent"]) + tables["gru.recurrent_bias"]
    return xp.where(clicked[:, None], gru_cell(inputs, recurrent, hidden), hidden)
