"""Slates drawn without replacement from a softmax over the catalogue (Plackett and Luce)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym_agents.networks.slate_heads import exclude


class PlackettLuceHead(nn.Module):
    """The policy ``pi(i | s) = softmax_i(W s + b)`` over all items (Bai et al., 2019, Eq. 4).

    Args:
        n_items: N.
        state_size: S.
        generator: draws the initial weights.
    """

    def __init__(self, n_items: int, state_size: int, generator: torch.Generator) -> None:
        super().__init__()
        scale = state_size**-0.5
        weight = (torch.rand(n_items, state_size, generator=generator) * 2 - 1) * scale
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(n_items))

    def forward(self, state: Tensor, excluded: Tensor) -> Tensor:
        """Returns logits (B, N + 1), minus infinity where an item cannot be shown.

        Args:
            state: (B, S).
            excluded: items that are no candidates (B, X); N is ignored.
        """
        logits = functional.linear(state, self.weight, self.bias)
        return exclude(functional.pad(logits, (0, 1)), excluded)


def gumbel_top_k(logits: Tensor, noise: Tensor, size: int) -> Tensor:
    """Draws slates (B, size) without replacement, in the order in which they are drawn.

    Each slot draws from the softmax over the items that are left, all slots at once: they are the
    highest of logits plus Gumbel noise (Kool et al., ICML 2019). Without noise, it is the slate of
    the highest probability.

    Args:
        logits: (B, N + 1), see ``PlackettLuceHead``.
        noise: standard Gumbel (B, N + 1), or zeros.
        size: K.
    """
    return (logits + noise).topk(size, 1).indices


def slate_log_prob(logits: Tensor, slate: Tensor) -> Tensor:
    """Returns the log-probability (B,) that ``gumbel_top_k`` draws these slates, in this order.

    ``sum_j (l(a_j) - log sum_{i not in a_1 .. a_{j-1}} exp l(i))``, exactly (Plackett, 1975).

    Args:
        logits: (B, N + 1), see ``PlackettLuceHead``.
        slate: distinct item ids (B, K), each one a candidate; -1 in slots that show nothing.
    """
    return slot_log_probs(logits, slate).sum(1)


def slot_log_probs(logits: Tensor, slate: Tensor) -> Tensor:
    """Returns the log-probability of each slot's item, given those above (B, K).

    0 for a slot that shows nothing. What a slot leaves over is summed, never subtracted, so that no
    digits cancel. Arguments as in ``slate_log_prob``.
    """
    empty, lowest = slate < 0, torch.finfo(logits.dtype).min
    slots = slate.where(~empty, logits.shape[1] - 1)
    shown = logits.gather(1, slots).masked_fill(empty, lowest)
    others = logits.scatter(1, slots, lowest).logsumexp(1, keepdim=True)
    left = torch.cat([shown, others], 1)[:, None, :]  # the slots, then all that is not shown
    gone = torch.ones(slate.shape[1], slate.shape[1] + 1, dtype=torch.bool).tril(-1)
    total = left.masked_fill(gone, -torch.inf).logsumexp(2)
    return (shown - total).masked_fill(empty, 0.0)


def item_log_prob(logits: Tensor, item: Tensor) -> Tensor:
    """Returns log pi(i | s) (B,), which Bai et al. (2019) take for the probability of a slate.

    Their Eqs. 8-10 have ``log pi(c_t in a_t | s_t)``: the log of the softmax over the *whole
    catalogue*, of the one item that was clicked. Eq. 4 calls that softmax the probability that the
    item is in the slate. It is the probability that one draw is the item, which the first slot has;
    that the item is in one of K slots drawn without replacement is likelier. As an estimate of the
    slate's log-probability it leaves out all items that were not clicked, by the assumption that
    only clicks matter to what follows. A step without a click has no such term.

    Args:
        logits: (B, N + 1), see ``PlackettLuceHead``.
        item: ids (B,), each one a candidate.
    """
    return functional.log_softmax(logits, 1).gather(1, item[:, None])[:, 0]
