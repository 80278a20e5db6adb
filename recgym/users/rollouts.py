"""What users of a meta-level user model do on the pages of a log: steps, logged and generated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recgym.arrays import remember
from recgym.users import meta
from recgym.users.gan import Params
from recgym.users.meta_learning import MetaTensors


@dataclass(frozen=True, eq=False)
class Steps:
    """M steps of users. Once a user has left, her steps are in the absorbing state."""

    page: Tensor
    """(M,) number of the page that was shown; of absorbing steps, of any"""
    history: Tensor
    """(M, W) what was clicked before it"""
    context: Tensor
    """(M, C)"""
    choice: Tensor
    """(M,) what was chosen: a slot, or K for the outside option"""
    leaves: Tensor
    """(M,) bool: whether that ended the session"""
    over: Tensor
    """(M,) bool: whether the step is in the absorbing state"""

    def select(self, chosen: Tensor) -> Steps:
        """Returns the steps of these numbers, or where a mask is true."""
        return Steps(**{name: values[chosen] for name, values in self.__dict__.items()})

    @staticmethod
    def joined(parts: list[Steps]) -> Steps:
        """Returns the steps of several, one after another."""
        return Steps(
            **{name: torch.cat([getattr(p, name) for p in parts]) for name in parts[0].__dict__}
        )


def logged(tensors: MetaTensors, page: Tensor, context: Tensor) -> tuple[Steps, Tensor]:
    """Returns what users did on the pages of their sequences.

    Args:
        tensors: the log.
        page: (G, T) numbers of pages, -1 where a sequence is over.
        context: (G, C) of the sequences' users.

    Returns:
        All G * T steps, sequence by sequence, and which of them there are, bool (G, T). Where the
        last page of a sequence ended its session, absorbing steps fill it up.
    """
    there = page >= 0
    number = page.clamp(min=0)
    ends = tensors.config.outside == "end"
    outside = tensors.slates.shape[1]
    leaves = there & (tensors.target[number] == outside) & ends
    over = ~there & leaves.any(dim=1, keepdim=True)
    steps = Steps(
        page=number.flatten(),
        history=tensors.histories[number].flatten(0, 1),
        context=context.repeat_interleave(page.shape[1], dim=0),
        choice=torch.where(there, tensors.target[number], outside).flatten(),
        leaves=leaves.flatten(),
        over=over.flatten(),
    )
    return steps, there | over


@torch.no_grad()
def generated(
    tensors: MetaTensors, tables: Params, page: Tensor, context: Tensor
) -> tuple[Steps, Tensor]:
    """Returns what users of the model do on the same pages, whose clicks become their history.

    Args:
        tensors: the log.
        tables: from ``meta.prepare``.
        page: (G, T) numbers of pages, -1 where a sequence is over.
        context: (G, C) of the sequences' users.

    Returns:
        As ``logged``. A user who goes on where the log has no more pages has no more steps.
    """
    config = tensors.config
    outside = tensors.slates.shape[1]
    history = tensors.histories[page[:, 0]]
    gone = torch.zeros(len(page), dtype=torch.bool)
    columns: list[Steps] = []
    there: list[Tensor] = []
    for column in page.T:
        number = column.clamp(min=0)
        shown = column >= 0
        state = {"history": history, "context": context}
        logits = policy_logits(tensors, tables, state, number)
        gumbel = -np.log(-np.log(tensors.rng.random(tuple(logits.shape))))
        choice = (logits + torch.from_numpy(gumbel)).argmax(dim=1)
        leaves = shown & ~gone & (choice == outside) & (config.outside == "end")
        columns.append(Steps(number, history, context, choice, leaves, gone))
        there.append(shown | gone)
        slot = choice.clamp(max=outside - 1)
        item = tensors.slates[number, slot]
        clicks = shown & ~gone & (choice < outside)
        history = remember(history, torch.where(clicks, item, -1))
        gone = gone | leaves
    by_step = {
        name: torch.stack([getattr(column, name) for column in columns], dim=1).flatten(0, 1)
        for name in columns[0].__dict__
    }
    return Steps(**by_step), torch.stack(there, dim=1)


def policy_logits(tensors: MetaTensors, tables: Params, state: Params, page: Tensor) -> Tensor:
    """Returns the logits (M, K + 1) of pi(x | s, A, c), given the mean of z, on pages (M,)."""
    z, _ = meta.latent(tables, meta.situations(tables, state))
    slates = tensors.slates[page]
    logits = meta.choice_logits(tensors.config, tables, z, state["history"], slates)
    return tensors.masked(logits, page)
