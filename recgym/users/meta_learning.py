"""What learning the meta-level user model takes, in torch: its bounds on the log's likelihood."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recgym.users import meta
from recgym.users.gan import Params
from recgym.users.meta import MetaUserConfig
from recgym.users.meta_context import infer
from recgym.users.meta_sequences import KNOWN, Sequences
from recgym.users.meta_settings import MetaFit
from recgym.users.page_arrays import Pages
from recgym.users.page_tensors import Select


def helper_shapes(config: MetaUserConfig) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of what only a fit needs: the decoder of the next state (Eq. 1)."""
    return {
        "decoder.weight": (config.units, config.latent + config.context),
        "decoder.bias": (config.units,),
        "decoder.output": (config.encoding_size, config.units),
        "decoder.output_bias": (config.encoding_size,),
    }


class Contexts(NamedTuple):
    """What support says of users, and draws from it."""

    mean: Tensor
    """(G, C)"""
    variance: Tensor
    """(G, C)"""
    drawn: Tensor
    """(G, C) reparameterised; the mean of the prior of users without support"""


def normal_divergence(mean: Tensor, variance: Tensor) -> Tensor:
    """Returns KL(N(mean, variance) || N(0, I)) of independent dimensions (B, Z): (B,)."""
    return 0.5 * (mean.square() + variance - variance.log() - 1.0).sum(dim=1)


class MetaTensors:
    """Pages as tensors, and what a meta-level user model says of them."""

    select: ClassVar[Select] = "log_likelihood"
    """What stops a fit unless told otherwise."""

    def __init__(
        self,
        config: MetaUserConfig,
        pages: Pages,
        fit: MetaFit,
        rng: np.random.Generator,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Copies the arrays.

        Args:
            config: the model's shape.
            pages: the log, by user.
            fit: weights of the bounds.
            rng: draws support, contexts and latent variables.
            dtype: of parameters and features.
        """
        self.config = config
        self.fit = fit
        self.rng = rng
        self.dtype = dtype
        self.sequences = Sequences.of(pages, config.steps, config.outside == "end")
        self.slates = torch.from_numpy(pages.slates)
        self.absent = torch.from_numpy(pages.absent)
        self.target = torch.from_numpy(pages.target)
        self.histories = torch.from_numpy(pages.histories)
        slots = np.arange(pages.n_pages), pages.target % pages.slates.shape[1]
        self.items = torch.from_numpy(np.where(pages.clicked, pages.slates[slots], -1))
        self.paid = np.where(pages.clicked, pages.reward, np.nan).astype(np.float64)

    def reward_scale(self, chosen: np.ndarray) -> Tensor:
        """Returns the mean and the inverse deviation of the rewards of clicks on pages ``chosen``.

        Both are 0 where those clicks are all worth the same.
        """
        paid = self.paid[chosen][~np.isnan(self.paid[chosen])]
        scale = 1.0 / paid.std() if len(paid) and paid.std() > 0 else 0.0
        centre = paid.mean() if scale else 0.0
        return torch.tensor([centre, scale], dtype=self.dtype)

    def normal(self, like: Tensor) -> Tensor:
        """Returns standard normal draws of a tensor's shape."""
        return torch.from_numpy(self.rng.standard_normal(like.shape)).to(self.dtype)

    def contexts(self, tables: Params, chosen: np.ndarray) -> Contexts:
        """Infers the contexts of the users of sequences from others of theirs, drawn at random.

        Args:
            tables: from ``meta.prepare``.
            chosen: (G,) numbers of sequences.
        """
        others = self.sequences.others(chosen, self.rng)
        mean, variance = self.infer(tables, others)
        known = torch.from_numpy((others >= 0).any(axis=1))[:, None]
        drawn = mean + variance.sqrt() * self.normal(mean)
        return Contexts(mean, variance, torch.where(known, drawn, torch.zeros_like(drawn)))

    def infer(self, tables: Params, numbers: np.ndarray) -> tuple[Tensor, Tensor]:
        """Returns mean and variance (G, C) of contexts, from sequences (G, S); -1 is none."""
        support = torch.from_numpy(self.sequences.support[numbers])
        reward = torch.from_numpy(self.sequences.reward[numbers])
        mean, variance = infer(tables, support, reward)
        return mean, variance

    def respond(self, params: Params, features: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Returns logits and rewards (C, K + 1) on the chosen pages; empty slots have -inf, 0.

        Their users' contexts are the means that ``KNOWN`` sequences before the pages' own give.
        """
        tables = meta.prepare(self.config, params, features)
        numbers, row = np.unique(self.sequences.of_page[chosen.numpy()], return_inverse=True)
        context, _ = self.infer(tables, self.sequences.before(numbers, KNOWN))
        state = {"history": self.histories[chosen], "context": context[torch.from_numpy(row)]}
        logits, rewards = meta.respond(self.config, tables, state, self.slates[chosen])
        return self.masked(logits, chosen), self.masked(rewards, chosen, 0.0)

    def masked(self, values: Tensor, chosen: Tensor, empty: float = -torch.inf) -> Tensor:
        """Returns values (C, K + 1) of options on pages, ``empty`` in slots without an item."""
        return values.masked_fill(functional.pad(self.absent[chosen], (0, 1)), empty)

    def log_likelihood(self, params: Params, features: Tensor, chosen: Tensor) -> Tensor:
        """Returns what a fit maximises (C,): log pi(x | z, A), with the bound of Eq. 1.

        Contexts and latent variables are drawn. To what the paper says is added the divergence of
        contexts from their prior, shared evenly by the pages of a sequence.
        """
        tables = meta.prepare(self.config, params, features)
        numbers, row, count = np.unique(
            self.sequences.of_page[chosen.numpy()], return_inverse=True, return_counts=True
        )
        contexts = self.contexts(tables, numbers)
        mine = torch.from_numpy(row)
        bound = self.bound(params, tables, contexts.drawn[mine], chosen)
        divergence = normal_divergence(contexts.mean, contexts.variance)
        shared = (divergence / torch.from_numpy(count))[mine]
        return bound - self.fit.context_weight * shared

    def bound(self, params: Params, tables: Params, context: Tensor, chosen: Tensor) -> Tensor:
        """Returns log pi(x | z, A) and the terms of Eq. 1 of the chosen pages (C,).

        Args:
            params: of the model and its decoder.
            tables: from ``meta.prepare``.
            context: (C, C') of the pages' users.
            chosen: (C,) pages.
        """
        history = self.histories[chosen]
        situation = meta.situations(tables, {"history": history, "context": context})
        mean, log_std = meta.latent(tables, situation)
        z = mean + log_std.exp() * self.normal(mean)
        logits = meta.choice_logits(self.config, tables, z, history, self.slates[chosen])
        logits = self.masked(logits, chosen)
        click = -functional.cross_entropy(logits, self.target[chosen], reduction="none")
        after = meta.advance(self.config, tables, {"history": history}, self.items[chosen])
        reached = meta.encode(tables, after["history"]).detach()
        decoded = decode(params, z, context)
        dynamics = -0.5 * (decoded - reached).square().sum(dim=1)
        divergence = normal_divergence(mean, (2.0 * log_std).exp())
        bound: Tensor = click + self.fit.decoder_weight * dynamics
        return bound - self.fit.latent_weight * divergence


def decode(params: Params, z: Tensor, context: Tensor) -> Tensor:
    """Returns the mean (B, E) of p(s' | z, c), a normal distribution of variance 1 (Eq. 1)."""
    hidden = torch.tanh(
        torch.cat([z, context], dim=1) @ params["decoder.weight"].T + params["decoder.bias"]
    )
    decoded: Tensor = hidden @ params["decoder.output"].T + params["decoder.output_bias"]
    return decoded
