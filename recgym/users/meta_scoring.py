"""What a fitted meta-level user model says of logged pages, and of users by their sequences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recgym import metrics
from recgym.arrays import Array
from recgym.data import Dataset
from recgym.data.dataset import Split
from recgym.errors import RecGymError
from recgym.users import meta
from recgym.users.folder import FittedUserModel
from recgym.users.gan import Params
from recgym.users.meta import MetaUserConfig
from recgym.users.meta_context import infer
from recgym.users.meta_sequences import KNOWN, SIZES, Sequences
from recgym.users.page_arrays import Pages, pages_of
from recgym.users.scoring import score_choices

BLOCK = 1_024
"""Pages scored at a time."""
USERS = 64
"""Users whose contexts are inferred at a time."""


class Context(NamedTuple):
    """What support tells of B users: a normal distribution of independent dimensions."""

    mean: Array
    """(B, C)"""
    deviation: Array
    """(B, C)"""


def context_of(
    model: FittedUserModel, support: Array, reward: Array | None = None, member: str = "train"
) -> Context:
    """Infers users' contexts from logged sequences, as many and as long as there are.

    Without any, it is the prior: mean 0 and deviation 1.

    Args:
        model: a meta-level user model.
        support: (B, S, T, K + 1) int64: of S sequences and T steps the K items that were shown and
            the slot that was clicked, -1 for none. -1 fills empty slots and absent steps.
        reward: (B, S, T) as the log has them; when None, each click has the log's mean one.
        member: which of the model's members is asked.

    Raises:
        RecGymError: another kind of model, no such member, or support of another form or catalog.
    """
    if not isinstance(model.config, MetaUserConfig):
        raise RecGymError("context_of: only a meta-level user model (m3rec) has contexts")
    if member not in model.members:
        raise RecGymError(f"context_of: no member {member!r}; there are {', '.join(model.members)}")
    support = checked_support(support, model.n_items)
    if reward is None:  # a mean one, which tells nothing
        reward = (support[..., -1] >= 0) * model.members[member]["encoder.reward"][0]
    reward = np.asarray(reward, np.float32)
    if reward.shape != support.shape[:-1] or not np.isfinite(reward).all():
        wanted = " x ".join(map(str, support.shape[:-1]))
        raise RecGymError(f"context_of: reward must hold {wanted} finite numbers")
    tables = meta.prepare(model.config, model.members[member], model.features)
    mean, variance = infer(tables, support, reward)
    return Context(mean, np.sqrt(variance))


def checked_support(support: Array, n_items: int) -> Array:
    """Returns support as an int64 array (B, S, T, K + 1).

    Raises:
        RecGymError: another form, an item that the catalog does not have, or a clicked slot that
            has none.
    """
    support = np.asarray(support)
    if support.ndim != 4 or support.dtype.kind not in "iu" or support.shape[3] < 2:
        raise RecGymError(
            f"support: {support.dtype} of shape {support.shape}; must be whole numbers (users,"
            " sequences, steps, slots + 1)"
        )
    support = support.astype(np.int64)
    shown, click = support[..., :-1], support[..., -1]
    if (shown < -1).any() or (shown >= n_items).any():
        raise RecGymError(
            f"support: items {shown.min()}..{shown.max()}; those of this catalog are"
            f" 0..{n_items - 1}, and -1 for none"
        )
    slot = np.clip(click, 0, shown.shape[-1] - 1)[..., None]
    empty = (click >= 0) & (np.take_along_axis(shown, slot, axis=-1)[..., 0] < 0)
    if (click < -1).any() or (click >= shown.shape[-1]).any() or empty.any():
        raise RecGymError("support: a click is on a slot without an item")
    return support


def page_logits(
    config: MetaUserConfig, params: Params, features: Array, pages: Pages
) -> tuple[Array, None]:
    """Returns choice logits (P, K + 1) as ``meta_logits``, with ``KNOWN`` sequences."""
    return meta_logits(config, params, features, pages, KNOWN)[0], None


def support_scores(
    model: FittedUserModel, dataset: Dataset, split: Split = "test"
) -> dict[str, dict[str, float]]:
    """Scores a meta-level user model that knows 0, 1, 2 and 5 sequences of each user.

    They are those before the page's own, the latest first; the first pages of a user have fewer.

    Returns:
        By the number of sequences, the mean scores of all pages, and as "reward_choices" the
        log-likelihood of choices by the softmax of the recovered reward.
    """
    config, params = model.config, model.members["train"]
    assert isinstance(config, MetaUserConfig)
    pages = pages_of(config, dataset.pages(split), model.n_items)
    found = {}
    for known in SIZES:
        logits, rewards = meta_logits(config, params, model.features, pages, known)
        recovered = float(metrics.log_likelihood(rewards, pages.target).mean())
        means = score_choices(logits, pages.target).means()
        found[str(known)] = means | {"reward_choices": recovered}
    return found


def meta_logits(
    config: MetaUserConfig, params: Params, features: Array, pages: Pages, known: int
) -> tuple[Array, Array]:
    """Returns logits of choices and recovered rewards (P, K + 1), -inf where no option exists.

    The functions are those of the simulation, in NumPy.

    Args:
        config: the model's shape.
        params: one member's parameters.
        features: (N, D) item features.
        pages: the log.
        known: a user's sequences before a page's own that tell of her, at most.
    """
    tables = meta.prepare(config, params, features)
    sequences = Sequences.of(pages, config.steps, config.outside == "end")
    before = sequences.before(np.arange(len(sequences.page)), known)
    contexts, _ = _inferred(tables, sequences, before)
    logits = np.empty((pages.n_pages, pages.slates.shape[1] + 1), np.float32)
    rewards = np.empty_like(logits)
    for start in range(0, pages.n_pages, BLOCK):
        block = slice(start, start + BLOCK)
        context = contexts[sequences.of_page[block]]
        state = {"history": pages.histories[block], "context": context}
        logits[block], rewards[block] = meta.respond(config, tables, state, pages.slates[block])
    for values in (logits, rewards):
        values[:, :-1][pages.absent] = -np.inf
    if config.outside is None:
        rewards[:, -1] = -np.inf
    return logits, rewards


def draw_contexts(
    config: MetaUserConfig,
    params: Params,
    features: Array,
    pages: Pages,
    count: int,
    rng: np.random.Generator,
) -> Array:
    """Draws contexts as the users of a log have them, without being any one's: (count, C) float32.

    They are drawn from a normal distribution with the mean and the covariance of what the users'
    first sequences say, and of what these leave open.

    Args:
        config: the model's shape.
        params: one member's parameters.
        features: (N, D) item features.
        pages: the log.
        count: how many.
        rng: draws them.
    """
    tables = meta.prepare(config, params, features)
    sequences = Sequences.of(pages, config.steps, config.outside == "end")
    first, row = np.unique(sequences.first, return_index=True)
    offsets = np.arange(max(SIZES))
    numbers = np.where(offsets < sequences.count[row][:, None], first[:, None] + offsets, -1)
    means, variances = _inferred(tables, sequences, numbers)
    covariance = np.atleast_2d(np.cov(means, rowvar=False, ddof=0)) + np.diag(variances.mean(0))
    drawn = rng.standard_normal((count, config.context)) @ np.linalg.cholesky(covariance).T
    return (means.mean(axis=0) + drawn).astype(np.float32)


def _inferred(tables: Params, sequences: Sequences, numbers: Array) -> tuple[Array, Array]:
    """Returns mean and variance (B, C) of contexts, from sequences (B, S); -1 is none."""
    parts = [
        infer(tables, sequences.support[some], sequences.reward[some])
        for some in np.split(numbers, np.arange(USERS, len(numbers), USERS))
    ]
    means, variances = zip(*parts, strict=True)
    return np.concatenate(means), np.concatenate(variances)
