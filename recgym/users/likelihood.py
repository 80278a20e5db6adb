"""Fitting one user model to pages by maximum likelihood."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, AT_LEAST_1, POSITIVE, SHARE, check_ranges
from recgym.users.item_table import ItemTable
from recgym.users.kinds import UserConfig, functions_of
from recgym.users.meta import MetaUserConfig
from recgym.users.meta_learning import MetaTensors, helper_shapes
from recgym.users.meta_settings import MetaFit
from recgym.users.page_arrays import Pages
from recgym.users.page_tensors import PageTensors, Select, SessionTensors
from recgym.users.recurrent import RecurrentUserConfig
from recgym.users.scoring import PageScores, score_choices
from recgym.users.static import fit_static

VALIDATION_BLOCK = 2_048
"""Pages of a validation batch."""
AnyTensors = PageTensors | SessionTensors | MetaTensors
"""Pages as tensors, by the kind of the user model."""


@dataclass(frozen=True)
class FitConfig:
    """How a user model is fitted."""

    epochs: int = 40
    """Passes over the training pages at most."""
    patience: int = 3
    """Epochs without a better validation score after which fitting stops."""
    margin: float = 0.0
    """Standard errors (of paired differences, over validation pages) by which an epoch's score must
    be above the best so far to be better. With 0, luck on few pages decides between epochs."""
    static_ridges: tuple[float, ...] = ()
    """Recurrent user model: start at the model without a history (see ``recgym.users.static``),
    the precision of whose prior is the best of these in validation. If empty, at random."""
    select: Select | None = None
    """Validation score that stops a fit and picks its checkpoint, both of maximum likelihood and
    of the minimax game; if None, log-likelihood of the one and precision at 1 of the other. For a
    recurrent user model, the objective (Eq. 3)."""
    batch_pages: int = 512
    """Pages of a gradient step (position weight)."""
    batch_users: int = 8
    """Users of a gradient step (LSTM), or sessions (recurrent user model)."""
    learning_rate: float = 6e-3
    """Step size of AdamW."""
    embedding_scale: float = 0.1
    """Standard deviation of the initial item embeddings."""
    projection_scale: float = 1.0
    """Spread of the initial projection of the catalog's features, which are standardised."""
    embedding_decay: float = 0.1
    """Decoupled decay of item embeddings: an item without data keeps its side features."""
    weight_decay: float = 0.5
    """Decoupled decay of every other weight."""
    item_dropout: float = 0.1
    """Share of items whose embedding is hidden in a gradient step, as of items never seen; with it
    whatever a static start has put there."""
    double: bool = False
    """Compute in float64: slower, and the same to many digits whatever the machine."""
    game_learning_rate: float = 1e-3
    """Step size of Adam for both players of the minimax game (L2 only)."""
    reward_weight: float = 1.0
    """lambda_p: what a reward's log-likelihood counts beside a click's (recurrent user model)."""
    frozen_reward: bool = False
    """Leave out the reward's steps in the game, as in the authors' published code (L2 only)."""
    meta: MetaFit = MetaFit()
    """How a meta-level user model is fitted."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        counts = ("patience", "batch_pages", "batch_users")
        scales = ("embedding_scale", "projection_scale", "embedding_decay", "weight_decay")
        ranges = dict.fromkeys(counts, AT_LEAST_1)
        ranges["epochs"] = AT_LEAST_0 if self.static_ridges else AT_LEAST_1
        ranges |= dict.fromkeys((*scales, "reward_weight"), AT_LEAST_0)
        ranges |= dict.fromkeys(("learning_rate", "game_learning_rate", "static_ridges"), POSITIVE)
        check_ranges(self, ranges | {"item_dropout": SHARE, "margin": (-math.inf, math.inf)})

    @property
    def dtype(self) -> torch.dtype:
        """Of parameters and features while they are fitted."""
        return torch.float64 if self.double else torch.float32


def initial_params(
    config: UserConfig, rng: np.random.Generator, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Returns random parameters: uniform within 1 / sqrt(inputs), as torch's own layers start."""
    params = {}
    functions = functions_of(config)
    shapes: dict[str, tuple[int, ...]] = functions.shapes(config)
    if isinstance(config, MetaUserConfig):
        shapes |= helper_shapes(config)
    for name, shape in shapes.items():
        reach = functions.reach(config, name, shape)
        start = rng.uniform(-reach, reach, size=shape)
        params[name] = torch.tensor(start, dtype=dtype, requires_grad=True)
    return params


@dataclass(frozen=True, eq=False)
class Task:
    """What one member is fitted on."""

    pages: Pages
    """the log"""
    training: Array
    """numbers of the training pages; a page that a bootstrap drew twice stands here twice"""
    validation: Array
    """numbers of the pages that stop the fit early"""
    seed: int
    name: str
    """of the member; with the seed it decides the initial parameters, order, and item dropout"""
    notes: dict[str, Any] = field(default_factory=dict)
    """what a fit has to say of itself, by name, in plain JSON: it stands among the scores"""

    def stream(self, purpose: str) -> np.random.Generator:
        """Returns the task's generator for one purpose."""
        return stream(self.seed, f"{self.name}: {purpose}")


def stream(seed: int, name: str) -> np.random.Generator:
    """Returns a generator that is independent of those of every other name and seed."""
    return np.random.default_rng([seed, *name.encode()])


def batches(
    config: UserConfig, fit: FitConfig, task: Task, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yields one pass over the training pages in random order.

    For position weights a batch is any ``batch_pages`` pages; for a recurrent network, every page
    of ``batch_users`` users (or sessions, see ``pages_of``).

    Args:
        config: which model.
        fit: sizes of batches.
        task: the pages.
        rng: draws the order.
    """
    if config.reads_sequences:
        user = task.pages.user
        order = task.training[np.argsort(user[task.training], kind="stable")]
        groups = np.split(order, np.flatnonzero(np.diff(user[order])) + 1)
        turns = rng.permutation(len(groups))
        for start in range(0, len(groups), fit.batch_users):
            some = turns[start : start + fit.batch_users]
            yield torch.from_numpy(np.concatenate([groups[group] for group in some]))
    else:
        order = rng.permutation(task.training)
        for start in range(0, len(order), fit.batch_pages):
            yield torch.from_numpy(order[start : start + fit.batch_pages])


def maximise_likelihood(
    config: UserConfig,
    fit: FitConfig,
    task: Task,
    table: ItemTable | Tensor,
    on_epoch: Callable[[int, float], None],
) -> tuple[dict[str, Tensor], Tensor]:
    """Fits a recurrent user model (Eq. 3), or a GAN's reward under entropy (Lemmas 1 and 2).

    A loss that is not finite ends the fit: a warning names it and its step, and the best parameters
    so far are those of the model.

    Args:
        config: which model; a GAN's regulariser must be "entropy".
        fit: how.
        task: the pages.
        table: item features to learn, or (N, D) frozen features.
        on_epoch: called with the number of the epoch and its validation score.

    Returns:
        The parameters and item features of the epoch that was best in validation, by
        ``fit.select`` (if None, log-likelihood of a GAN, objective of a recurrent model); or those
        of the start, where it is a static model that no epoch was better than.

    Raises:
        RecGymError: the loss was not finite before the first epoch was over.
    """
    params = initial_params(config, task.stream("parameters"), fit.dtype)
    tensors = _tensors(config, fit, task)
    if isinstance(tensors, MetaTensors):
        params["encoder.reward"] = tensors.reward_scale(task.training)
    select = fit.select or tensors.select
    best = BestSoFar(fit.patience, fit.margin)
    if fit.static_ridges and isinstance(config, RecurrentUserConfig):
        static = fit_static(config, task.pages, task.training, task.validation, fit.static_ridges)
        static.start(params, table)
        features = _features(table).detach()
        scores = validation_scores(tensors, params, features, task.validation, select)
        best.stops(scores, params, features)
    groups = [{"params": list(params.values()), "weight_decay": fit.weight_decay}]
    if isinstance(table, ItemTable):
        groups.append({"params": [table.embedding], "weight_decay": fit.embedding_decay})
        groups.append({"params": [table.projection], "weight_decay": fit.weight_decay})
    optimizer = torch.optim.AdamW(groups, lr=fit.learning_rate)
    rng = task.stream("likelihood")
    for epoch in range(fit.epochs):
        for step, batch in enumerate(batches(config, fit, task, rng)):
            features = _features(table, fit.item_dropout, rng)
            loss = -tensors.log_likelihood(params, features, batch).mean()
            if not loss.isfinite():
                where = f"fitting {task.name!r}: loss {loss.item()} in epoch {epoch}, step {step}"
                return _kept(best, where)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
        features = _features(table).detach()
        scores = validation_scores(tensors, params, features, task.validation, select)
        on_epoch(epoch, float(scores.mean()))
        if best.stops(scores, params, features):
            break
    return best.params, best.features


def _tensors(config: UserConfig, fit: FitConfig, task: Task) -> AnyTensors:
    if isinstance(config, RecurrentUserConfig):
        return SessionTensors(config, task.pages, fit.reward_weight, fit.dtype)
    if isinstance(config, MetaUserConfig):
        return MetaTensors(config, task.pages, fit.meta, task.stream("contexts"), fit.dtype)
    return PageTensors(config, task.pages, fit.dtype)


def _kept(best: BestSoFar, where: str) -> tuple[dict[str, Tensor], Tensor]:
    """Returns the best parameters of a fit that diverged, with a warning."""
    if not best.params:
        raise RecGymError(f"{where}: it diverges; fit with a smaller learning_rate")
    warnings.warn(f"{where}: it diverges; the best parameters so far are kept", stacklevel=3)
    return best.params, best.features


def _features(
    table: ItemTable | Tensor, dropout: float = 0.0, rng: np.random.Generator | None = None
) -> Tensor:
    """Item features (N, D), with the embeddings of some items hidden."""
    if isinstance(table, Tensor):
        return table
    if rng is None or dropout == 0.0:
        return table.forward()
    return table.forward(torch.from_numpy(rng.random((len(table.embedding), 1)) >= dropout))


@torch.no_grad()
def validate(
    tensors: AnyTensors,
    params: dict[str, Tensor],
    features: Tensor,
    chosen: Array,
) -> PageScores:
    """Scores the chosen pages, as held-out pages are scored."""
    logits = [
        tensors.respond(params, features, block)[0].numpy() for block in validation_blocks(chosen)
    ]
    return score_choices(np.concatenate(logits), tensors.target.numpy()[chosen])


@torch.no_grad()
def validation_scores(
    tensors: AnyTensors,
    params: dict[str, Tensor],
    features: Tensor,
    chosen: Array,
    select: Select,
) -> Array:
    """Returns the score of each of the chosen pages (precision: of those with a click)."""
    if select == "objective":
        blocks = validation_blocks(chosen)
        parts = [tensors.log_likelihood(params, features, block) for block in blocks]
        return torch.cat(parts).numpy()
    scores: Array = getattr(validate(tensors, params, features, chosen), select)
    return scores


def validation_blocks(chosen: Array) -> list[Tensor]:
    """Returns the numbers of the chosen pages in parts that are scored at a time."""
    blocks = np.array_split(chosen, -(-len(chosen) // VALIDATION_BLOCK))
    return [torch.from_numpy(block) for block in blocks]


class BestSoFar:
    """Keeps the parameters that were best in validation, and says when to stop."""

    def __init__(self, patience: int, margin: float = 0.0) -> None:
        """Stops after ``patience`` candidates that are not ``margin`` standard errors better."""
        self.patience = patience
        self.margin = margin
        self.scores: Array | None = None
        self.waited = 0
        self.params: dict[str, Tensor] = {}
        self.features = torch.empty(0)

    def stops(self, scores: Array, params: dict[str, Tensor], features: Tensor) -> bool:
        """Notes a candidate with its scores by validation page; true if fitting should stop."""
        if self._better(scores):
            self.scores, self.waited = scores, 0
            self.params = {name: value.detach().clone() for name, value in params.items()}
            self.features = features.detach().clone()
        else:
            self.waited += 1
        return self.waited >= self.patience

    def _better(self, scores: Array) -> bool:
        if self.scores is None:
            return bool(np.isfinite(scores.mean()))
        gain = scores.mean() - self.scores.mean()
        error = (scores - self.scores).std() / len(scores) ** 0.5
        return bool(gain > self.margin * error)
