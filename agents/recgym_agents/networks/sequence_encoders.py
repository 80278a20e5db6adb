"""Encoders of click sequences beside the recurrent one: attention, and two kinds of convolution."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym_agents.networks.recurrent_encoder import RecurrentEncoder
from recgym_agents.networks.slate_heads import linear
from recgym_agents.networks.window_encoder import WindowEncoder

SequenceEncoder = Literal["sasrec", "gru", "caser", "nextitnet"]


def sequence_encoder(
    kind: SequenceEncoder,
    window: int,
    size: int,
    layers: int,
    heads: int,
    generator: torch.Generator,
) -> WindowEncoder:
    """Returns an encoder of vectors of ``size`` numbers, whose states have as many.

    Args:
        kind: which one.
        window: clicked items read, W.
        size: numbers in an item's vector and in a state.
        layers: one on top of the other; of "caser" there is one.
        heads: of attention, in "sasrec"; ``size`` is a multiple of it.
        generator: draws the initial weights.
    """
    if kind == "gru":
        return RecurrentEncoder(window, size, "gru", layers, size, generator)
    if kind == "caser":
        return CaserEncoder(window, size, generator)
    if kind == "nextitnet":
        return NextItNetEncoder(window, size, layers, generator)
    return SASRecEncoder(window, size, layers, heads, generator)


class AttentionBlock(nn.Module):
    """Self-attention over the clicks so far, and a layer for each of them (Kang and McAuley)."""

    def __init__(self, size: int, heads: int, generator: torch.Generator) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_layers = nn.LayerNorm(size), nn.LayerNorm(size)
        self.projections = linear(size, 3 * size, generator)
        self.mix = linear(size, size, generator)
        self.wide, self.narrow = linear(size, size, generator), linear(size, size, generator)

    def forward(self, vectors: Tensor) -> Tensor:
        """Returns vectors (B, L, H) that know those before them (B, L, H)."""
        projected = self.projections(self.before_attention(vectors))
        parts = projected.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        read = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        vectors = vectors + self.mix(read.transpose(1, 2).flatten(2))
        found: Tensor = vectors + self.narrow(torch.relu(self.wide(self.before_layers(vectors))))
        return found


class SASRecEncoder(WindowEncoder):
    """Self-attention over the clicks, each with the place that it has in the window.

    The first click of a window has the first place, in training as in acting. Layers are normalised
    before they are applied.

    Args:
        window: clicked items read, W.
        size: numbers in an item's vector and in a state, H.
        layers: blocks of attention.
        heads: of each.
        generator: draws the initial weights.

    References:
        Kang and McAuley: Self-attentive sequential recommendation. ICDM 2018, section III.
    """

    def __init__(
        self, window: int, size: int, layers: int, heads: int, generator: torch.Generator
    ) -> None:
        super().__init__(window, size)
        self.place = nn.Parameter(torch.randn(window, size, generator=generator) * size**-0.5)
        self.blocks = nn.Sequential(
            *(AttentionBlock(size, heads, generator) for _ in range(layers))
        )
        self.last = nn.LayerNorm(size)

    def states(self, clicks: Tensor, length: Tensor | None = None) -> Tensor:
        """Returns the state after each of the clicks (B, L, H)."""
        found: Tensor = self.last(self.blocks(clicks + self.place[: clicks.shape[1]]))
        return found


class CaserEncoder(WindowEncoder):
    """Convolutions over the last few clicks: across their vectors, and along each number.

    A horizontal filter reads 2, 3 or 4 clicks in a row, and its highest response counts, wherever
    it is; a vertical one weighs the clicks by their place. There is no vector for a user.

    Args:
        window: clicked items read, W, of which the last five are looked at.
        size: numbers in an item's vector and in a state, H.
        generator: draws the initial weights.

    References:
        Tang and Wang: Personalized top-N sequential recommendation via convolutional sequence
        embedding. WSDM 2018, section 3.
    """

    HEIGHTS, FILTERS, VERTICAL, REACH = (2, 3, 4), 16, 4, 5

    def __init__(self, window: int, size: int, generator: torch.Generator) -> None:
        super().__init__(window, size)
        self.reach = min(self.REACH, window)
        self.heights = tuple(height for height in self.HEIGHTS if height <= self.reach)
        self.horizontal = nn.ModuleList(
            linear(height * size, self.FILTERS, generator) for height in self.heights
        )
        self.vertical = linear(self.reach, self.VERTICAL, generator)
        read = self.FILTERS * len(self.heights) + self.VERTICAL * size
        self.output = linear(read, size, generator)

    def states(self, clicks: Tensor, length: Tensor | None = None) -> Tensor:
        """Returns the state after each of the clicks (B, L, H)."""
        rows, size = clicks.shape[:2]
        ago = functional.pad(clicks, (0, 0, self.reach - 1, 0))  # zeros before the first click
        along = self.vertical(ago.unfold(1, self.reach, 1))  # (B, L, H, vertical filters)
        found = [along.flatten(2)]
        for height, layer in zip(self.heights, self.horizontal, strict=True):
            spans = ago.unfold(1, height, 1).transpose(2, 3).flatten(2)
            answers = torch.relu(layer(spans))  # (B, L + reach - height, filters)
            found.append(answers.unfold(1, self.reach - height + 1, 1).amax(3))
        state: Tensor = torch.relu(self.output(torch.cat(found, 2)))
        return state.reshape(rows, size, -1)


class NextItNetEncoder(WindowEncoder):
    """Dilated convolutions that look back, twice as far from layer to layer, with shortcuts.

    Args:
        window: clicked items read, W.
        size: numbers in an item's vector and in a state, H.
        layers: residual blocks, each of two convolutions; block b reads every 4^b-th click, and
            then every (2 * 4^b)-th.
        generator: draws the initial weights.

    References:
        Yuan et al.: A simple convolutional generative network for next item recommendation.
        WSDM 2019, section 3.
    """

    WIDTH = 3

    def __init__(self, window: int, size: int, layers: int, generator: torch.Generator) -> None:
        super().__init__(window, size)
        self.dilations = [4**block * step for block in range(layers) for step in (1, 2)]
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in self.dilations)
        self.layers = nn.ModuleList(
            linear(self.WIDTH * size, size, generator) for _ in self.dilations
        )
        self.last = nn.LayerNorm(size)

    def states(self, clicks: Tensor, length: Tensor | None = None) -> Tensor:
        """Returns the state after each of the clicks (B, L, H)."""
        vectors = shortcut = clicks
        for place, dilation in enumerate(self.dilations):
            vectors = self._look_back(torch.relu(self.norms[place](vectors)), place, dilation)
            if place % 2 == 1:
                vectors = shortcut = vectors + shortcut
        found: Tensor = self.last(vectors)
        return found

    def _look_back(self, vectors: Tensor, place: int, dilation: int) -> Tensor:
        """Returns a convolution (B, L, H) of each vector and two before it, ``dilation`` apart."""
        size, back = vectors.shape[1], (self.WIDTH - 1) * dilation
        padded = functional.pad(vectors, (0, 0, back, 0))
        read = [padded[:, start : start + size] for start in range(0, back + 1, dilation)]
        found: Tensor = self.layers[place](torch.cat(read, 2))
        return found
