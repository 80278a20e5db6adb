"""Wide and deep user models of features, as pure functions.

The utility of an item is a sum of parts, each of which a model may have or lack:

- linear: of the item's feature vector (always there);
- wide: of crosses of the item with the clicked items, as the wide part of wide & deep learning
  (Cheng et al., DLRS 2016): products of features, and whether the item was clicked before;
- factors: a product of user and item factors, as in factorization machines and collaborative
  filtering. Users whom the model was not fitted on have no factors of their own, so that the mean
  features of what they clicked stand in their place;
- deep: a network of the user's and the item's features side by side.

Models differ in what is maximised, too. "choice": one item of the page, or nothing, is chosen
(collaborative competitive filtering, Yang et al., SIGIR 2011). "click": each item is clicked or not
by itself, by logistic regression, as in wide & deep learning and DeepFM (Guo et al., IJCAI 2017).
Given that at most one item of a page is clicked, independent clicks of odds exp(u) are choices
with probabilities in proportion to exp(u), and to 1 for nothing: so both kinds answer alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recgym.arrays import Array, beside, contiguous, namespace, product, rows
from recgym.settings import check_number, check_ranges
from recgym.users.click_history import OfClicks
from recgym.users.click_history import advance as advance
from recgym.users.click_history import initial as initial
from recgym.users.gan import Params, State, activate
from recgym.users.model_sizes import FEATURES, MOST_LAYERS, WIDTH, WINDOW, check_parameters

MOST_FACTORS = (0, WIDTH[1])


@dataclass(frozen=True)
class WideDeepUserConfig(OfClicks):
    """The shape of a wide and deep user model."""

    objective: Literal["choice", "click"] = "choice"
    """What is maximised: the likelihood of the choice from the page, or of each item's click."""
    wide: bool = True
    """Whether there is the part of crosses."""
    factors: int = 0
    """Length of the factors; 0 for a model without."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of each hidden layer of the deep part; none for a model without."""
    window: int = 20
    """Clicked items that stand for the user."""
    features: int = 16
    """Length of an item's feature vector (D)."""
    no_click: bool = True
    """Whether a user may click nothing (utility 0)."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range, or too large a model."""
        ranges = {"window": WINDOW, "features": FEATURES, "factors": MOST_FACTORS, "hidden": WIDTH}
        check_ranges(self, ranges)
        check_number("hidden layers", len(self.hidden), (0, MOST_LAYERS))
        check_parameters(shapes(self))

    @property
    def summary(self) -> str:
        """The model in a few words."""
        parts = {"wide": self.wide, "factors": self.factors, "deep": self.hidden}
        return f"{', '.join(['linear', *filter(parts.get, parts)])}; likelihood of {self.objective}"


def shapes(config: WideDeepUserConfig) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every trainable array, by name. Matrices are (outputs, inputs)."""
    inputs = config.features
    found: dict[str, tuple[int, ...]] = {"linear": (inputs,), "bias": (1,)}
    if config.wide:
        found |= {"wide.products": (inputs,), "wide.clicked": (1,)}
    if config.factors:
        found |= {
            "factors.user": (config.factors, inputs),
            "factors.item": (config.factors, inputs),
        }
    if config.hidden:
        found["deep.user"] = (config.hidden[0], inputs)
        found["deep.item"] = (config.hidden[0], inputs)
        found["deep.bias0"] = (config.hidden[0],)
        for layer in range(1, len(config.hidden)):
            found[f"deep.weight{layer}"] = (config.hidden[layer], config.hidden[layer - 1])
            found[f"deep.bias{layer}"] = (config.hidden[layer],)
        found["deep.output"] = (config.hidden[-1],)
    return found


def reach(config: WideDeepUserConfig, name: str, shape: tuple[int, ...]) -> float:
    """Returns how far from zero a fit may start a parameter."""
    part = name.partition(".")[0]
    if part in ("bias", "wide"):
        return 0.0
    return float((shape[-1] if part != "deep" or len(shape) > 1 else config.hidden[0]) ** -0.5)


def prepare(config: WideDeepUserConfig, params: Params, features: Array) -> Params:
    """Computes the tables that ``respond`` reads.

    Args:
        config: the model's shape.
        params: arrays as named and shaped by ``shapes(config)``.
        features: (N, D) item feature vectors.

    Returns:
        Arrays by name. Tables over items have a last row N for "no item", whose features are zero.
    """
    xp = namespace(features)
    features = xp.concat([features, xp.zeros_like(features[:1])], axis=0)
    tables = {"features": features, "linear": features @ params["linear"][:, None] + params["bias"]}
    crosses = []
    if config.wide:
        crosses.append(features * params["wide.products"])
        tables["wide.clicked"] = params["wide.clicked"]
    if config.factors:
        crosses.append(features @ params["factors.item"].T @ params["factors.user"])
    if crosses:  # both are products with the user's features, and so is their sum
        tables["crosses"] = sum(crosses[1:], crosses[0])
    if config.hidden:
        tables["deep.items"] = features @ params["deep.item"].T + params["deep.bias0"]
        tables["deep.user"] = contiguous(params["deep.user"].T)
        for layer in range(1, len(config.hidden)):
            tables[f"deep.weight{layer}"] = contiguous(params[f"deep.weight{layer}"].T)
            tables[f"deep.bias{layer}"] = params[f"deep.bias{layer}"]
        tables["deep.output"] = params["deep.output"]
    return tables


def respond(
    config: WideDeepUserConfig, tables: Params, state: State, slate: Array
) -> tuple[Array, Array]:
    """Scores what a user may do with a slate.

    Args:
        config: the model's shape.
        tables: from ``prepare``.
        state: B users.
        slate: (B, K) item ids; N fills a slot without an item, which the caller must mask.

    Returns:
        The logits of the user's choice, and what each is worth to her, both (B, K + 1): utilities,
        0 of the outside option, whose logit is minus infinity where the model has none.
    """
    history = state["history"][:, -config.window :]
    user = mean_features(tables["features"], history)  # (B, D)
    utility = rows(tables["linear"], slate)[:, :, 0]
    if "crosses" in tables:
        utility = utility + (rows(tables["crosses"], slate) @ user[:, :, None])[:, :, 0]
    if config.wide:
        utility = utility + tables["wide.clicked"] * clicked_before(slate, history, utility)
    if config.hidden:
        utility = utility + _deep(config, tables, user, slate)
    rewards = beside(utility, 0.0)
    return (rewards if config.no_click else beside(utility, -float("inf"))), rewards


def mean_features(features: Array, history: Array) -> Array:
    """Returns the mean features (B, D) of clicked items (B, W), zeros where none was.

    Args:
        features: (N + 1, D), zeros last.
        history: item ids, N for no item.
    """
    xp = namespace(history)
    clicks = (history < len(features) - 1).sum(axis=1)
    count = xp.asarray(xp.maximum(clicks, xp.ones_like(clicks)), dtype=features.dtype)
    return rows(features, history).sum(axis=1) / count[:, None]


def clicked_before(slate: Array, history: Array, like: Array) -> Array:
    """Returns 1 for items of slates (B, K) that are in histories (B, W), else 0, as ``like``."""
    found = (slate[:, :, None] == history[:, None, :]).any(axis=2)
    return namespace(like).asarray(found, dtype=like.dtype)


def _deep(config: WideDeepUserConfig, tables: Params, user: Array, slate: Array) -> Array:
    """Returns the deep part of the utilities (B, K)."""
    n_rows, n_slots = slate.shape
    hidden = rows(tables["deep.items"], slate) + product(user, tables["deep.user"])[:, None, :]
    hidden = activate("relu", hidden).reshape(n_rows * n_slots, -1)
    for layer in range(1, len(config.hidden)):
        hidden = product(hidden, tables[f"deep.weight{layer}"]) + tables[f"deep.bias{layer}"]
        hidden = activate("relu", hidden)
    return product(hidden, tables["deep.output"]).reshape(n_rows, n_slots)
