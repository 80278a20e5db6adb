"""One network for all agents that learn from logged sequences: an encoder, and heads over items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_1, SHARE, check_ranges
from recgym_agents.networks.item_scores import Scores
from recgym_agents.networks.repeat_bonus import RepeatBonus, Repeats
from recgym_agents.networks.sequence_encoders import SequenceEncoder, sequence_encoder
from recgym_agents.networks.slate_heads import linear
from recgym_agents.networks.window_encoder import states_after


@dataclass(frozen=True)
class SequencePolicyConfig:
    """What the network is made of."""

    encoder: SequenceEncoder = "sasrec"
    """What reads the clicks: attention, a recurrent network, or one of two kinds of convolution."""
    layers: int = 1
    """Layers of the encoder, one on top of the other."""
    heads: int = 1
    """Heads of each layer of attention."""
    size: int = 64
    """Numbers in an item's vector and in a state; a multiple of ``heads``."""
    dropout: float = 0.2
    """Share of the numbers in items' vectors and in states that an update leaves out."""
    tied: bool = True
    """Let the policy score items by the vectors that the encoder reads them as."""
    repeats: bool = False
    """Learn how much likelier the policy makes items that were clicked lately, by how many clicks
    ago it was."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range, or two that do not agree."""
        counts = dict.fromkeys(("layers", "heads", "size"), AT_LEAST_1)
        check_ranges(self, counts | {"dropout": SHARE})
        if self.dropout == 1.0:
            raise RecGymError("dropout=1.0: nothing would be left; must be below 1")
        if self.size % self.heads:
            raise RecGymError(f"heads={self.heads}: must divide size={self.size}")


class SequencePolicy(nn.Module):
    """An encoder of clicks, the policy's head, and heads for what the policy is weighed by.

    Each head scores all items by a linear function of the state (Liang and Vlassis, 2022, Figure
    1b), so that nothing but parameters has a row for every item; see ``item_scores``.

    Args:
        config: what it is made of.
        n_items: N.
        window: clicked items read, W.
        members: heads that value items; 0 for none.
        behaviour: whether a head estimates the logging policy.
        conditioned: whether the policy is told the return that is asked for.
        generator: draws the initial weights.
    """

    def __init__(
        self,
        config: SequencePolicyConfig,
        n_items: int,
        window: int,
        members: int,
        behaviour: bool,
        conditioned: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_items, self.dropout, size = n_items, config.dropout, config.size
        vectors = torch.randn(n_items + 1, size, generator=generator) * size**-0.5
        vectors[-1] = 0.0  # "no item"
        self.items = nn.Parameter(vectors)
        self.encoder = sequence_encoder(
            config.encoder, window, size, config.layers, config.heads, generator
        )
        self.policy_weight = None if config.tied else self._weights((n_items, size), generator)
        self.policy_bias = nn.Parameter(torch.zeros(n_items))
        self.repeat_bonus = RepeatBonus(window) if config.repeats else None
        if members:
            self.value_weight = self._weights((members, n_items, size), generator, 0.1)
            self.value_bias = nn.Parameter(torch.zeros(members, n_items))
        if behaviour:
            self.behaviour_weight = self._weights((n_items, size), generator)
            self.behaviour_bias = nn.Parameter(torch.zeros(n_items))
        both = behaviour and config.repeats
        self.behaviour_bonus = RepeatBonus(window) if both else None
        if conditioned:
            self.of_return = linear(1, size, generator)
            self.highest_return: Tensor
            self.register_buffer("highest_return", torch.zeros(()))

    @staticmethod
    def _weights(
        shape: tuple[int, ...], generator: torch.Generator, scale: float = 1.0
    ) -> nn.Parameter:
        bound = scale * shape[-1] ** -0.5
        return nn.Parameter((torch.rand(shape, generator=generator) * 2 - 1) * bound)

    def states(
        self, clicks: np.ndarray, counts: np.ndarray, noise: torch.Generator | None = None
    ) -> Tensor:
        """Returns the states (B, S, H) after the first ``counts`` (B, S) clicks (B, L).

        Args:
            clicks: item ids, oldest first, then N.
            counts: ascending in a row.
            noise: draws what is left out; None leaves nothing out.
        """
        ids = torch.as_tensor(clicks)
        read = functional.embedding(ids, self.items, padding_idx=self.n_items)
        length = torch.as_tensor(counts)
        states: Tensor = self.encoder(self._thinned(read, noise), length[:, -1])
        return self._thinned(states_after(states, length), noise)

    def _thinned(self, vectors: Tensor, noise: torch.Generator | None) -> Tensor:
        """Returns vectors without some of their numbers, the others raised by as much."""
        if noise is None or self.dropout == 0.0:
            return vectors
        kept = 1.0 - self.dropout
        mask = torch.empty(vectors.shape, device=noise.device).bernoulli_(kept, generator=noise)
        return vectors * (mask / kept).to(vectors.device)

    def for_return(self, state: Tensor, share: Tensor) -> Tensor:
        """Returns the states (S, H) that the policy acts on to earn ``share`` (S,) of the best."""
        found: Tensor = state + self.of_return(share[:, None])
        return found

    def repeats(self, history: np.ndarray) -> Repeats | None:
        """Returns what the clicks before each state (S, W) add to the policy's logits, if any."""
        return None if self.repeat_bonus is None else self.repeat_bonus(history, self.n_items)

    @property
    def policy(self) -> Scores:
        """The logits of the policy, without what repeats add."""
        weight = self.items[:-1] if self.policy_weight is None else self.policy_weight
        return Scores(weight, self.policy_bias)

    @property
    def behaviour(self) -> Scores:
        """The logits of the logging policy, as it is estimated."""
        return Scores(self.behaviour_weight, self.behaviour_bias)

    @property
    def values(self) -> list[Scores]:
        """The values of items, of each member."""
        pairs = zip(self.value_weight, self.value_bias, strict=True)
        return [Scores(weight, bias) for weight, bias in pairs]

    def mixed_values(self, share: Tensor) -> Scores:
        """Returns the values of a mixture of the members (M,), linear like each of them."""
        weight = torch.einsum("m,mnh->nh", share, self.value_weight)
        return Scores(weight, share @ self.value_bias)
