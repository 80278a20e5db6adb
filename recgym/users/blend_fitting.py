"""Fitting a recurrent network and a session kNN, and how much each counts (needs torch)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from recgym import metrics
from recgym.arrays import Array
from recgym.users import neighbour_fitting
from recgym.users.item_table import ItemTable
from recgym.users.likelihood import FitConfig, Task, maximise_likelihood
from recgym.users.scoring import page_logits
from recgym.users.session_blend import SessionBlendConfig

WEIGHTS = np.linspace(0.0, 1.0, 11)
"""Of the network, among which validation chooses."""


def fit_member(
    config: SessionBlendConfig,
    fit: FitConfig,
    task: Task,
    items: ItemTable | Tensor,
    on_epoch: Callable[[int, float], None],
) -> tuple[dict[str, Tensor], Tensor]:
    """Fits both parts by themselves; a weight is the best in precision at 1 in validation.

    Args:
        config: the model's shape.
        fit: how the network is fitted.
        task: the pages.
        items: item features to learn, or (N, D) frozen features.
        on_epoch: called with the number of the epoch and its validation score.

    Returns:
        The arrays of ``session_blend.shapes``, and the item features.
    """
    params, features = maximise_likelihood(config.network, fit, task, items, on_epoch)
    params |= neighbour_fitting.fit_member(config.sessions, fit, task, features, on_epoch)[0]
    if config.combine == "weighted":
        arrays = {name: value.detach().numpy() for name, value in params.items()}
        scores = [_precision(config, arrays, features.numpy(), task, w) for w in WEIGHTS]
        best = WEIGHTS[int(np.argmax(scores))]
        params["weight"] = torch.tensor([best], dtype=torch.float32)
    return params, features


def _precision(
    config: SessionBlendConfig, params: dict[str, Array], features: Array, task: Task, weight: float
) -> float:
    """Returns the precision at 1 on the validation pages with a click."""
    weighted = params | {"weight": np.array([weight], np.float32)}
    pages = task.pages.select(task.validation)
    pages = pages.select(np.flatnonzero(pages.clicked))
    logits, _ = page_logits(config, weighted, features, pages)
    return float(metrics.precision(logits[:, :-1], pages.target, 1).mean())
