"""What all encoders of click sequences share: the states of a whole sequence, a window each."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class WindowEncoder(nn.Module, ABC):
    """Makes a state of the last ``window`` clicks: who acts on an observation sees no more of them.

    A state depends on the clicks before it alone, so that one pass over a sequence of up to
    ``window`` clicks gives all its states.

    Args:
        window: clicked items read, W.
        state_size: numbers in a state, H.
    """

    def __init__(self, window: int, state_size: int) -> None:
        super().__init__()
        self.window, self.state_size = window, state_size

    @abstractmethod
    def states(self, clicks: Tensor, length: Tensor | None = None) -> Tensor:
        """Returns the state after each of the clicks (B, L, H).

        Args:
            clicks: feature vectors (B, L, D), oldest first, L from 1 to the window.
            length: clicks of each sequence (B,), where they are not all L; what is returned after
                its end is of no use.
        """

    def forward(self, clicks: Tensor, length: Tensor | None = None) -> Tensor:
        """Returns the states (B, L + 1, H) before the first of the clicks, and after each of them.

        The first state is zero. The sequences (B, L, D), L at least 1, are read in one pass; where
        they are longer than the window, so is each window that begins later.

        Args:
            clicks: feature vectors.
            length: clicks of each sequence (B,); the states after its end are then of no use. None
                reads all of them to L.
        """
        states = self.states(clicks[:, : self.window], length)
        parts = [torch.zeros_like(states[:, :1]), states]
        if clicks.shape[1] > self.window:
            parts.append(self._later(clicks, length))
        return torch.cat(parts, 1)

    def _later(self, clicks: Tensor, length: Tensor | None) -> Tensor:
        """Returns the states (B, L - W, H) after the clicks beyond the first window.

        Windows that end after their sequence does are not read; their states are zero.
        """
        windows = clicks.unfold(1, self.window, 1)[:, 1:].transpose(2, 3)  # (B, L - W, W, D)
        if length is None:
            last = self.states(windows.flatten(0, 1))[:, -1]
            return last.reshape(*windows.shape[:2], -1)
        ends = torch.arange(self.window + 1, clicks.shape[1] + 1)
        row, place = (ends <= length[:, None]).nonzero(as_tuple=True)
        found = clicks.new_zeros(*windows.shape[:2], self.state_size)
        if len(row) == 0:
            return found
        return found.index_put((row, place), self.states(windows[row, place])[:, -1])


def states_after(states: Tensor, counts: Tensor) -> Tensor:
    """Returns the states (B, S, H) after the first ``counts`` (B, S) clicks, of (B, L + 1, H)."""
    first = torch.arange(len(states))[:, None] * states.shape[1]
    chosen = states.flatten(0, 1).index_select(0, (first + counts).reshape(-1))
    return chosen.reshape(*counts.shape, -1)
