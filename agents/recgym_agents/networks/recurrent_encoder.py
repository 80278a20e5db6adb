"""A recurrent network's summary of a click history."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from recgym_agents.networks.window_encoder import WindowEncoder

Cell = Literal["gru", "lstm"]
Carried = Tensor | tuple[Tensor, Tensor]
"""What a recurrent network carries from click to click: (layers, B, H), of an LSTM two of them."""
BLOCK = 4
"""Clicks that are read of all sequences at once; each further block is as long as all before it."""


class RecurrentEncoder(WindowEncoder):
    """A user's state as a recurrent summary of the clicks (Bai et al., NeurIPS 2019, section 4).

    ``s_t = h(s_{t-1}, e_{t-1})`` from a state of zeros. A state reads the last ``window`` clicks:
    who acts on an observation sees no more of them, and is trained on what it sees.

    Args:
        window: clicked items read, W.
        features: length of a feature vector, D.
        cell: h.
        layers: networks one on top of the other.
        hidden: units of each, H.
        generator: draws the initial weights, uniform in +-1 / sqrt(H).
    """

    def __init__(
        self,
        window: int,
        features: int,
        cell: Cell,
        layers: int,
        hidden: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__(window, hidden)
        kind = nn.GRU if cell == "gru" else nn.LSTM
        unset = kind(features, hidden, layers, batch_first=True, device="meta")
        self.network: nn.RNNBase = unset.to_empty(device="cpu")
        for parameter in self.network.parameters():
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5, generator=generator)

    def read(self, clicks: Tensor, carried: Carried | None = None) -> tuple[Tensor, Carried]:
        """Reads clicks (B, L, D), oldest first, L at least 1, from what is carried or from nothing.

        Returns:
            The state after each of them (B, L, H), and what is carried on.
        """
        states, carried_on = self.network(clicks, carried)
        return states, carried_on

    def states(self, clicks: Tensor, length: Tensor | None = None) -> Tensor:
        """Returns the states (B, L, H) after each click, or zeros after a row's end.

        Most sessions are short and some are long: a block is read of those alone that reach it.
        """
        if length is None:
            return self.read(clicks)[0]
        rows, size = clicks.shape[:2]
        parts: list[Tensor] = []
        carried: Carried | None = None
        row, begin, end = torch.arange(rows), 0, BLOCK
        while begin < size and (reaches := length[row] > begin).any():
            row = row[reaches]
            read, carried = self.read(clicks[row, begin:end], _of_rows(carried, reaches))
            whole = read.new_zeros(rows, *read.shape[1:])
            parts.append(whole.index_copy(0, row, read))
            begin, end = end, 2 * end
        after = clicks.new_zeros(rows, max(size - begin, 0), self.state_size)
        return torch.cat([*parts, after], 1)


def _of_rows(carried: Carried | None, chosen: Tensor) -> Carried | None:
    if isinstance(carried, tuple):
        return carried[0][:, chosen], carried[1][:, chosen]
    return carried if carried is None else carried[:, chosen]
