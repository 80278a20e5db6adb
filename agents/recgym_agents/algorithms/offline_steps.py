"""What there is to learn of logged episodes: a row for each step in which something was done."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recgym_agents.learning.episodes import Episodes, click_sequences, observed
from recgym_agents.policy_losses import discounted_returns


class LoggedSteps(NamedTuple):
    """S steps of B episodes; states are counted through as rows of (B * (T + 1), H)."""

    clicks: np.ndarray
    """All clicks of each episode (B, L), see ``click_sequences``."""
    counts: np.ndarray
    """How many of them came before each step, and after the last (B, T + 1)."""
    done: np.ndarray
    """Whether a step is one of the S, bool (B, T)."""
    now: Tensor
    """The row of the state that a step begins in (S,); the state after it is the next row."""
    item: Tensor
    """What was clicked (S,)."""
    reward: Tensor
    """(S,)"""
    returns: Tensor
    """The discounted sum of this reward and the later ones of the episode (S,)."""
    discount: Tensor
    """gamma, or 0 where the episode ended with this step (S,)."""
    history: Tensor
    """Clicks before the step, as a share of the window (S,), at most 1."""
    showing: Tensor
    """Rows of the states in which slates were shown (R,)."""
    passed: Tensor
    """What those slates showed and was not clicked (R, K), -1 elsewhere."""

    def histories(self, window: int, n_items: int) -> np.ndarray:
        """Returns what was observed before each step (S, W), N where nothing was clicked."""
        before = observed(self.clicks, self.counts[:, :-1], window, n_items)
        found: np.ndarray = before[self.done]
        return found


def logged_steps(
    batch: Episodes, window: int, n_items: int, discount: float, last: int
) -> LoggedSteps:
    """Returns what there is to learn of a batch.

    Args:
        batch: of logged or played episodes.
        window: clicked items observed, W.
        n_items: N.
        discount: gamma.
        last: steps at the end of each episode that count; 0: all.
    """
    clicks, counts = click_sequences(batch.history, batch.item, n_items)
    done = batch.steps & (batch.item >= 0)
    if last:
        done &= done[:, ::-1].cumsum(axis=1)[:, ::-1] <= last
    rows = np.arange(batch.item.size).reshape(batch.item.shape)
    rows += np.arange(len(batch.item))[:, None]  # each episode has a state after its last step
    final = batch.steps & ~np.pad(batch.steps, ((0, 0), (0, 1)))[:, 1:]
    ended = final & batch.terminated[:, None]
    showing = (batch.slate >= 0).any(axis=2)
    slate = batch.slate[showing]
    passed = np.where(slate == batch.item[showing][:, None], -1, slate)
    returns = discounted_returns(torch.as_tensor(batch.reward), discount)
    gamma = np.where(ended, 0.0, discount).astype(np.float32)
    share = np.minimum(counts[:, :-1] / window, 1.0).astype(np.float32)
    return LoggedSteps(
        clicks,
        counts,
        done,
        now=torch.as_tensor(rows[done]),
        item=torch.as_tensor(batch.item[done]),
        reward=torch.as_tensor(batch.reward[done]),
        returns=returns[torch.as_tensor(done)],
        discount=torch.as_tensor(gamma[done]),
        history=torch.as_tensor(share[done]),
        showing=torch.as_tensor(rows[showing]),
        passed=torch.as_tensor(passed),
    )
