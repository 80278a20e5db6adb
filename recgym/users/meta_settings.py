"""How a meta-level user model is fitted, beside what all fits have in common."""

from __future__ import annotations

from dataclasses import dataclass

from recgym.settings import AT_LEAST_0, AT_LEAST_1, POSITIVE, SHARE, check_ranges


@dataclass(frozen=True)
class MetaFit:
    """Weights of the variational bounds, and the adversarial game."""

    latent_weight: float = 0.01
    """beta in Eq. 1: what the divergence of q(z | s, c) from N(0, I) counts, a page."""
    decoder_weight: float = 0.1
    """What the next state's log-likelihood counts (Eq. 1), a page and a dimension."""
    context_weight: float = 0.001
    """What the divergence of a context from N(0, I) counts, a sequence."""
    rounds: int = 20
    """Passes over the training pages with the adversary at most; 0 for none of them, where the
    reward stays at its random start."""
    discriminator_steps: int = 4
    """Discriminator updates for one of the user policy."""
    discriminator_rate: float = 3e-3
    """Step size of AdamW for the discriminator."""
    discriminator_decay: float = 0.1
    """Decoupled decay of its weights."""
    policy_rate: float = 3e-4
    """Step size of AdamW for the user policy in the game."""
    likelihood_weight: float = 1.0
    """What the likelihood of the log counts beside the policy gradient (Eq. 2)."""
    replay: int = 16_384
    """Generated steps kept for the discriminator."""
    discount: float = 0.9
    """gamma of the shaping term and of returns."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        weights = ("latent_weight", "decoder_weight", "context_weight", "likelihood_weight")
        rates = ("discriminator_rate", "policy_rate")
        ranges = dict.fromkeys((*weights, "discriminator_decay", "rounds"), AT_LEAST_0)
        ranges |= dict.fromkeys(("discriminator_steps", "replay"), AT_LEAST_1)
        check_ranges(self, ranges | dict.fromkeys(rates, POSITIVE) | {"discount": SHARE})
