"""What the three worlds of RecSim share: how a user chooses, and candidates that are kept."""

from __future__ import annotations

import copy
from typing import Any, Protocol, TypeVar

import numpy as np

from recgym.arrays import Array, in_backend, namespace, rows
from recgym.simulators.arguments import whole
from recgym.simulators.base import Noise, State

HORIZON = 27_000
"""Slates after which RecSim's own runner cuts a session off."""
MOST = 100.0
"""Numbers without a bound of their own are shown as at most this."""
Moved = TypeVar("Moved")


class ChoiceModel(Protocol):
    """How much each document of a slate, and clicking none, weighs in a user's choice."""

    def weights(self, scores: Array, nothing: Array) -> Array:
        """Returns the weights (B, K + 1), the last that of no click.

        Args:
            scores: of the documents, (B, K).
            nothing: no_click_mass (B,).
        """

    def utility(self, score: Array, nothing: Array) -> Array:
        """Returns what a document (B,) is worth to its user, were it shown alone."""


class ProportionalChoice:
    """Chosen in proportion to score - min_normalizer; no click has the score no_click_mass.

    Args:
        min_normalizer: no score may be below it.
    """

    def __init__(self, min_normalizer: float) -> None:
        self.min_normalizer = min_normalizer

    def weights(self, scores: Array, nothing: Array) -> Array:
        """See ``ChoiceModel.weights``."""
        every = namespace(scores).concat([scores, nothing[:, None]], axis=1)
        return every - self.min_normalizer

    def utility(self, score: Array, nothing: Array) -> Array:
        """Returns the document's weight."""
        return score - self.min_normalizer


class LogitChoice:
    """Chosen in proportion to exp(score); no click has the score no_click_mass."""

    def weights(self, scores: Array, nothing: Array) -> Array:
        """See ``ChoiceModel.weights``; the greatest of a row is 1."""
        xp = namespace(scores)
        every = xp.concat([scores, nothing[:, None]], axis=1)
        return xp.exp(every - xp.max(every, axis=1, keepdims=True))

    def utility(self, score: Array, nothing: Array) -> Array:
        """Returns the probability that the document is clicked."""
        return 1.0 / (1.0 + namespace(score).exp(nothing - score))


def draw_noise(uniforms: int, normals: int, seed: Any) -> Noise:
    """Draws the noise of one row of candidates that are kept.

    Args:
        uniforms: how many to draw.
        normals: likewise.
        seed: the argument ``document_seed``.

    Raises:
        RecGymError: the seed is no whole number.
    """
    generator = np.random.default_rng(whole("document_seed", seed, 0))
    return Noise(generator.random((1, uniforms)), generator.standard_normal((1, normals)))


def repeated(kept: State, like: Array) -> State:
    """Returns arrays (1, N) once for each row of ``like``."""
    xp = namespace(like)
    first = xp.zeros(len(like), dtype=xp.int64, device=like.device)
    return {name: rows(values, first) for name, values in kept.items()}


def moved(simulator: Moved, tables: tuple[str, ...], backend: str, device: str) -> Moved:
    """Returns a simulator with some of its arrays in "numpy" or "torch", on ``device``.

    Tensors are float32 or int64, whatever the arrays were.

    Args:
        simulator: the simulator.
        tables: names of the attributes that hold arrays, or arrays by name.
        backend: "numpy" or "torch".
        device: torch device.
    """

    def move(array: Array) -> Array:
        if backend == "torch" and isinstance(array, np.ndarray):
            array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64, copy=False)
        return in_backend(array, backend, device)

    other = copy.copy(simulator)
    for name in tables:
        table = getattr(simulator, name)
        if isinstance(table, dict):
            setattr(other, name, {key: move(array) for key, array in table.items()})
        else:
            setattr(other, name, move(table))
    return other
